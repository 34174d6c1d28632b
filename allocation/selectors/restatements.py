"""Months that were published again: when, why, and by how much a node's total changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connection

from accounts.months import Period, shift
from allocation.policies import KNOWN_PROVIDERS, NodeKey, Question, asked_for, role_kinds
from allocation.selectors.amounts import LINE_COLUMNS
from allocation.selectors.cube import MAX_LEDGER_ACCOUNTS
from allocation.selectors.emissions import by_month
from allocation.selectors.facts import Cut, Detail, count_accounts, facts
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


_OLD = ", ".join(f"sum(fact.{column}) FILTER (WHERE fact.run_id = %(old_run)s)" for column in LINE_COLUMNS)
_NEW = ", ".join(f"sum(fact.{column}) FILTER (WHERE fact.run_id = %(new_run)s)" for column in LINE_COLUMNS)
_LEAVES = f""", leaf AS (
    SELECT fact.account_id, fact.resource_group_id, fact.service_id, fact.cluster_id,
           ARRAY[{_OLD}] AS before, ARRAY[{_NEW}] AS after
    FROM fact GROUP BY 1, 2, 3, 4
)
SELECT account.external_id, part.code, service.code, cluster.code, leaf.before, leaf.after
FROM leaf
JOIN accounts_account account ON account.id = leaf.account_id
JOIN accounts_resourcegroup part ON part.id = leaf.resource_group_id
JOIN allocation_service service ON service.id = leaf.service_id
JOIN allocation_cluster cluster ON cluster.id = leaf.cluster_id
WHERE leaf.before IS DISTINCT FROM leaf.after
    AND (%(account)s::text IS NULL
         OR (account.external_id, part.code, service.code, cluster.code)
            > (%(account)s, %(resource_group)s, %(service)s, %(cluster)s))
ORDER BY account.external_id, part.code, service.code, cluster.code LIMIT %(limit)s
"""  # noqa: S608 fixed texts


def leaf_differences(
    *, viewer: Viewer, asked: Changed, limit: int, after: LeafKey | None = None
) -> list[LeafDifference]:
    """The leaves below a node that a restatement changed, as far as the viewer may see them, by their codes.

    Both ledgers are kept for ever, and nothing but they says what a leaf was. A restatement of the hierarchy publishes
    the same ledger again: it changes no leaf.

    Raises:
        TooManyLeaves: the node has too many accounts; ask for one further down.
    """
    old, new = asked.restated.previous_pin, asked.restated.pin
    if old.run_id == new.run_id:
        return []
    month = asked.restated.month
    question = Question(viewer, Published((old, new)), Period(month, shift(month, 1)), role_kinds(viewer=viewer))
    node = asked_for([asked.node])
    if count_accounts(question, asked=node) > MAX_LEAF_ACCOUNTS:
        raise TooManyLeaves(MAX_LEAF_ACCOUNTS)
    begun = facts(question, asked=node, cut=Cut(services=True, clusters=True, detail=Detail.RESOURCE_GROUP))
    key = dict.fromkeys(LeafKey._fields) if after is None else after._asdict()
    params = begun.params | {"old_run": old.run_id, "new_run": new.run_id, "limit": limit} | key
    with connection.cursor() as cursor:
        cursor.execute(begun.text + _LEAVES, params)
        return [_difference(row) for row in cursor.fetchall()]


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
