"""Source totals: everything that posts to a (cluster, line), and the integer that is conserved (section 5, step 1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from allocation.engine import quality as classes
from allocation.engine.units import ZERO, exact_sum, round_half_even

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction


Origin: TypeAlias = tuple[str, str]
"""A row of the package that posts: its table and the first column of its key."""


@dataclass(slots=True)
class Source:
    """Postings to one (cluster, line). `rack_assets_ug` are those that go directly to a rack."""

    shared: list[Fraction] = field(default_factory=list)
    shared_estimated: list[Fraction] = field(default_factory=list)
    rack_assets_ug: int = 0
    quality: int = classes.METERED
    origins: dict[Origin, Fraction] = field(default_factory=dict)
    """What each row of the package posts, assets of racks included."""

    @property
    def x_ug(self) -> int:
        """The integer x: all postings but those of racks, added exactly and rounded half to even, once."""
        return round_half_even(exact_sum(self.shared))

    @property
    def total_ug(self) -> int:
        """The integer N, conserved from here on."""
        return self.x_ug + self.rack_assets_ug

    @property
    def estimated_share(self) -> Fraction:
        """The estimated share of the postings in x, before rounding."""
        total = exact_sum(self.shared)
        return exact_sum(self.shared_estimated) / total if total else ZERO


class Sources:
    """Sources by cluster and line. A pair exists if at least one row posts to it, even 0."""

    def __init__(self) -> None:
        self._sources: dict[tuple[str, str], Source] = {}

    def post(self, cluster: str, line: str, amount: Fraction, quality: int, origin: Origin) -> None:
        """Post an exact amount (µg; Wh on the energy line) with the quality of its row, which is its `origin`."""
        source = self._touch(cluster, line, quality)
        source.origins[origin] = source.origins.get(origin, ZERO) + amount
        source.shared.append(amount)
        if classes.is_estimated(quality):
            source.shared_estimated.append(amount)

    def post_rack_asset(self, cluster: str, line: str, amount_ug: int, quality: int, origin: Origin) -> None:
        """Post the month's part of an asset that belongs to one rack."""
        source = self._touch(cluster, line, quality)
        source.rack_assets_ug += amount_ug
        source.origins[origin] = source.origins.get(origin, ZERO) + amount_ug

    def _touch(self, cluster: str, line: str, quality: int) -> Source:
        source = self._sources.setdefault((cluster, line), Source())
        source.quality = max(source.quality, quality)
        return source

    def items(self) -> Iterator[tuple[tuple[str, str], Source]]:
        """Yield ((cluster, line), source)."""
        yield from self._sources.items()

    def totals_by_line(self) -> Iterator[tuple[str, int]]:
        """Yield (line, µg over all clusters) of every line with a posting, by code point."""
        totals: dict[str, int] = {}
        for (_, line), source in self._sources.items():
            totals[line] = totals.get(line, 0) + source.total_ug
        yield from sorted(totals.items())
