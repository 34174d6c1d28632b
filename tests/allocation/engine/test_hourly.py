"""`matching = hourly`: months of two kinds of hours, worked by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest

from allocation.engine.frames import PackageRejectedError
from allocation.engine.plan import prepare
from tests.allocation.engine.packages import Package, settle_all
from tests.allocation.engine.test_settle import month, on_line, use

HOURS = 720


def by_hour(*, sun_kwh: str = "2", g_per_kwh: str = "10", **site: str) -> Package:
    """Return a month of 1000 kWh, three times as much in every even hour as in every odd one.

    The sun shines in the even hours. The base factor is 400 g/kWh.
    """
    package = month([use("s", "a", "1"), use("t", "b", "1")], matching="hourly", closure_tolerance="9")
    package.tables["sites"][0].update({"residual_g_per_kwh": "400", **site})
    package.tables["site_hours"] = [
        {"site": "i", "hour": str(hour), "kwh": "1" if hour % 2 else "3"} for hour in range(HOURS)
    ]
    package.tables["instruments"] = [
        {"instrument": "sun", "market": "k", "type": "EAC", "kwh": "720", "g_per_kwh": g_per_kwh}
    ]
    package.tables["instrument_hours"] = [
        {"instrument": "sun", "hour": str(hour), "kwh": sun_kwh} for hour in range(0, HOURS, 2)
    ]
    return package


def market_ug(package: Package) -> Fraction:
    return Fraction(sum(on_line(package, "scope2_mbm").values()))


def test_an_hour_is_covered_by_its_own_generation_only() -> None:
    # Even hours draw 750 of the 1000 kWh, 25/12 kWh each; 2 kWh of sun cover 24/25 of that: 720 kWh at 10 g, and the
    # rest, 30 kWh and the 250 kWh of the odd hours, at 400 g.
    assert market_ug(by_hour()) == (720 * 10 + 280 * 400) * 10**6


def test_what_an_hour_does_not_need_helps_no_other_hour() -> None:
    package = by_hour(sun_kwh="3")
    package.tables["instruments"][0]["kwh"] = "1080"

    flags = [(finding.code, finding.row) for finding in prepare(package.activity).findings]

    # By the month, 1080 kWh would cover all of it; by the hour they cover the 750 kWh of the even hours.
    assert market_ug(package) == (750 * 10 + 250 * 400) * 10**6
    assert ("SURPLUS_INSTRUMENT", 2) in flags
    package.manifest["methodology"]["options"]["matching"] = "monthly"
    assert market_ug(Package(package.manifest, package.tables)) == 1000 * 10 * 10**6


def test_a_green_share_comes_first_in_every_hour() -> None:
    # Half is green at 20 g; the other half of an even hour is 25/24 kWh, which the sun covers.
    package = by_hour(green_ratio="0.5", green_g_per_kwh="20")

    assert market_ug(package) == (500 * 20 + 375 * 10 + 125 * 400) * 10**6


def test_the_residual_mix_may_change_with_the_hour() -> None:
    package = by_hour()
    for row in package.tables["site_hours"]:
        if int(row["hour"]) % 2:
            row["residual_g_per_kwh"] = "0"

    assert market_ug(package) == (720 * 10 + 30 * 400) * 10**6


def test_two_sites_of_a_market_share_what_an_hour_has() -> None:
    package = by_hour(g_per_kwh="0")
    other = package.tables["sites"][0] | {"site": "j", "it_kwh": "3000", "residual_g_per_kwh": "100"}
    package.tables["sites"].append(other)
    package.tables["site_hours"] += [{"site": "j", "hour": str(hour), "kwh": "1"} for hour in range(HOURS)]

    # An even hour needs 25/12 + 25/6 = 25/4 kWh and has 2: every site keeps 17/25 of it.
    kept = Fraction(17, 25)
    assert market_ug(package) == ((750 * kept + 250) * 400 + (1500 * kept + 1500) * 100) * 10**6


def test_location_based_and_upstream_lines_do_not_react() -> None:
    package = by_hour(fera_mbm_g_per_kwh="5")
    plain = by_hour(fera_mbm_g_per_kwh="5")
    plain.manifest["methodology"]["options"]["matching"] = "monthly"

    for line in ("scope2_lbm", "scope3_fera_mbm", "energy_wh"):
        assert on_line(package, line) == on_line(plain, line)


def test_a_site_without_consumption_needs_no_shape() -> None:
    package = by_hour(it_kwh="0")
    package.tables["shared_pools"] = []
    for row in package.tables["site_hours"]:
        row["kwh"] = "0"

    assert market_ug(package) == 0


def test_without_a_base_factor_or_an_hour_the_month_is_rejected() -> None:
    package = by_hour(location_g_per_kwh="")
    del package.tables["site_hours"][-1]

    with pytest.raises(PackageRejectedError) as rejected:
        settle_all(package)

    assert [(f.code, f.file, f.row) for f in rejected.value.findings] == [
        ("HOURS_INCOMPLETE", "sites.csv", 2),
        ("NO_FACTOR", "sites.csv", 2),
    ]
    assert "lacks 1 hours of the month, first 719" in rejected.value.findings[0].message
