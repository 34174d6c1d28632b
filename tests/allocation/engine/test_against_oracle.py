"""The engine and the oracle, which share no code, agree on random packages: ledger, energy and findings."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from allocation.engine.checks import check_closed_classes, check_regions
from allocation.engine.frames import ENERGY_LINE, PackageRejectedError
from allocation.engine.plan import prepare
from tests.allocation.engine.messages import MESSAGES
from tests.allocation.engine.packages import Package, export, rows_of, settle_all
from tests.allocation.engine.random_months import random_month
from tests.oracle.broken.cases import CASES as BROKEN
from tests.oracle.broken.codes import FLAG_CODES
from tests.oracle.generator import Size

if TYPE_CHECKING:
    from allocation.engine.frames import Finding
    from tests.allocation.engine.random_months import RandomMonth
    from tests.oracle.broken.case import Broken

LARGER = Size(
    clusters=4,
    services=12,
    accounts=60,
    groups=5,
    racks_per_cluster=15,
    usage_rows=1200,
    service_uses=20,
    machines=15,
    rows=6,
)
TELLING = {0, 2, 5, 8, 11, 17, 18, 22, 23, 25, 27, 28, 34, 43, 48, 53, 57}
"""Seeds whose months take every branch of the engine that any of the sixty takes."""

LOADING = {"UNKNOWN_FILE", "ROWS_REJECTED"}
"""Flags of files and rows, which the engine never sees."""

ENGINE = {
    "PUE_BELOW_ONE",
    "NO_SITE_ENERGY",
    "NO_FACTOR",
    "MIXED_GWP",
    "NO_RACK_ENERGY",
    "HOURS_EXCEED_MONTH",
    "SITE_REQUIRED",
    "REGION_SPLIT",
    "NO_POOL_DRIVER",
    "MACHINE_EXCEEDS_CLUSTER",
    "HOURS_INCOMPLETE",
    "INSTRUMENT_EXCEEDED",
    "HOURS_IGNORED",
    "PERIODS_IGNORED",
    "PERIOD_GAP",
    *FLAG_CODES,
} - LOADING
"""Codes of the format that the engine finds."""


def agree(month: RandomMonth) -> None:
    ledgers, found = settle_all(month.package, month.history)
    wh = {leaf: ug for ledger in ledgers for leaf, line, ug, _ in rows_of(ledger) if line == ENERGY_LINE and ug}

    assert export(month.package, ledgers) == month.ledger
    assert wh == {tuple(leaf): value for leaf, value in month.energy_wh.items()}
    assert {(f.code, f.severity, f.file, f.row) for f in found} == {
        tuple(f) for f in month.findings if f.severity != "row" and f.code not in LOADING
    }


@pytest.mark.parametrize(
    "seed", [pytest.param(it, marks=() if it in TELLING else pytest.mark.long) for it in range(60)]
)
def test_random_packages_agree(seed: int) -> None:
    agree(random_month(seed))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5000, 5002))
def test_larger_random_packages_agree(seed: int) -> None:
    agree(random_month(seed, LARGER))


def found_by_the_engine(package: Package) -> list[Finding]:
    """Return what preparing, the checks at load and settling find."""
    try:
        plan = prepare(package.activity)
    except PackageRejectedError as error:
        return list(error.findings)
    known = {row["cluster"] for row in package.tables["usage"]} & (set(plan.clusters) | set(plan.regions))
    used = set()
    for cluster in plan.clusters:
        usage = package.usage(cluster, plan)
        used |= {(cluster, usage.services[s]) for s, q in zip(usage.service, usage.quantity, strict=True) if q > 0}
    found = [*check_closed_classes(plan, used), *check_regions(plan, known)]
    if not any(f.severity == "package" for f in found):
        found += settle_all(package)[1]
    return found


@cache
def written(broken: Broken) -> Package:
    """Return a broken package as it is read; nobody may change it."""
    with tempfile.TemporaryDirectory() as folder:
        return Package.read(broken.write(Path(folder))[0])


def of_the_engine(broken: Broken) -> bool:
    return not broken.earlier and broken.change_file is None and all(f.code in ENGINE for f in broken.findings)


CASES = [broken for broken in BROKEN if of_the_engine(broken)]


def test_every_code_of_the_engine_is_triggered() -> None:
    triggered = {finding.code for broken in CASES for finding in broken.findings}

    assert triggered == ENGINE


@pytest.mark.parametrize("broken", CASES, ids=lambda broken: broken.name)
def test_findings_have_the_code_file_and_row_of_the_format(broken: Broken) -> None:
    found = found_by_the_engine(written(broken))

    assert {(f.code, f.severity, f.file, f.row) for f in found} == {tuple(finding) for finding in broken.findings}
    assert {(f.field, f.message) for f in found} == set(MESSAGES.get(broken.name, ()))
