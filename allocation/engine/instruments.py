"""Market-based electricity: the cascade of a market's instruments (section 3, instruments.csv)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from allocation.engine.rows import rows
from allocation.engine.units import ZERO, exact_sum, months_between

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from allocation.engine.findings import Findings

ORDER: Final = ("EAC", "contract", "supplier_specific")
"""Types of instruments in the order in which they are applied."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """An eligible instrument: `kwh` available for the month at `g_per_kwh`."""

    code: str
    row: int
    type: str
    kwh: Fraction
    g_per_kwh: Fraction

    def flag_surplus(self, used_kwh: Fraction, findings: Findings) -> None:
        """Report SURPLUS_INSTRUMENT unless all of it was used."""
        if used_kwh < self.kwh:
            surplus = float(self.kwh - used_kwh)
            message = f"instrument {self.code} has a surplus of {surplus} kWh, which is not carried over"
            findings.flag("SURPLUS_INSTRUMENT", "instruments.csv", self.row, message)


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a market's instruments cover: a share of every site's remaining electricity, and its emissions per kWh.

    The instruments are spread over the sites in proportion to what remains, so one share holds for all of them.
    """

    share: Fraction
    g_per_remaining_kwh: Fraction


def read_instruments(
    frame: pd.DataFrame, month: dt.date, window_months: int, findings: Findings
) -> dict[str, list[Instrument]]:
    """Return the eligible instruments by market, in the order of the cascade. Reports INELIGIBLE_INSTRUMENT."""
    markets: dict[str, list[Instrument]] = {}
    for row in rows(frame):
        reason = None
        if row.retired is False:
            reason = "it is not retired"
        elif row.vintage is not None and abs(months_between(row.vintage, month)) > window_months:
            reason = f"its vintage is more than {window_months} months away"
        if reason is not None:
            message = f"instrument {row.instrument} is not applied: {reason}"
            findings.flag("INELIGIBLE_INSTRUMENT", "instruments.csv", int(row.row), message)
            continue
        instrument = Instrument(
            str(row.instrument), int(row.row), str(row.type), Fraction(row.kwh), Fraction(row.g_per_kwh)
        )
        markets.setdefault(str(row.market), []).append(instrument)
    for instruments in markets.values():
        instruments.sort(key=lambda instrument: (ORDER.index(instrument.type), instrument.code))
    return markets


def cover(
    remaining_kwh: Mapping[str, Iterable[Fraction]], markets: Mapping[str, list[Instrument]], findings: Findings
) -> dict[str, Coverage]:
    """Run the cascade of every market: each instrument covers min(remaining, its kWh). Reports SURPLUS_INSTRUMENT.

    `remaining_kwh` holds, by market, what remains of its sites after their green shares.
    """
    coverages: dict[str, Coverage] = {}
    for market, parts in remaining_kwh.items():
        instruments = markets.get(market, [])
        coverages[market], covered = apply(exact_sum(parts), instruments, [each.kwh for each in instruments])
        for instrument, kwh in zip(instruments, covered, strict=True):
            instrument.flag_surplus(kwh, findings)
    return coverages


def apply(
    total_kwh: Fraction, instruments: Sequence[Instrument], available_kwh: Sequence[Fraction]
) -> tuple[Coverage, list[Fraction]]:
    """Let each instrument cover min(remaining, what it has available); return the coverage and the kWh of each."""
    rest = total_kwh
    covered: list[Fraction] = []
    for available in available_kwh:
        covered.append(min(rest, available))
        rest -= covered[-1]
    if not total_kwh:
        return Coverage(ZERO, ZERO), covered
    grams = exact_sum(kwh * instrument.g_per_kwh for kwh, instrument in zip(covered, instruments, strict=True))
    return Coverage((total_kwh - rest) / total_kwh, grams / total_kwh), covered
