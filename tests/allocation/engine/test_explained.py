"""What a lineage says in words: which rows, names, units and drivers stand beside its numbers."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from allocation.engine.lineage.leaves import Target
from allocation.engine.lineage.steps import Driver, Stage
from allocation.engine.lineage.trace import trace
from allocation.engine.plan import prepare
from tests.allocation.engine.test_lineage import one_month

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocation.engine.lineage.origins import Posting
    from allocation.engine.lineage.steps import InputRow, Step
    from allocation.engine.lineage.trace import Lineage
    from tests.allocation.engine.packages import Package, Rows


AMOUNTS = (Driver.EMISSIONS_UG, Driver.USED_EMISSIONS_UG, Driver.ROUND)


def rich(**options: object) -> Package:
    """The month of `one_month` with every kind of source, a second cluster and a dedicated machine of account a."""
    month = one_month()
    month.manifest["methodology"]["options"].update(early_retirement="write_off", **options)
    month.tables["clusters"].append({"cluster": "l", "kind": "region"})
    month.tables["sites"][0] |= {
        "green_ratio": "0.1",
        "green_g_per_kwh": "11",
        "residual_g_per_kwh": "500",
        "fera_lbm_g_per_kwh": "30",
        "fera_mbm_g_per_kwh": "20",
    }
    month.tables["sites"].append(
        {
            "site": "o",
            "cluster": "l",
            "boundary": "scope3_leased",
            "it_kwh": "200",
            "pue": "1",
            "location_g_per_kwh": "300",
        }
    )
    month.tables |= {"gwp": potentials(), "direct_gases": gases(), "shared_pools": pools(), "assets": assets()}
    month.tables["machines"] = [
        {"machine": "m", "cluster": "k", "service": "web", "account": "a", "avg_power_w": "1000", "hours": "10"}
    ]
    month.tables["instruments"] = [
        {"instrument": "i", "market": "k", "type": "EAC", "kwh": "50", "g_per_kwh": "1", "vintage": "2025-03"}
    ]
    return month


def potentials() -> Rows:
    return [{"gas": "CH4", "gwp": "99", "gwp_set": "AR5"}, {"gas": "CH4", "gwp": "28", "gwp_set": "AR6"}]


def gases() -> Rows:
    return [
        {"site": "o", "source": "fuel", "gas": "CH4", "mass_kg": "5"},
        {"site": "s", "source": "fuel", "gas": "CH4", "mass_kg": "2"},
        {
            "site": "s",
            "source": "refrigerant",
            "gas": "CO2e",
            "mass_kg": "3",
            "gwp_set": "AR6",
            "quality": "proxy",
        },
    ]


def pools() -> Rows:
    return [
        {"pool": "office", "line": "scope3_other", "kg_co2e": "10", "quality": "proxy"},
        {"pool": "travel", "line": "scope3_other", "kg_co2e": "5", "cluster": "l"},
        {"pool": "fibre", "line": "scope3_embodied", "kg_co2e": "7", "cluster": "k"},
    ]


def assets() -> Rows:
    """12 kg over six months each, of which June is the second."""
    owners = [
        ("hall", "site", "s", ""),
        ("far", "site", "o", ""),
        ("blade", "rack", "r", "2025-06"),
        ("core", "pool", "", ""),
        ("edge", "pool", "l", ""),
    ]
    return [
        {
            "asset": asset,
            "owner_kind": kind,
            "owner": owner,
            "category": "other",
            "embodied_kg": "12",
            "life_months": "6",
            "in_service": "2025-05",
            "retired": retired,
        }
        for asset, kind, owner, retired in owners
    ]


def explained(month: Package, *lines: str, cluster: str = "k", history: Sequence[Package] = ()) -> list[Lineage]:
    plan = prepare(month.activity)
    earlier = [past.usage(cluster, prepare(past.activity)) for past in history]
    return trace(
        month.activity,
        Target(cluster, "web", "a"),
        month.usage(cluster, plan),
        earlier,
        lambda code: month.usage(code, plan),
        lines=lines or None,
    )


def named(rows: Sequence[InputRow]) -> str:
    return ", ".join(f"{row.file.removesuffix('.csv')} {row.row or 'hours'}" for row in rows)


def told(posting: Posting) -> str:
    """`code: quantity unit x factor (vintage; row) x share, quality [rows]`."""
    factor = posting.factor
    by = f" x {factor.name} {factor.value} {factor.unit} ({factor.vintage}; {named([factor.row])})" if factor else ""
    part = "" if posting.share == 1 else f" x {posting.share}"
    rack = f" in rack {posting.rack}" if posting.rack else ""
    return (
        f"{posting.code}{rack}: {posting.quantity} {posting.unit}{by}{part}, {posting.quality} [{named(posting.rows)}]"
    )


def shown(step: Step) -> str:
    """`from > to: weight / total driver [rows]`; amounts, which the equations of `test_lineage` hold, are left out."""
    ends = f"{step.stage}: {step.source.kind} {step.source.code} > {step.target.kind} {step.target.code}"
    share = "" if step.driver in AMOUNTS else f"{step.weight} / {step.total} "
    return f"{ends}: {share}{step.driver} [{named(step.rows)}]"


def test_every_posting_names_its_quantity_factor_and_rows() -> None:
    found = {lineage.line: [told(posting) for posting in lineage.postings] for lineage in explained(rich())}

    assert found == {
        "energy_wh": ["site s: 150 kWh, metered [sites 2]"],
        "scope1": [
            "fuel CH4 of site s: 2 kg x GWP CH4 28 kg CO2e/kg (AR6; gwp 3), metered [direct_gases 3, gwp 3]",
            "refrigerant CO2e of site s: 3 kg CO2e, proxy [direct_gases 4]",
        ],
        "scope2_lbm": ["site s: 150 kWh x location_g_per_kwh 400 g/kWh (2025-06; sites 2), metered [sites 2]"],
        "scope2_mbm": [
            "site s: 15 kWh x green_g_per_kwh 11 g/kWh (2025-06; sites 2), metered [sites 2]",
            "site s: 50 kWh x EAC i 1 g/kWh (2025-03; instruments 2), metered [sites 2, instruments 2]",
            "site s: 85 kWh x residual_g_per_kwh 500 g/kWh (2025-06; sites 2), metered [sites 2]",
        ],
        "scope3_embodied": [
            "pool fibre: 7 kg CO2e, metered [shared_pools 4]",
            "asset hall: 2000000000 ug CO2e of the month, metered [assets 2]",
            "asset blade in rack r: 10000000000 ug CO2e of the month, metered [assets 4]",
            "asset core: 2000000000 ug CO2e of the month x 1/3, metered [assets 5]",
        ],
        "scope3_fera_lbm": ["site s: 150 kWh x fera_lbm_g_per_kwh 30 g/kWh (2025-06; sites 2), metered [sites 2]"],
        "scope3_fera_mbm": ["site s: 150 kWh x fera_mbm_g_per_kwh 20 g/kWh (2025-06; sites 2), metered [sites 2]"],
        "scope3_other": ["pool office: 10 kg CO2e x 1/3, proxy [shared_pools 2]"],
    }


def test_leased_sites_post_to_scope_3() -> None:
    month = rich()
    month.tables["racks"].append({"rack": "q", "cluster": "l", "role": "service", "service": "web", "it_kwh": "200"})
    month.tables["usage"].append({"cluster": "l", "service": "web", "account": "a", "quantity": "1"})

    found = {lineage.line: [told(one) for one in lineage.postings] for lineage in explained(month, cluster="l")}

    assert found == {
        "energy_wh": ["site o: 200 kWh, metered [sites 3]"],
        "scope3_embodied": [
            "asset far: 2000000000 ug CO2e of the month, metered [assets 3]",
            "asset core: 2000000000 ug CO2e of the month x 2/3, metered [assets 5]",
            "asset edge: 2000000000 ug CO2e of the month, metered [assets 6]",
        ],
        "scope3_leased_lbm": ["site o: 200 kWh x location_g_per_kwh 300 g/kWh (2025-06; sites 3), metered [sites 3]"],
        "scope3_leased_mbm": ["site o: 200 kWh x location_g_per_kwh 300 g/kWh (2025-06; sites 3), metered [sites 3]"],
        "scope3_other": [
            "fuel CH4 of site o: 5 kg x GWP CH4 28 kg CO2e/kg (AR6; gwp 3), metered [direct_gases 2, gwp 3]",
            "pool office: 10 kg CO2e x 2/3, proxy [shared_pools 2]",
            "pool travel: 5 kg CO2e, metered [shared_pools 3]",
        ],
    }


STEPS: dict[str, tuple[dict[str, object], list[str]]] = {
    "the pool by energy": (
        {},
        [
            "cluster_to_rack: cluster k > rack r: 80 / 110 it_kwh [racks 2]",
            "cluster_to_rack: cluster k > rack n: 20 / 110 it_kwh [racks 3]",
            "cluster_to_rack: cluster k > machines average_power: 10 / 110 it_kwh []",
            "asset_to_rack: source asset blade > rack r: 1 / 1 whole [assets 4]",
            "rack_to_overhead: rack n > overhead k: 1 / 1 whole []",
            "overhead_to_rack: overhead k > rack r: 80 / 90 it_kwh []",
            "overhead_to_rack: overhead k > machines average_power: 10 / 90 it_kwh []",
            "rack_to_service: rack r > service web: 1/4 / 1 utilisation [rack_use 2]",
            "rack_to_service: rack r > service disk: 1/2 / 1 utilisation [rack_use 3]",
            "rack_to_pool: rack r > pool k: 1/4 / 1 utilisation []",
            "pool_to_service: pool k > service web: 20 / 70 used_kwh []",
            "pool_to_service: pool k > service disk: 40 / 70 used_kwh []",
            "pool_to_service: pool k > machines average_power: 10 / 70 used_kwh []",
            "service_to_service: service disk > service web: 10 / 40 service_units [service_use 2]",
            "service_to_account: service web > account a: 5 / 10 service_units []",
            "machines_to_account: machines average_power > account a: 10 / 10 it_kwh []",
            "account_to_resource_group: account a > resource_group Classic Infrastructure: emissions_ug []",
            "account_to_resource_group: account a > resource_group x: emissions_ug []",
            "account_to_resource_group: account a > resource_group y: emissions_ug []",
        ],
    ),
    "machines first, the pool to accounts": (
        {"machines": "subtract", "unused": "account_pool", "rack_weight": "facility_kwh"},
        [
            "cluster_to_machines: cluster k > machines average_power: 15 / 150 facility_kwh []",
            "cluster_to_racks: cluster k > racks k: 135 / 150 facility_kwh []",
            "cluster_to_rack: racks k > rack r: 120 / 150 facility_kwh [racks 2]",
            "cluster_to_rack: racks k > rack n: 30 / 150 facility_kwh [racks 3]",
            "asset_to_rack: source asset blade > rack r: 1 / 1 whole [assets 4]",
            "rack_to_overhead: rack n > overhead k: 1 / 1 whole []",
            "overhead_to_rack: overhead k > rack r: 120 / 120 facility_kwh []",
            "rack_to_service: rack r > service web: 1/4 / 1 utilisation [rack_use 2]",
            "rack_to_service: rack r > service disk: 1/2 / 1 utilisation [rack_use 3]",
            "rack_to_pool: rack r > pool k: 1/4 / 1 utilisation []",
            "service_to_service: service disk > service web: 10 / 40 service_units [service_use 2]",
            "service_to_account: service web > account a: 5 / 10 service_units []",
            "machines_to_account: machines average_power > account a: 15 / 15 facility_kwh []",
            "pool_to_account: pool k > account a: emissions_ug []",
            "account_to_resource_group: account a > resource_group Classic Infrastructure: emissions_ug []",
            "account_to_resource_group: account a > resource_group x: emissions_ug []",
            "account_to_resource_group: account a > resource_group y: emissions_ug []",
        ],
    ),
    "the pool by emissions, in rounds": (
        {"unused": "service_pool", "dependencies": "rounds", "rounds": 1},
        [
            "cluster_to_rack: cluster k > rack r: 80 / 110 it_kwh [racks 2]",
            "cluster_to_rack: cluster k > rack n: 20 / 110 it_kwh [racks 3]",
            "cluster_to_rack: cluster k > machines average_power: 10 / 110 it_kwh []",
            "asset_to_rack: source asset blade > rack r: 1 / 1 whole [assets 4]",
            "rack_to_overhead: rack n > overhead k: 1 / 1 whole []",
            "overhead_to_rack: overhead k > rack r: 80 / 90 it_kwh []",
            "overhead_to_rack: overhead k > machines average_power: 10 / 90 it_kwh []",
            "rack_to_service: rack r > service web: 1/4 / 1 utilisation [rack_use 2]",
            "rack_to_service: rack r > service disk: 1/2 / 1 utilisation [rack_use 3]",
            "rack_to_pool: rack r > pool k: 1/4 / 1 utilisation []",
            "pool_to_service: pool k > service web: used_emissions_ug []",
            "pool_to_service: pool k > service disk: used_emissions_ug []",
            "pool_to_service: pool k > machines average_power: used_emissions_ug []",
            "service_to_service: service disk > service disk (passed on): round []",
            "service_to_service: service web > service web (passed on): round []",
            "service_to_service: service web > service web (on its way): round []",
            "service_to_service: service disk (passed on) > service web: 10 / 40 service_units [service_use 2]",
            "service_to_account: service web (passed on) > account a: 5 / 10 service_units []",
            "service_to_account: service web (on its way) > account a: 5 / 10 service_units []",
            "machines_to_account: machines average_power > account a: 10 / 10 it_kwh []",
            "account_to_resource_group: account a > resource_group Classic Infrastructure: emissions_ug []",
            "account_to_resource_group: account a > resource_group x: emissions_ug []",
            "account_to_resource_group: account a > resource_group y: emissions_ug []",
        ],
    ),
    "the pool where it is": (
        {"unused": "rack_local"},
        [
            "cluster_to_rack: cluster k > rack r: 80 / 110 it_kwh [racks 2]",
            "cluster_to_rack: cluster k > rack n: 20 / 110 it_kwh [racks 3]",
            "cluster_to_rack: cluster k > machines average_power: 10 / 110 it_kwh []",
            "asset_to_rack: source asset blade > rack r: 1 / 1 whole [assets 4]",
            "rack_to_overhead: rack n > overhead k: 1 / 1 whole []",
            "overhead_to_rack: overhead k > rack r: 80 / 90 it_kwh []",
            "overhead_to_rack: overhead k > machines average_power: 10 / 90 it_kwh []",
            "rack_to_service: rack r > service web: 1/4 / 3/4 utilisation [rack_use 2]",
            "rack_to_service: rack r > service disk: 1/2 / 3/4 utilisation [rack_use 3]",
            "service_to_service: service disk > service web: 10 / 40 service_units [service_use 2]",
            "service_to_account: service web > account a: 5 / 10 service_units []",
            "machines_to_account: machines average_power > account a: 10 / 10 it_kwh []",
            "account_to_resource_group: account a > resource_group Classic Infrastructure: emissions_ug []",
            "account_to_resource_group: account a > resource_group x: emissions_ug []",
            "account_to_resource_group: account a > resource_group y: emissions_ug []",
        ],
    ),
}


@pytest.mark.parametrize("case", STEPS)
def test_every_step_names_its_driver_and_rows(case: str) -> None:
    options, steps = STEPS[case]
    (lineage,) = explained(rich(**options), "scope3_embodied")

    assert [shown(step) for step in lineage.steps] == steps


def forsaken(**options: object) -> Package:
    """The month in which nobody used `web`, `disk` still did something for it."""
    month = rich(**options)
    month.tables["usage"] = [row for row in month.tables["usage"] if row["service"] == "disk"]
    month.tables["usage"].append({"cluster": "k", "service": "disk", "account": "a", "quantity": "10"})
    return month


def test_what_nobody_used_goes_by_the_shares_of_an_earlier_month() -> None:
    before = rich()
    before.manifest["month"] = "2025-05"
    month = forsaken(fallback=["previous_shares", "unallocated"], fallback_months=1)

    (lineage,) = explained(month, "scope3_other", history=[before])

    assert [shown(step) for step in lineage.steps[-6:]] == [
        "service_to_service: service disk > service web: 10 / 50 service_units [service_use 2]",
        "machines_to_account: machines average_power > account a: 10 / 10 it_kwh []",
        "fallback_to_account: service web > account a: 5 / 10 earlier_units []",
        "account_to_resource_group: account a > resource_group Classic Infrastructure: emissions_ug []",
        "account_to_resource_group: account a > resource_group x: emissions_ug []",
        "account_to_resource_group: account a > resource_group y: emissions_ug []",
    ]


def test_a_machine_that_draws_nothing_bears_nothing_of_the_pool() -> None:
    month = rich(unused="account_pool")
    month.tables["machines"][0]["avg_power_w"] = "0"

    (lineage,) = explained(month, "scope1")

    assert lineage.exact["Classic Infrastructure"] == 0
    # Of what is used `web` has 10 of 30, and a quarter of the 20 of `disk`; a half of that.
    assert lineage.total == lineage.x_ug * (Fraction(10, 30) + Fraction(20, 30) / 4) / 2


def matched_by_hour() -> Package:
    """The rich month in 720 equal hours; hour 7 has a mix of its own, in hour 4 more is generated than needed."""
    month = rich(matching="hourly")
    site = month.tables["sites"][0]
    site["market"] = "k"
    month.tables["sites"].append(site | {"site": "z", "it_kwh": "0", "green_ratio": "", "green_g_per_kwh": ""})
    month.tables["site_hours"] = [
        {"site": code, "hour": str(hour), "kwh": kwh}
        for code, kwh in (("s", "2"), ("o", "1"), ("z", "0"))
        for hour in range(720)
    ]
    month.tables["site_hours"][7]["residual_g_per_kwh"] = "700"
    unknown = {"instrument": "unknown", "market": "k", "type": "contract", "kwh": "1", "g_per_kwh": "0"}
    month.tables["instruments"].append(unknown)
    month.tables["instrument_hours"] = [
        {"instrument": "i", "hour": "3", "kwh": "0.1"},
        {"instrument": "i", "hour": "4", "kwh": "7"},
    ]
    return month


def test_what_is_matched_by_hour_is_told_by_what_covered_it() -> None:
    # An hour needs 0.9 x 150 / 720 = 3/16 kWh: 0.1 of hour 3 and all of hour 4 are covered.
    (lineage,) = explained(matched_by_hour(), "scope2_mbm")

    by_hour = "site_hours hours, instrument_hours hours"
    assert [told(posting) for posting in lineage.postings] == [
        "site s: 15 kWh x green_g_per_kwh 11 g/kWh (2025-06; sites 2), metered [sites 2]",
        f"site s: 23/80 kWh x EAC i 1 g/kWh (2025-03; instruments 2), metered [sites 2, instruments 2, {by_hour}]",
        f"site s: 5381/40 kWh x residual_g_per_kwh 500 g/kWh (2025-06; sites 2), metered [sites 2, {by_hour}]",
        (
            "site s: 3/16 kWh x residual_g_per_kwh (mean of hours) 700 g/kWh (2025-06; site_hours hours), metered"
            f" [sites 2, {by_hour}]"
        ),
    ]


def abroad() -> Package:
    """The rich month in which `disk` and `web` of both clusters serve each other."""
    month = rich()
    served = {"rack": "q", "cluster": "l", "role": "service", "service": "disk", "it_kwh": "200"}
    month.tables["racks"].append(served)
    month.tables["cross_use"] = [
        {"cluster": "l", "service": "disk", "consumer_cluster": "k", "consumer": "web", "quantity": "3"},
        {"cluster": "k", "service": "disk", "consumer_cluster": "l", "consumer": "web", "quantity": "10"},
    ]
    month.tables["service_use"].append({"cluster": "l", "service": "web", "consumer": "disk", "quantity": "4"})
    month.tables["usage"] += [
        {"cluster": "l", "service": "web", "account": "a", "quantity": "6"},
        {"cluster": "l", "service": "disk", "account": "b", "quantity": "2"},
    ]
    return month


def peaking() -> Package:
    """The rich month in which `web` is weighed by its peaks."""
    month = rich()
    month.tables["services"][0]["split_key"] = "peak_weighted"
    month.tables["usage_periods"] = [
        {"cluster": "k", "service": "web", "account": account, "period": str(number), "quantity": quantity}
        for account, quantities in (("a", ("5", "0")), ("b", ("1", "4")))
        for number, quantity in enumerate(quantities)
    ]
    return month


GROUPS = [
    f"account_to_resource_group: account a > resource_group {group}: emissions_ug []"
    for group in ("Classic Infrastructure", "x", "y")
]
MACHINES = "machines_to_account: machines average_power > account a: 10 / 10 it_kwh []"


@pytest.mark.parametrize(
    ("month", "steps"),
    [
        pytest.param(
            abroad(),
            [
                "service_to_service: service disk > service web: 10 / 50 service_units [service_use 2]",
                "service_to_service: service disk > service l|web: 10 / 50 service_units [cross_use 3]",
                "service_to_service: service l|web > service l|disk: 4 / 10 service_units [service_use 3]",
                "service_to_service: service l|disk > service web: 3 / 5 service_units [cross_use 2]",
                "service_to_account: service web > account a: 5 / 10 service_units []",
                "service_to_account: service l|web > account a: 6 / 10 service_units []",
                MACHINES,
                GROUPS[0],
                "account_to_resource_group: account a > resource_group default: emissions_ug []",
                *GROUPS[1:],
            ],
            id="services for another cluster",
        ),
        pytest.param(
            forsaken(fallback=["cluster_overhead", "unallocated"]),
            [
                "service_to_service: service disk > service web: 10 / 50 service_units [service_use 2]",
                MACHINES,
                "service_to_fallback: service web > fallback k: 1 / 1 whole []",
                "fallback_to_account: fallback k > account a: emissions_ug []",
                GROUPS[0],
            ],
            id="what nobody used, as overhead",
        ),
        pytest.param(
            peaking(),
            [
                "service_to_service: service disk > service web: 10 / 40 service_units [service_use 2]",
                (
                    "service_to_account: service web > account a: 325/74 / 10 peak_weighted_units"
                    " [usage_periods 2, usage_periods 3]"
                ),
                MACHINES,
                *GROUPS,
            ],
            id="peak-weighted",
        ),
    ],
)
def test_every_step_behind_the_services_names_its_driver_and_rows(month: Package, steps: list[str]) -> None:
    (lineage,) = explained(month, "scope1")

    first = next(number for number, step in enumerate(lineage.steps) if step.stage is Stage.SERVICE_TO_SERVICE)
    assert [shown(step) for step in lineage.steps[first:]] == steps


def test_racks_beyond_the_largest_are_brought_together() -> None:
    month = rich()
    usage = month.usage("k", prepare(month.activity))

    (lineage,) = trace(month.activity, Target("k", "web", "a"), usage, lines=["scope1"], racks_apart=1)

    assert [f"{shown(step)} {step.members}" for step in lineage.steps[:4]] == [
        "cluster_to_rack: cluster k > rack r: 80 / 110 it_kwh [racks 2] 1",
        "cluster_to_rack: cluster k > machines average_power: 10 / 110 it_kwh [] 1",
        "cluster_to_rack: cluster k > rack (1 others): 20 / 110 it_kwh [] 1",
        "rack_to_overhead: rack (1 others) > overhead k: emissions_ug [] 1",
    ]
