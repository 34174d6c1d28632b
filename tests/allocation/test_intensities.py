"""Ratios of places and services, against a month that is worked out by hand (tests/packages/b_alibaba_like)."""

from __future__ import annotations

import csv
import datetime as dt
import shutil
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from django.db.models import Sum
from django.utils import timezone

from accounts.models import Account, AccountUserPermission, User
from accounts.months import Period
from accounts.policies import viewer_of
from allocation.engine.frames import LINES
from allocation.exchange.write import LINE_CODES
from allocation.models import AllocationRun, LedgerRow, RunLocation, RunState, ServiceIntensity, UsageRow
from allocation.selectors import publications
from allocation.selectors.locations import Places, intensities, profiles
from allocation.services import partitions
from allocation.services.calculation import compute
from allocation.services.execution import execute_run
from allocation.services.intensities import fill_service_intensities
from allocation.services.packages import load_package
from allocation.services.publication import publish_run
from allocation.services.runs import request_run
from allocation.services.system import system
from tests.factories import people
from tests.factories.months import Handmade

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

FOLDER = Path(__file__).parents[1] / "packages" / "b_alibaba_like"
OPERATOR = system(dt.datetime(2025, 9, 1, tzinfo=dt.UTC))
WITHOUT_METHOD = {"scope1", "scope3_embodied", "scope3_other"}

pytestmark = pytest.mark.usefixtures("committed")


def column(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


def by_hand(service: str, suffix: str) -> Fraction:
    """Micrograms for a unit: the ledger's rows of the accounts that used the service, over what they used."""
    used = [row for row in column("usage.csv") if row["service"] == service and Fraction(row["quantity"]) > 0]
    accounts = {(row["account"], row["cluster"]) for row in used}
    ug = sum(
        int(row["ug"])
        for row in column("expected_ledger.csv")
        if row["service"] == service
        and (row["account"], row["cluster"]) in accounts
        and (row["line"] in WITHOUT_METHOD or row["line"].endswith(suffix))
    )
    return Fraction(ug) / sum(Fraction(row["quantity"]) for row in used)


def test_intensities_are_over_what_was_used_before_credits(tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "with credits")
    with (folder / "usage.csv").open("a") as stream:
        stream.write("cn-test-a,ECS,T1,,-15000\ncn-test-a,ECS,T1,,500\ncn-test-a,OSS,T2,other,-600\n")
    package = load_package(viewer=OPERATOR, path=folder).package
    assert package is not None
    run = request_run(viewer=OPERATOR, package_id=package.pk)
    execute_run(run_id=run.pk, worker="test")

    used = UsageRow.objects.filter(package=package, quantity__gt=0)
    location = [LINE_CODES.index(line) for line in LINES if line in WITHOUT_METHOD or line.endswith("_lbm")]
    for stored in ServiceIntensity.objects.filter(run=run):
        of_service = used.filter(service=stored.service_id)
        caused = LedgerRow.objects.filter(
            run=run, service=stored.service_id, line__in=location, account__in=of_service.values("account")
        )
        ug, quantity = (
            rows.aggregate(Sum(name))[f"{name}__sum"] for rows, name in ((caused, "ug"), (of_service, "quantity"))
        )
        assert float(stored.location_ug_per_unit) == pytest.approx(float(ug / quantity))
    before = list(ServiceIntensity.objects.order_by("pk").values_list("service", "tenants", "location_ug_per_unit"))
    assert len(before) == 3
    # As a package that was loaded before sums were kept.
    partitions.drop(partitions.usage_sums_of(package.pk))
    fill_service_intensities(run)
    again = ServiceIntensity.objects.order_by("pk").values_list("service", "tenants", "location_ug_per_unit")
    assert sorted(again) == sorted(before)


def test_places_and_services_are_those_of_the_month(settings: Settings) -> None:
    package = load_package(viewer=OPERATOR, path=FOLDER).package
    assert package is not None
    run = request_run(viewer=OPERATOR, package_id=package.pk)
    execute_run(run_id=run.pk, worker="test")
    publish_run(viewer=OPERATOR, run_id=run.pk)
    person = people.person()
    people.give(person, Account.objects.get(external_id="T1"))
    viewer = viewer_of(person, now=timezone.now())
    published, period = publications.current(), Period(run.month)

    found = profiles(viewer=viewer, published=published, period=period, places=Places(), limit=10)
    assert [(one.code, one.region, one.country) for one in found] == [
        ("cn-test-a", "cn-test", "CN"),
        ("cn-test-b", "cn-test", "CN"),
    ]
    # 60 000 kWh: 580 g by the grid; 0.6 of it at 600 g by the market. 30 000 kWh: 0.9 of it at 600 g.
    (a,), (b,) = (one.months for one in found)
    assert a.location_g_per_kwh == pytest.approx(580)
    assert [a.market_g_per_kwh, a.pue, a.clean_share] == pytest.approx([360, 1.2, 0.4])
    assert [b.market_g_per_kwh, b.pue, b.clean_share] == pytest.approx([540, 1.5, 0.1])
    assert not a.zero_emission
    assert profiles(viewer=viewer, published=published, period=period, places=Places(("x",)), limit=10) == []
    assert [
        one.code
        for one in profiles(
            viewer=viewer,
            published=published,
            period=period,
            places=Places(),
            limit=10,
            after=(package.provider.code, "cn-test-a"),
        )
    ] == ["cn-test-b"]

    stored = {row.service.code: row for row in ServiceIntensity.objects.select_related("service")}
    assert {code: row.tenants for code, row in stored.items()} == {"ECS": 3, "OSS": 3, "CDN": 2}
    for code, row in stored.items():
        assert float(row.location_ug_per_unit) == pytest.approx(float(by_hand(code, "_lbm")))
        assert float(row.market_ug_per_unit) == pytest.approx(float(by_hand(code, "_mbm")))
        assert row.place == "cn-test"

    def shown() -> set[str]:
        rows = intensities(viewer=viewer, published=published, period=period, limit=10)
        return {row.key.service for row in rows}

    assert shown() == {"ECS", "OSS"}
    settings.COMPARISON_MIN_TENANTS = 2
    assert shown() == {"ECS", "OSS", "CDN"}
    # Who is no customer of the provider is told nothing.
    stranger = viewer_of(User.objects.create_user("stranger"), now=timezone.now())
    assert intensities(viewer=stranger, published=published, period=period, limit=10) == []
    assert profiles(viewer=stranger, published=published, period=period, places=Places(), limit=10) == []
    AccountUserPermission.objects.all().delete()
    assert shown() == set()


@dataclass
class Losing(Handmade):
    """Settles what the engine settles, but for a microgram."""

    places: list[RunLocation] = field(default_factory=list)

    def locations(self) -> list[RunLocation]:
        return self.places


def losing(run: AllocationRun) -> Losing:
    computation = compute(run)
    ledgers = {code: computation.settle(code) for code in computation.clusters}
    ledger = ledgers[min(ledgers)]
    ledger.ug[np.flatnonzero(ledger.ug)[0]] -= 1
    return Losing(ledgers, places=list(computation.locations()))


def test_a_run_that_is_not_proved_leaves_no_intensities() -> None:
    package = load_package(viewer=OPERATOR, path=FOLDER).package
    assert package is not None
    run = request_run(viewer=OPERATOR, package_id=package.pk)
    # They are worked out and committed beside the proof.
    execute_run(run_id=run.pk, worker="test", prepare=losing)
    run.refresh_from_db()
    assert (run.state, run.failure_code) == (RunState.FAILED, "PROOF_FAILED")
    assert not ServiceIntensity.objects.filter(run=run).exists()
