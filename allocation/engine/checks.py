"""Checks that need to know what was used, not how much: for loading, before any cluster is settled (section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocation.engine.dependencies import closed_classes
from allocation.engine.findings import Findings
from allocation.engine.reach import node_name, reach_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from allocation.engine.frames import Finding
    from allocation.engine.plan import Plan


def check_closed_classes(plan: Plan, used: Collection[tuple[str, str]]) -> tuple[Finding, ...]:
    """Return CLOSED_CLASS for every set of services that feed only each other, by cluster.

    `used` holds (cluster, service) wherever the net usage of some leaf is positive, rows of the region included. Leaves
    are those of the ledger: all groups of an account are one leaf of a core service. The severity is that of the option
    `closed_class`.
    """
    findings = Findings()
    if plan.options.dependencies != "reciprocal":
        return ()
    report = findings.reject if plan.options.closed_class == "error" else findings.flag
    for code in plan.clusters:
        flows = reach_of(plan.clusters, code).flows
        services = {node_name(code, place) for place in used} if flows else set()
        for members in closed_classes(services, flows):
            message = f"in cluster {code} these services feed only each other: {', '.join(members)}"
            report("CLOSED_CLASS", "service_use.csv", None, message)
    return findings.as_tuple()


def check_regions(plan: Plan, named: Collection[str]) -> tuple[Finding, ...]:
    """Return NO_SOURCE for regions whose usage no cluster can take: none of their clusters has a site.

    `named` holds the clusters and regions that accepted usage rows name. Clusters without a line are reported by
    `settle`; such a region has no cluster that could be.
    """
    findings = Findings()
    for code in sorted(set(named) - set(plan.clusters)):
        if not plan.regions[code]:
            findings.flag("NO_SOURCE", "usage.csv", None, f"region {code} has usage but no cluster with a site")
    return findings.as_tuple()


def no_source(cluster: str) -> str:
    """Return the message of NO_SOURCE for a cluster."""
    return f"cluster {cluster} has usage but no line: its usage gets no ledger rows"
