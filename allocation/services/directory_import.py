"""Loading a document of directories where months are published: refused, or a restatement by an operator.

Which published months a document reaches is known once it has been carried out. So a restatement rehearses it in a
savepoint, takes the months in the order in which every publisher takes them, and then carries it out for good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from django.db import connection, transaction

from accounts.models import Provider
from accounts.services.import_directory import import_directory
from allocation.models import PublishedMonth
from allocation.services.restatement import restate_structure

if TYPE_CHECKING:
    import datetime as dt

    from accounts.policies import Viewer
    from accounts.services.import_report import ImportReport
    from allocation.models import Restatement


class Imported(NamedTuple):
    """What the import did, and the published months that it restated."""

    report: ImportReport
    restatements: list[Restatement]


@transaction.atomic
def load_document(*, viewer: Viewer, text: str | bytes) -> ImportReport:
    """Bring the hierarchy to what a document says; see `accounts.services.import_directory`.

    Raises:
        DocumentRefused: it has faults; MONTH_PUBLISHED at every node whose place in a published month would change.
        Refusal: whatever else the import refuses.
    """
    with connection.cursor() as cursor:
        # Before it is looked which months are published: publishing holds the tree still.
        cursor.execute("LOCK TABLE accounts_treeversion IN ROW EXCLUSIVE MODE")
    return import_directory(viewer=viewer, text=text, frozen_months=_published())


def restate_document(*, viewer: Viewer, text: str | bytes, reason: str, approver: Viewer | None = None) -> Imported:
    """The same by an operator who restates, with the cause `hierarchy`, the published months that it reaches.

    Args:
        viewer: an operator, the author.
        text: the document.
        reason: a sentence for the readers.
        approver: a second operator, where one is needed.

    Raises:
        DocumentRefused: it has faults, or reaches another published month than it did a moment ago.
        ApprovalRequired, PermissionDenied, Invalid: see `restate_structure`. Nothing was changed.
    """
    reached = _reached(viewer, text)
    others = {code: months - reached.get(code, frozenset()) for code, months in _published().items()}
    reports: list[ImportReport] = []
    restatements = restate_structure(
        viewer=viewer,
        months=_by_provider(reached),
        reason=reason,
        change=lambda: reports.append(import_directory(viewer=viewer, text=text, frozen_months=others)),
        approver=approver,
    )
    return Imported(reports[0], restatements)


def _published() -> dict[str, frozenset[dt.date]]:
    """Published months by provider code."""
    found: dict[str, set[dt.date]] = {}
    for code, month in PublishedMonth.objects.values_list("provider__code", "month"):
        found.setdefault(code, set()).add(month)
    return {code: frozenset(months) for code, months in found.items()}


def _reached(viewer: Viewer, text: str | bytes) -> dict[str, frozenset[dt.date]]:
    """The published months whose tree the document would change."""
    with transaction.atomic():
        spans = import_directory(viewer=viewer, text=text, frozen_months={}).changed_months
        transaction.set_rollback(True)
    return {
        code: frozenset(month for month in months if any(month in span for span in spans.get(code, ())))
        for code, months in _published().items()
    }


def _by_provider(months: dict[str, frozenset[dt.date]]) -> dict[int, frozenset[dt.date]]:
    ids = dict(Provider.objects.filter(code__in=months).values_list("code", "pk"))
    return {ids[code]: some for code, some in months.items() if some}
