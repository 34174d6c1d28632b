"""The admin as an operator sees it: everything is found, a month is allocated and published, nothing breaks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from django.contrib import admin

from allocation.models import AllocationRun, PublishedMonth, RunState
from carbon.demo.logins import demo_operator
from carbon.demo.months import publish_months

if TYPE_CHECKING:
    from django.db.models import Model

    from tests.browser.conftest import Browsing, Estate

PATIENCE_SECONDS = 120
# Nothing of the demo's first month makes rows of these.
WITHOUT_ROWS: set[str] = set()


def path_of(model: type[Model]) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"  # noqa: SLF001 Django's name


def rows(browsing: Browsing) -> int:
    return int(browsing.page.locator("#result_list tbody tr").count())


def search(browsing: Browsing, text: str) -> int:
    """Search the list that is open; returns the number of rows on the page."""
    browsing.page.locator("#searchbar").fill(text)
    browsing.page.get_by_role("button", name="Search").click()
    browsing.page.wait_for_load_state()
    return rows(browsing)


def act(browsing: Browsing, action: str) -> str:
    """Do something with the first row of the list that is open; returns what the admin said."""
    browsing.page.locator("#result_list tbody input.action-select").first.check()
    browsing.page.get_by_label("Action:").select_option(label=action)
    browsing.page.get_by_role("button", name="Run").click()
    browsing.page.wait_for_load_state()
    return str(browsing.page.locator(".messagelist").inner_text())


def wait_until_ready(browsing: Browsing) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while browsing.page.locator("td.field-state").first.inner_text() != RunState.READY.label:
        assert time.monotonic() < deadline, "the run is not ready"
        browsing.page.wait_for_timeout(300)
        browsing.page.reload()


@pytest.mark.usefixtures("live_worker")
def test_an_operator_allocates_and_publishes_a_month(browsing: Browsing, estate: Estate) -> None:
    code = estate.month.part.provider.code
    browsing.sign_in(estate.operator)
    assert browsing.page.get_by_role("heading", name="Site administration").is_visible()

    browsing.open("/admin/allocation/package/")
    assert search(browsing, "nobody") == 0
    assert search(browsing, code) == 1
    act(browsing, "Allocate")

    browsing.open("/admin/allocation/allocationrun/")
    wait_until_ready(browsing)
    assert search(browsing, code) == 1
    act(browsing, "Publish")
    run = AllocationRun.objects.get()
    assert PublishedMonth.objects.get().publication.run == run
    assert browsing.page.locator("td.field-state").first.inner_text() == RunState.PUBLISHED.label
    assert browsing.faults == []


@pytest.mark.usefixtures("live_worker")
def test_every_page_opens(browsing: Browsing, estate: Estate) -> None:
    list(publish_months([estate.month], demo_operator(), lambda: None))
    browsing.sign_in(estate.operator)
    without_rows = set()
    for model in admin.site._registry:  # noqa: SLF001 Django has no other list
        path = path_of(model)
        assert browsing.open(path) == 200, path
        links = browsing.page.locator("#result_list tbody th a")
        if rows(browsing) == 0:
            without_rows.add(path)
            continue
        links.first.click()
        browsing.page.wait_for_load_state()
        assert browsing.page.locator("#content-main, #content").first.is_visible()
        assert browsing.page.url.endswith("/change/") or "/change/?" in browsing.page.url, browsing.page.url
    assert without_rows == WITHOUT_ROWS
    assert browsing.faults == []


def test_a_viewer_cannot_enter(browsing: Browsing, estate: Estate) -> None:
    browsing.sign_in(estate.viewer)
    assert "enter the correct username and password for a staff account" in browsing.page.inner_text(".errornote")
    assert browsing.open("/admin/allocation/ledgerrow/") == 200
    assert browsing.page.url.startswith(f"{browsing.address}/admin/login/")
    assert browsing.faults == []
