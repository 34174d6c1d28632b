"""One measured number, with what it was measured against in the same run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of one benchmark.

    Attributes:
        benchmark: such as `B1`.
        work: what was done, on how much.
        name: what the number says.
        value: the number.
        unit: its unit.
        note: what it stands against.
    """

    benchmark: str
    work: str
    name: str
    value: float
    unit: str
    note: str = ""

    @property
    def text(self) -> str:
        """The number for people: three digits where it is small, thousands apart where it is large."""
        return f"{self.value:,.0f}" if abs(self.value) >= 100 else f"{self.value:.3g}"

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        return asdict(self)


def table_of(figures: Iterable[Figure]) -> Table:
    """Lay figures out as a table, a line between benchmarks."""
    table = Table(box=None, pad_edge=False)
    for title in ("Id", "Work", "Figure"):
        table.add_column(title)
    table.add_column("Value", justify="right")
    table.add_column("Unit")
    table.add_column("Note")
    before = None
    for figure in figures:
        place = (figure.benchmark, figure.work)
        first = place != before
        if first and before is not None:
            table.add_section()
        table.add_row(*(place if first else ("", "")), figure.name, figure.text, figure.unit, figure.note)
        before = place
    return table
