"""Loading: into the database and back, once and again, rejected and changed."""

from __future__ import annotations

import datetime as dt
import json
import random
from decimal import Decimal
from fractions import Fraction
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from django.core.management import call_command
from django.db import connection
from psycopg import sql

from accounts.models import Account, Provider, ResourceGroup
from accounts.models.account import AccountKind
from accounts.policies import Viewer
from accounts.services.refusal import PermissionDenied
from allocation.engine.frames import TABLES, Activity, Usage
from allocation.exchange.package.findings import Findings
from allocation.exchange.package.reading import read_package
from allocation.exchange.package.spool import SCHEMA
from allocation.exchange.read import read_activity, read_usage, used_services
from allocation.exchange.store import MODELS
from allocation.exchange.sums import UsageSums, usage_of
from allocation.models import (
    Cluster,
    MethodologyVersion,
    Package,
    PackageAccount,
    Region,
    Service,
    ServiceCoverage,
    UsageRow,
)
from allocation.services import partitions
from allocation.services.packages import LoadReport, load_package
from allocation.services.system import system
from tests.allocation.exchange.sample import MANIFEST, Sample, Style

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from django.db.models import Model

NOW = dt.datetime(2025, 7, 3, tzinfo=dt.UTC)
COUNTED: tuple[type[Model], ...] = (
    Provider,
    Account,
    ResourceGroup,
    Cluster,
    Region,
    Service,
    MethodologyVersion,
    Package,
    UsageRow,
)

pytestmark = pytest.mark.django_db


def load(folder: Path) -> LoadReport:
    return load_package(viewer=system(NOW), path=folder)


def loaded(folder: Path) -> Package:
    report = load(folder)
    assert report.package is not None, report.findings
    assert report.created
    return Package.objects.select_related("provider", "methodology_version").get(pk=report.package.pk)


def counts() -> list[int]:
    return [model._default_manager.count() for model in (*COUNTED, *MODELS.values())]  # noqa: SLF001 - as Django documents


def full_sample() -> Sample:
    """Return the sample with every optional table."""
    sample = Sample()
    sample.tables |= {
        "instruments": [
            ["instrument", "market", "type", "kwh", "g_per_kwh", "vintage", "retired"],
            ["e1", "k1", "EAC", "100", "0", "2025-05", ""],
            ["e2", "k1", "contract", "7.000000000001", "3", "", "false"],
        ],
        "gwp": [["gwp_set", "gas", "gwp"], ["AR6", "CO2", "1"]],
        "direct_gases": [["site", "source", "gas", "mass_kg"], ["i1", "fuel", "CO2", "3"]],
        "assets": [
            ["asset", "owner_kind", "owner", "category", "embodied_kg", "life_months", "in_service", "retired"],
            ["x", "rack", "ra", "other", "900", "60", "2024-01", ""],
            ["y", "pool", "", "building", "900", "600", "2024-01", "2025-01"],
        ],
        "shared_pools": [
            ["pool", "cluster", "line", "kg_co2e", "quality"],
            ["p", "r1", "scope3_other", "5", "proxy"],
            ["p", "k1", "scope3_other", "5", ""],
            ["p", "", "scope3_other", "5", ""],
        ],
        "service_use": [
            ["cluster", "service", "consumer", "quantity"],
            ["k1", "s2", "s1", "4"],
            ["r1", "s2", "s1", "1"],
        ],
        "machines": [
            ["machine", "cluster", "service", "account", "resource_group", "avg_power_w", "hours"],
            ["m1", "k1", "s2", "a2", "", "100", "100"],
            ["m2", "k1", "s2", "a2", "g, h", "100.5", "720"],
        ],
        "site_hours": [
            ["site", "hour", "kwh", "residual_g_per_kwh"],
            ["i1", "0", "1.5", ""],
            ["i1", "719", "1", "7.25"],
        ],
        "uncertainties": [
            ["source", "code", "line", "activity_percent", "factor", "factor_percent"],
            ["sites", "i1", "scope2_lbm", "2.5", "grid", "10"],
            ["assets", "x", "scope3_embodied", "", "", ""],
        ],
        "cross_use": [
            ["cluster", "service", "consumer_cluster", "consumer", "quantity"],
            ["k1", "s2", "k2", "s1", "0.5"],
            ["k2", "s2", "k3", "s2", "0"],
        ],
        "usage_periods": [
            ["cluster", "service", "account", "resource_group", "period", "quantity"],
            ["k1", "s1", "a1", "team 1, east", "3", "2.5"],
            ["k1", "s1", "a1", "", "0", "0"],
        ],
        "instrument_hours": [["instrument", "hour", "kwh"], ["e1", "7", "0.5"]],
    }
    return sample


def assert_same(left: Activity, right: Activity) -> None:
    assert left.header == right.header
    for name, frame in left.tables.items():
        pd.testing.assert_frame_equal(frame, right.tables[name], obj=name)


def test_what_was_read_comes_back(tmp_path: Path) -> None:
    folder = full_sample().write(tmp_path, Style(order=5, empty_lines=2))
    package = loaded(folder)
    read = read_package(folder, Findings())
    assert read is not None
    assert set(read.activity.tables) == set(TABLES) - {"usage"}
    assert_same(read_activity(package), read.activity)
    assert (package.number, package.usage_rows, package.rejected_rows, package.hours) == (1, 5, 0, 720)


def test_hierarchy_and_catalogue_get_what_is_missing(tmp_path: Path) -> None:
    owner = Provider.objects.create(code="echo", time_zone="UTC")
    Account.objects.create(provider=owner, external_id="a2", name="Known", kind=AccountKind.CUSTOMER)
    package = loaded(full_sample().write(tmp_path))
    assert dict(Account.objects.values_list("external_id", "kind")) == dict.fromkeys(["a1", "a2", "ä3"], "customer")
    assert Account.objects.get(external_id="a2").name == "Known"
    assert set(PackageAccount.objects.filter(package=package, internal=True).values_list("account__external_id")) == {
        ("a2",)
    }
    assert set(ResourceGroup.objects.values_list("account__external_id", "code")) == {
        ("a1", "team 1, east"),
        ("a1", "default"),
        ("a2", 'the "best"'),
        ("a2", "default"),
        ("ä3", "default"),
        ("a2", "Classic Infrastructure"),
        ("a2", "g, h"),
    }
    assert set(Region.objects.values_list("code", flat=True)) == {"r1"}


def net(usage: Usage) -> dict[tuple[str, str, str], Fraction]:
    parts = zip(usage.service, usage.account, usage.group, usage.quantity, strict=True)
    scale = 10**usage.decimals * usage.divisor
    return {(usage.services[s], usage.accounts[a], usage.groups[g]): Fraction(int(q), scale) for s, a, g, q in parts}


def test_usage_is_summed_exactly_and_regions_are_divided(tmp_path: Path) -> None:
    sample = Sample()
    sample.tables["usage"] = [
        ["cluster", "service", "account", "resource_group", "quantity"],
        ["k1", "s1", "a1", "g", "999999999999999999.999999999999"],
        ["k1", "s1", "a1", "g", "0.000000000001"],
        ["k1", "s1", "a1", "h", "5"],
        ["r1", "s1", "a1", "h", "1"],
        ["r1", "s2", "a2", "", "-3"],
        ["k2", "s2", "a2", "", "1"],
        ["k3", "s2", "a2", "", "0"],
    ]
    # k4 belongs to the region, but without a site it is not active.
    sample.tables["clusters"].append(["k4", "", "edge", "r1", ""])
    package = loaded(sample.write(tmp_path))
    half = Fraction(1, 2)
    assert net(read_usage(package, "k1")) == {
        ("s1", "a1", "g"): Fraction(10**18),
        ("s1", "a1", "h"): 5 + half,
        ("s2", "a2", "default"): -3 * half,
    }
    assert net(read_usage(package, "k2")) == {("s1", "a1", "h"): half, ("s2", "a2", "default"): 1 - 3 * half}
    assert net(read_usage(package, "k3")) == {("s2", "a2", "default"): Fraction(0)}
    assert net(read_usage(package, "k4")) == {}
    assert read_usage(package, "k3").quantity.dtype == np.int64
    assert used_services(package, ["s1", "s2"]) == {("k1", "s1"), ("k2", "s1")}


def mixed_usage(rows: int = 500) -> list[list[str]]:
    """Rows of clusters and a region: few leaves, credits, numbers of every size."""
    draw = random.Random(7)  # noqa: S311 no secret, a reproducible draw
    leaves = [("k1", "k2", "r1"), ("s1", "s2"), ("a1", "a2"), ("g", "h")]
    numbers = ("-7", "0", "0.25", "-0.000000000001", "999999999999999999.999999999999")
    return [
        ["cluster", "service", "account", "resource_group", "quantity"],
        *([*map(draw.choice, leaves), draw.choice(numbers)] for _ in range(rows)),
    ]


def sums_of(package: Package, *, from_rows: bool) -> set[tuple[Any, ...]]:
    leaf = "cluster_id, region_id, service_id, account_id, resource_group_id"
    statement = sql.SQL(
        f"SELECT {leaf}, sum(quantity), sum(positive_quantity) FROM {{}} AS usage GROUP BY {leaf}"  # noqa: S608 ours
    )
    with connection.cursor() as cursor:
        cursor.execute(statement.format(usage_of(package.pk, from_rows=from_rows)))
        return set(cursor.fetchall())


def test_sums_that_are_kept_are_those_of_the_rows_and_serve_as_well(tmp_path: Path) -> None:
    sample = Sample()
    sample.tables["usage"] = mixed_usage()
    package = loaded(sample.write(tmp_path))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), count(DISTINCT package_id) FROM allocation_usagesum")
        assert cursor.fetchone() == (3 * 2 * 2 * 2, 1)
    found = sums_of(package, from_rows=False)
    assert found == sums_of(package, from_rows=True)
    assert any(positive > quantity for *_, quantity, positive in found)
    by_sums = [net(read_usage(package, code)) for code in ("k1", "k2", "k3")]
    assert by_sums == [net(read_usage(package, code, from_rows=True)) for code in ("k1", "k2", "k3")]
    used = used_services(package, ["s1", "s2"])
    # As a package that was loaded before there were sums.
    partitions.drop(partitions.usage_sums_of(package.pk))
    assert [net(read_usage(package, code)) for code in ("k1", "k2", "k3")] == by_sums
    assert used_services(package, ["s1", "s2"]) == used


def test_rows_are_stored_as_they_stay(tmp_path: Path) -> None:
    """Whoever reads them first would mark them, and vacuum would read them all."""
    package = loaded(Sample().write(tmp_path))
    tables = [part(package.pk).table for part in (partitions.usage_of, partitions.usage_sums_of)]
    with connection.cursor() as cursor:
        cursor.execute("SELECT relpages > 0, relallfrozen = relpages FROM pg_class WHERE relname = ANY (%s)", [tables])
        assert cursor.fetchall() == [(True, True)] * 2


def test_sums_are_joined_while_rows_still_come() -> None:
    kept, joined = UsageSums(), UsageSums(hold_at_least=0)
    ones, every = pa.array([1, 2], pa.int32()), pa.array(["0.5", "-2"])
    batches = [pa.record_batch([ones, ones, ones, ones, every], schema=SCHEMA) for _ in range(5)]
    assert list(joined.passing(batches)) == list(kept.passing(batches)) == batches
    assert joined.table().sort_by("cluster").to_pylist() == kept.table().to_pylist()
    assert kept.table().column("quantity").to_pylist() == [Decimal("2.5"), Decimal(-10)]
    assert kept.table().column("positive_quantity").to_pylist() == [Decimal("2.5"), Decimal(0)]


def test_of_too_many_rows_no_sums_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("allocation.services.packages.MOST_ROWS", 4)
    package = loaded(Sample().write(tmp_path))
    assert sums_of(package, from_rows=False) == sums_of(package, from_rows=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM allocation_usagesum")
        assert cursor.rowcount == 0


def test_groups_of_core_services_are_netted_together(tmp_path: Path) -> None:
    sample = Sample()
    sample.tables["usage"] = [
        ["cluster", "service", "account", "resource_group", "quantity"],
        ["k1", "s2", "a1", "g", "5"],  # s2 is a core service
        ["k1", "s2", "a1", "h", "-5"],
        ["k1", "s1", "a1", "g", "5"],
        ["k1", "s1", "a1", "h", "-5"],
        ["k3", "s1", "a1", "h", "1"],
    ]
    assert used_services(loaded(sample.write(tmp_path)), ["s1", "s2"]) == {("k1", "s1"), ("k3", "s1")}


def test_the_same_package_twice_changes_nothing(tmp_path: Path) -> None:
    first = load(full_sample().write(tmp_path / "one"))
    before = counts()
    again = load(full_sample().write(tmp_path / "two", Style(bom=True, line_end="\r\n", quoted=True)))
    assert (again.package, again.created, counts()) == (first.package, False, before)


def test_a_changed_package_is_a_new_version_and_the_old_one_stays(tmp_path: Path) -> None:
    old = loaded(Sample().write(tmp_path / "one"))
    changed = Sample()
    changed.tables["usage"][1][-1] = "11"
    new = loaded(changed.write(tmp_path / "two"))
    assert (old.number, new.number) == (1, 2)
    assert net(read_usage(old, "k1"))["s1", "a1", "team 1, east"] == 10
    assert net(read_usage(new, "k1"))["s1", "a1", "team 1, east"] == 11
    # The first content again is no longer that of the newest package.
    assert loaded(Sample().write(tmp_path / "one")).number == 3


@pytest.mark.parametrize(
    ("table", "row", "cell", "value"),
    [
        ("sites", 1, 5, "401"),
        ("racks", 3, 4, "501"),
        ("accounts", 1, 2, "true"),
        ("usage", 2, 3, "x"),
        ("services", 1, 1, "d"),
    ],
)
def test_every_table_counts_as_content(tmp_path: Path, table: str, row: int, cell: int, value: str) -> None:
    load(Sample().write(tmp_path / "one"))
    changed = Sample()
    changed.tables[table][row][cell] = value
    assert load(changed.write(tmp_path / "two")).created


def test_a_rejected_package_leaves_nothing(tmp_path: Path) -> None:
    sample = Sample(manifest=MANIFEST.replace("hours = 720", "max_rejected_rows = 0"))
    sample.tables["usage"].append(["k1", "s1", "nobody", "", "1"])
    before = counts()
    report = load(sample.write(tmp_path))
    assert [(finding.code, finding.row) for finding in report.findings] == [
        ("UNKNOWN_ACCOUNT", 7),
        ("TOO_MANY_REJECTED", None),
    ]
    assert (report.package, report.rejected, counts()) == (None, True, before)


def test_rejected_rows_are_listed_with_the_package(tmp_path: Path) -> None:
    sample = Sample()
    sample.tables["usage"].insert(1, ["k1", "s1", "no\0body", "", "1"])
    package = loaded(sample.write(tmp_path))
    assert (package.usage_rows, package.rejected_rows) == (5, 1)
    found = package.findings.values_list("code", "severity", "file", "row", "field")
    assert list(found) == [
        ("BAD_CODE", "row", "usage.csv", 2, "account"),
        ("ROWS_REJECTED", "flag", "usage.csv", None, ""),
    ]


def test_a_bound_version_stands_for_one_set_of_options(tmp_path: Path) -> None:
    package = loaded(Sample().write(tmp_path / "one"))
    MethodologyVersion.objects.filter(pk=package.methodology_version_id).update(bound_at=NOW)
    july = MANIFEST.replace("2025-06", "2025-07").replace("hours = 720", "")
    spelled_out = july + '[methodology.options]\nclosure_tolerance = "0.0500"\npool_driver = "it_kwh"\n'
    assert load(Sample(manifest=spelled_out).write(tmp_path / "two")).created
    other = july + '[methodology.options]\npool_driver = "equal"\n'
    before = counts()
    report = load(Sample(manifest=other).write(tmp_path / "three"))
    assert [(finding.code, finding.file) for finding in report.findings] == [("VERSION_CONFLICT", "package.toml")]
    gases = load(Sample(manifest=july.replace("AR6", "AR5")).write(tmp_path / "gases"))
    assert [finding.code for finding in gases.findings] == ["VERSION_CONFLICT"]
    assert counts() == before
    assert load(Sample(manifest=other.replace("1.0.0", "1.1.0")).write(tmp_path / "four")).created


def test_a_version_may_be_corrected_until_it_is_published(tmp_path: Path) -> None:
    first = loaded(Sample().write(tmp_path / "one"))
    other = MANIFEST + '[methodology.options]\npool_driver = "equal"\n'
    second = loaded(Sample(manifest=other).write(tmp_path / "two"))
    assert first.methodology_version.options["pool_driver"] == "it_kwh"
    assert second.methodology_version.options["pool_driver"] == "equal"
    assert str(first.methodology_version) == str(second.methodology_version)
    third = loaded(Sample().write(tmp_path / "three"))
    assert (third.number, third.methodology_version) == (3, first.methodology_version)


def test_only_operators_load(tmp_path: Path) -> None:
    nobody = Viewer(user_id=None, is_active=True, is_operator=False, now=NOW)
    with pytest.raises(PermissionDenied):
        load_package(viewer=nobody, path=Sample().write(tmp_path))
    assert not Package.objects.exists()


def test_the_command_prints_findings_and_nothing_else(tmp_path: Path) -> None:
    out, progress = StringIO(), StringIO()
    folder = Sample(files={"notes.txt": b""}).write(tmp_path / "good")
    call_command("load_package", folder, stdout=out, stderr=progress)
    assert [json.loads(line)["code"] for line in out.getvalue().splitlines()] == ["UNKNOWN_FILE"]
    assert "loaded as echo 2025-06 #1" in progress.getvalue()
    (folder / "sites.csv").unlink()
    out = StringIO()
    with pytest.raises(SystemExit) as status:
        call_command("load_package", folder, stdout=out, stderr=progress)
    assert status.value.code == 1
    assert [json.loads(line)["code"] for line in out.getvalue().splitlines()] == ["MISSING_FILE", "UNKNOWN_FILE"]


def test_many_rows(tmp_path: Path) -> None:
    sample = Sample()
    rows = 100_000
    sample.tables["accounts"] = [["account"], *([f"a{n}"] for n in range(1000))]
    sample.tables["usage"] = [
        ["cluster", "service", "account", "resource_group", "quantity"],
        *(["k1" if n % 3 else "r1", "s1", f"a{n % 1000}", f"g{n % 7}", f"{n}.25"] for n in range(rows)),
    ]
    package = loaded(sample.write(tmp_path))
    assert UsageRow.objects.filter(package=package).count() == rows
    total = sum(net(read_usage(package, "k1")).values()) + sum(net(read_usage(package, "k2")).values())
    assert total == sum(Fraction(n) + Fraction(1, 4) for n in range(rows))


@pytest.fixture(autouse=True)
def _partitions_go_with_the_test() -> Iterator[None]:
    yield
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'allocation_usagerow'::regclass")
        assert Decimal(cursor.fetchone()[0]) == UsageRow.objects.values("package").distinct().count()


def test_coverage_is_stored_and_read_and_counts_as_content(tmp_path: Path) -> None:
    without = loaded(Sample().write(tmp_path / "without"))
    sample = Sample()
    sample.tables["services"].append(["s3", "h", ""])
    plain = loaded(sample.write(tmp_path / "plain"))
    sample.tables["coverage"] = [["service", "covered", "threshold_kg"], ["", "", "0.5"], ["s3", "false", ""]]
    package = loaded(sample.write(tmp_path / "covered"))
    assert (without.number, plain.number, package.number) == (1, 2, 3)
    stored = ServiceCoverage.objects.filter(package=package).values_list(
        "row", "service__code", "covered", "threshold_kg"
    )
    assert list(stored) == [(2, None, True, Decimal("0.5")), (3, "s3", False, Decimal(0))]
    frame = read_activity(package).tables["coverage"]
    assert frame[["service", "covered", "threshold_kg"]].to_numpy().tolist() == [
        [None, True, Decimal("0.5")],
        ["s3", False, Decimal(0)],
    ]
    assert not ServiceCoverage.objects.filter(package=plain).exists()


@pytest.mark.parametrize(
    ("rows", "code", "file"),
    [
        ([["", "false", ""]], "MISSING_VALUE", "coverage.csv"),
        ([["s3", "false", "1"]], "BAD_VALUE", "coverage.csv"),
        ([["s3", "true", "-1"]], "NEGATIVE_VALUE", "coverage.csv"),
        ([["s3", "true", "1"], ["s3", "true", "2"]], "DUPLICATE_KEY", "coverage.csv"),
        ([["s9", "true", "1"]], "UNKNOWN_SERVICE", "coverage.csv"),
        ([["s1", "false", ""]], "COVERAGE_CONFLICT", "racks.csv"),
        ([["s1", "false", ""]], "COVERAGE_CONFLICT", "rack_use.csv"),
    ],
)
def test_coverage_that_contradicts_is_rejected(tmp_path: Path, rows: list[list[str]], code: str, file: str) -> None:
    sample = Sample()
    sample.tables["services"].append(["s3", "h", ""])
    sample.tables["coverage"] = [["service", "covered", "threshold_kg"], *rows]
    report = load(sample.write(tmp_path))
    assert report.rejected
    assert (code, file) in {(finding.code, finding.file) for finding in report.findings}
