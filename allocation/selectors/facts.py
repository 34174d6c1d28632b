"""Rows of the read model behind the visible parts of some nodes: amounts by node, month, service and location."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from allocation.policies import JOINED, LEFT, View, visible_parts
from allocation.selectors.amounts import COLUMNS, KEPT_TOTALS, ledger_sums_sql, total_sql
from allocation.selectors.members import MEMBERS, STAYS, members_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocation.policies import Asked, Question
    from allocation.selectors.amounts import Method


@dataclass(frozen=True, slots=True)
class EmissionsFilter:
    """Restricts amounts to some services and locations; None = all of them."""

    service_ids: tuple[int, ...] | None = None
    cluster_ids: tuple[int, ...] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is restricted."""
        return self.service_ids is None and self.cluster_ids is None


NO_FILTER = EmissionsFilter()


def grain_of(*, services: bool, clusters: bool) -> int:
    """Choose the roll-up rows that keep just these dimensions (`Grain`)."""
    return int(services) + 2 * int(clusters)


class Facts(NamedTuple):
    """The beginning of a statement (`WITH ...`, no comma at its end) and its parameters.

    `keeps_totals`: all facts are of containers, which keep their totals. `parts`: the CTEs of what is added up.
    `again`: where facts are of containers, the same of those rows alone whose `place` is among those of a CTE `chosen`.
    """

    text: str
    params: dict[str, Any]
    keeps_totals: bool
    parts: frozenset[str]
    again: str

    def total_sql(self, method: Method) -> str:
        """Write the total of a fact in micrograms: the one that is kept with it, or worked out."""
        kept = f"fact.{KEPT_TOTALS[method]}"
        return kept if self.keeps_totals else f"COALESCE({kept}, {total_sql('fact', method)})"


class Detail(enum.IntEnum):
    """How far below the nodes asked for amounts are told apart; the finer, the more rows are read."""

    NODE = 0
    GROUP = 1
    ACCOUNT = 2
    RESOURCE_GROUP = 3


# Rows of containers keep their totals; of the others they are worked out where they are needed. A row of a container
# has a place in its table, by which it is found a second time in the same statement.
_KEPT = tuple(KEPT_TOTALS.values())
_NOT_KEPT = "".join(f", NULL::numeric AS {column}" for column in _KEPT) + ", NULL::tid AS place"
_AMOUNTS = ", ".join(f"total.{column}" for column in (*COLUMNS, *_KEPT)) + ", total.ctid AS place"
_SIGNED = (
    ", ".join(f"part.sign * total.{column} AS {column}" for column in (*COLUMNS, *_KEPT)) + ", total.ctid AS place"
)
_OF_ACCOUNTS = ", ".join(f"total.{column}" for column in COLUMNS) + _NOT_KEPT

# Every branch has these columns. `= ANY` with a constant array lets the planner leave out the partitions of all other
# publications and runs. Months are joined last, behind a fence (OFFSET 0): joined first, each month would look into
# the partitions of all.
_READ_AMOUNTS = ", ".join(f"read.{column}" for column in (*COLUMNS, *_KEPT, "place"))
_ROLLUP = """
    SELECT read.key, pin.provider_id, pin.publication_id, pin.run_id, pin.month, read.service_id, read.cluster_id,
           read.group_id, read.account_id, NULL::bigint AS resource_group_id, NULL::smallint AS quality, {read}
    FROM (SELECT part.key, part.months, total.{pinned}, total.service_id, total.cluster_id, {group} AS group_id,
                 {account} AS account_id, {amounts}
          FROM {part} part
          JOIN {table} total ON {same}{chosen}{restricted}
          OFFSET 0) AS read
    JOIN {months} AND read.months @> pin.month"""
_CONTAINERS = {
    "read": _READ_AMOUNTS,
    "table": "allocation_containertotal",
    "pinned": "publication_id",
    "months": "pin ON pin.publication_id = read.publication_id",
    "chosen": " AND total.grain = %(grain)s AND total.publication_id = ANY(%(publications)s::bigint[])",
}
# Where the planner expects one row there is a page of them: to compare each with the months of all pins took longer
# than to read them, so the pin of a row is found first (OFFSET 0).
_CHOSEN = _CONTAINERS | {
    "chosen": _CONTAINERS["chosen"] + " AND total.ctid = ANY(ARRAY(SELECT chosen.place FROM chosen))",  # noqa: S608 fixed texts
    "months": "LATERAL (SELECT * FROM pin WHERE pin.publication_id = read.publication_id OFFSET 0) AS pin ON true",
}
_ALL_ACCOUNTS = {
    "read": _READ_AMOUNTS,
    "table": "allocation_accounttotal",
    "pinned": "run_id",
    "months": "pin ON pin.run_id = read.run_id",
    "chosen": " AND total.grain = %(grain)s AND total.run_id = ANY(%(runs)s::bigint[])",
    "same": "total.account_id = part.account_id",
}


def _accounts_of(part: str) -> dict[str, str]:
    """Read accounts that are named one by one, through a function: usually few, often none."""
    accounts = f"ARRAY(SELECT account_id FROM {part})"  # noqa: S608 fixed texts
    runs = f"ARRAY(SELECT run_id FROM pin WHERE provider_id IN (SELECT provider_id FROM {part}))"  # noqa: S608 fixed texts
    function = f"allocation_account_totals({accounts}, {runs}, %(grain)s::smallint)"
    return {**_ALL_ACCOUNTS, "table": function, "chosen": "", "part": part}


_LEDGER = """
    SELECT read.key, pin.provider_id, pin.publication_id, pin.run_id, pin.month, {service} AS service_id,
           {cluster} AS cluster_id, {group} AS group_id, {account} AS account_id, {resource_group} AS resource_group_id,
           {quality} AS quality, {amounts}
    FROM (SELECT part.key, part.months, {part_group} AS group_id, total.run_id, total.service_id, total.cluster_id,
                 total.account_id, total.resource_group_id, total.quality, total.line, total.ug, total.estimated_ug,
                 total.withheld
          FROM {part} part
          JOIN allocation_ledgerrow total ON total.account_id = part.account_id{same}
              AND total.run_id = ANY(%(runs)s::bigint[]){restricted}
          OFFSET 0) AS read
    JOIN pin ON pin.run_id = read.run_id AND read.months @> pin.month
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"""
_DIRECTLY = "total.directory_id = part.directory_id AND total.group_id IS NULL AND {} total.miscellaneous"
_SAME = {
    "part_directory": _DIRECTLY.format("NOT"),
    "part_miscellaneous": _DIRECTLY.format(""),
    "part_group": "total.group_id = part.group_id",
}
_LOOSE = (
    """
    SELECT part.key, part.provider_id, part.account_id, part.resource_group_id, stay.group_id,
           stay.months * part.months AS months
    FROM part_resource_group part"""  # noqa: S608 fixed texts
    + STAYS
)

# What stands directly in a group is its inclusive total minus those of its subgroups: no account is read for it.
_GROUPS = {
    "part_directory": """
    SELECT part.key, part.provider_id, edge.group_id AS source_id, edge.group_id AS group_id, 1 AS sign,
           part.months * datemultirange(daterange(edge.valid_from, edge.valid_to)) AS months
    FROM part_directory part
    JOIN accounts_groupedge edge ON edge.directory_id = part.directory_id AND edge.superseded_by_id IS NULL
    WHERE part.months && daterange(edge.valid_from, edge.valid_to)
    UNION ALL
    SELECT part.key, part.provider_id, edge.group_id, edge.parent_id, -1,
           part.months * datemultirange(daterange(edge.valid_from, edge.valid_to))
    FROM part_directory part
    JOIN accounts_groupedge edge ON edge.directory_id = part.directory_id AND edge.superseded_by_id IS NULL
    WHERE edge.parent_id IS NOT NULL AND part.months && daterange(edge.valid_from, edge.valid_to)""",
    "part_group": """
    SELECT part.key, part.provider_id, closure.descendant_id AS source_id, closure.descendant_id AS group_id, 1 AS sign,
           part.months * datemultirange(daterange(closure.valid_from, closure.valid_to)) AS months
    FROM part_group part JOIN accounts_groupclosure closure ON closure.ancestor_id = part.group_id
    WHERE part.months && daterange(closure.valid_from, closure.valid_to)
    UNION ALL
    SELECT part.key, part.provider_id, closure.descendant_id, edge.parent_id, -1,
           part.months * datemultirange(daterange(closure.valid_from, closure.valid_to))
               * datemultirange(daterange(edge.valid_from, edge.valid_to))
    FROM part_group part
    JOIN accounts_groupclosure closure ON closure.ancestor_id = part.group_id AND closure.depth > 0
    JOIN accounts_groupedge edge ON edge.group_id = closure.descendant_id AND edge.superseded_by_id IS NULL
    WHERE part.months && daterange(closure.valid_from, closure.valid_to)
        AND part.months && daterange(edge.valid_from, edge.valid_to)""",
}


@dataclass(frozen=True, slots=True)
class Cut:
    """Which dimensions are told apart, and what amounts are restricted to.

    `services` and `clusters` keep `service_id` and `cluster_id`, `detail` the ids below the nodes, `quality` the
    quality (only with the detail RESOURCE_GROUP, which reads the ledger).
    """

    services: bool = False
    clusters: bool = False
    detail: Detail = Detail.NODE
    quality: bool = False
    restricted: EmissionsFilter = NO_FILTER

    @property
    def keeps_services(self) -> bool:
        """Whether rows are by service: because that was asked, or because services are restricted."""
        return self.services or self.restricted.service_ids is not None

    @property
    def keeps_clusters(self) -> bool:
        """Whether rows are by cluster."""
        return self.clusters or self.restricted.cluster_ids is not None


TOTALS = Cut()


def facts(question: Question, *, asked: Asked, cut: Cut = TOTALS, twice: bool = False) -> Facts:
    """Begin a statement with the amounts of the nodes in `asked`.

    Args:
        question: viewer, publications, period.
        asked: the nodes.
        cut: the dimensions to keep; others are null.
        twice: the statement goes through the facts twice, and needs few of their columns the first time. Rows of
            containers are then read twice rather than kept with all their columns.

    Returns:
        The CTEs of `visible_parts` and `fact`: key, provider_id, publication_id, run_id, month, service_id, cluster_id,
        group_id, account_id, resource_group_id, quality, `COLUMNS`, the values of `KEPT_TOTALS`, null where they are
        not kept, and place, null where the fact is no row of a container. Several rows may have the same dimensions.
    """
    parts = visible_parts(question, asked)
    # As-is, groups are those of today, and as-of those of the publication: each account's, found through the account.
    as_of = question.view is View.AS_WAS and question.published.moment is not None
    moved = as_of or question.view is View.AS_IS
    detail = Detail.ACCOUNT if moved and cut.detail is Detail.GROUP else cut.detail
    if detail in _BY_CONTAINER:
        before, branches = _BY_CONTAINER[detail](parts.names, cut)
    else:
        before, branches = _BY_ACCOUNT[detail](parts.names, cut, members_of(parts.names, as_of=as_of))
    kept = " NOT MATERIALIZED" if twice and detail in _BY_CONTAINER else ""
    text = f"{parts.text}{before}, fact AS{kept} ({' UNION ALL '.join(branches)})"
    if question.view is View.AS_IS:
        text = f"{parts.text}{before}, found AS ({' UNION ALL '.join(branches)}), {_REGROUPED}"
    grain = grain_of(services=cut.keeps_services, clusters=cut.keeps_clusters)
    keeps_totals = question.view is not View.AS_IS and detail in _BY_CONTAINER and parts.names <= _SAME.keys()
    again = " UNION ALL ".join(_containers(parts.names, cut, _CHOSEN)) if keeps_totals else ""
    params = parts.params | _filter_params(cut.restricted) | {"grain": grain}
    return Facts(text, params, keeps_totals, parts.names, again)


# Today's group of an account stands for its group, where the viewer knows today's tree. Where accounts are told apart,
# those that left are dropped; in the totals of containers they are taken off where there is something to take them off:
# what the database hides is not made a number below zero.
_SIGN = f"CASE WHEN found.key >= {LEFT} THEN -1 ELSE 1 END"
_REGROUPED_AMOUNTS = ", ".join(f"{_SIGN} * found.{column} AS {column}" for column in COLUMNS)
_REGROUPED = f"""fact AS (
    SELECT found.key %% {JOINED} AS key, found.provider_id, found.publication_id, found.run_id, found.month,
           found.service_id, found.cluster_id,
           CASE WHEN regrouped.key IS NULL THEN found.group_id ELSE today.group_id END AS group_id,
           found.account_id, found.resource_group_id, found.quality, {_REGROUPED_AMOUNTS}{_NOT_KEPT}
    FROM found
    LEFT JOIN regrouped ON regrouped.key = found.key %% {JOINED}
    LEFT JOIN accounts_accountmembership today ON today.account_id = found.account_id
        AND today.superseded_by_id IS NULL
        AND daterange(today.valid_from, today.valid_to) @> %(today)s::date
    WHERE (found.account_id IS NULL AND (found.key < {LEFT} OR EXISTS (
        SELECT FROM found AS taken_from
        WHERE taken_from.key = found.key - {LEFT} AND taken_from.provider_id = found.provider_id
            AND taken_from.month = found.month))) OR (found.key < {LEFT} AND NOT EXISTS (
        SELECT FROM asked
        WHERE asked.key = found.key + {LEFT} AND asked.node_id = found.account_id AND asked.months @> found.month))
)"""  # noqa: S608 fixed texts


_NOTHING_BELOW = {"group": "NULL::bigint", "account": "NULL::bigint"}


def _containers(wanted: frozenset[str], cut: Cut, read: dict[str, str]) -> list[str]:
    """The rows of the visible directories and groups themselves."""
    found = read | _NOTHING_BELOW | {"amounts": _AMOUNTS, "restricted": _conditions(cut.restricted)}
    return [_ROLLUP.format(**found, part=part, same=same) for part, same in _SAME.items() if part in wanted]


def _of_nodes(wanted: frozenset[str], cut: Cut) -> tuple[str, list[str]]:
    branches = _containers(wanted, cut, _CONTAINERS)
    if "part_account" in wanted:
        of_accounts = _NOTHING_BELOW | {"amounts": _OF_ACCOUNTS, "restricted": _conditions(cut.restricted)}
        branches.append(_ROLLUP.format(**_accounts_of("part_account"), **of_accounts))
    if "part_resource_group" in wanted:
        branches.append(_ledger("part_resource_group", cut))
    return "", branches


def _of_groups(wanted: frozenset[str], cut: Cut) -> tuple[str, list[str]]:
    restricted = _conditions(cut.restricted)
    direct = {"group": "NULL::bigint", "account": "NULL::bigint", "amounts": _AMOUNTS, "restricted": restricted}
    branches = [
        _ROLLUP.format(**_CONTAINERS, **direct, part=part, same=_SAME["part_miscellaneous"])
        for part in ("part_directory", "part_miscellaneous")
        if part in wanted
    ]
    before = ""
    sources = [text for part, text in _GROUPS.items() if part in wanted]
    if sources:
        before = f", direct AS MATERIALIZED ({' UNION ALL '.join(sources)})"
        branches.append(
            _ROLLUP.format(
                **_CONTAINERS,
                group="part.group_id",
                account="NULL::bigint",
                amounts=_SIGNED,
                part="direct",
                same="total.group_id = part.source_id",
                restricted=restricted,
            )
        )
    if "part_account" in wanted:
        before += f", stay AS MATERIALIZED ({MEMBERS['part_account']})"
        found = {"group": "part.group_id", "account": "NULL::bigint", "amounts": _OF_ACCOUNTS, "restricted": restricted}
        branches.append(_ROLLUP.format(**_accounts_of("stay"), **found))
    if "part_resource_group" in wanted:
        before += f", loose_stay AS MATERIALIZED ({_LOOSE})"
        branches.append(_ledger("loose_stay", cut, group=True))
    return before, branches


def _of_accounts(wanted: frozenset[str], cut: Cut, members: str) -> tuple[str, list[str]]:
    before, branches = members, []
    if members:
        found = {"group": "part.group_id", "account": "part.account_id", "amounts": _OF_ACCOUNTS}
        branches.append(_ROLLUP.format(**_ALL_ACCOUNTS, **found, part="member", restricted=_conditions(cut.restricted)))
    if "part_resource_group" in wanted:
        before += f", loose_stay AS MATERIALIZED ({_LOOSE})"
        branches.append(_ledger("loose_stay", cut, group=True, account=True))
    return before, branches


def _of_resource_groups(wanted: frozenset[str], cut: Cut, members: str) -> tuple[str, list[str]]:
    before, branches = members, []
    if members:
        branches.append(_ledger("member", cut, same="", group=True, account=True, resource_group=True))
    if "part_resource_group" in wanted:
        before += f", loose_stay AS MATERIALIZED ({_LOOSE})"
        branches.append(_ledger("loose_stay", cut, group=True, account=True, resource_group=True))
    return before, branches


_BY_CONTAINER = {Detail.NODE: _of_nodes, Detail.GROUP: _of_groups}
_BY_ACCOUNT = {Detail.ACCOUNT: _of_accounts, Detail.RESOURCE_GROUP: _of_resource_groups}
_ONE_RESOURCE_GROUP = " AND total.resource_group_id = part.resource_group_id"


def _ledger(  # noqa: PLR0913 one flag for each column
    part: str,
    cut: Cut,
    *,
    same: str = _ONE_RESOURCE_GROUP,
    group: bool = False,
    account: bool = False,
    resource_group: bool = False,
) -> str:
    return _LEDGER.format(
        part=part,
        same=same,
        part_group="part.group_id" if group else "NULL::bigint",
        group="read.group_id" if group else "NULL::bigint",
        account="read.account_id" if account else "NULL::bigint",
        resource_group="read.resource_group_id" if resource_group else "NULL::bigint",
        service="read.service_id" if cut.keeps_services else "NULL::bigint",
        cluster="read.cluster_id" if cut.keeps_clusters else "NULL::bigint",
        quality="read.quality" if cut.quality else "NULL::smallint",
        amounts=ledger_sums_sql("read") + _NOT_KEPT,
        restricted=_conditions(cut.restricted),
    )


def _conditions(restricted: EmissionsFilter) -> str:
    found = ""
    if restricted.service_ids is not None:
        found += " AND total.service_id = ANY(%(service_ids)s::bigint[])"
    if restricted.cluster_ids is not None:
        found += " AND total.cluster_id = ANY(%(cluster_ids)s::bigint[])"
    return found


def _filter_params(restricted: EmissionsFilter) -> dict[str, Sequence[int]]:
    return {"service_ids": list(restricted.service_ids or ()), "cluster_ids": list(restricted.cluster_ids or ())}
