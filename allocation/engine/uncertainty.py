"""First-order uncertainty of any amount of the ledger (docs/package-format.md, section 9, uncertainties.csv).

    u² = sum over factors f of (sum over sources c that use f of A x)² u(f)²  +  sum over sources c of (A x)² u(c)²

A x is what an amount holds of source c: a source is a row of the package on a line. Sources with one factor are fully
correlated, all else is independent. Within a cluster and line every leaf bears the sources in the proportion in which
they post.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from allocation.engine.rows import rows
from allocation.engine.units import ZERO, exact_sum

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from allocation.engine.clusters import ClusterActivity
    from allocation.engine.sources import Origin

Pair: TypeAlias = tuple[str, str]
"""(cluster, line)."""

_PERCENT = 100


class Doubt(NamedTuple):
    """Relative standard uncertainties of a source: of its activity, and of a factor that others may use, too."""

    activity: Fraction
    factor: str | None
    of_factor: Fraction


@dataclass(frozen=True, slots=True)
class Uncertain:
    """An amount in µg, its standard uncertainty in µg, and the part of it whose uncertainty is known at all."""

    ug: int
    uncertainty_ug: int
    covered_ug: int


def read_doubts(frame: pd.DataFrame) -> dict[tuple[Origin, str], Doubt]:
    """Return the rows of uncertainties.csv by origin and line."""
    return {
        ((str(row.source), str(row.code)), str(row.line)): Doubt(
            Fraction(row.activity_percent) / _PERCENT, row.factor, Fraction(row.factor_percent or 0) / _PERCENT
        )
        for row in rows(frame)
    }


def uncertain(
    amounts_ug: Mapping[Pair, int],
    clusters: Mapping[str, ClusterActivity],
    doubts: Mapping[tuple[Origin, str], Doubt],
) -> Uncertain:
    """Return the uncertainty of the sum of `amounts_ug`, parts of the totals of clusters and lines.

    `clusters` is what `plan.survey` finds. Rounded half up to whole µg.
    """
    held: dict[tuple[Origin, str], Fraction] = {}
    for (cluster, line), ug in amounts_ug.items():
        origins = clusters[cluster].sources[line].origins
        total = exact_sum(origins.values())
        for origin, posted in origins.items() if total else ():
            if (origin, line) in doubts:
                held[origin, line] = held.get((origin, line), ZERO) + ug * posted / total
    independent = exact_sum((part * doubts[source].activity) ** 2 for source, part in held.items())
    by_factor: dict[str, Fraction] = {}
    for source, part in held.items():
        doubt = doubts[source]
        if doubt.factor is not None:
            by_factor[doubt.factor] = by_factor.get(doubt.factor, ZERO) + part * doubt.of_factor
    correlated = exact_sum(part**2 for part in by_factor.values())
    covered = exact_sum(held.values())
    return Uncertain(sum(amounts_ug.values()), _root(independent + correlated), round(covered))


def _root(square: Fraction) -> int:
    """Return the square root of an exact number, rounded half up to an integer."""
    return (isqrt(4 * square.numerator // square.denominator) + 1) // 2
