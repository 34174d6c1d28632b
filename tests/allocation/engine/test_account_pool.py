"""`unused = account_pool`: unused capacity is borne by external accounts alone."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from allocation.engine.frames import QUALITIES
from allocation.engine.plan import prepare
from tests.allocation.engine.packages import Package, exact, settle_all
from tests.allocation.engine.test_settle import month, on_line, use
from tests.oracle.generator import random_draft


def with_unused_racks(**options: object) -> Package:
    """Return a month in which half of the energy is unused and account b is internal."""
    package = month([use("s", "a", "1"), use("s", "b", "3"), use("t", "a", "1")], unused="account_pool")
    package.manifest["methodology"]["options"].update(options)
    package.tables["racks"].append(
        {"rack": "empty", "cluster": "k", "role": "spare", "it_kwh": "1000", "quality": "proxy"}
    )
    package.tables["accounts"] = [{"account": "a", "internal": "false"}, {"account": "b", "internal": "true"}]
    return package


def test_external_leaves_bear_the_pool_in_proportion_to_what_they_have() -> None:
    # Used: a 75 g of s and 200 g of t, b 225 g of s. The pool of 500 g is shared by a's leaves, 75 : 200.
    assert on_line(with_unused_racks(), "scope2_lbm") == {
        "s|a|default": 75_000_000 + 136_363_636,
        "s|b|default": 225_000_000,
        "t|a|(core services)": 200_000_000 + 363_636_364,
    }


def test_external_leaves_add_the_classes_and_the_estimated_part_of_the_pool() -> None:
    ledgers, _ = settle_all(with_unused_racks(lines=["scope2_lbm"]))

    (ledger,) = ledgers
    emissions = ledger.line == ledger.lines.index("scope2_lbm")
    assert [QUALITIES[rank] for rank in ledger.quality[emissions]] == ["proxy", "metered", "proxy"]
    assert ledger.estimated_ug[emissions].tolist() == [136_363_636, 0, 363_636_364]


@pytest.mark.parametrize("internal", ["true", "false"])
def test_without_external_leaves_the_pool_falls_back(internal: str) -> None:
    package = with_unused_racks(fallback=["unallocated"])
    package.tables["accounts"] = [{"account": account, "internal": internal} for account in ("a", "b")]

    unused = on_line(package, "scope2_lbm").get("(unused)|(unallocated)|default", 0)

    assert unused == (500_000_000 if internal == "true" else 0)


@pytest.mark.long
@example(31702)  # draws a base of its own
@example(6524)  # draws the other base, which this is not about
@given(st.integers(0, 10**9))
@settings(deadline=None, max_examples=15)
def test_nothing_is_lost_and_internal_accounts_bear_no_more_than_their_use(seed: int) -> None:
    package = Package.of(random_draft(seed))
    options = package.manifest["methodology"]["options"]
    options.update(unused="account_pool", pool_base="external", closed_class="overhead", fallback=["unallocated"])
    plan = prepare(package.activity)
    values = exact(package)

    options["unused"] = "provider"
    options.pop("pool_base")
    apart = exact(Package(package.manifest, package.tables))
    for cluster, place in plan.clusters.items():
        for line, source in zip(place.lines, place.source_ug, strict=True):
            mine = {key: value for key, value in values.items() if (key[0], key[4]) == (cluster, line)}
            assert sum(value.amount for value in mine.values()) == source
            assert all(0 <= value.estimated <= value.amount for value in mine.values())
            for key, value in mine.items():
                if key[2] in plan.internal_accounts:
                    assert value == apart[key]
