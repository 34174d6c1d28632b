"""The demo's months: written, loaded, allocated and published, as far as that has not been done."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import ResourceDirectory
from accounts.policies import viewer_of
from allocation.exchange.estate.demo import AT_ALDERMOOR, AT_TARN, NEIGHBOUR, demo_estate
from allocation.exchange.estate.hierarchy import write_hierarchy
from allocation.exchange.estate.writing import write_package
from allocation.models import AllocationRun, Publication, RunState
from allocation.services.publication import AlreadyPublished, publish_run
from allocation.services.runs import newest_package, request_run
from allocation.tasks import wake

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator

    from accounts.models import User
    from allocation.exchange.estate.estates import Estate, ProviderEstate

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Month:
    """One month of one provider of the demo."""

    part: ProviderEstate
    index: int
    first_day: dt.date

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.part.provider.name} {self.first_day:%Y-%m}"


def read_demo() -> Estate:
    """Draw the demo; nothing is written."""
    return demo_estate(settings.BASE_DIR / "fixtures")


def unpublished_months(estate: Estate) -> list[Month]:
    """The months that nobody can read yet, oldest first."""
    published = set(Publication.objects.values_list("provider__code", "month"))
    return [
        Month(part, index, first_day)
        for index, first_day in enumerate(estate.months)
        for part in estate.providers
        if (part.provider.code, first_day) not in published
    ]


def import_hierarchy(estate: Estate) -> None:
    """Write the hierarchy and import it, where one of its directories is missing."""
    codes = (AT_TARN, AT_ALDERMOOR, NEIGHBOUR)
    if ResourceDirectory.objects.filter(external_id__in=codes).count() < len(codes):
        path = write_hierarchy(estate.organisation, settings.STATE_DIR / "demo")
        _run_command("import_directory", str(path))


def load_month(estate: Estate, month: Month) -> None:
    """Write a month's package and load it; one that is loaded already changes nothing."""
    folder = write_package(estate, month.part, month.index, settings.STATE_DIR / "demo", lambda _rows: None)
    _run_command("load_package", str(folder))


def _run_command(name: str, argument: str) -> None:
    """Run a command as a user would, keeping its findings unless it fails."""
    findings = io.StringIO()
    try:
        call_command(name, argument, stdout=findings, stderr=findings)
    except SystemExit as error:
        if error.code:
            raise CommandError(f"{name} {argument}:\n{findings.getvalue()}") from error
    except CommandError as error:
        raise CommandError(f"{name} {argument}: {error}\n{findings.getvalue()}") from error


def publish_months(months: list[Month], operator: User, check: Callable[[], None]) -> Iterator[Month]:
    """Have the workers allocate months side by side, and publish each when it is ready.

    Args:
        months: whose packages are loaded.
        operator: asks for the runs and publishes them.
        check: raises when the worker has ended.

    Yields:
        Each month once it is published.

    Raises:
        CommandError: a run failed.
    """
    waiting: dict[int, Month] = {}
    for month in months:
        package = newest_package(provider_code=month.part.provider.code, month=month.first_day)
        viewer = viewer_of(operator, now=timezone.now())
        run = request_run(viewer=viewer, package_id=package.pk)
        wake(run.pk)
        waiting[run.pk] = month
    while waiting:
        check()
        for run in AllocationRun.objects.filter(pk__in=waiting):
            if run.state in {RunState.FAILED, RunState.WITHDRAWN}:
                raise CommandError(f"{waiting[run.pk].label}: run {run.pk} {run.state}: {run.failure_reason}")
            if run.state in {RunState.READY, RunState.PUBLISHED}:
                _publish(run, operator)
                yield waiting.pop(run.pk)
        time.sleep(POLL_SECONDS)


def _publish(run: AllocationRun, operator: User) -> None:
    try:
        publish_run(viewer=viewer_of(operator, now=timezone.now()), run_id=run.pk)
    except AlreadyPublished:  # the release calendar was first
        return
