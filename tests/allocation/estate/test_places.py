"""Real data keep their provenance, and a factor is never made up."""

import csv
from decimal import Decimal

import pytest

from allocation.exchange.estate.places import GridFactor, Places, Region, read_places
from tests.allocation.estate.samples import FIXTURES


@pytest.fixture(scope="module")
def places() -> Places:
    return read_places(FIXTURES)


@pytest.mark.parametrize("path", sorted((FIXTURES / "factors").glob("*.csv")), ids=lambda path: path.name)
def test_every_factor_names_its_source_and_vintage(path: object) -> None:
    with open(str(path), encoding="utf-8", newline="") as lines:  # noqa: PTH123 the parameter is a path's text
        rows = list(csv.DictReader(lines))
    assert rows
    for row in rows:
        assert row["source"].strip()
        assert row["vintage"].strip()
        if path in {FIXTURES / "factors" / name for name in ("grid_country_year.csv", "grid_subnational.csv")}:
            assert row["basis"].strip()
            assert row["gases"] in {"CO2", "CO2e"}
            assert 0 < Decimal(row["g_per_kwh"]) < 1100


def test_pounds_per_megawatt_hour_were_converted() -> None:
    with (FIXTURES / "factors" / "grid_subnational.csv").open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["original_unit"] == "lb/MWh"]
    assert len(rows) == 6
    for row in rows:
        grams = Decimal(row["original_value"]) * Decimal("453.59237") / 1000
        assert abs(grams - Decimal(row["g_per_kwh"])) < Decimal("0.001")


def test_the_most_local_factor_of_the_newest_vintage_in_time_is_taken(places: Places) -> None:
    virginia, frankfurt = places.regions["aws", "us-east-1"], places.regions["aws", "eu-central-1"]
    assert places.factor(virginia, 2026).g_per_kwh == Decimal("244.758")
    assert places.factor(virginia, 2026).source.startswith("EPA eGRID2023")
    assert places.factor(frankfurt, 2026).g_per_kwh == Decimal("329.6")
    assert places.factor(frankfurt, 2024).g_per_kwh == Decimal("336.4")


def test_co2_does_not_pass_for_co2e_and_nothing_stands_in_for_a_factor() -> None:
    co2 = GridFactor("CN", "", 2023, Decimal(500), "generation", "CO2", "somebody")
    places = Places({}, (co2,), {}, (), read_places(FIXTURES).server)
    with pytest.raises(LookupError, match="cn-north-1"):
        places.factor(Region("aws", "cn-north-1", "Beijing", "CN", "", ()), 2025)


def test_a_factor_of_the_future_is_not_taken(places: Places) -> None:
    with pytest.raises(LookupError):
        places.factor(places.regions["aws", "eu-central-1"], 2022)


def test_every_region_has_a_usable_factor(places: Places) -> None:
    assert len(places.regions) == 25
    for region in places.regions.values():
        assert places.factor(region, 2025).usable
