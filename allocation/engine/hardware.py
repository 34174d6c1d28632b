"""Energy of racks and machines: meters, hardware profiles, average power, racks of a region (section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from allocation.engine import quality
from allocation.engine.rows import rows
from allocation.engine.units import ONE, WH_PER_KWH, ZERO, exact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from allocation.engine.findings import Findings
    from allocation.engine.places import Places

DEFAULT_UTILISATION: Final = Fraction(1, 2)
OVERHEAD_ROLES: Final = frozenset({"network", "management"})


@dataclass(frozen=True, slots=True)
class Rack:
    """A rack, or the part of a region's rack in one cluster. `site` is `None` where it does not matter."""

    code: str
    cluster: str
    site: str | None
    role: str
    kwh: Fraction
    quality: int


@dataclass(frozen=True, slots=True)
class Machine:
    """A dedicated machine: a rack with a single leaf."""

    cluster: str
    site: str | None
    service: str
    account: str
    group: str
    kwh: Fraction
    quality: int


def profile_kwh(servers: int, idle_w: Fraction, max_w: Fraction, utilisation: Fraction, hours: Fraction) -> Fraction:
    """Return the energy of `servers` alike: servers x (idle + u x (max - idle)) x hours / 1000."""
    return servers * (idle_w + utilisation * (max_w - idle_w)) * hours / WH_PER_KWH


def read_racks(
    frame: pd.DataFrame, month_hours: int, places: Places, known_it_kwh: Mapping[str, Fraction], findings: Findings
) -> list[Rack]:
    """Return the racks of every cluster.

    `known_it_kwh` is the IT energy of those clusters that know it without their racks; the racks of a region are cut in
    proportion to it. Reports NO_RACK_ENERGY, HOURS_EXCEED_MONTH, REGION_SPLIT and DEFAULT_UTILISATION.
    """
    racks: list[Rack] = []
    for row in rows(frame):
        energy = _rack_energy(row, month_hours, findings)
        clusters = places.named_by(str(row.cluster))
        if row.cluster in places.rows:
            site = row.site or places.only_site(str(row.cluster))
            parts: Iterable[tuple[str, str | None, Fraction, int]] = [(str(row.cluster), site, ONE, quality.METERED)]
        elif clusters and all(len(places.sites[cluster]) == 1 for cluster in clusters):
            parts = _cut(clusters, places, known_it_kwh)
        else:
            message = (
                f"rack {row.rack} of region {row.cluster}: each active cluster of the region needs exactly one site"
            )
            findings.reject("REGION_SPLIT", "racks.csv", int(row.row), message, "cluster")
            continue
        if energy is not None:
            kwh, own = energy
            for cluster, site, share, weaker in parts:
                racks.append(Rack(str(row.rack), cluster, site, str(row.role), kwh * share, max(own, weaker)))
    return racks


def _rack_energy(row: Any, month_hours: int, findings: Findings) -> tuple[Fraction, int] | None:  # noqa: ANN401 # a pandas row
    """Return (kWh, quality) of a row of racks.csv."""
    _check_hours(row, month_hours, "racks.csv", findings)
    if row.it_kwh is not None:
        return Fraction(row.it_kwh), quality.METERED if row.quality is None else quality.rank(row.quality)
    if row.servers is None or row.idle_w is None or row.max_w is None:
        message = f"rack {row.rack} has neither it_kwh nor all of servers, idle_w and max_w"
        findings.reject("NO_RACK_ENERGY", "racks.csv", int(row.row), message)
        return None
    utilisation = exact(row.utilisation)
    if utilisation is None:
        utilisation = DEFAULT_UTILISATION
        message = f"rack {row.rack} has no utilisation: {float(utilisation)} is assumed"
        findings.flag("DEFAULT_UTILISATION", "racks.csv", int(row.row), message, "utilisation")
    hours = Fraction(month_hours if row.hours is None else row.hours)
    kwh = profile_kwh(int(row.servers), Fraction(row.idle_w), Fraction(row.max_w), utilisation, hours)
    stated = quality.ESTIMATED_PROFILE if row.quality is None else quality.rank(row.quality)
    return kwh, max(stated, quality.ESTIMATED_PROFILE)


def _cut(
    clusters: Sequence[str], places: Places, known_it_kwh: Mapping[str, Fraction]
) -> Iterator[tuple[str, str, Fraction, int]]:
    """Yield (cluster, site, share, best quality) of a region's rack: by IT energy if all know theirs, else equally."""
    total = sum((known_it_kwh.get(cluster, ZERO) for cluster in clusters), ZERO)
    by_energy = total > 0 and all(cluster in known_it_kwh for cluster in clusters)
    for cluster in clusters:
        site = places.sites[cluster][0]
        if by_energy:
            yield cluster, site, known_it_kwh[cluster] / total, quality.METERED
        else:
            yield cluster, site, Fraction(1, len(clusters)), quality.REGIONAL_EQUAL_SPLIT


def read_machines(frame: pd.DataFrame, month_hours: int, places: Places, findings: Findings) -> list[Machine]:
    """Return the dedicated machines: kWh = average power x hours / 1000. Reports HOURS_EXCEED_MONTH."""
    machines: list[Machine] = []
    for row in rows(frame):
        _check_hours(row, month_hours, "machines.csv", findings)
        kwh = Fraction(row.avg_power_w) * Fraction(row.hours) / WH_PER_KWH
        site = row.site or places.only_site(str(row.cluster))
        machines.append(
            Machine(
                cluster=str(row.cluster),
                site=site,
                service=str(row.service),
                account=str(row.account),
                group=str(row.resource_group),
                kwh=kwh,
                quality=quality.rank(str(row.quality)),
            )
        )
    return machines


def _check_hours(row: Any, month_hours: int, file: str, findings: Findings) -> None:  # noqa: ANN401 # a pandas row
    if row.hours is not None and row.hours > month_hours:
        message = f"{row.hours} hours are more than the month's {month_hours}"
        findings.reject("HOURS_EXCEED_MONTH", file, int(row.row), message, "hours")
