"""Uncertainty, first order: two sites worked by hand, and the double sum of the oracle on random packages."""

from __future__ import annotations

import random
from math import isqrt
from typing import TYPE_CHECKING

import pytest

from allocation.engine.findings import Findings
from allocation.engine.plan import survey
from allocation.engine.uncertainty import Uncertain, read_doubts, uncertain
from tests.allocation.engine.random_months import random_month
from tests.allocation.engine.test_settle import month, use
from tests.oracle.uncertainty import expected_variance

if TYPE_CHECKING:
    from allocation.engine.uncertainty import Pair
    from tests.allocation.engine.packages import Package


def two_sites(*rows: dict[str, str]) -> Package:
    """Return cluster k with sites i (1000 kWh) and j (3000 kWh), both at 1 g/kWh."""
    package = month([use("s", "a", "1")])
    package.tables["sites"].append(package.tables["sites"][0] | {"site": "j", "it_kwh": "3000"})
    package.tables["uncertainties"] = list(rows)
    return package


def of(package: Package, amounts_ug: dict[Pair, int]) -> Uncertain:
    clusters = survey(package.activity, Findings()).clusters
    return uncertain(amounts_ug, clusters, read_doubts(package.activity.tables["uncertainties"]))


def site(code: str, activity: str, factor: str = "", percent: str = "", line: str = "scope2_lbm") -> dict[str, str]:
    row = {"source": "sites", "code": code, "line": line, "activity_percent": activity}
    return row | {"factor": factor, "factor_percent": percent}


WHOLE: dict[Pair, int] = {("k", "scope2_lbm"): 4_000_000_000}


def test_independent_sources_add_in_squares() -> None:
    # 3 % of 1000 g and 4/3 % of 3000 g: 30 and 40 g, together 50 g.
    package = two_sites(site("i", "3"), site("j", "1.333333333333"))

    assert of(package, WHOLE) == Uncertain(4_000_000_000, 50_000_000, 4_000_000_000)


def test_a_shared_factor_adds_up_before_it_is_squared() -> None:
    # 10 % of 4000 g where the grid is one, 100 and 300 g in squares where there are two.
    shared = two_sites(site("i", "0", "grid", "10"), site("j", "0", "grid", "10"))
    apart = two_sites(site("i", "0", "grid", "10"), site("j", "0", "other grid", "10"))

    assert of(shared, WHOLE).uncertainty_ug == 400_000_000
    assert of(apart, WHOLE).uncertainty_ug == isqrt(100_000_000**2 + 300_000_000**2)


def test_activity_and_factor_of_a_source_multiply_to_first_order() -> None:
    # u(E f)² = u(E)² + u(f)²: 3 % and 4 % are 5 %.
    package = two_sites(site("i", "3", "grid", "4"))

    assert of(package, WHOLE) == Uncertain(4_000_000_000, 50_000_000, 1_000_000_000)


def test_a_part_bears_every_source_in_proportion() -> None:
    package = two_sites(site("i", "3"), site("j", "1.333333333333"))

    assert of(package, {("k", "scope2_lbm"): 400_000_000}) == Uncertain(400_000_000, 5_000_000, 400_000_000)


def test_a_meter_named_as_a_factor_correlates_lines() -> None:
    lines = ("scope2_lbm", "scope2_mbm")
    package = two_sites(*(site("i", "0", "meter", "2", line) for line in lines))

    both = of(package, {("k", line): 4_000_000_000 for line in lines})

    assert both == Uncertain(8_000_000_000, 40_000_000, 2_000_000_000)


def test_what_is_not_stated_is_not_covered() -> None:
    assert of(two_sites(), WHOLE) == Uncertain(4_000_000_000, 0, 0)
    assert of(two_sites(site("i", "3")), {("k", "scope3_other"): 0}) == Uncertain(0, 0, 0)


@pytest.mark.parametrize(
    "seed", [*range(700, 704), *(pytest.param(it, marks=pytest.mark.long) for it in range(704, 715))]
)
def test_random_packages_agree_with_the_double_sum(seed: int) -> None:
    package, *_, allocation = random_month(seed)
    rng = random.Random(seed)  # noqa: S311 # test data
    parts = {pair: rng.randint(0, source.total_ug) for pair, source in allocation.sources.items()}

    found = of(package, parts)

    variance, covered = expected_variance(allocation, parts)
    assert (found.ug, found.covered_ug) == (sum(parts.values()), round(covered))
    low, high = found.uncertainty_ug - 1, found.uncertainty_ug + 1
    assert max(low, 0) ** 2 <= variance <= high**2
    assert abs(found.uncertainty_ug**2 - variance) <= found.uncertainty_ug + 1
