"""A page of a list of children: in which order, after which of them, how many."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from allocation.selectors.amounts import Method


class ChildOrder(enum.StrEnum):
    """How children are sorted; nodes without emissions stand last."""

    EMISSIONS_DESC = "emissions_desc"
    EMISSIONS_ASC = "emissions_asc"
    NAME_ASC = "name_asc"


@dataclass(frozen=True, slots=True)
class ChildPage:
    """Which page: sorted how, after which key, at most so many."""

    limit: int
    order: ChildOrder = ChildOrder.EMISSIONS_DESC
    method: Method = Method.LOCATION_BASED
    after: tuple[str | int, ...] | None = None

    def cut(self) -> dict[str, str | int]:
        """Parameters of the key after which the page begins; none for the first page."""
        names = ("after_value", "after_rank", "after_id")
        return dict(zip(names, self.after, strict=True)) if self.after else {}


# Of a row named `line`: kind_rank, node_id, and total_ug or name.
ORDERS: Final = {
    ChildOrder.EMISSIONS_DESC: (
        "WHERE (-line.total_ug, line.kind_rank, line.node_id) > (-%(after_value)s, %(after_rank)s, %(after_id)s)",
        "-line.total_ug, line.kind_rank, line.node_id",
    ),
    ChildOrder.EMISSIONS_ASC: (
        """WHERE (line.total_ug < 0, line.total_ug, line.kind_rank, line.node_id)
        > (%(after_value)s < 0, %(after_value)s, %(after_rank)s, %(after_id)s)""",
        "line.total_ug < 0, line.total_ug, line.kind_rank, line.node_id",
    ),
    ChildOrder.NAME_ASC: (
        'WHERE (line.name COLLATE "C", line.kind_rank, line.node_id) > (%(after_value)s, %(after_rank)s, %(after_id)s)',
        'line.name COLLATE "C", line.kind_rank, line.node_id',
    ),
}
