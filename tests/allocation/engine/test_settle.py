"""One cluster, from usage to integers: sizes, specials, what a task may do with a plan."""

from __future__ import annotations

import pickle
from fractions import Fraction

import numpy as np
import pytest

from allocation.engine.frames import Finding, PackageRejectedError
from allocation.engine.plan import prepare
from allocation.engine.settle import settle
from tests.allocation.engine.packages import Package, code_usage, rows_of, settle_all
from tests.oracle.generator import random_draft

Row = dict[str, str]


def month(usage: list[Row], *, kg: str = "0", machines: tuple[Row, ...] = (), **options: object) -> Package:
    """Return a month of one site of 1000 kWh at 1 g/kWh, two dedicated racks of 600 and 400 kWh, and a pool."""
    methodology = {"name": "m", "version": "1", "preset": "custom", "gwp_set": "AR6", "options": options}
    site = {"site": "i", "cluster": "k", "boundary": "scope2", "it_kwh": "1000", "pue": "1", "location_g_per_kwh": "1"}
    racks = [
        {"rack": service, "cluster": "k", "role": "service", "service": service, "it_kwh": kwh}
        for service, kwh in (("s", "600"), ("t", "400"))
    ]
    return Package(
        {"provider": "p", "month": "2025-06", "timezone": "UTC", "methodology": methodology},
        {
            "clusters": [{"cluster": "k", "kind": "region"}],
            "sites": [site],
            "racks": racks,
            "services": [{"service": "s", "unit": "h"}, {"service": "t", "unit": "h", "kind": "core"}],
            "accounts": [{"account": "a"}, {"account": "b"}],
            "shared_pools": [{"pool": "o", "line": "scope3_other", "kg_co2e": kg}],
            "machines": list(machines),
            "usage": usage,
        },
    )


def use(service: str, account: str, quantity: str, **more: str) -> Row:
    return {"cluster": "k", "service": service, "account": account, "quantity": quantity, **more}


def on_line(package: Package, line: str) -> dict[str, int]:
    ledgers, _ = settle_all(package)
    return {"|".join(leaf[1:]): ug for ledger in ledgers for leaf, its, ug, _ in rows_of(ledger) if its == line}


def test_a_fleet_beyond_64_bits_in_one_line_is_allocated() -> None:
    # 9.51 Mt, the total of a large provider in 2020, do not fit 64 bits; its leaves do.
    package = month([use("s", "a", "1"), use("t", "b", "1")], kg="9510000000")

    assert on_line(package, "scope3_other") == {
        "s|a|default": 5_706_000 * 10**12,
        "t|b|(core services)": 3_804_000 * 10**12,
    }


def test_a_leaf_beyond_64_bits_rejects_the_package() -> None:
    package = month([use("s", "a", "1")], kg="20000000000")

    with pytest.raises(PackageRejectedError) as rejected:
        settle_all(package)

    message = "a leaf of cluster k is too large on the line scope3_other: above 2^63 - 1"
    assert rejected.value.findings == (Finding("LEAF_TOO_LARGE", "package", "usage.csv", None, message),)
    assert str(rejected.value) == f"LEAF_TOO_LARGE: {message}"


def test_quantities_of_any_size_and_scale_share_exactly() -> None:
    tiny, huge = "0.000000000001", "999999999999999999.999999999999"
    package = month([use("s", "a", tiny), use("s", "b", huge), use("t", "a", "1")], kg="1")

    amounts = on_line(package, "scope3_other")

    share = Fraction(tiny) / (Fraction(tiny) + Fraction(huge)) * 600_000_000
    assert amounts == {"s|a|default": round(share), "s|b|default": 600_000_000, "t|a|(core services)": 400_000_000}


def test_a_machine_and_usage_of_one_leaf_add_up() -> None:
    machine = {"machine": "m", "cluster": "k", "service": "s", "account": "a", "avg_power_w": "1000", "hours": "500"}
    rows = [use("s", "a", "1", resource_group="Classic Infrastructure"), use("s", "b", "1"), use("t", "b", "1")]
    package = month(rows, machines=(machine,), closure_tolerance="1")

    # 600 + 400 + 500 kWh share 1000 g; the first leaf has half of s and all of the machine.
    assert on_line(package, "scope2_lbm") == {
        "s|a|Classic Infrastructure": 200_000_000 + 333_333_333,
        "s|b|default": 200_000_000,
        "t|b|(core services)": 266_666_667,
    }


def test_all_groups_of_an_account_are_one_leaf_of_a_core_service() -> None:
    rows = [use("t", "a", "5", resource_group="x"), use("t", "a", "-7", resource_group="y"), use("t", "b", "1")]
    package = month([*rows, use("s", "a", "1")])

    amounts = on_line(package, "scope2_lbm")

    assert amounts["t|a|(core services)"] == 0
    assert amounts["t|b|(core services)"] == 400_000_000


def test_special_leaves_exist_only_where_they_have_something() -> None:
    package = month([use("s", "a", "1")], unused="provider", fallback=["unallocated"])
    package.tables["racks"].append({"rack": "empty", "cluster": "k", "role": "spare", "it_kwh": "1000"})

    assert on_line(package, "scope2_lbm") == {
        "(unused)|(provider)|default": 500_000_000,
        "s|a|default": 300_000_000,
        "t|(unallocated)|default": 200_000_000,
    }
    assert on_line(package, "scope3_other") == {"s|a|default": 0}


def test_a_plan_travels_between_processes() -> None:
    package = Package.of(random_draft(3))
    plan = prepare(package.activity)

    copy = pickle.loads(pickle.dumps(plan))  # noqa: S301 # our own bytes

    assert copy == plan
    for cluster in plan.clusters:
        usage = package.usage(cluster, plan)
        assert settle(copy, cluster, usage).ug.tobytes() == settle(plan, cluster, usage).ug.tobytes()


def test_a_cluster_without_usage_has_its_emissions_unallocated() -> None:
    ledger = settle(prepare(month([]).activity), "k", code_usage([]))

    assert {leaf[1:] for leaf, *_ in rows_of(ledger)} == {
        ("s", "(unallocated)", "default"),
        ("t", "(unallocated)", "default"),
    }
    assert [finding.code for finding in ledger.findings] == ["NO_USAGE_FALLBACK"] * 2


@pytest.mark.parametrize(
    ("cluster", "source_ug"), [("k", {"energy_wh": 10**6, "scope2_lbm": 10**9, "scope3_other": 10**9}), ("bare", {})]
)
def test_a_ledger_has_the_types_it_promises(cluster: str, source_ug: dict[str, int]) -> None:
    package = month([use("s", "a", "1"), use("t", "b", "1")], lines=["scope2_lbm", "scope3_other"], kg="1")
    package.tables["clusters"].append({"cluster": "bare", "kind": "edge"})
    plan = prepare(package.activity)

    ledger = settle(plan, cluster, package.usage(cluster, plan))

    columns = ("service", "account", "group", "line", "ug", "estimated_ug", "estimated_ppm", "quality")
    assert {column: getattr(ledger, column).dtype for column in columns} == {
        **dict.fromkeys(("service", "account", "group", "estimated_ppm"), np.int32),
        **dict.fromkeys(("line", "quality"), np.int16),
        **dict.fromkeys(("ug", "estimated_ug"), np.int64),
    }
    assert {len(getattr(ledger, column)) for column in columns} == {2 * len(source_ug)}
    assert ledger.source_ug == source_ug
