"""Chromium, driven by Playwright, in front of a real API server and a real worker."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from django.conf import settings
from django.db import connections
from django.utils import timezone
from playwright.sync_api import sync_playwright

from carbon.demo.logins import Login, prepare_logins
from carbon.demo.months import Month, import_hierarchy, load_month, read_demo, unpublished_months

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from playwright.sync_api import ConsoleMessage, Page, Response

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Tests reach nothing but this machine; without these Chromium asks its maker for updates.
QUIET = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
PICTURES = settings.STATE_DIR / "browser"
SERVER_ERROR = 500


@dataclass
class Browsing:
    """A window and everything that went wrong in it.

    Attributes:
        page: Playwright's page.
        address: of the server, such as `http://127.0.0.1:40000`.
        faults: server errors, missing files, errors of scripts and on the console, in order.
    """

    page: Page
    address: str
    faults: list[str] = field(default_factory=list)

    def open(self, path: str) -> int:
        """Go to a path of the server; returns the status of its answer."""
        response = self.page.goto(f"{self.address}{path}")
        assert response is not None
        return int(response.status)

    def sign_in(self, login: Login) -> None:
        """Fill in the admin's form."""
        self.open("/admin/login/?next=/admin/")
        self.page.get_by_label("Username:").fill(login.name)
        self.page.get_by_label("Password:").fill(login.password)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_load_state()

    def picture(self, name: str) -> None:
        """Keep a picture of what is in the window in the state folder, for people to look at."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png")

    def watch(self) -> None:
        """Keep what goes wrong from now on."""
        self.page.on("response", self._answered)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.faults.append(f"{self.page.url}: {error}"))

    def _answered(self, response: Response) -> None:
        if response.status >= SERVER_ERROR or (response.status >= 400 and "/static/" in response.url):
            self.faults.append(f"{response.status} {response.url}")

    def _said(self, message: ConsoleMessage) -> None:
        # Chromium asks for an icon of its own accord; there is none.
        if message.type == "error" and not message.location["url"].endswith("/favicon.ico"):
            self.faults.append(f"{self.page.url}: {message.text}")


def chromium() -> str:
    """The path of the browser.

    Raises:
        AssertionError: there is none.
    """
    named = os.environ.get("CHROMIUM", "")
    found = named or next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert found, "these tests need Chromium: make browser"
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let fixtures know how their test went."""
    report = yield
    item.stash.setdefault(REPORTS, []).append(report)
    return report


REPORTS: pytest.StashKey[list[pytest.TestReport]] = pytest.StashKey()


@pytest.fixture
def browsing(
    request: pytest.FixtureRequest,
    committed: None,  # noqa: ARG001 clears the tables that the browser's data were committed to
    live_api: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Browsing]:
    """A window of a new browser; a test that fails leaves a picture of it in the state folder."""
    # Playwright keeps an event loop in this thread; our queries do not run inside it.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    sandbox = hasattr(os, "geteuid") and os.geteuid() != 0  # Chromium refuses to be root inside its sandbox
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), chromium_sandbox=sandbox, args=QUIET)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        made = Browsing(page, live_api)
        made.watch()
        yield made
        if any(report.failed for report in request.node.stash.get(REPORTS, [])):
            PICTURES.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=PICTURES / f"{request.node.name}.png", full_page=True)
        browser.close()
        # Inside an event loop Django keeps connections apart from those that it closes itself.
        connections.close_all()


@dataclass(frozen=True)
class Estate:
    """The first month of the demo, loaded and not allocated, and its people."""

    month: Month
    operator: Login
    viewer: Login


@pytest.fixture
def estate(committed: None) -> Estate:  # noqa: ARG001 the same
    """Hierarchy, logins, and one package of one provider."""
    demo = read_demo()
    month = next(month for month in unpublished_months(demo) if month.index == 0)
    import_hierarchy(demo)
    load_month(demo, month)
    operator, viewer, _ = prepare_logins(timezone.now())
    return Estate(month, operator, viewer)
