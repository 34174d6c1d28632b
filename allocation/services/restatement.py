"""Publishing a month again: with a cause, a reason and an author; where it matters, with a second operator.

A proposal is carried out at once, inside a savepoint; if it turns out to need approval it is taken back and waits. So
what is approved is computed by the same statements as what is published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from django.conf import settings
from django.db import connection, transaction

from accounts.services.refusal import Invalid, NotFound, PermissionDenied, Refusal, require_operator
from allocation.exchange.write import LINE_CODES
from allocation.models import AllocationRun, Cause, Publication, PublishedMonth, Restatement
from allocation.services.publication import (
    NotPublished,
    latest_publication,
    lock_for_publishing,
    put_in_place,
    take_month,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Mapping

    from accounts.policies import Viewer


class RestatementOpen(Refusal):
    """Another restatement of the month waits for approval: approve or reject that one first."""

    code = "RESTATEMENT_OPEN"


class RestatementDecided(Refusal):
    """The restatement was decided already, or something else was published since it was proposed."""

    code = "RESTATEMENT_DECIDED"


class ApprovalRequired(Refusal):
    """The change needs a second operator, and nobody was named."""

    code = "APPROVAL_REQUIRED"


class Difference(NamedTuple):
    """The largest relative difference of a node's total: in 10⁻⁶ rounded down, None where zero became positive."""

    node: str
    ppm: int | None

    @property
    def matters(self) -> bool:
        """Whether it needs a second operator."""
        return self.ppm is None or self.ppm > settings.ALLOCATION_APPROVAL_PPM


def restate_month(*, viewer: Viewer, run_id: int, cause: Cause, reason: str) -> Restatement:
    """Publish another run of a published month, or propose it where a second operator has to approve.

    Args:
        viewer: an operator, the author.
        run_id: a run that is ready, or one that was published before.
        cause: anything but `first`.
        reason: a sentence for the readers.

    Returns:
        The restatement; its `publication` is None while it waits for approval.

    Raises:
        PermissionDenied: the viewer is not an operator.
        Invalid: the cause is `first`, or there is no reason.
        NotPublished: the month was never published.
        RestatementOpen: another restatement of the month waits.
        NotPublishable, ProofError, VersionConflict: see `publish_run`.
    """
    require_operator(viewer)
    if cause == Cause.FIRST or not reason.strip():
        raise Invalid("a restatement needs a cause and a reason", field="reason")
    with transaction.atomic():
        run = lock_for_publishing(run_id)
        replaced = latest_publication(run)
        if replaced is None:
            raise NotPublished(f"{run.provider.code} {run.month:%Y-%m} was never published", field="run")
        if Restatement.objects.filter(provider=run.provider, month=run.month, decided_at__isnull=True).exists():
            raise RestatementOpen(f"{run.provider.code} {run.month:%Y-%m} has an open restatement")
        restatement = Restatement(
            provider=run.provider,
            month=run.month,
            run=run,
            replaces=replaced,
            cause=cause,
            reason=reason,
            author_id=viewer.user_id,
            proposed_at=viewer.now,
        )
        return _carry_out(restatement, run, viewer)


def approve_restatement(*, viewer: Viewer, restatement_id: int) -> Restatement:
    """Publish a restatement that another operator proposed.

    Raises:
        PermissionDenied: the viewer is not an operator, or is its author.
        NotFound: there is no such restatement.
        RestatementDecided: it was decided, or is out of date.
        NotPublishable, ProofError, VersionConflict: see `publish_run`.
    """
    require_operator(viewer)
    with transaction.atomic():
        restatement, run = _open(restatement_id)
        if viewer.user_id is None or viewer.user_id == restatement.author_id:
            raise PermissionDenied("a second operator has to approve", field="restatement")
        if latest_publication(run) != restatement.replaces:
            raise RestatementDecided(f"{restatement} is out of date: something else was published since")
        restatement.approver_id = viewer.user_id
        return _carry_out(restatement, run, viewer)


def reject_restatement(*, viewer: Viewer, restatement_id: int, reason: str) -> Restatement:
    """Decide that a proposed restatement is not published; its author may take it back this way too.

    Raises:
        PermissionDenied, NotFound, RestatementDecided: see `approve_restatement`.
        Invalid: there is no reason.
    """
    require_operator(viewer)
    if not reason.strip():
        raise Invalid("a rejection needs a reason", field="reason")
    with transaction.atomic():
        restatement, _ = _open(restatement_id)
        restatement.decided_at = viewer.now
        restatement.rejected_because = reason
        restatement.save()
        return restatement


def restate_hierarchy(  # noqa: PLR0913 each argument is a field of the form
    *,
    viewer: Viewer,
    provider_id: int,
    months: list[dt.date],
    reason: str,
    change: Callable[[], object],
    approver: Viewer | None = None,
) -> list[Restatement]:
    """Change the structure of published months of one provider; see `restate_structure`."""
    return restate_structure(
        viewer=viewer, months={provider_id: months}, reason=reason, change=change, approver=approver
    )


def restate_structure(
    *,
    viewer: Viewer,
    months: Mapping[int, Collection[dt.date]],
    reason: str,
    change: Callable[[], object],
    approver: Viewer | None = None,
) -> list[Restatement]:
    """Change the structure of published months and publish their runs again with the new tree, all or nothing.

    The change and the new publications belong together: readers see the tree and the totals that were made with it.

    Args:
        viewer: an operator, the author.
        months: for each provider the months that the change reaches; those that are not published are left alone.
        reason: a sentence for the readers.
        change: changes the structure (a call of `accounts.services`), and nothing published beside these months.
        approver: a second operator, where one is needed.

    Raises:
        PermissionDenied: the viewer or the approver is not an operator, or they are the same.
        ApprovalRequired: a month is locked or a total changes too much, and there is no approver. Nothing was changed.
        Refusal: whatever `change` raises.
    """
    require_operator(viewer)
    if approver is not None:
        require_operator(approver)
        if approver.user_id is None or approver.user_id == viewer.user_id:
            raise PermissionDenied("a second operator has to approve", field="approver")
    if not reason.strip():
        raise Invalid("a restatement needs a reason", field="reason")
    places = sorted((provider_id, month) for provider_id, some in months.items() for month in some)
    with transaction.atomic():
        _take_turns()
        for provider_id, month in places:
            take_month(provider_id, month)
        change()
        pointers = PublishedMonth.objects.filter(provider_id__in=months).select_related("publication")
        by_place = {(pointer.provider_id, pointer.month): pointer for pointer in pointers}
        return [
            _published_again(by_place[place], reason=reason, viewer=viewer, approver=approver)
            for place in places
            if place in by_place
        ]


def _published_again(pointer: PublishedMonth, *, reason: str, viewer: Viewer, approver: Viewer | None) -> Restatement:
    """Publish the run of a month once more, with the tree as it is now."""
    run = lock_for_publishing(pointer.publication.run_id)
    restatement = Restatement(
        provider_id=pointer.provider_id,
        month=pointer.month,
        run=run,
        replaces=pointer.publication,
        cause=Cause.HIERARCHY,
        reason=reason,
        author_id=viewer.user_id,
        proposed_at=viewer.now,
        approver_id=approver.user_id if approver else None,
    )
    _carry_out(restatement, run, viewer)
    if restatement.publication is None:
        raise ApprovalRequired(f"{restatement}: {restatement.approval_because}")
    return restatement


def _take_turns() -> None:
    """One change of published structure at a time: each writes tree versions first and then holds them still."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('restated hierarchy', 0))")


def _open(restatement_id: int) -> tuple[Restatement, AllocationRun]:
    """Lock an undecided restatement with its month and run."""
    place = Restatement.objects.only("run_id").filter(pk=restatement_id).first()
    if place is None:
        raise NotFound(f"there is no restatement {restatement_id}", field="restatement")
    run = lock_for_publishing(place.run_id)
    restatement = (
        Restatement.objects.select_related("replaces", "provider")
        .select_for_update(of=("self",))
        .get(pk=restatement_id)
    )
    if restatement.decided_at is not None:
        raise RestatementDecided(f"{restatement} was decided at {restatement.decided_at}")
    return restatement, run


def _carry_out(restatement: Restatement, run: AllocationRun, viewer: Viewer) -> Restatement:
    """Publish, unless approval is needed and missing; then take everything back and store the proposal."""
    state = run.state
    point = transaction.savepoint()
    publication = put_in_place(
        run, cause=Cause(restatement.cause), reason=restatement.reason, replaces=restatement.replaces, viewer=viewer
    )
    largest = largest_difference(restatement.replaces, publication)
    restatement.largest_difference_ppm = largest.ppm if largest else 0
    restatement.approval_because = _approval_because(restatement, largest)
    if restatement.approval_because and restatement.approver_id is None:
        transaction.savepoint_rollback(point)
        run.state = state
    else:
        transaction.savepoint_commit(point)
        restatement.publication = publication
        restatement.decided_at = viewer.now
    restatement.save()
    return restatement


def _approval_because(restatement: Restatement, largest: Difference | None) -> str:
    reasons = []
    pointer = PublishedMonth.objects.filter(provider=restatement.provider_id, month=restatement.month).first()
    if pointer is not None and pointer.locked_at is not None:
        reasons.append("the month is locked")
    if largest is not None and largest.matters:
        size = "from zero" if largest.ppm is None else f"by {largest.ppm / 10_000:.2f} %"
        reasons.append(f"the total of {largest.node} changes {size}")
    return "; ".join(reasons)


def _lines(method: str) -> list[str]:
    """Return the lines that add up to the total of a method."""
    other = "mbm" if method == "lbm" else "lbm"
    return [line for line in LINE_CODES if line != "energy_wh" and not line.endswith(f"_{other}")]


def _total(alias: str, method: str) -> str:
    """Return the sum over the lines of a method, in SQL."""
    return " + ".join(f"coalesce({alias}.{line}_ug, 0)" for line in _lines(method))


def _compared(old: str, new: str, node: str, key: str) -> str:
    """Return SQL for (node, method's old total, new total) of every node in either of two sets of totals."""
    parts = [
        f"SELECT {node} AS node, {_total('o', method)} AS before, {_total('n', method)} AS after"  # noqa: S608 ours
        f" FROM {old} o FULL JOIN {new} n ON {key}"
        for method in ("lbm", "mbm")
    ]
    return " UNION ALL ".join(parts)


_CONTAINERS: Final = _compared(
    "(SELECT * FROM allocation_containertotal WHERE publication_id = %(old)s AND grain = 0)",
    "(SELECT * FROM allocation_containertotal WHERE publication_id = %(new)s AND grain = 0)",
    "concat(CASE WHEN coalesce(o.miscellaneous, n.miscellaneous) THEN 'miscellaneous of directory '"
    " WHEN coalesce(o.group_id, n.group_id) IS NULL THEN 'directory ' ELSE 'group ' END,"
    " coalesce(o.group_id, n.group_id, o.directory_id, n.directory_id))",
    "o.directory_id = n.directory_id AND coalesce(o.group_id, 0) = coalesce(n.group_id, 0)"
    " AND o.miscellaneous = n.miscellaneous",
)
_ACCOUNTS: Final = _compared(
    "(SELECT * FROM allocation_accounttotal WHERE run_id = %(old_run)s AND grain = 0)",
    "(SELECT * FROM allocation_accounttotal WHERE run_id = %(new_run)s AND grain = 0)",
    "concat('account ', coalesce(o.account_id, n.account_id))",
    "o.account_id = n.account_id",
)
# A resource group has no totals of its own: they are added up from the leaves of both runs.
_OF_GROUPS: Final = """
WITH part AS MATERIALIZED (
    SELECT resource_group_id AS id, run_id = %(new_run)s AS new,
           coalesce(sum(ug) FILTER (WHERE line = ANY(%(lbm)s)), 0) AS lbm,
           coalesce(sum(ug) FILTER (WHERE line = ANY(%(mbm)s)), 0) AS mbm
    FROM allocation_ledgerrow
    WHERE run_id IN (%(old_run)s, %(new_run)s) AND resource_group_id IS NOT NULL
    GROUP BY 1, 2)
"""
_GROUPS: Final = " UNION ALL ".join(
    f"SELECT concat('resource group ', coalesce(o.id, n.id)) AS node,"  # noqa: S608 ours
    f" coalesce(o.{method}, 0) AS before, coalesce(n.{method}, 0) AS after"
    f" FROM (SELECT * FROM part WHERE NOT new) o FULL JOIN (SELECT * FROM part WHERE new) n ON o.id = n.id"
    for method in ("lbm", "mbm")
)


def _largest(compared: str) -> str:
    """Return SQL for the node that differs most. Another decimal would decide nothing: div() rounds towards zero."""
    return (
        f"SELECT node, div(abs(after - before) * 1000000, nullif(before, 0))::bigint AS ppm"  # noqa: S608 ours
        f" FROM ({compared}) compared WHERE after <> before"
        f" ORDER BY ppm DESC NULLS FIRST, node LIMIT 1"
    )


_LARGEST: Final = _largest(f"{_CONTAINERS} UNION ALL {_ACCOUNTS}")
_LARGEST_GROUP: Final = f"{_OF_GROUPS} {_largest(_GROUPS)}"


def largest_difference(old: Publication, new: Publication) -> Difference | None:
    """Return the node whose location- or market-based total differs most between two publications of a month.

    Companies are not looked at: their totals are sums of directories, and differ by no larger a share. Resource groups
    are, which takes reading the leaves of both runs, unless something above them decides already.
    """
    params: dict[str, int | list[int]] = {"old": old.pk, "new": new.pk, "old_run": old.run_id, "new_run": new.run_id}
    params |= {method: [LINE_CODES.index(line) for line in _lines(method)] for method in ("lbm", "mbm")}
    found = _found(_LARGEST, params)
    if (found is not None and found.matters) or old.run_id == new.run_id:
        return found
    group = _found(_LARGEST_GROUP, params)
    return max((one for one in (found, group) if one is not None), key=_size, default=None)


def _found(query: str, params: Mapping[str, int | list[int]]) -> Difference | None:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        row = cursor.fetchone()
    return Difference(row[0], row[1]) if row else None


def _size(difference: Difference) -> tuple[bool, int]:
    return difference.ppm is None, difference.ppm or 0
