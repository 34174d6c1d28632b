"""Broken packages: energy, factors and sources."""

from collections.abc import Iterable

from tests.oracle.broken.case import (
    Broken,
    broken,
    good_package,
    rejection,
    together,
    with_cell,
    with_options,
    with_row,
)


def energy_cases() -> Iterable[Broken]:
    yield broken("PUE", rejection("PUE_BELOW_ONE", "sites.csv", 2), change=with_cell("sites", 2, pue="0.99"))
    yield broken(
        "facility below IT",
        rejection("PUE_BELOW_ONE", "sites.csv", 2),
        change=with_cell("sites", 2, pue="", facility_kwh="999"),
    )
    yield broken("no PUE", rejection("NO_SITE_ENERGY", "sites.csv", 3), change=with_cell("sites", 3, pue=""))
    yield broken(
        "no location factor",
        rejection("NO_FACTOR", "sites.csv", 3),
        change=with_cell("sites", 3, location_g_per_kwh=""),
    )
    for name, cells in {"gas": {"gas": "CO"}, "set": {"gwp_set": "AR5", "gas": "CO2e"}}.items():
        code = "NO_FACTOR" if name == "gas" else "MIXED_GWP"
        finding = rejection(code, "direct_gases.csv", 2)
        yield broken(f"{name} of a gas", finding, change=with_cell("direct_gases", 2, **cells))
    yield broken(
        "GWP of another set only",
        rejection("NO_FACTOR", "direct_gases.csv", 2),
        change=with_cell("gwp", 2, gwp_set="AR5"),
    )
    yield broken(
        "pool in another set",
        rejection("MIXED_GWP", "shared_pools.csv", 2),
        change=with_cell("shared_pools", 2, gwp_set="AR5"),
    )
    yield broken(
        "rack without energy",
        rejection("NO_RACK_ENERGY", "racks.csv", 2),
        change=with_cell("racks", 2, it_kwh="", servers="3", max_w="300"),
    )
    for table, line in (("racks", 3), ("machines", 2)):
        finding = rejection("HOURS_EXCEED_MONTH", f"{table}.csv", line)
        yield broken(f"{table} beyond the month", finding, change=with_cell(table, line, hours="720.01"))
    yield broken("the whole month", change=with_cell("machines", 2, hours="720", avg_power_w="13"))
    second = good_package().tables["sites"][0] | {"site": "i3", "it_kwh": "0"}
    sites = {"site": "i1"}
    yield broken(
        "site left open",
        *(rejection("SITE_REQUIRED", "racks.csv", line) for line in (3, 4)),
        change=together(
            with_options(rack_weight="facility_kwh"),
            with_row("sites", **second),
            with_cell("racks", 2, **sites),
            with_cell("machines", 2, **sites),
        ),
    )
    yield broken("site left open where it does not matter", change=with_row("sites", **second))
    yield broken(
        "region with a cluster of two sites",
        rejection("REGION_SPLIT", "racks.csv", 4),
        change=together(with_row("sites", **second), with_cell("racks", 4, cluster="r1")),
    )
    empty = with_row("clusters", cluster="k3", kind="edge", region="r3")
    for code in ("k3", "r3"):
        finding = rejection("NO_POOL_DRIVER", "shared_pools.csv", 2)
        yield broken(f"pool over {code}", finding, change=together(empty, with_cell("shared_pools", 2, cluster=code)))
    pool = {"owner_kind": "pool", "owner": "k3"}
    finding = rejection("NO_POOL_DRIVER", "assets.csv", 2)
    yield broken("asset pool over k3", finding, change=together(empty, with_cell("assets", 2, **pool)))
    yield broken(
        "machine above its cluster",
        rejection("MACHINE_EXCEEDS_CLUSTER", "machines.csv"),
        change=together(
            with_options(machines="subtract", closure_tolerance="9"),
            with_cell("machines", 2, avg_power_w="10001"),
        ),
    )
