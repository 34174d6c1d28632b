"""A run's computation: the stored activity through the engine, cluster by cluster."""

from __future__ import annotations

import functools
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Protocol

from allocation.engine.plan import prepare
from allocation.engine.reach import reach_of
from allocation.engine.settle import settle
from allocation.exchange.read import read_activity, read_usage
from allocation.models import Cluster, Package, PackageAccount, PackageCluster, RunLocation, Site

if TYPE_CHECKING:
    from allocation.engine.frames import Finding, Ledger, Usage
    from allocation.engine.plan import Plan
    from allocation.models import AllocationRun

_WH_PER_KWH: Final = 1000


class Computation(Protocol):
    """What a run asks of the engine."""

    @property
    def clusters(self) -> tuple[str, ...]:
        """Codes of the clusters with a ledger."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What preparing found."""

    def settle(self, cluster: str) -> Ledger:
        """Return the ledger of one cluster, in the order of the export."""

    def locations(self) -> list[RunLocation]:
        """Return what the package says of each cluster, unsaved."""


class _Computation:
    """The engine on the stored inputs of one run."""

    def __init__(self, run: AllocationRun, *, from_rows: bool) -> None:
        self._run = run
        self._from_rows = from_rows
        self._plan = _plan_of(run.package_id)
        self._earlier = [pinned.package for pinned in run.inputs.select_related("package").order_by("-package__month")]

    @property
    def clusters(self) -> tuple[str, ...]:
        return tuple(self._plan.clusters)

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self._plan.findings

    def settle(self, cluster: str) -> Ledger:
        known = PackageCluster.objects.filter(package__in=self._earlier, cluster__code=cluster)
        with_cluster = set(known.values_list("package_id", flat=True))
        history = [self._usage(package, cluster) for package in self._earlier if package.pk in with_cluster]
        package = self._run.package
        served = reach_of(self._plan.clusters, cluster).clusters
        elsewhere = {code: self._usage(package, code) for code in served}
        return settle(self._plan, cluster, self._usage(package, cluster), history, elsewhere)

    def _usage(self, package: Package, cluster: str) -> Usage:
        return read_usage(package, cluster, from_rows=self._from_rows)

    def locations(self) -> list[RunLocation]:
        facility, it = self._energy_kwh()
        otherwise = self._bought_otherwise()
        return [
            RunLocation(
                run=self._run,
                cluster=place.cluster,
                name=place.name,
                kind=place.kind,
                region=place.region.code if place.region else "",
                country=place.country,
                facility_wh=_wh(facility.get(place.cluster_id, Fraction())),
                it_wh=_wh(it.get(place.cluster_id, Fraction())),
                zero_emission=place.cluster_id in facility and place.cluster_id not in otherwise,
            )
            for place in PackageCluster.objects.filter(package=self._run.package).select_related("cluster", "region")
        ]

    def _energy_kwh(self) -> tuple[dict[int, Fraction], dict[int, Fraction]]:
        """Return facility and IT energy by cluster id, of clusters with sites."""
        ids = dict(Cluster.objects.filter(provider=self._run.provider_id).values_list("code", "pk"))
        facility: dict[int, Fraction] = {}
        it: dict[int, Fraction] = {}
        for site in self._plan.sites.values():
            cluster_id = ids[site.cluster]
            facility[cluster_id] = facility.get(cluster_id, Fraction()) + site.facility_kwh
            it[cluster_id] = it.get(cluster_id, Fraction()) + site.it_kwh
        return facility, it

    def _bought_otherwise(self) -> set[int]:
        """Return the clusters with a site that does not buy all its electricity green."""
        sites = Site.objects.filter(package=self._run.package, green_ratio__lt=1)
        return set(sites.values_list("cluster_id", flat=True))


def compute(run: AllocationRun) -> Computation:
    """Prepare the computation of a run from its stored inputs.

    Raises:
        PackageRejectedError: the activity cannot be allocated.
    """
    return _Computation(run, from_rows=False)


def compute_afresh(run: AllocationRun) -> Computation:
    """Prepare the computation of a run from what is stored now, whatever this process has prepared before.

    Usage is added up again from its rows, so that sums which do not belong to them are found out.

    Raises:
        PackageRejectedError: the activity cannot be allocated.
    """
    _plan_of.cache_clear()
    return _Computation(run, from_rows=True)


@functools.lru_cache(maxsize=1)
def _plan_of(package_id: int) -> Plan:
    """Prepare a package; its rows never change, so a worker that writes many chunks of it prepares once."""
    package = Package.objects.select_related("provider", "methodology_version").get(pk=package_id)
    return prepare(read_activity(package))


def internal_account_ids(package: Package) -> list[int]:
    """Return the accounts that the package calls internal."""
    return list(PackageAccount.objects.filter(package=package, internal=True).values_list("account_id", flat=True))


def _wh(kwh: Fraction) -> Decimal:
    """Return whole watt-hours, rounded half to even."""
    return Decimal(round(kwh * _WH_PER_KWH))
