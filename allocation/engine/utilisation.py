"""How much of a rack each service uses: theta (section 5, step 5)."""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING

from allocation.engine.rows import rows
from allocation.engine.units import ONE, ZERO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from allocation.engine.findings import Findings


def read_utilisation(tables: Mapping[str, pd.DataFrame], findings: Findings) -> dict[str, dict[str, Fraction]]:
    """Return theta by rack and service: the sum over resources of weight x used / capacity; 1 for a dedicated rack.

    Weights are divided by their sum over the rack. A sum of theta above 1 is scaled down to 1. Reports OVERBOOKED.
    """
    rates = {key: rate.as_integer_ratio() for key, rate in _rates(tables["rack_resources"]).items()}
    # There are more of these rows than of all others: each part is two integers, and only their sum a fraction.
    parts: dict[str, dict[str, list[tuple[int, int]]]] = {}
    for row in rows(tables["rack_use"]):
        used, rate = row.used.as_integer_ratio(), rates[str(row.rack), str(row.resource)]
        services = parts.setdefault(str(row.rack), {})
        services.setdefault(str(row.service), []).append((used[0] * rate[0], used[1] * rate[1]))
    theta = {rack: {code: _sum(some) for code, some in services.items()} for rack, services in parts.items()}
    for row in rows(tables["racks"]):
        if row.service is not None:
            theta[str(row.rack)] = {str(row.service): ONE}
        booked = sum(theta.get(str(row.rack), {}).values(), ZERO)
        if booked > 1:
            message = f"rack {row.rack} is used to {float(booked):.6g} of its capacity: scaled down to 1"
            findings.flag("OVERBOOKED", "racks.csv", int(row.row), message)
            theta[str(row.rack)] = {service: part / booked for service, part in theta[str(row.rack)].items()}
    return theta


def _sum(parts: Sequence[tuple[int, int]]) -> Fraction:
    """Return the sum of numerators over denominators."""
    shared = lcm(*(denominator for _, denominator in parts))
    return Fraction(sum(numerator * (shared // denominator) for numerator, denominator in parts), shared)


def _rates(resources: pd.DataFrame) -> dict[tuple[str, str], Fraction]:
    """Return weight / (sum of weights of the rack x capacity) by rack and resource."""
    weights: dict[str, Fraction] = {}
    for row in rows(resources):
        weights[str(row.rack)] = weights.get(str(row.rack), ZERO) + Fraction(row.weight)
    return {
        (str(row.rack), str(row.resource)): Fraction(row.weight) / (weights[str(row.rack)] * Fraction(row.capacity))
        for row in rows(resources)
    }
