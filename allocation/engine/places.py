"""Which clusters and regions there are and which sites stand in them (sections 1 and 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocation.engine.rows import rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


@dataclass(frozen=True, slots=True)
class Places:
    """`rows` gives every cluster its line in clusters.csv, `sites` the site codes of each; both by code point.

    `regions` gives every region its active clusters: those with at least one site.
    """

    rows: Mapping[str, int]
    sites: Mapping[str, tuple[str, ...]]
    regions: Mapping[str, tuple[str, ...]]
    active: tuple[str, ...]

    @classmethod
    def read(cls, clusters: pd.DataFrame, sites: pd.DataFrame) -> Places:
        """Read clusters.csv and the first two columns of sites.csv."""
        row_of = {str(row.cluster): int(row.row) for row in rows(clusters)}
        by_cluster: dict[str, list[str]] = {cluster: [] for cluster in sorted(row_of)}
        for row in rows(sites):
            by_cluster[str(row.cluster)].append(str(row.site))
        active = tuple(cluster for cluster, codes in by_cluster.items() if codes)
        regions: dict[str, list[str]] = {str(row.region): [] for row in rows(clusters) if row.region is not None}
        region_of = {str(row.cluster): row.region for row in rows(clusters)}
        for cluster in active:
            region = region_of[cluster]
            if region is not None:
                regions[str(region)].append(cluster)
        return cls(
            rows=row_of,
            sites={cluster: tuple(sorted(codes)) for cluster, codes in by_cluster.items()},
            regions={region: tuple(codes) for region, codes in regions.items()},
            active=active,
        )

    def named_by(self, code: str | None) -> tuple[str, ...]:
        """Return the clusters that `code` stands for.

        A cluster stands for itself, active or not; a region for its active clusters; `None` for all active clusters.
        """
        if code is None:
            return self.active
        if code in self.rows:
            return (code,)
        return self.regions[code]

    def active_named_by(self, code: str | None) -> tuple[str, ...]:
        """Return the active clusters among those that `code` stands for."""
        return tuple(cluster for cluster in self.named_by(code) if self.sites[cluster])

    def only_site(self, cluster: str) -> str | None:
        """Return the site of a cluster that has exactly one."""
        sites = self.sites[cluster]
        return sites[0] if len(sites) == 1 else None
