"""Checks that need to know what was used, not how much: for loading, before any cluster is settled (section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocation.engine.dependencies import closed_classes
from allocation.engine.findings import Findings

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
    for code, cluster in plan.clusters.items():
        services = {service for place, service in used if place == code}
        for members in closed_classes(services, cluster.flows):
            message = f"in cluster {code} these services feed only each other: {', '.join(members)}"
            report("CLOSED_CLASS", "service_use.csv", None, message)
    return findings.as_tuple()


def check_sources(plan: Plan, named: Collection[str]) -> tuple[Finding, ...]:
    """Return NO_SOURCE for usage that no line of emissions can reach.

    `named` holds the clusters and regions that accepted usage rows name. `settle` reports the clusters among them, too;
    a region without active clusters has no cluster that could.
    """
    findings = Findings()
    reached = {cluster for code in named if code not in plan.clusters for cluster in plan.regions[code]}
    for code, cluster in plan.clusters.items():
        if code in reached | set(named) and not cluster.emission_lines:
            findings.flag("NO_SOURCE", "clusters.csv", cluster.row, no_source(code))
    for code in sorted(set(named) - set(plan.clusters)):
        if not plan.regions[code]:
            findings.flag("NO_SOURCE", "usage.csv", None, f"region {code} has usage but no cluster with a site")
    return findings.as_tuple()


def no_source(cluster: str) -> str:
    """Return the message of NO_SOURCE for a cluster."""
    return f"cluster {cluster} has usage but no line: its usage gets no ledger rows"
