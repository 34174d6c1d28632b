"""Loading packages: everything is checked first, nothing is half stored, nothing is stored twice."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction

from accounts.models import Provider
from accounts.services.refusal import require_operator
from allocation.engine.checks import check_closed_classes, check_regions
from allocation.engine.dependencies import closed_classes
from allocation.engine.frames import Finding, PackageRejectedError
from allocation.engine.plan import prepare
from allocation.engine.reach import reach_of, service_of
from allocation.exchange.catalogue import GroupPairs
from allocation.exchange.methodology import options_digest, stored_options
from allocation.exchange.package.digest import ContentDigest
from allocation.exchange.package.findings import Findings
from allocation.exchange.package.manifest import FILE as MANIFEST
from allocation.exchange.package.reading import read_package
from allocation.exchange.package.spool import Spool
from allocation.exchange.read import used_services
from allocation.exchange.store import store_catalogue, store_tables, store_usage, store_usage_sums
from allocation.exchange.sums import MOST_ROWS, UsageSums
from allocation.models import MethodologyVersion, Package, PackageFinding
from allocation.services import partitions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from accounts.policies import Viewer
    from allocation.engine.frames import Header
    from allocation.engine.plan import Plan
    from allocation.exchange.package.reading import ReadPackage
    from allocation.exchange.package.usage import UsageReader
    from allocation.exchange.store import CatalogueIds
    from allocation.services.partitions import Partition


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What came of loading: the package that now stands for the month, or none, and every finding.

    `created` is false if the newest package of the month had this very content already.
    """

    package: Package | None
    created: bool
    findings: tuple[Finding, ...]

    @property
    def rejected(self) -> bool:
        """Whether nothing was stored because of the findings."""
        return self.package is None


class _RejectedError(Exception):
    """A finding made inside the transaction rejects the package."""


@dataclass(frozen=True, slots=True)
class _Checked:
    """A package that can be stored: its usage is coded and waits in the spool."""

    read: ReadPackage
    plan: Plan
    usage: UsageReader
    spool: Spool
    pairs: GroupPairs
    machine_pairs: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]
    digest: str


def load_package(*, viewer: Viewer, path: Path, progress: Callable[[str], None] = lambda _: None) -> LoadReport:
    """Load the package in the folder `path` as the newest of its provider and month.

    One transaction stores all of it or nothing. The same content as that of the newest package changes nothing.
    Accounts, resource groups, clusters, regions and services that are new are created, and so is the provider.

    Args:
        viewer: an operator.
        path: the folder.
        progress: is told, in words, how far the loading is.

    Returns:
        The report; a rejected package is no exception.

    Raises:
        PermissionDenied: the viewer is not an operator.
    """
    require_operator(viewer)
    findings = Findings()
    progress("reading the tables")
    read = read_package(path, findings, check_header=_check_version)
    plan = _check_energy(read, findings) if read is not None else None
    if read is None or plan is None:
        return LoadReport(None, created=False, findings=findings.all())
    with Spool() as spool:
        checked = _check_usage(read, plan, spool, findings, progress)
        if findings.rejected():
            return LoadReport(None, created=False, findings=findings.all())
        try:
            with transaction.atomic():
                package, created = _store(checked, viewer, findings, progress)
        except _RejectedError:
            return LoadReport(None, created=False, findings=findings.all())
    return LoadReport(package, created=created, findings=findings.all())


def _check_version(header: Header, findings: Findings) -> None:
    """Reject other effective options (or another GWP set) than a name@version of the provider is published with."""
    known = MethodologyVersion.objects.filter(
        provider__code=header.provider,
        name=header.methodology,
        version=header.methodology_version,
        bound_at__isnull=False,
    ).first()
    if known is None:
        return
    stored = {**stored_options(header.options), "gwp_set": header.gwp_set}
    other = [name for name, value in {**known.options, "gwp_set": known.gwp_set}.items() if stored.get(name) != value]
    if other:
        message = f"{known} is published with other options: {', '.join(sorted(other))}"
        findings.reject("VERSION_CONFLICT", MANIFEST, message, field="methodology.version")


def _check_energy(read: ReadPackage, findings: Findings) -> Plan | None:
    """Let the engine prepare the month: the energy layer of checks is its own."""
    try:
        plan = prepare(read.activity)
    except PackageRejectedError as error:
        findings.extend(error.findings)
        return None
    findings.extend(plan.findings)
    return plan


def _check_usage(
    read: ReadPackage, plan: Plan, spool: Spool, findings: Findings, progress: Callable[[str], None]
) -> _Checked:
    usage = read.usage_reader()
    pairs = GroupPairs()
    digest = ContentDigest(read.activity, read.usage.max_rejected_rows)
    named: set[int] = set()
    for rows in usage.chunks(findings):
        spool.add(rows)
        named.update(rows.column("cluster").unique().to_pylist())
        pairs.add(rows.column("account").to_numpy(), rows.column("resource_group").to_numpy())
        digest.usage(rows, usage.codes)
        progress(f"checked {usage.accepted + usage.rejected} rows of usage")
    findings.extend(check_regions(plan, {usage.codes.places[place] for place in named}))
    digest.rejected(findings.all())
    machines = read.activity.tables["machines"]
    machine_pairs = (
        usage.indices("account", machines["account"].to_list()),
        usage.indices("resource_group", machines["resource_group"].to_list()),
    )
    pairs.add(*machine_pairs)
    return _Checked(read, plan, usage, spool, pairs, machine_pairs, digest.hexdigest())


def _store(
    checked: _Checked, viewer: Viewer, findings: Findings, progress: Callable[[str], None]
) -> tuple[Package, bool]:
    header = checked.read.activity.header
    provider = _lock_provider(header)
    newest = Package.objects.filter(provider=provider, month=header.month).order_by("-number").first()
    if newest is not None and newest.digest == checked.digest:
        return newest, False
    package = Package.objects.create(
        provider=provider,
        month=header.month,
        number=newest.number + 1 if newest else 1,
        digest=checked.digest,
        methodology_version=_methodology_version(provider, header, viewer, findings),
        time_zone=header.timezone,
        hours=header.hours,
        usage_rows=checked.usage.accepted,
        rejected_rows=checked.usage.rejected,
        loaded_at=viewer.now,
        loaded_by_id=viewer.user_id,
    )
    progress("storing the tables")
    ids = store_catalogue(provider.pk, checked.read.activity, checked.usage.codes, checked.pairs)
    store_tables(package, checked.read.activity, ids, checked.machine_pairs)
    progress(f"storing {checked.usage.accepted} rows of usage")
    _store_usage(checked, package.pk, ids)
    _check_closed_classes(package, checked.plan, findings)
    PackageFinding.objects.bulk_create(_stored_finding(package, finding) for finding in findings.all())
    return package, True


def _store_usage(checked: _Checked, package_id: int, ids: CatalogueIds) -> None:
    """Store the rows and, unless there are too many to be added up in 128 bits, their sums."""
    batches, sums = checked.spool.batches(), None
    if checked.usage.accepted <= MOST_ROWS:
        sums = UsageSums()
        batches = sums.passing(batches)
    with _filling(partitions.usage_of(package_id)) as table:
        store_usage(table, batches, checked.usage.codes, ids)
    if sums is not None:
        with _filling(partitions.usage_sums_of(package_id)) as table:
            store_usage_sums(table, sums.table(), checked.usage.codes, ids)


@contextmanager
def _filling(partition: Partition) -> Iterator[str]:
    """Make a partition, let it be filled by its table's name, index and attach it."""
    partitions.create(partition)
    yield partition.table
    partitions.index(partition)
    partitions.attach(partition)


def _check_closed_classes(package: Package, plan: Plan, findings: Findings) -> None:
    """Report services that feed only each other. Which have usage is known when the rows are in.

    Usage opens classes and never closes one, so it is summed only for services that are closed in without any.
    """
    if plan.options.dependencies != "reciprocal":
        return
    networks = [reach_of(plan.clusters, code).flows for code in plan.clusters]
    closed = [node for flows in networks for members in closed_classes((), flows) for node in members]
    doubtful = {service_of(node) for node in closed}
    if not doubtful:
        return
    for finding in check_closed_classes(plan, used_services(package, doubtful)):
        findings.add(finding)
    if findings.rejected():
        raise _RejectedError


def _lock_provider(header: Header) -> Provider:
    """Return the provider, created if it is new; packages of one provider are stored one after the other."""
    Provider.objects.get_or_create(code=header.provider, defaults={"time_zone": header.timezone})
    return Provider.objects.select_for_update(no_key=True).get(code=header.provider)


def _methodology_version(provider: Provider, header: Header, viewer: Viewer, findings: Findings) -> MethodologyVersion:
    """Return the name@version with these options; it may have been published with others since it was checked."""
    version, _ = MethodologyVersion.objects.get_or_create(
        provider=provider,
        name=header.methodology,
        version=header.methodology_version,
        gwp_set=header.gwp_set,
        options_digest=options_digest(header.options),
        defaults={
            "preset": header.preset,
            "options": stored_options(header.options),
            "created_at": viewer.now,
        },
    )
    _check_version(header, findings)
    if findings.rejected():
        raise _RejectedError
    return version


def _stored_finding(package: Package, finding: Finding) -> PackageFinding:
    return PackageFinding(
        package=package,
        code=finding.code,
        severity=finding.severity,
        file=finding.file or "",
        row=finding.row,
        field=finding.field or "",
        message=finding.message,
    )
