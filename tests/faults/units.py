"""The work of the campaign: tiny packages of many invented providers, each allocated again and again."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from accounts.models import Provider
from allocation.exchange.export import export_csv
from allocation.models import AllocationRun, Package, RunState
from allocation.services.execution import execute_run
from allocation.services.packages import load_package
from allocation.services.runs import request_run
from allocation.services.system import database_now, system
from tests.factories import hierarchy as make
from tests.factories import people

if TYPE_CHECKING:
    import datetime as dt

    from accounts.models import ResourceDirectory, User

EXAMPLES = {"a_aws_like": "alpha", "b_alibaba_like": "bravo", "c_ibm_like": "charlie"}
SHOWN_EXAMPLE = "b_alibaba_like"
FOLDER = Path(__file__).parent.parent / "packages"


@dataclass
class Unit:
    """One (provider, month): its package, the bytes that every run of it has to give, and the runs asked for."""

    provider: str
    package_id: int
    month: dt.date
    undisturbed: bytes
    runs: list[int] = field(default_factory=list)
    requests: int = 0
    cancelled: set[int] = field(default_factory=set)


@dataclass
class Shown:
    """The month that is restated all the time while a reader looks: two runs, and who reads what."""

    runs: tuple[int, int]
    user: User
    directory: ResourceDirectory
    expected: dict[int, bytes]


def load(folder: Path, example: str, provider: str, change: tuple[str, str, str] | None = None) -> Package:
    """Load a copy of an example package as that of another provider.

    Args:
        folder: where copies are made.
        example: name of the example.
        provider: code of the provider that it shall be of.
        change: (file, text, other text), for a package with other figures.
    """
    place = folder / provider
    shutil.copytree(FOLDER / example, place, ignore=shutil.ignore_patterns("expected_*"), dirs_exist_ok=True)
    manifest = place / "package.toml"
    manifest.write_text(manifest.read_text().replace(f'"{EXAMPLES[example]}"', f'"{provider}"'))
    if change is not None:
        file, text, other = change
        path = place / file
        assert text in path.read_text()
        path.write_text(path.read_text().replace(text, other))
    report = load_package(viewer=system(database_now()), path=place)
    assert report.package is not None
    return report.package


def undisturbed_run(package: Package) -> AllocationRun:
    """Allocate a package in this process, with nobody in the way."""
    run = request_run(viewer=system(database_now()), package_id=package.pk)
    execute_run(run_id=run.pk, worker="undisturbed")
    run.refresh_from_db()
    assert run.state == RunState.READY, run.failure_reason
    return run


def exported(run: AllocationRun) -> bytes:
    """The ledger of a run as it is exported."""
    stream = BytesIO()
    export_csv(run, stream)
    return stream.getvalue()


def units(folder: Path, count: int) -> list[Unit]:
    """Load packages for so many providers.

    Raises:
        AssertionError: an undisturbed run does not give the committed ledger of its example.
    """
    originals = {}
    for example, code in EXAMPLES.items():
        ledger = exported(undisturbed_run(load(folder, example, code)))
        assert ledger == (FOLDER / example / "expected_ledger.csv").read_bytes()
        originals[example] = ledger
    made = []
    for number in range(count):
        example = list(EXAMPLES)[number % len(EXAMPLES)]
        provider = f"p{number:03d}"
        package = load(folder, example, provider)
        ledger = originals[example].replace(f"\n{EXAMPLES[example]},".encode(), f"\n{provider},".encode())
        made.append(Unit(provider, package.pk, package.month, ledger))
    return made


def shown(folder: Path) -> Shown:
    """Make the month that is restated, with a company of two groups and a person who may see all of it."""
    code = "shown"
    owner = Provider.objects.create(code=code, time_zone="Asia/Shanghai")
    company = make.enterprise("Shown")
    directory = make.directory("shown", of=company, provider=owner)
    for number, name in enumerate(("T1", "T2")):
        group = make.group(f"group {number}", directory)
        make.account(name, [(group, "2025-01", None)], external_id=name)
    runs = []
    for gases in ("300", "450"):
        change = ("direct_gases.csv", "fuel,CO2,300", f"fuel,CO2,{gases}")
        runs.append(undisturbed_run(load(folder, SHOWN_EXAMPLE, code, change)))
    user = people.person("reader")
    people.give(user, company)
    return Shown((runs[0].pk, runs[1].pk), user, directory, {run.pk: exported(run) for run in runs})
