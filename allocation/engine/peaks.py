"""Peak-weighted keys: usage by period, weighed by what the period adds to the peak (docs/package-format.md, section 9).

The players of the game are the periods, and the value of some of them is the highest demand among them. Its Shapley
value has a closed form (the airport game, Littlechild and Owen 1973): every step from one height to the next is shared
by the periods that reach it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd, lcm
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from allocation.engine.frames import PEAK_WEIGHTED
from allocation.engine.leaves import compact
from allocation.engine.rows import rows
from allocation.engine.units import ZERO, exact_sum
from allocation.engine.usage import CORE_GROUP

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pandas as pd

    from allocation.engine.findings import Findings
    from allocation.engine.usage import NetUsage

Leaf: TypeAlias = tuple[str, str, str]
"""(service, account, group) of one cluster."""

Periods: TypeAlias = dict[int, Fraction]
"""What a leaf used, by period."""

FILE: Final = "usage_periods.csv"
_NAMED_LEAVES: Final = 5


def shapley(heights: Sequence[Fraction]) -> list[Fraction]:
    """Return the Shapley value of every player in the game of the highest `heights`: they add up to the highest."""
    order = sorted(range(len(heights)), key=lambda player: heights[player])
    values = [ZERO] * len(heights)
    reached, value = ZERO, ZERO
    for place, player in enumerate(order):
        value += (heights[player] - reached) / (len(heights) - place)
        reached = heights[player]
        values[player] = value
    return values


@dataclass(frozen=True, slots=True)
class PeakServices:
    """The services with a peak-weighted key, and what the leaves of each cluster used by period."""

    services: frozenset[str]
    used: Mapping[str, Mapping[Leaf, Periods]]
    tolerance: Fraction


def read_peaks(
    tables: Mapping[str, pd.DataFrame], core_services: Collection[str], tolerance: Fraction, findings: Findings
) -> PeakServices:
    """Read usage_periods.csv. Reports PERIODS_IGNORED: rows of services with another key."""
    services = frozenset(str(row.service) for row in rows(tables["services"]) if row.split_key == PEAK_WEIGHTED)
    used: dict[str, dict[Leaf, Periods]] = {}
    ignored = 0
    for row in rows(tables["usage_periods"]):
        service = str(row.service)
        if service not in services:
            ignored += 1
            continue
        leaf = service, str(row.account), CORE_GROUP if service in core_services else str(row.resource_group)
        periods = used.setdefault(str(row.cluster), {}).setdefault(leaf, {})
        periods[int(row.period)] = periods.get(int(row.period), ZERO) + Fraction(row.quantity)
    if ignored:
        message = f"{ignored} rows are of services whose key is not {PEAK_WEIGHTED}: they are ignored"
        findings.flag("PERIODS_IGNORED", FILE, None, message)
    return PeakServices(services, used, tolerance)


def weigh(netted: NetUsage, peaks: PeakServices, cluster: str, findings: Findings) -> NetUsage:
    """Replace the quantities of peak-weighted services by their weights; the total of a service stays what it is.

    A leaf weighs the sum over periods of (Shapley value of the period) x (what it used in it). A leaf without rows by
    period is taken to have used the same in each. Reports PERIOD_GAP: leaves whose periods do not fit their usage.
    """
    if not peaks.services:
        return netted
    leaves, unit = netted.leaves, dict(netted.unit)
    quantity = leaves.quantity.astype(object)
    used = peaks.used.get(cluster, {})
    gaps: list[Leaf] = []
    strangers = set(used)
    for index, service in enumerate(leaves.services):
        if service not in peaks.services:
            continue
        positions = np.flatnonzero(leaves.service == index)
        net = {leaves.key(position): int(quantity[position]) * unit[service] for position in positions.tolist()}
        strangers -= set(net)
        gaps += [leaf for leaf, own in net.items() if _differ(own, used.get(leaf), peaks.tolerance)]
        weights = _weights(net, used)
        common = lcm(*(weight.denominator for weight in weights.values()))
        whole = [int(weights[leaf] * common) for leaf in net]
        if any(whole):
            divisor = gcd(*whole)
            quantity[positions] = [value // divisor for value in whole]
            unit[service] = netted.total[service] / (sum(whole) // divisor)
    _flag_gaps(cluster, [*gaps, *sorted(leaf for leaf in strangers if any(used[leaf].values()))], findings)
    return replace(netted, leaves=replace(leaves, quantity=compact(quantity.tolist())), unit=unit)


def _differ(net: Fraction, periods: Periods | None, tolerance: Fraction) -> bool:
    if periods is None:
        return net > 0
    return abs(exact_sum(periods.values()) - net) > tolerance * net


def _weights(net: Mapping[Leaf, Fraction], used: Mapping[Leaf, Periods]) -> dict[Leaf, Fraction]:
    """Return the weight of every leaf of a service; only those with positive net usage have one."""
    players = [leaf for leaf, quantity in net.items() if quantity]
    named = sorted({period for leaf in players for period in used.get(leaf, ())})
    if not named:
        return {}.fromkeys(net, ZERO)
    even = {leaf: dict.fromkeys(named, net[leaf] / len(named)) for leaf in players if leaf not in used}
    by_period = {leaf: used.get(leaf) or even[leaf] for leaf in players}
    heights = [exact_sum(periods.get(period, ZERO) for periods in by_period.values()) for period in named]
    values = dict(zip(named, shapley(heights), strict=True))
    return dict.fromkeys(net, ZERO) | {
        leaf: exact_sum(values[period] * quantity for period, quantity in periods.items())
        for leaf, periods in by_period.items()
    }


def _flag_gaps(cluster: str, gaps: Sequence[Leaf], findings: Findings) -> None:
    if gaps:
        named = ", ".join("|".join(leaf) for leaf in gaps[:_NAMED_LEAVES])
        message = f"cluster {cluster}: the periods of {len(gaps)} leaves do not fit their usage: {named}"
        findings.flag("PERIOD_GAP", FILE, None, message)
