"""Services that serve other clusters: months of two clusters worked by hand."""

from __future__ import annotations

import pytest

from allocation.engine.frames import QUALITIES, PackageRejectedError
from allocation.engine.plan import prepare
from allocation.engine.reach import reach_of
from tests.allocation.engine.packages import Package, settle_all
from tests.allocation.engine.test_settle import month, on_line, use

Row = dict[str, str]


def across(service: str, consumer: str, quantity: str, *, to: str = "l", cluster: str = "k") -> Row:
    row = {"cluster": cluster, "service": service, "consumer_cluster": to, "consumer": consumer}
    return {**row, "quantity": quantity}


def two_clusters(*uses: Row, **options: object) -> Package:
    """Return cluster k of 1000 kWh (s 600, t 400) and cluster l of 500 kWh, all of it for u, at 1 g/kWh.

    In k account a uses 1 of s and 1 of t, in l account b uses 1 and a 3 of u.
    """
    package = month([use("s", "a", "1"), use("t", "a", "1")])
    package.manifest["methodology"]["options"].update(options)
    package.tables["clusters"].append({"cluster": "l", "kind": "region"})
    package.tables["sites"].append(package.tables["sites"][0] | {"site": "j", "cluster": "l", "it_kwh": "500"})
    rack = {"rack": "u", "cluster": "l", "role": "service", "service": "u", "it_kwh": "500", "quality": "proxy"}
    package.tables["racks"].append(rack)
    package.tables["services"].append({"service": "u", "unit": "h"})
    package.tables["usage"] += [use("u", "b", "1") | {"cluster": "l"}, use("u", "a", "3") | {"cluster": "l"}]
    package.tables["shared_pools"] = []
    package.tables["cross_use"] = list(uses)
    return package


def by_cluster(package: Package) -> dict[str, int]:
    """Return milligrams of location-based electricity by cluster and leaf."""
    ledgers, _ = settle_all(package)
    found: dict[str, int] = {}
    for ledger in ledgers:
        index = ledger.lines.index("scope2_lbm")
        for i in (ledger.line == index).nonzero()[0].tolist():
            service, account = ledger.services[ledger.service[i]], ledger.accounts[ledger.account[i]]
            found[f"{ledger.cluster} {service} {account}"] = int(ledger.ug[i]) // 1000
    return found


def test_emissions_stay_in_the_ledger_of_the_cluster_that_emits_them() -> None:
    # u in l takes half of t's output in k: 200 of t's 400 g, shared 1 : 3 by its accounts.
    assert by_cluster(two_clusters(across("t", "u", "1"))) == {
        "k s a": 600_000,
        "k t a": 200_000,
        "k u a": 150_000,
        "k u b": 50_000,
        "l u a": 375_000,
        "l u b": 125_000,
    }


def test_a_cycle_through_two_clusters_is_solved_exactly() -> None:
    # t passes half to u in l, and u a fifth of all it has back to t in k: T(t) = 400 + T(u) / 5, T(u) = T(t) / 2 for
    # the 400 g of t, so T(t) = 4000 / 9; t sells 2000 / 9, u 1600 / 9. Of l's own 500 g: T(u) = 500 + T(t) / 2, T(t) =
    # T(u) / 5, so T(u) = 5000 / 9; u sells 4000 / 9 of it and t 500 / 9.
    found = by_cluster(two_clusters(across("t", "u", "1"), across("u", "t", "1", cluster="l", to="k")))

    assert found == {
        "k s a": 600_000,
        "k t a": 222_222,
        "k u a": 133_333,
        "k u b": 44_444,
        "l t a": 55_555,
        "l u a": 333_333,
        "l u b": 111_111,
    }


def test_what_is_fed_through_another_cluster_is_reached() -> None:
    package = two_clusters(across("t", "v", "1"))
    package.tables["services"].append({"service": "v", "unit": "h"})
    package.tables["service_use"] = [{"cluster": "l", "service": "v", "consumer": "u", "quantity": "1"}]

    plan = prepare(package.activity)
    assert reach_of(plan.clusters, "k").elsewhere == {("l", "v"), ("l", "u")}
    assert reach_of(plan.clusters, "l").elsewhere == frozenset()
    assert by_cluster(package)["k u a"] == 150_000


def test_leaves_of_one_service_in_two_clusters_are_one_leaf() -> None:
    package = two_clusters(across("s", "s", "1"))
    package.tables["usage"].append(use("s", "a", "1") | {"cluster": "l"})

    assert by_cluster(package)["k s a"] == 600_000


def test_the_quality_of_a_leaf_abroad_is_that_of_the_energy_it_gets() -> None:
    (home, abroad), _ = settle_all(two_clusters(across("t", "u", "1")))

    quality = {home.services[home.service[i]]: QUALITIES[home.quality[i]] for i in range(len(home.ug))}
    assert quality["u"] == "metered"
    assert {QUALITIES[rank] for rank in abroad.quality} == {"proxy"}


def test_a_consumer_abroad_without_usage_falls_back_here() -> None:
    package = two_clusters(across("t", "v", "1"), fallback=["previous_shares", "unallocated"])
    package.tables["services"].append({"service": "v", "unit": "h"})

    ledgers, findings = settle_all(package)

    assert by_cluster(package)["k v (unallocated)"] == 200_000
    assert ledgers[0].source_ug["scope2_lbm"] == 10**9
    assert {finding.code for finding in findings} >= {"NO_USAGE_FALLBACK"}


def test_step_down_takes_nodes_of_one_service_by_cluster() -> None:
    both = [across("t", "t", "1"), across("t", "t", "1", cluster="l", to="k")]
    package = two_clusters(*both, dependencies="step_down", step_down_order=["t"])
    package.tables["usage"].append(use("t", "b", "1") | {"cluster": "l"})
    package.tables["racks"][-1]["service"] = "t"

    # k comes first, at home and abroad: its t passes half to l's, which passes nothing back.
    found = by_cluster(package)
    assert (found["k t a"], found["k t b"]) == (200_000, 200_000)
    assert (found.get("l t a", 0), found["l t b"]) == (0, 500_000)


@pytest.mark.parametrize(("method", "u"), [("direct", None), ("reciprocal", 200_000)])
def test_the_direct_method_ignores_it(method: str, u: int | None) -> None:
    package = two_clusters(across("t", "u", "1"), dependencies=method)

    found = by_cluster(package)
    codes = {(finding.code, finding.file) for finding in prepare(package.activity).findings}

    assert (("DEPENDENCIES_IGNORED", "cross_use.csv") in codes) == (u is None)
    assert ("k u a" in found) == (u is not None)
    assert found.get("k u a", 0) + found.get("k u b", 0) == (u or 0)


def test_nothing_flows_where_nothing_is_used() -> None:
    assert by_cluster(two_clusters(across("t", "u", "0"))) == by_cluster(two_clusters())


def test_a_class_closed_across_clusters_is_found_when_settling_too() -> None:
    closed = [across("v", "v", "1"), across("v", "v", "1", cluster="l", to="k")]
    package = two_clusters(*closed)
    package.tables["services"].append({"service": "v", "unit": "h"})

    with pytest.raises(PackageRejectedError, match="CLOSED_CLASS"):
        on_line(package, "scope2_lbm")
