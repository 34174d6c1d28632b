"""Real regions, zones, grid factors and server figures from `fixtures/`."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Region:
    """A region of a naming scheme, with its country (ISO 3166-1 alpha-2) and, in the United States, state."""

    scheme: str
    code: str
    place: str
    country: str
    subdivision: str
    zones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GridFactor:
    """A location-based factor with everything one must know before using it."""

    country: str
    subdivision: str
    vintage_year: int
    g_per_kwh: Decimal
    basis: str
    gases: str
    source: str

    @property
    def usable(self) -> bool:
        """Whether it counts all gases and says what it includes: CO2 alone must not pass for CO2e."""
        return self.gases == "CO2e" and self.basis != "not stated upstream"


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """One server type: the profile and embodied carbon of all generated hardware."""

    vcpu_count: int
    idle_w: Decimal
    max_w: Decimal
    embodied_kg: Decimal
    life_months: int


@dataclass(frozen=True, slots=True)
class Places:
    """Everything real that a generated estate stands on."""

    regions: dict[tuple[str, str], Region]
    factors: tuple[GridFactor, ...]
    pue: dict[str, Decimal]
    gwp: tuple[tuple[str, str, Decimal], ...]
    server: ServerFigures

    def factor(self, region: Region, year: int) -> GridFactor:
        """The most local usable factor of a region, of the newest vintage not later than a year.

        Raises:
            LookupError: there is none; nothing stands in for it.
        """
        for subdivision in dict.fromkeys((region.subdivision, "")):
            found = [
                factor
                for factor in self.factors
                if factor.usable
                and (factor.country, factor.subdivision) == (region.country, subdivision)
                and factor.vintage_year <= year
            ]
            if found:
                return max(found, key=lambda factor: factor.vintage_year)
        raise LookupError(f"no grid factor for {region.code} ({region.country}) up to {year}")


def read_places(fixtures: Path) -> Places:
    """Read the reference data.

    Args:
        fixtures: the folder `fixtures/`.

    Raises:
        OSError, KeyError, ValueError: a file is absent or not as described in fixtures/README.md.
    """
    zones: dict[tuple[str, str], list[str]] = {}
    for row in _rows(fixtures / "places" / "zones.csv"):
        zones.setdefault((row["scheme"], row["region"]), []).append(row["zone"])
    regions = {
        (row["scheme"], row["region"]): Region(
            scheme=row["scheme"],
            code=row["region"],
            place=row["place"],
            country=row["country"],
            subdivision=row["subdivision"],
            zones=tuple(zones.get((row["scheme"], row["region"]), ())),
        )
        for row in _rows(fixtures / "places" / "regions.csv")
    }
    factors = fixtures / "factors"
    return Places(
        regions=regions,
        factors=tuple(
            GridFactor(
                country=row["country"],
                subdivision=row.get("subdivision", ""),
                vintage_year=int(row["vintage"]),
                g_per_kwh=Decimal(row["g_per_kwh"]),
                basis=row["basis"],
                gases=row["gases"],
                source=row["source"],
            )
            for name in ("grid_country_year.csv", "grid_subnational.csv")
            for row in _rows(factors / name)
        ),
        pue={row["key"]: Decimal(row["pue"]) for row in _rows(factors / "pue.csv")},
        gwp=tuple((row["gwp_set"], row["gas"], Decimal(row["gwp"])) for row in _rows(factors / "gwp.csv")),
        server=_server({row["key"]: Decimal(row["value"]) for row in _rows(factors / "servers.csv")}),
    )


def _server(values: dict[str, Decimal]) -> ServerFigures:
    vcpu_count = int(values["vcpu_per_server"])
    hours_per_month = 730  # of the average year: this is a life, not a reporting month
    return ServerFigures(
        vcpu_count=vcpu_count,
        idle_w=vcpu_count * values["min_watts_per_vcpu"],
        max_w=vcpu_count * values["max_watts_per_vcpu"],
        embodied_kg=values["embodied_per_server"],
        life_months=int(values["expected_life"] / hours_per_month),
    )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
