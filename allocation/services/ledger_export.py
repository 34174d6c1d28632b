"""Which run's ledger is exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.services.refusal import Refusal, require_operator
from allocation.exchange.export import export_csv, export_parquet
from allocation.models import PROVED, AllocationRun, PublishedMonth
from allocation.services.runs import newest_package

if TYPE_CHECKING:
    import datetime as dt
    from typing import BinaryIO

    from accounts.policies import Viewer

FORMATS = {"csv": export_csv, "parquet": export_parquet}
"""Writers of a run's ledger by the name of the format."""


class NothingToExport(Refusal):
    """There is no ledger like the one asked for."""

    code = "NOTHING_TO_EXPORT"


def export_ledger(*, viewer: Viewer, run: AllocationRun, form: str, stream: BinaryIO) -> None:
    """Write the ledger of a run to a binary stream in one of `FORMATS`.

    Raises:
        PermissionDenied: the viewer is not an operator; the whole ledger is nobody else's.
    """
    require_operator(viewer)
    FORMATS[form](run, stream)


def newest_proved_run(*, provider_code: str, month: dt.date) -> AllocationRun:
    """Return the newest proved run of the newest package of a month.

    Raises:
        NoPackage: no package was loaded.
        NothingToExport: no run of the newest package is proved.
    """
    package = newest_package(provider_code=provider_code, month=month)
    run = package.runs.filter(state__in=PROVED).order_by("-pk").first()
    if run is None:
        raise NothingToExport(f"no run of {package}, the newest package of the month, is proved")
    return run


def published_run(*, provider_code: str, month: dt.date) -> AllocationRun:
    """Return the run that readers of a month see.

    Raises:
        NothingToExport: the month is not published.
    """
    pointer = (
        PublishedMonth.objects.select_related("publication__run")
        .filter(provider__code=provider_code, month=month)
        .first()
    )
    if pointer is None:
        raise NothingToExport(f"{month:%Y-%m} of {provider_code} is not published")
    return pointer.publication.run


def proved_run(*, provider_code: str, month: dt.date, run_id: int) -> AllocationRun:
    """Return a run by number.

    Raises:
        NothingToExport: the month has no such run, or it is not proved.
    """
    run = AllocationRun.objects.filter(provider__code=provider_code, month=month, pk=run_id).first()
    if run is None:
        raise NothingToExport(f"{month:%Y-%m} of {provider_code} has no run {run_id}")
    if run.state not in PROVED:
        raise NothingToExport(f"run {run_id} is {run.state}: it has no proved ledger")
    return run
