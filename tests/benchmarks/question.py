"""The questions of B2: as GraphQL, and as SQL written by hand on the read model and on the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accounts.months import format_month, shift
from tests.benchmarks.enterprise import FIRST_MONTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.enterprise import LargeEnterprise

_CUBE = (
    "{ emissions(input: %s) { rows { edges { node { span { label } values { code name } emissions { kgCO2e } } } } } }"
)
# Location-based: scopes 1, 2 (electricity and heat) and 3.
_UG = (
    "sum(coalesce(scope1_ug, 0) + coalesce(scope2_lbm_ug, 0) + coalesce(scope2_heat_lbm_ug, 0)"
    " + coalesce(scope3_fera_lbm_ug, 0) + coalesce(scope3_leased_lbm_ug, 0) + coalesce(scope3_embodied_ug, 0)"
    " + coalesce(scope3_other_ug, 0))"
)
_PUBLISHED = "allocation_containertotal t JOIN allocation_publishedmonth p ON p.publication_id = t.publication_id"
_ROOT = (
    "t.publication_id = ANY(%(publications)s) AND t.directory_id = %(directory)s AND t.group_id IS NULL"
    " AND NOT t.miscellaneous AND t.grain = {}"
)
_LEDGER = "allocation_ledgerrow t JOIN allocation_allocationrun r ON r.id = t.run_id"
_LINES = "t.run_id = ANY(%(runs)s) AND t.special = 0 AND t.line IN (0, 1, 3, 5, 7, 9, 10)"


@dataclass(frozen=True, slots=True)
class Question:
    """One question in its three forms.

    Attributes:
        name: for people.
        query: GraphQL.
        read_model: SQL on the read model; the last column is micrograms.
        ledger: SQL on the ledger, with the same last column.
        kilograms: finds the amounts of the answer, in any order.
    """

    name: str
    query: str
    read_model: str
    ledger: str
    kilograms: Callable[[dict[str, Any]], list[float]]


def _rows(data: dict[str, Any]) -> list[float]:
    return [edge["node"]["emissions"]["kgCO2e"] for edge in data["emissions"]["rows"]["edges"]]


def _by_month(data: dict[str, Any]) -> list[float]:
    return [point["emissions"]["kgCO2e"] for point in data["hierarchyNode"]["emissions"]["byMonth"]]


def _children(data: dict[str, Any]) -> list[float]:
    return [edge["emissions"]["kgCO2e"] for edge in data["hierarchyNode"]["children"]["edges"]]


def period_of(month_count: int) -> str:
    """The first so many months, in GraphQL."""
    return f'{{from: "{format_month(FIRST_MONTH)}", until: "{format_month(shift(FIRST_MONTH, month_count))}"}}'


def questions(large: LargeEnterprise) -> list[Question]:
    """The questions about all published months of an enterprise."""
    period = period_of(len(large.publications))
    cube = f'{{nodes: ["{large.node}"], period: {period}, %s}}'
    directory = f'hierarchyNode(by: {{kind: RESOURCE_DIRECTORY, externalId: "{large.code}", provider: "{large.code}"}})'
    return [
        Question(
            "root total by month",
            f'{{ hierarchyNode(id: "{large.node}") {{ emissions(period: {period}) {{ total {{ kgCO2e }}'
            " byMonth { label emissions { kgCO2e } } } } }",
            f"SELECT p.month, {_UG} FROM {_PUBLISHED} WHERE {_ROOT.format(0)} GROUP BY 1 ORDER BY 1",  # noqa: S608 fixed texts
            f"SELECT r.month, sum(t.ug) FROM {_LEDGER} WHERE {_LINES} GROUP BY 1 ORDER BY 1",  # noqa: S608 fixed texts
            _by_month,
        ),
        Question(
            "root by service",
            _CUBE % (cube % "groupBy: [SERVICE], first: 50"),
            f"SELECT t.service_id, {_UG} FROM {_PUBLISHED} WHERE {_ROOT.format(1)} GROUP BY 1 ORDER BY 2 DESC",  # noqa: S608 fixed texts
            f"SELECT t.service_id, sum(t.ug) FROM {_LEDGER} WHERE {_LINES} GROUP BY 1 ORDER BY 2 DESC",  # noqa: S608 fixed texts
            _rows,
        ),
        Question(
            "root by location",
            _CUBE % (cube % "groupBy: [CLUSTER], first: 50"),
            f"SELECT t.cluster_id, {_UG} FROM {_PUBLISHED} WHERE {_ROOT.format(2)} GROUP BY 1 ORDER BY 2 DESC",  # noqa: S608 fixed texts
            f"SELECT t.cluster_id, sum(t.ug) FROM {_LEDGER} WHERE {_LINES} GROUP BY 1 ORDER BY 2 DESC",  # noqa: S608 fixed texts
            _rows,
        ),
        Question(
            "cube month × service, first 100",
            _CUBE % (cube % "groupBy: [SERVICE], granularity: MONTH, first: 100, orderBy: EMISSIONS_DESC"),
            f"SELECT p.month, t.service_id, {_UG} FROM {_PUBLISHED} WHERE {_ROOT.format(1)}"  # noqa: S608 fixed texts
            " GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 100",
            f"SELECT r.month, t.service_id, sum(t.ug) FROM {_LEDGER} WHERE {_LINES}"  # noqa: S608 fixed texts
            " GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 100",
            _rows,
        ),
        Question(
            "children by emissions, first 10",
            f"{{ {directory} {{ children(period: {period}, first: 10) {{ edges {{ node {{ id name kind }}"
            " emissions { kgCO2e } } pageInfo { hasNextPage } } } }",
            f"SELECT t.group_id, {_UG} FROM {_PUBLISHED} WHERE t.publication_id = ANY(%(publications)s)"  # noqa: S608 fixed texts
            " AND t.grain = 0 AND t.group_id IN (SELECT group_id FROM accounts_groupedge"
            " WHERE directory_id = %(directory)s AND parent_id IS NULL AND superseded_by_id IS NULL)"
            " GROUP BY 1 ORDER BY 2 DESC LIMIT 10",
            "SELECT c.ancestor_id, sum(t.ug) FROM accounts_groupedge e"  # noqa: S608 fixed texts
            " JOIN accounts_groupclosure c ON c.ancestor_id = e.group_id"
            " JOIN accounts_accountmembership m ON m.group_id = c.descendant_id AND m.superseded_by_id IS NULL"
            f" JOIN {_LEDGER} ON t.account_id = m.account_id"
            " WHERE e.directory_id = %(directory)s AND e.parent_id IS NULL AND e.superseded_by_id IS NULL"
            f" AND {_LINES} GROUP BY 1 ORDER BY 2 DESC LIMIT 10",
            _children,
        ),
    ]
