"""Section 9, `split_key = peak_weighted`: usage weighed by the Shapley value of its periods."""

from collections import defaultdict
from fractions import Fraction
from itertools import permutations

from tests.oracle.demand import Demand, Leaf, leaf_of
from tests.oracle.energy import ZERO
from tests.oracle.reader import Package

KEY = "peak_weighted"


def shapley_by_definition(heights: dict[int, Fraction]) -> dict[int, Fraction]:
    """Average over all orders of arrival of what a period adds to the peak so far (for a handful of periods)."""
    added: dict[int, Fraction] = defaultdict(Fraction)
    orders = list(permutations(heights))
    for order in orders:
        peak = ZERO
        for period in order:
            added[period] += max(heights[period] - peak, ZERO)
            peak = max(peak, heights[period])
    return {period: added[period] / len(orders) for period in heights}


def weigh_peaks(package: Package, demand: dict[str, Demand]) -> None:
    """Replace the usage of peak-weighted services by shares of the same total; flags gaps and rows in vain."""
    peak = {row.text("service") for row in package.tables["services"] if row.text("split_key") == KEY}
    used: dict[Leaf, dict[int, Fraction]] = defaultdict(dict)
    for row in package.tables["usage_periods"]:
        if row.text("service") not in peak:
            package.find("PERIODS_IGNORED", "flag", "usage_periods", None)
            continue
        periods = used[leaf_of(package, row.text("cluster"), row, "default")]
        period = int(row.exact("period"))
        periods[period] = periods.get(period, ZERO) + row.exact("quantity")
    for cluster, its_demand in demand.items():
        for service in peak & set(its_demand.by_service):
            _weigh(package, its_demand, service, used)
        strange = {leaf for leaf in used if leaf.cluster == cluster} - set(its_demand.usage)
        if any(q for leaf in strange for q in used[leaf].values()):
            package.find("PERIOD_GAP", "flag", "usage_periods", None)


def _weigh(package: Package, demand: Demand, service: str, used: dict[Leaf, dict[int, Fraction]]) -> None:
    usage = dict(demand.usage_of(service))
    total = sum(usage.values(), ZERO)
    names = {period for leaf, quantity in usage.items() if quantity for period in used.get(leaf, ())}
    by_period: dict[Leaf, dict[int, Fraction]] = {}
    for leaf, quantity in usage.items():
        own = used.get(leaf)
        gap = bool(quantity)
        if own is not None:
            gap = abs(sum(own.values()) - quantity) > package.methodology.closure_tolerance * quantity
        if gap:
            package.find("PERIOD_GAP", "flag", "usage_periods", None)
        if quantity:
            by_period[leaf] = {period: quantity / len(names) for period in names} if own is None else own
    heights = {period: sum((own.get(period, ZERO) for own in by_period.values()), ZERO) for period in names}
    values = shapley_by_definition(heights)
    weights = {leaf: sum((values[t] * q for t, q in own.items()), ZERO) for leaf, own in by_period.items()}
    whole = sum(weights.values(), ZERO)
    for leaf in usage if whole else ():
        demand.set_usage(leaf, total * weights.get(leaf, ZERO) / whole)
