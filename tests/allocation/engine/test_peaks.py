"""`split_key = peak_weighted`: the airport game of the literature, and a month worked by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.engine.peaks import shapley
from tests.allocation.engine.packages import Package, settle_all
from tests.allocation.engine.test_settle import month, on_line, use
from tests.oracle.peaks import shapley_by_definition


@pytest.mark.parametrize("order", [(8, 11, 13, 18), (18, 8, 13, 11)])
def test_the_textbook_airport(order: tuple[int, ...]) -> None:
    # The usual example of the airport problem: runways for four types of aircraft cost 8, 11, 13 and 18.
    charges = {8: 2, 11: 3, 13: 4, 18: 9}

    assert shapley([Fraction(cost) for cost in order]) == [charges[cost] for cost in order]


def test_equal_heights_pay_alike_and_nothing_pays_nothing() -> None:
    assert shapley([Fraction(0), Fraction(6), Fraction(6)]) == [0, 3, 3]
    assert shapley([]) == []


@settings(deadline=None)  # 720 orders of fractions take their time on a busy machine
@given(st.lists(st.fractions(0, 100), min_size=1, max_size=6))
def test_the_closed_form_is_the_average_over_all_orders(heights: list[Fraction]) -> None:
    values = shapley(heights)

    assert values == list(shapley_by_definition(dict(enumerate(heights))).values())
    assert sum(values) == max(heights)


def by_period(rows: dict[str, tuple[str, ...]], usage: dict[str, str]) -> Package:
    """Return a month in which accounts a and b use service s, by period."""
    package = month([use("s", account, quantity) for account, quantity in usage.items()] + [use("t", "a", "1")])
    package.tables["services"][0]["split_key"] = "peak_weighted"
    package.tables["usage_periods"] = [
        {"cluster": "k", "service": "s", "account": account, "period": str(period), "quantity": quantity}
        for account, quantities in rows.items()
        for period, quantity in enumerate(quantities)
    ]
    return package


def test_who_makes_the_peak_pays_more() -> None:
    # Demand is 2, 4, 8. Shapley: 2/3, 2/3 + 2/2 = 5/3, 5/3 + 4 = 17/3. a is flat, b makes the peak:
    # a 2 x (2/3 + 5/3 + 17/3) = 16, b 2 x 5/3 + 6 x 17/3 = 112/3, so 3 : 7 instead of 6 : 8.
    package = by_period({"a": ("2", "2", "2"), "b": ("0", "2", "6")}, {"a": "6", "b": "8"})

    ledgers, findings = settle_all(package)

    assert on_line(package, "scope2_lbm") == {
        "s|a|default": 180_000_000,
        "s|b|default": 420_000_000,
        "t|a|(core services)": 400_000_000,
    }
    assert "PERIOD_GAP" not in {finding.code for finding in findings}
    assert ledgers[0].source_ug["scope2_lbm"] == 1_000_000_000


def test_what_services_use_is_not_weighed() -> None:
    # t uses as much of s as a and b together: it takes half of s, a and b share the other half 3 : 7.
    package = by_period({"a": ("2", "2", "2"), "b": ("0", "2", "6")}, {"a": "6", "b": "8"})
    package.tables["service_use"] = [{"cluster": "k", "service": "s", "consumer": "t", "quantity": "14"}]

    assert on_line(package, "scope2_lbm") == {
        "s|a|default": 90_000_000,
        "s|b|default": 210_000_000,
        "t|a|(core services)": 700_000_000,
    }


def test_a_leaf_without_periods_is_taken_as_even_and_flagged() -> None:
    package = by_period({"b": ("0", "2", "6")}, {"a": "6", "b": "8"})

    _, findings = settle_all(package)

    assert on_line(package, "scope2_lbm")["s|a|default"] == 180_000_000
    (gap,) = (finding for finding in findings if finding.code == "PERIOD_GAP")
    assert gap.message == "cluster k: the periods of 1 leaves do not fit their usage: s|a|default"


@pytest.mark.parametrize("rows", [{}, {"a": ("0", "0"), "b": ("0", "0")}])
def test_without_any_periods_the_key_is_physical(rows: dict[str, tuple[str, ...]]) -> None:
    amounts = on_line(by_period(rows, {"a": "1", "b": "3"}), "scope2_lbm")

    assert (amounts["s|a|default"], amounts["s|b|default"]) == (150_000_000, 450_000_000)


def test_who_used_nothing_altogether_pays_nothing() -> None:
    package = by_period({"a": ("2", "2"), "b": ("5", "0")}, {"a": "4", "b": "0"})

    amounts = on_line(package, "scope2_lbm")

    assert (amounts["s|a|default"], amounts["s|b|default"]) == (600_000_000, 0)


def test_groups_of_a_core_service_are_one_leaf_by_period_too() -> None:
    package = by_period({}, {"a": "1"})
    package.tables["services"][1]["split_key"] = "peak_weighted"
    package.tables["usage"] += [use("t", "b", "3", resource_group="x"), use("t", "b", "1", resource_group="y")]
    period = {"cluster": "k", "service": "t"}
    package.tables["usage_periods"] = [
        {**period, "account": "a", "period": "0", "quantity": "1"},
        {**period, "account": "b", "resource_group": "x", "period": "1", "quantity": "3"},
        {**period, "account": "b", "resource_group": "y", "period": "1", "quantity": "1"},
    ]

    # Demand is 1 and 4: 1/2 and 1/2 + 3. a weighs 1/2, b 4 x 7/2.
    amounts = on_line(package, "scope2_lbm")
    assert (amounts["t|a|(core services)"], amounts["t|b|(core services)"]) == (13_793_103, 386_206_897)
