"""Rows of the read model behind the visible parts of some nodes: amounts by node, month, service and location."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from allocation.policies import ASKED, Kind, NodeKey, Statement, given, visible_parts
from allocation.selectors.amounts import COLUMNS, ledger_sums_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocation.policies import Question


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


_AMOUNTS = ", ".join(f"total.{column}" for column in COLUMNS)

# `= ANY` with a constant array lets the planner leave out the partitions of all other publications and runs.
_CONTAINERS = """
    SELECT part.key, pin.provider_id, pin.run_id, pin.month, total.service_id, total.cluster_id, {amounts}
    FROM {part} part
    JOIN pin ON pin.provider_id = part.provider_id AND part.months @> pin.month
    JOIN allocation_containertotal total
        ON total.publication_id = pin.publication_id AND total.publication_id = ANY(%(publications)s::bigint[])
        AND {same} AND total.grain = %(grain)s{restricted}"""
_ACCOUNTS = """
    SELECT part.key, pin.provider_id, pin.run_id, pin.month, total.service_id, total.cluster_id, {amounts}
    FROM part_account part
    JOIN pin ON pin.provider_id = part.provider_id AND part.months @> pin.month
    JOIN allocation_accounttotal total
        ON total.run_id = pin.run_id AND total.run_id = ANY(%(runs)s::bigint[])
        AND total.account_id = part.account_id AND total.grain = %(grain)s{restricted}"""
_LEDGER = """
    SELECT part.key, pin.provider_id, pin.run_id, pin.month, {service}, {cluster}, {amounts}
    FROM part_resource_group part
    JOIN pin ON pin.provider_id = part.provider_id AND part.months @> pin.month
    JOIN allocation_ledgerrow total
        ON total.run_id = pin.run_id AND total.run_id = ANY(%(runs)s::bigint[])
        AND total.account_id = part.account_id AND total.resource_group_id = part.resource_group_id{restricted}
    GROUP BY 1, 2, 3, 4, 5, 6"""
_PART_OF_KIND = {
    Kind.ENTERPRISE_PARENT: "part_directory",
    Kind.RESOURCE_DIRECTORY: "part_directory",
    Kind.MISCELLANEOUS: "part_miscellaneous",
    Kind.ACCOUNT_GROUP: "part_group",
    Kind.ACCOUNT: "part_account",
    Kind.RESOURCE_GROUP: "part_resource_group",
}
_SAME = {
    "part_directory": "total.directory_id = part.directory_id AND total.group_id IS NULL AND NOT total.miscellaneous",
    "part_miscellaneous": "total.directory_id = part.directory_id AND total.group_id IS NULL AND total.miscellaneous",
    "part_group": "total.group_id = part.group_id",
}


class Asked(NamedTuple):
    """The nodes of a question: a CTE named `asked` with its parameters, and the kinds that they may have."""

    text: str
    params: dict[str, Any]
    kinds: frozenset[Kind]


def asked_for(nodes: Sequence[NodeKey]) -> Asked:
    """Ask about given nodes; the key of a node is its place in the sequence, from 1."""
    return Asked(ASKED, given(nodes), frozenset(node.kind for node in nodes))


def facts(
    question: Question,
    *,
    asked: Asked,
    services: bool = False,
    clusters: bool = False,
    restricted: EmissionsFilter = NO_FILTER,
) -> Statement:
    """Begin a statement with the amounts of the nodes in `asked`.

    Args:
        question: viewer, publications, period.
        asked: the nodes.
        services: keep `service_id` apart (else null).
        clusters: keep `cluster_id` apart (else null).
        restricted: only these services and locations; their column is then kept apart too.

    Returns:
        The CTEs of `visible_parts` and `fact`: key, provider_id, run_id, month, service_id, cluster_id and `COLUMNS`.
    """
    keeps_services = services or restricted.service_ids is not None
    keeps_clusters = clusters or restricted.cluster_ids is not None
    conditions = _conditions(restricted)
    branches = {
        part: _CONTAINERS.format(amounts=_AMOUNTS, part=part, same=same, restricted=conditions)
        for part, same in _SAME.items()
    }
    branches["part_account"] = _ACCOUNTS.format(amounts=_AMOUNTS, restricted=conditions)
    branches["part_resource_group"] = _LEDGER.format(
        service="total.service_id" if keeps_services else "NULL::bigint",
        cluster="total.cluster_id" if keeps_clusters else "NULL::bigint",
        amounts=ledger_sums_sql("total"),
        restricted=conditions,
    )
    wanted = _parts(asked.kinds, question.role_kinds)
    parts = visible_parts(question, asked.text, asked.params)
    # Each branch reads the table once per part and month by its index; nothing here is read twice.
    chosen = [text for part, text in branches.items() if part in wanted]
    text = f"{parts.text}, fact AS ({' UNION ALL '.join(chosen)})"
    grain = grain_of(services=keeps_services, clusters=keeps_clusters)
    return Statement(text, parts.params | _filter_params(restricted) | {"grain": grain})


def _parts(kinds: frozenset[Kind], roles: frozenset[str]) -> set[str]:
    """Choose the parts that can have rows: each one left out saves a plan over all partitions."""
    found = {_PART_OF_KIND[kind] for kind in kinds} or {"part_directory"}
    if kinds & {Kind.ENTERPRISE_PARENT, Kind.RESOURCE_DIRECTORY, Kind.ACCOUNT_GROUP} and Kind.ACCOUNT_GROUP in roles:
        found.add("part_group")
    if kinds - {Kind.RESOURCE_GROUP} and Kind.ACCOUNT in roles:
        found.add("part_account")
    if Kind.RESOURCE_GROUP in roles:
        found.add("part_resource_group")
    return found


def _conditions(restricted: EmissionsFilter) -> str:
    found = ""
    if restricted.service_ids is not None:
        found += " AND total.service_id = ANY(%(service_ids)s::bigint[])"
    if restricted.cluster_ids is not None:
        found += " AND total.cluster_id = ANY(%(cluster_ids)s::bigint[])"
    return found


def _filter_params(restricted: EmissionsFilter) -> dict[str, Sequence[int]]:
    return {"service_ids": list(restricted.service_ids or ()), "cluster_ids": list(restricted.cluster_ids or ())}
