"""Months that were published again: when, why, and by how much a node's total changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connection

from accounts.months import Period, multirange, shift
from allocation.policies import KNOWN_PROVIDERS, Asked, NodeKey, Question, asked_for, role_kinds
from allocation.selectors.account_counts import count_accounts_of_each
from allocation.selectors.amounts import LINE_COLUMNS
from allocation.selectors.cube import MAX_LEDGER_ACCOUNTS
from allocation.selectors.emissions import by_publication
from allocation.selectors.facts import Cut, Detail, facts
from allocation.selectors.publications import Pin, Published

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime
    from decimal import Decimal

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
    author: str | None
    approver: str | None
    methodology: str
    previous_methodology: str
    pin: Pin
    previous_pin: Pin


_RESTATEMENTS = f"""
WITH {KNOWN_PROVIDERS.strip()}
SELECT made.id, provider.code, made.month, made.cause, made.reason, made.published_at,
       CASE WHEN accounts_is_operator(%(viewer)s) THEN COALESCE(author.username, publisher.username) END,
       CASE WHEN accounts_is_operator(%(viewer)s) THEN approver.username END,
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
LEFT JOIN allocation_restatement wish ON wish.publication_id = made.id
LEFT JOIN accounts_user author ON author.id = wish.author_id
LEFT JOIN accounts_user approver ON approver.id = wish.approver_id
LEFT JOIN accounts_user publisher ON publisher.id = made.published_by_id
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
    run, provider, tree, old, old_run, old_tree = row[10:]
    ident, month = row[0], row[2]
    pins = (Pin(ident, run, provider, month, tree), Pin(old, old_run, provider, month, old_tree))
    told: list[Any] = [*row[:10], *pins]
    return RestatedMonth(*told)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A restatement that was asked for; `decided_at` is None while it waits for a second operator.

    `largest_difference_ppm` is that of any node's total in 10⁻⁶, None where zero became positive.
    """

    id: int
    provider_code: str
    month: date
    run_id: int
    cause: str
    reason: str
    author: str | None
    proposed_at: datetime
    largest_difference_ppm: int | None
    approval_because: str
    approver: str | None
    decided_at: datetime | None
    rejected_because: str
    publication_id: int | None


_PROPOSALS = """
SELECT wish.id, provider.code, wish.month, wish.run_id, wish.cause, wish.reason, author.username, wish.proposed_at,
       wish.largest_difference_ppm, wish.approval_because, approver.username, wish.decided_at, wish.rejected_because,
       wish.publication_id
FROM allocation_restatement wish
JOIN accounts_provider provider ON provider.id = wish.provider_id
LEFT JOIN accounts_user author ON author.id = wish.author_id
LEFT JOIN accounts_user approver ON approver.id = wish.approver_id
WHERE accounts_is_operator(%(viewer)s)
    AND (%(before)s::bigint IS NULL OR wish.id < %(before)s)
    AND (%(id)s::bigint IS NULL OR wish.id = %(id)s)
    AND (NOT %(waiting)s OR wish.decided_at IS NULL)
ORDER BY wish.id DESC LIMIT %(limit)s
"""


def proposals(*, viewer: Viewer, limit: int, waiting: bool, before: int | None = None) -> list[Proposal]:
    """Restatements that were asked for, newest first: for operators, nothing for everybody else."""
    return _proposals(viewer, {"limit": limit, "waiting": waiting, "before": before, "id": None})


def proposal(*, viewer: Viewer, proposal_id: int) -> Proposal | None:
    """One of them."""
    found = _proposals(viewer, {"limit": 1, "waiting": False, "before": None, "id": proposal_id})
    return found[0] if found else None


def _proposals(viewer: Viewer, params: dict[str, Any]) -> list[Proposal]:
    with connection.cursor() as cursor:
        cursor.execute(_PROPOSALS, {"viewer": viewer.user_id} | params)
        return [Proposal(*row) for row in cursor.fetchall()]


class Changed(NamedTuple):
    """A node and a restatement of one of its months."""

    node: NodeKey
    restated: RestatedMonth


def changes(*, viewer: Viewer, asked: Sequence[Changed]) -> dict[Changed, tuple[Figure, Figure]]:
    """Each node's figure of the month before and after its restatement, as far as the viewer may see it.

    Three or four statements, whatever the number of nodes and restatements.
    """
    pins = tuple({pin for one in asked for pin in (one.restated.previous_pin, one.restated.pin)})
    question = Question(viewer, Published(pins), _around(asked), role_kinds(viewer=viewer))
    figures = by_publication(question=question, nodes=sorted({one.node for one in asked}))
    return {
        one: (
            figures[one.node, one.restated.previous_pin.publication_id],
            figures[one.node, one.restated.pin.publication_id],
        )
        for one in asked
    }


def _around(asked: Sequence[Changed]) -> Period:
    months = [one.restated.month for one in asked]
    return Period(min(months), shift(max(months), 1))


def _month(one: Changed) -> Period:
    return Period(one.restated.month, shift(one.restated.month, 1))


class LineDifference(NamedTuple):
    """What a line was and is, in µg (Wh for `energy_wh`); None where it does not exist or is withheld."""

    line: str
    before: int | None
    after: int | None


class LeafKey(NamedTuple):
    """Place in the list of leaves: the codes of account, resource group, service and cluster."""

    account: str
    resource_group: str
    service: str
    cluster: str


@dataclass(frozen=True, slots=True)
class LeafDifference:
    """A leaf that a restatement changed, with the lines on which it did."""

    key: LeafKey
    lines: tuple[LineDifference, ...]


MAX_LEAF_ACCOUNTS = MAX_LEDGER_ACCOUNTS


class TooManyLeaves(ValueError):  # noqa: N818 an answer to a question, not a malfunction
    """The leaves of more than `MAX_LEAF_ACCOUNTS` accounts were asked for."""


_OLD = ", ".join(f"sum(fact.{column}) FILTER (WHERE fact.run_id = changed.old_run)" for column in LINE_COLUMNS)
_NEW = ", ".join(f"sum(fact.{column}) FILTER (WHERE fact.run_id = changed.new_run)" for column in LINE_COLUMNS)
_LEAVES = f""", changed AS MATERIALIZED (
    SELECT * FROM unnest(%(keys)s::bigint[], %(old_runs)s::bigint[], %(new_runs)s::bigint[])
        WITH ORDINALITY AS changed (key, old_run, new_run, place)
), leaf AS (
    SELECT changed.place, fact.account_id, fact.resource_group_id, fact.service_id, fact.cluster_id,
           ARRAY[{_OLD}] AS before, ARRAY[{_NEW}] AS after
    FROM changed JOIN fact ON fact.key = changed.key AND fact.run_id IN (changed.old_run, changed.new_run)
    GROUP BY 1, 2, 3, 4, 5
), named AS (
    SELECT leaf.place, account.external_id AS account, part.code AS resource_group, service.code AS service,
           cluster.code AS cluster, leaf.before, leaf.after,
           row_number() OVER (
               PARTITION BY leaf.place ORDER BY account.external_id, part.code, service.code, cluster.code) AS number
    FROM leaf
    JOIN accounts_account account ON account.id = leaf.account_id
    JOIN accounts_resourcegroup part ON part.id = leaf.resource_group_id
    JOIN allocation_service service ON service.id = leaf.service_id
    JOIN allocation_cluster cluster ON cluster.id = leaf.cluster_id
    WHERE leaf.before IS DISTINCT FROM leaf.after
        AND (%(account)s::text IS NULL
             OR (account.external_id, part.code, service.code, cluster.code)
                > (%(account)s, %(resource_group)s, %(service)s, %(cluster)s))
)
SELECT place, account, resource_group, service, cluster, before, after FROM named
WHERE number <= %(limit)s ORDER BY place, number
"""  # noqa: S608 fixed texts


def leaf_differences(
    *, viewer: Viewer, asked: Sequence[Changed], limit: int, after: LeafKey | None = None
) -> dict[Changed, list[LeafDifference] | TooManyLeaves]:
    """The leaves below each node that a restatement changed, as far as the viewer may see them, by their codes.

    Both ledgers are kept for ever, and nothing but they says what a leaf was. A restatement of the hierarchy publishes
    the same ledger again: it changes no leaf. `TooManyLeaves` stands for a node with too many accounts: ask for one
    further down. Three statements, whatever the number of nodes and restatements.
    """
    found: dict[Changed, list[LeafDifference] | TooManyLeaves] = {one: [] for one in asked}
    changed = [one for one in found if one.restated.previous_pin.run_id != one.restated.pin.run_id]
    if not changed:
        return found
    # A run may have been published twice: its ledger is read once.
    pins = {pin.run_id: pin for one in changed for pin in (one.restated.previous_pin, one.restated.pin)}
    question = Question(viewer, Published(tuple(pins.values())), _around(changed), role_kinds(viewer=viewer))
    nodes, ask = _within_months(changed)
    places = [
        (nodes[one.node], multirange([Period(one.restated.month, shift(one.restated.month, 1))])) for one in changed
    ]
    counts = count_accounts_of_each(question, asked=ask, places=places)
    told = [one for one, count in zip(changed, counts, strict=True) if count <= MAX_LEAF_ACCOUNTS]
    found |= {one: TooManyLeaves(MAX_LEAF_ACCOUNTS) for one in set(changed) - set(told)}
    if told:
        for place, difference in _leaves(question, told, limit, after):
            found[told[place - 1]].append(difference)  # type: ignore[union-attr] # those told have lists
    return found


def _leaves(
    question: Question, told: Sequence[Changed], limit: int, after: LeafKey | None
) -> list[tuple[int, LeafDifference]]:
    nodes, ask = _within_months(told)
    begun = facts(question, asked=ask, cut=Cut(services=True, clusters=True, detail=Detail.RESOURCE_GROUP))
    params: dict[str, Any] = {
        "keys": [nodes[one.node] for one in told],
        "old_runs": [one.restated.previous_pin.run_id for one in told],
        "new_runs": [one.restated.pin.run_id for one in told],
        "limit": limit,
    }
    key = dict.fromkeys(LeafKey._fields) if after is None else after._asdict()
    with connection.cursor() as cursor:
        cursor.execute(begun.text + _LEAVES, begun.params | params | key)
        return [(row[0], _difference(row[1:])) for row in cursor.fetchall()]


def _within_months(changed: Sequence[Changed]) -> tuple[dict[NodeKey, int], Asked]:
    """The nodes with their keys, asked for in the months of their restatements."""
    months: dict[NodeKey, list[Period]] = {}
    for one in changed:
        months.setdefault(one.node, []).append(_month(one))
    windows = [multirange(some) for some in months.values()]
    return {node: key for key, node in enumerate(months, start=1)}, asked_for(list(months), windows=windows)


def _difference(row: tuple[Any, ...]) -> LeafDifference:
    *codes, before, after = row
    lines = [
        LineDifference(column.removesuffix("_ug"), _whole(was), _whole(now))
        for column, was, now in zip(LINE_COLUMNS, before, after, strict=True)
        if was != now
    ]
    return LeafDifference(LeafKey(*codes), tuple(lines))


def _whole(value: Decimal | None) -> int | None:
    return None if value is None else int(value)
