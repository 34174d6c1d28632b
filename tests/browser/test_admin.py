"""The admin as an operator sees it: everything is found, a month is allocated and published, nothing breaks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from django.contrib import admin

from allocation.models import AccountTotal, AllocationRun, PublishedMonth, RunProof, RunState
from carbon.demo.logins import demo_operator
from carbon.demo.months import publish_months

if TYPE_CHECKING:
    from django.db.models import Model

    from tests.browser.conftest import Browsing, Estate

PATIENCE_SECONDS = 120
MOST_TABLES = 30  # so many at least have rows after a month of the demo
PROOF = ("source_ug", "external_ug", "internal_ug", "unallocated_ug")


def path_of(model: type[Model]) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"  # noqa: SLF001 Django's name


def rows(browsing: Browsing) -> int:
    return int(browsing.page.locator("#result_list tbody tr").count())


def texts(browsing: Browsing, column: str) -> list[str]:
    """The texts of a column of the list that is open."""
    cells = browsing.page.locator(f"#result_list tbody .field-{column}")
    return [str(text).strip() for text in cells.all_inner_texts()]


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
    browsing.page.get_by_role("button", name="Go", exact=True).click()
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
    assert browsing.page.get_by_role("heading", name="Operations").is_visible()

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

    browsing.open("/admin/allocation/runproof/")
    assert rows(browsing) == min(RunProof.objects.count(), 50)
    told = [[int(text) for text in texts(browsing, column)] for column in PROOF]
    assert sum(told[0]) > 0
    assert [sum(parts) for parts in zip(*told[1:], strict=True)] == told[0]
    assert browsing.faults == []


@pytest.mark.usefixtures("live_worker")
def test_what_was_published_can_be_found(browsing: Browsing, estate: Estate) -> None:
    list(publish_months([estate.month], demo_operator(), lambda: None))
    account = AccountTotal.objects.exclude(account=None).select_related("account").first()
    assert account is not None
    assert account.account is not None
    browsing.sign_in(estate.operator)
    for path, text, column, expected in (
        ("accounts/account", account.account.external_id, "external_id", account.account.external_id),
        ("accounts/accountgroup", "Web shops Europe", "name", "Web shops Europe"),
        ("allocation/ledgerrow", account.account.external_id, "account", str(account.account)),
        ("allocation/packagefinding", "NO_RESIDUAL_MIX", "code", "NO_RESIDUAL_MIX"),
        ("allocation/allocationrun", estate.month.part.provider.code, "provider", estate.month.part.provider.name),
    ):
        browsing.open(f"/admin/{path}/")
        assert search(browsing, text) > 0, path
        assert set(texts(browsing, column)) == {expected}, path
        assert search(browsing, "no such thing") == 0, path
    browsing.open("/admin/allocation/allocationrun/")
    browsing.page.get_by_role("link", name=f"{estate.month.first_day:%Y-%m}", exact=True).click()
    browsing.page.wait_for_load_state()
    assert rows(browsing) == 1
    assert browsing.faults == []


@pytest.mark.usefixtures("live_worker")
def test_every_page_opens(browsing: Browsing, estate: Estate) -> None:
    list(publish_months([estate.month], demo_operator(), lambda: None))
    browsing.sign_in(estate.operator)
    opened = 0
    for model in admin.site._registry:  # noqa: SLF001 Django has no other list
        path = path_of(model)
        assert browsing.open(path) == 200, path
        browsing.picture(f"{model._meta.app_label}-{model._meta.model_name}-list")  # noqa: SLF001 Django's name
        links = browsing.page.locator("#result_list tbody th a")
        stored = model._default_manager.exists()  # noqa: SLF001 Django's name
        assert (rows(browsing) > 0) == stored, path
        if not stored:
            continue
        opened += 1
        links.first.click()
        browsing.page.wait_for_load_state()
        assert browsing.page.locator("#content-main, #content").first.is_visible()
        assert browsing.page.url.endswith("/change/") or "/change/?" in browsing.page.url, browsing.page.url
        browsing.picture(f"{model._meta.app_label}-{model._meta.model_name}-row")  # noqa: SLF001 Django's name
    assert opened > MOST_TABLES
    assert browsing.faults == []


def test_a_viewer_cannot_enter(browsing: Browsing, estate: Estate) -> None:
    browsing.sign_in(estate.viewer)
    assert "enter the correct username and password for a staff account" in browsing.page.inner_text(".errornote")
    assert browsing.open("/admin/allocation/ledgerrow/") == 200
    assert browsing.page.url.startswith(f"{browsing.address}/admin/login/")
    assert browsing.faults == []
