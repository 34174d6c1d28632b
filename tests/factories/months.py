"""Months with a ledger drawn at random, for tests of what happens to a ledger after the engine has computed it."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from dataclasses import dataclass, field

import numpy as np

from accounts.models import Account, Provider, ResourceGroup
from allocation.engine.frames import ENERGY_LINE, LINES, Finding, Ledger
from allocation.exchange.methodology import stored_digest
from allocation.models import AllocationRun, Cluster, MethodologyVersion, Package, PackageAccount, RunLocation, Service
from allocation.services.execution import execute_run
from allocation.services.runs import request_run
from allocation.services.system import system

NOW = dt.datetime(2026, 1, 20, 12, tzinfo=dt.UTC)
OPERATOR = system(NOW)
MONTH = dt.date(2025, 6, 1)
_numbers = itertools.count(1)


@dataclass
class Handmade:
    """Stands for the engine: settles clusters to ledgers that were drawn beforehand."""

    ledgers: dict[str, Ledger]
    settled: list[str] = field(default_factory=list)
    findings: tuple[Finding, ...] = ()
    clusters_said: tuple[str, ...] = ()

    @property
    def clusters(self) -> tuple[str, ...]:
        return self.clusters_said or tuple(self.ledgers)

    def settle(self, cluster: str) -> Ledger:
        self.settled.append(cluster)
        return self.ledgers[cluster]

    def locations(self) -> list[RunLocation]:
        return []

    def __call__(self, _run: AllocationRun) -> Handmade:
        """Prepare the computation of a run."""
        return self


@dataclass
class Month:
    """A loaded package with the ledger that it will get."""

    provider: Provider
    package: Package
    engine: Handmade

    def request(self, **wishes: bool) -> AllocationRun:
        """Ask for a run."""
        return request_run(viewer=OPERATOR, package_id=self.package.pk, **wishes)

    def run(self, **wishes: bool) -> AllocationRun:
        """Ask for a run and execute it."""
        run = self.request(**wishes)
        execute_run(run_id=run.pk, worker="test", prepare=self.engine)
        run.refresh_from_db()
        return run


def provider(code: str = "") -> Provider:
    """Make a provider."""
    return Provider.objects.create(code=code or f"p{next(_numbers)}", time_zone="UTC")


def month(  # noqa: PLR0913 what a month is drawn from
    owner: Provider | None = None,
    *,
    when: dt.date = MONTH,
    seed: int = 0,
    clusters: int = 3,
    accounts: int = 5,
    options: dict[str, str] | None = None,
) -> Month:
    """Make a package of a month, the next version if there is one, with a ledger drawn from the seed."""
    owner = owner or provider()
    version, _ = MethodologyVersion.objects.get_or_create(
        provider=owner,
        name="custom",
        version="1.0.0",
        gwp_set="AR6",
        options_digest=stored_digest(options or {}),
        defaults={"preset": "custom", "options": options or {}, "created_at": NOW},
    )
    number = Package.objects.filter(provider=owner, month=when).count() + 1
    package = Package.objects.create(
        provider=owner,
        month=when,
        number=number,
        digest=f"{seed:064d}",
        methodology_version=version,
        time_zone="UTC",
        hours=720,
        usage_rows=1,
        rejected_rows=0,
        loaded_at=NOW,
    )
    draw = random.Random(seed)  # noqa: S311 no secret, a reproducible draw
    codes = [f"k{i}" for i in range(clusters)]
    for code in codes:
        Cluster.objects.get_or_create(provider=owner, code=code)
    services = ["compute", "storage", "Zürich"]
    for code in services:
        Service.objects.get_or_create(provider=owner, code=code)
    owners = [
        Account.objects.get_or_create(
            provider=owner,
            external_id=f"a{i}",
        )[0]
        for i in range(accounts)
    ]
    PackageAccount.objects.bulk_create(
        PackageAccount(package=package, row=row, account=account, internal=row == 2)
        for row, account in enumerate(owners, start=2)
    )
    for account, group in itertools.product(owners, ("default", "web")):
        ResourceGroup.objects.get_or_create(account=account, code=group)
    ledgers = {code: _ledger(code, services, [a.external_id for a in owners], draw) for code in codes}
    return Month(owner, package, Handmade(ledgers))


def _ledger(cluster: str, services: list[str], accounts: list[str], draw: random.Random) -> Ledger:
    """Draw some leaves on some lines, unallocated ones among them, in the order of the export."""
    services = sorted({*services, "(unused)"})
    accounts = sorted({*accounts, "(unallocated)", "(provider)"})
    groups = ["(core services)", "default", "web"]
    lines = sorted(draw.sample([*LINES, ENERGY_LINE], 4))
    leaves = sorted(
        {
            (draw.randrange(1, len(services)), draw.randrange(2, len(accounts)), draw.randrange(len(groups)))
            for _ in range(12)
        }
        | {(0, 0, 1), (1, 1, 1)}
    )
    rows = [(line, leaf) for line in range(len(lines)) for leaf in leaves]
    ug = [draw.choice((0, draw.randrange(10**6), draw.randrange(1 << 62))) for _ in rows]
    source: dict[str, int] = dict.fromkeys(lines, 0)
    for (line, _), amount in zip(rows, ug, strict=True):
        source[lines[line]] += amount
    return Ledger(
        cluster=cluster,
        services=tuple(services),
        accounts=tuple(accounts),
        groups=tuple(groups),
        lines=tuple(lines),
        service=np.array([leaf[0] for _, leaf in rows], np.int32),
        account=np.array([leaf[1] for _, leaf in rows], np.int32),
        group=np.array([leaf[2] for _, leaf in rows], np.int32),
        line=np.array([line for line, _ in rows], np.int16),
        ug=np.array(ug, np.int64),
        estimated_ug=np.array([amount // 3 for amount in ug], np.int64),
        estimated_ppm=np.array([333_333 if amount else 0 for amount in ug], np.int32),
        quality=np.array([line % 7 for line, _ in rows], np.int16),
        source_ug=source,
    )
