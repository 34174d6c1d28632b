"""Months that were published again: when, why, and by how much a node's total changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connection

from accounts.months import Period, shift
from allocation.policies import KNOWN_PROVIDERS, NodeKey, Question, role_kinds
from allocation.selectors.emissions import by_month
from allocation.selectors.publications import Pin, Published

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from accounts.policies import Viewer
    from allocation.selectors.statuses import Figure


@dataclass(frozen=True, slots=True)
class RestatedMonth:
    """A publication that replaced an earlier one."""

    id: int
    provider_code: str
    month: date
    cause: str
    reason: str
    published_at: datetime
    methodology: str
    previous_methodology: str
    pin: Pin
    previous_pin: Pin


_RESTATEMENTS = f"""
WITH {KNOWN_PROVIDERS.strip()}
SELECT made.id, provider.code, made.month, made.cause, made.reason, made.published_at,
       version.name || '@' || version.version, old_version.name || '@' || old_version.version,
       made.run_id, made.provider_id, made.tree_version_id, old.id, old.run_id, old.tree_version_id
FROM allocation_publication made
JOIN allocation_publication old ON old.id = made.restates_id
JOIN accounts_provider provider ON provider.id = made.provider_id
JOIN known_provider ON known_provider.provider_id = made.provider_id
JOIN allocation_allocationrun run ON run.id = made.run_id
JOIN allocation_methodologyversion version ON version.id = run.methodology_version_id
JOIN allocation_allocationrun old_run ON old_run.id = old.run_id
JOIN allocation_methodologyversion old_version ON old_version.id = old_run.methodology_version_id
WHERE (%(before)s::bigint IS NULL OR made.id < %(before)s)
    AND (%(provider)s::text IS NULL OR provider.code = %(provider)s)
    AND (%(start)s::date IS NULL OR (made.month >= %(start)s AND made.month < %(bound)s))
ORDER BY made.id DESC LIMIT %(limit)s
"""  # noqa: S608 fixed texts


def restatements(
    *, viewer: Viewer, limit: int, provider: str | None = None, period: Period | None = None, before: int | None = None
) -> list[RestatedMonth]:
    """Restatements of providers that the viewer is a customer of, newest first, older than the id `before`."""
    params: dict[str, Any] = {
        "viewer": viewer.user_id,
        "now": viewer.now,
        "before": before,
        "provider": provider,
        "start": None if period is None else period.start,
        "bound": None if period is None else period.bound,
        "limit": limit,
    }
    with connection.cursor() as cursor:
        cursor.execute(_RESTATEMENTS, params)
        return [_row(row) for row in cursor.fetchall()]


def _row(row: tuple[Any, ...]) -> RestatedMonth:
    ident, code, month, cause, reason, at, methodology, previous, run, provider, tree, old, old_run, old_tree = row
    return RestatedMonth(
        ident,
        code,
        month,
        cause,
        reason,
        at,
        methodology,
        previous,
        Pin(ident, run, provider, month, tree),
        Pin(old, old_run, provider, month, old_tree),
    )


class Changed(NamedTuple):
    """A node and a restatement of one of its months."""

    node: NodeKey
    restated: RestatedMonth


def changes(*, viewer: Viewer, asked: Sequence[Changed]) -> dict[Changed, tuple[Figure, Figure]]:
    """Each node's figure of the month before and after its restatement, as far as the viewer may see it.

    Four statements, unless a month was restated several times: then four for each time.
    """
    kinds = role_kinds(viewer=viewer)
    found: dict[Changed, tuple[Figure, Figure]] = {}
    for layer in _layers(asked):
        nodes = sorted({one.node for one in layer})
        months = sorted(one.restated.month for one in layer)
        period = Period(months[0], shift(months[-1], 1))
        before = Question(viewer, Published(tuple({one.restated.previous_pin for one in layer})), period, kinds)
        after = Question(viewer, Published(tuple({one.restated.pin for one in layer})), period, kinds)
        was, is_now = by_month(question=before, nodes=nodes), by_month(question=after, nodes=nodes)
        for one in layer:
            month = one.restated.month
            found[one] = (was[one.node].of_month(month), is_now[one.node].of_month(month))
    return found


def _layers(asked: Sequence[Changed]) -> list[list[Changed]]:
    """Split into sets with one restatement of each (provider, month): pins of a question must not contradict."""
    layers: list[list[Changed]] = []
    for one in asked:
        place = (one.restated.pin.provider_id, one.restated.month)
        for layer in layers:
            taken = {(x.restated.pin.provider_id, x.restated.month): x.restated.id for x in layer}
            if taken.get(place, one.restated.id) == one.restated.id:
                layer.append(one)
                break
        else:
            layers.append([one])
    return layers
