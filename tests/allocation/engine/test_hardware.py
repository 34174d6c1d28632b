"""Racks of a region and machines that draw nothing."""

from __future__ import annotations

import pytest

from allocation.engine.frames import QUALITIES
from tests.allocation.engine.packages import settle_all
from tests.allocation.engine.test_settle import month, on_line, use


@pytest.mark.parametrize(("k_kwh", "l_kwh", "share"), [("0.25", "0.75", 4), ("0", "1", 1), ("0.5", "0.5", 2)])
def test_a_rack_of_a_region_follows_energy_however_small(k_kwh: str, l_kwh: str, share: int) -> None:
    package = month([use("s", "a", "1"), use("t", "a", "1")], closure_tolerance="999999")
    package.tables["clusters"] = [{"cluster": code, "kind": "region", "region": "r"} for code in ("k", "l")]
    site = package.tables["sites"][0]
    package.tables["sites"] = [
        site | {"cluster": code, "site": code, "it_kwh": kwh} for code, kwh in (("k", k_kwh), ("l", l_kwh))
    ]
    racks = [{"rack": "s", "cluster": "r", "role": "service", "service": "s", "it_kwh": "1000"}]
    racks.append({"rack": "t", "cluster": "l", "role": "service", "service": "t", "it_kwh": "1000"})
    package.tables["racks"] = racks
    package.tables["usage"] = [use(service, "a", "1") | {"cluster": "l"} for service in ("s", "t")]

    amounts = on_line(package, "energy_wh")

    # In l the region's rack draws its share of 1000 kWh beside the 1000 kWh of t.
    parts = {1: (500, 500), 2: (167, 333), 4: (321, 429)}
    assert (amounts["s|a|default"], amounts["t|a|(core services)"]) == parts[share]


@pytest.mark.parametrize("machines", ["share", "subtract"])
@pytest.mark.parametrize(("power_w", "quality"), [("0", "metered"), ("1", "proxy")])
def test_a_machine_that_draws_nothing_says_nothing_of_quality(machines: str, power_w: str, quality: str) -> None:
    machine = {"machine": "m", "cluster": "k", "service": "s", "account": "b", "hours": "1", "quality": "proxy"}
    package = month([use("s", "a", "1"), use("t", "a", "1")], machines=(machine | {"avg_power_w": power_w},))
    package.manifest["methodology"]["options"]["machines"] = machines

    (ledger,), _ = settle_all(package)

    mine = [i for i in range(len(ledger.ug)) if ledger.accounts[ledger.account[i]] == "b"]
    assert {QUALITIES[ledger.quality[i]] for i in mine} == {quality}
