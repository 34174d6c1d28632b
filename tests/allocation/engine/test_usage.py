"""Own and regional rows are added exactly before a negative net counts as 0."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.engine.frames import Usage
from allocation.engine.usage import CORE_GROUP, NetUsage, combine, empty_usage, net
from tests.allocation.engine.packages import code_usage, integers

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "service": st.sampled_from(["s1", "s2", "s"]),
            "account": st.sampled_from(["a1", "a2"]),
            "resource_group": st.sampled_from(["", "g"]),
            "quantity": st.decimals(-(10**18) + 1, 10**18 - 1, places=12, allow_nan=False, allow_infinity=False).map(
                lambda value: f"{value:f}"
            )
            | st.integers(-3, 3).map(str),
        }
    ),
    max_size=12,
)


def quantities(netted: NetUsage) -> dict[tuple[str, str, str], Fraction]:
    keys = [netted.leaves.key(position) for position in range(len(netted.leaves))]
    return {key: int(q) * netted.unit[key[0]] for key, q in zip(keys, netted.leaves.quantity, strict=True)}


def expected(own: list[dict[str, str]], region: list[dict[str, str]], clusters: int) -> dict[tuple[str, ...], Fraction]:
    totals: Counter[tuple[str, str, str]] = Counter()
    for rows, share in ((own, 1), (region, clusters)):
        for row in rows:
            group = CORE_GROUP if row["service"] == "s2" else row["resource_group"] or "default"
            totals[row["service"], row["account"], group] += Fraction(row["quantity"]) / share  # type: ignore[assignment] # exact counts
    return {key: max(Fraction(total), Fraction(0)) for key, total in totals.items()}


@given(ROWS, ROWS, st.integers(1, 7))
@settings(deadline=None, max_examples=100)
def test_rows_of_cluster_and_region_are_netted_exactly(
    own: list[dict[str, str]], region: list[dict[str, str]], clusters: int
) -> None:
    netted = net(combine(code_usage(own), code_usage(region), clusters), {"s2"})

    leaves = expected(own, region, clusters)
    assert quantities(netted) == leaves
    assert netted.total == {
        service: sum(q for key, q in leaves.items() if key[0] == service) for service in {key[0] for key in leaves}
    }


@given(ROWS, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_neither_row_order_nor_coding_changes_anything(rows: list[dict[str, str]], random: object) -> None:
    shuffled = rows.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined] # a random.Random that Hypothesis shrinks

    one, other = net(code_usage(rows), ()), net(code_usage(shuffled), ())

    assert quantities(one) == quantities(other)
    assert one.leaves.services == other.leaves.services
    assert one.leaves.quantity.tolist() == other.leaves.quantity.tolist()
    assert one.unit == other.unit


def test_negative_nets_are_counted_and_the_first_ones_named() -> None:
    rows = [{"service": "s", "account": f"a{n}", "quantity": "-1"} for n in range(7)]

    netted = net(code_usage([*rows, {"service": "s", "account": "b", "quantity": "2"}]), ())

    assert netted.negative == 7
    assert netted.named == tuple(f"s|a{n}|default" for n in range(5))
    assert netted.total == {"s": 2}


def test_units_of_a_divisor_already_in_the_usage_are_kept() -> None:
    index = np.zeros(1, dtype=np.int32)
    usage = Usage(("s",), ("a",), ("g",), index, index, index, integers([7]), decimals=1, divisor=3)

    assert net(usage, ()).total == {"s": Fraction(7, 30)}
    assert net(combine(usage, usage, 2), ()).total == {"s": Fraction(7, 30) * Fraction(3, 2)}


@pytest.mark.parametrize("count", [2, 5])
def test_sums_beyond_64_bits_are_exact(count: int) -> None:
    rows = [{"service": "s", "account": "a", "quantity": str(10**18 - 1) + "." + "9"}] * count

    assert net(code_usage(rows), ()).total == {"s": count * (10**18 - Fraction(1, 10))}


def test_a_cluster_without_usage_has_an_empty_one_that_others_may_join() -> None:
    nothing, region = empty_usage(), code_usage([{"service": "s", "account": "a", "quantity": "3"}])

    assert (nothing.services, nothing.accounts, nothing.groups) == ((), (), ())
    assert {getattr(nothing, part).dtype for part in ("service", "account", "group")} == {np.dtype(np.int32)}
    assert nothing.quantity.dtype == np.int64
    assert net(nothing, ()).total == {}
    assert net(combine(nothing, region, 2), ()).total == {"s": Fraction(3, 2)}


def test_quantities_that_fit_are_64_bit_integers() -> None:
    large, small = str(2**62), "0.5"
    rows = [
        {"service": service, "account": "a", "quantity": quantity} for service in "st" for quantity in (large, large)
    ]

    alone = net(code_usage([{"service": "s", "account": "a", "quantity": small}]), ())
    netted = net(code_usage(rows), ())

    assert alone.leaves.quantity.dtype == netted.leaves.quantity.dtype == np.int64
    assert netted.leaves.quantity.tolist() == [1, 1]
    assert netted.unit == {"s": 2**63, "t": 2**63}
