"""Random valid packages: small, and full of what seldom happens.

The same seed gives the same folder. Months of one seed share their catalogue and their methodology
version, so that a month can be preceded by its own history.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.oracle.draft import Draft, TomlValue
from tests.oracle.methodology import CHOICES, FALLBACKS, POOL_BASES, PRESETS, month_hours
from tests.oracle.table import LINES, QUALITIES

# Prefixes of each other with characters on both sides of "|", characters beyond the BMP, and
# characters that a CSV file has to quote.
CODE_ENDS = ("", " b", "!b", "-b", "b", "B", "{", "}", "~", ",b", '"b', "é", "\ufb01", "\U0001d538")
ZONES = ("UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Sydney")
SHORTEST_MONTH_HOURS = 672


@dataclass(frozen=True)
class Size:
    """How many of each thing there may be at most; the draw is between one and that."""

    clusters: int = 3
    sites_per_cluster: int = 3
    services: int = 5
    accounts: int = 4
    groups: int = 3
    racks_per_cluster: int = 5
    usage_rows: int = 30
    service_uses: int = 6
    machines: int = 3
    rows: int = 3


SMALL = Size()
MEDIUM = Size(
    clusters=8,
    services=20,
    accounts=150,
    groups=10,
    racks_per_cluster=40,
    usage_rows=20_000,
    service_uses=25,
    machines=20,
    rows=10,
)


def random_draft(seed: int, size: Size = SMALL, months_back: int = 0) -> Draft:
    """One month of the random provider `seed`, `months_back` months before its last one."""
    return _Writer(seed, size, months_back).draft()


def write_random_package(folder: Path, seed: int, size: Size = SMALL, months_back: int = 0) -> Path:
    """Write `random_draft` in a random style; returns the folder."""
    style = _seeded(f"{seed} {months_back} style")
    return random_draft(seed, size, months_back).write(folder, style)


def write_random_history(folder: Path, seed: int, size: Size = SMALL) -> list[Path]:
    """Write some of the earlier months of `seed`, one of them perhaps twice, oldest first."""
    rng = _seeded(f"{seed} history")
    months = sorted(rng.sample(range(1, 5), rng.choice([0, 2, 3])), reverse=True)
    paths = [write_random_package(folder / f"back_{back}", seed, size, months_back=back) for back in months]
    if paths and rng.random() < 0.3:
        again = _Writer(seed, size, months[0], salt="again").draft()
        paths.append(again.write(folder / "again"))
    return paths


def _seeded(seed: str) -> random.Random:
    return random.Random(seed)  # noqa: S311 -- repeatable test data, nothing secret


@dataclass
class _Site:
    """What later tables need to know about a site."""

    code: str
    cluster: str
    metered: bool
    it_kwh: Fraction
    energy_known: bool
    machine_budget_kwh: Fraction = field(init=False)

    def __post_init__(self) -> None:
        self.machine_budget_kwh = self.it_kwh / 2


class _Writer:
    def __init__(self, seed: int, size: Size, months_back: int, salt: str = "") -> None:
        self.catalogue = _seeded(f"{seed} catalogue")
        self.rng = _seeded(f"{seed} {months_back} {salt}")
        self.size = size
        index = self.catalogue.randint(2024 * 12, 2026 * 12) - months_back
        self.index = index
        self.month = _month(index)
        self.zone = self.catalogue.choice(ZONES)
        self.preset = self.catalogue.choice(PRESETS)
        self.services = self._codes("s", size.services)
        self.accounts = self._codes("a", size.accounts)
        self.groups = ["", "default", "(core services)", *self._codes("g", size.groups)]
        self.clusters = self._codes("k", size.clusters)
        self.regions = self._codes("r", 2)
        self.region_of = {k: self.catalogue.choice([*self.regions, ""]) for k in self.clusters}
        self.site_count = {
            k: self.catalogue.choice([1, 1, self.catalogue.randint(1, size.sites_per_cluster)]) for k in self.clusters
        }
        if len(self.clusters) > 1 and self._rarely(self.catalogue):
            self.site_count[self.clusters[-1]] = 0
        self.options = self._options()
        self.sites: list[_Site] = []
        self.package = Draft({}, {})

    # Choices

    def _rarely(self, rng: random.Random | None = None, chance: float = 0.15) -> bool:
        return (rng or self.rng).random() < chance

    def _codes(self, stem: str, most: int) -> list[str]:
        ends = [*CODE_ENDS, *(str(n) for n in range(most))]
        count = self.catalogue.randint(1, most) if most <= len(CODE_ENDS) else most
        return [stem + end for end in self.catalogue.sample(ends, count)]

    def _number(self, most: int, least: int = 0) -> str:
        """A decimal between the two, rarely 0 (if allowed), rarely with twelve places."""
        if least == 0 and self._rarely(chance=0.05):
            return self.rng.choice(["0", "0.0", "0.000000000000"])
        places = self.rng.choice([0, 0, 1, 2, 3, 12])
        digits = self.rng.randint(least * 10**places + 1, most * 10**places)
        text = str(digits).rjust(places + 1, "0")
        return f"{text[:-places]}.{text[-places:]}" if places else text

    def _quality(self) -> str:
        return self.rng.choice(["", "", "", "metered", *QUALITIES])

    def _maybe(self, value: str, chance: float = 0.5) -> str:
        return value if self.rng.random() < chance else ""

    # package.toml

    def _options(self) -> dict[str, TomlValue]:
        rng = self.catalogue
        options: dict[str, TomlValue] = {
            name: rng.choice(values) for name, values in CHOICES.items() if rng.random() < 0.45
        }
        options |= self._belonging(options)
        if options.get("matching") == "hourly" and rng.random() < 0.6:
            options["matching"] = "monthly"
        if rng.random() < 0.5:
            options["closed_class"] = "overhead"
        if rng.random() < 0.7:
            before = rng.sample(FALLBACKS[:2], rng.choice([0, 1, 2, 2]))
            options["fallback"] = [*before, "unallocated"]
        if rng.random() < 0.3:
            options["lines"] = rng.sample(LINES, rng.randint(5, len(LINES)))
        if rng.random() < 0.3:
            options["fallback_months"] = rng.randint(1, 12)
        if rng.random() < 0.3:
            options["vintage_window_months"] = rng.choice([0, 1, 60])
        if rng.random() < 0.3:
            options["closure_tolerance"] = rng.choice(["0", "0.000000000001", "0.5", "3"])
        return options

    def _belonging(self, options: dict[str, TomlValue]) -> dict[str, TomlValue]:
        """Options that go with the values of others."""
        rng = self.catalogue
        more: dict[str, TomlValue] = {}
        if options.get("dependencies") == "step_down":
            more["step_down_order"] = rng.sample(self.services, rng.randint(0, len(self.services)))
        if options.get("dependencies") == "rounds":
            more["rounds"] = rng.choice([1, 2, 3, 7])
        if options.get("unused") == "account_pool" and rng.random() < 0.5:
            more["pool_base"] = rng.choice(POOL_BASES)
        return more

    def _option(self, name: str) -> str:
        default = {"rack_weight": "it_kwh", "pool_driver": "it_kwh", "closed_class": "error"}
        if name == "machines":
            return str(self.options.get(name, "subtract" if self.preset == "ibm" else "share"))
        return str(self.options.get(name, default[name]))

    # Tables

    def draft(self) -> Draft:
        """All tables of the month."""
        identity: dict[str, TomlValue] = {
            "format_version": 1,
            "provider": "random-provider",
            "month": self.month,
            "timezone": self.zone,
        }
        hours = month_hours(self.month, ZoneInfo(self.zone))
        if self.rng.random() < 0.5:
            identity["hours"] = int(hours)
        methodology: dict[str, TomlValue] = {
            "name": "generated",
            "version": "1.0.0",
            "preset": self.preset,
            "gwp_set": "AR6",
        }
        self.package = Draft(identity, methodology, dict(self.options))
        self._catalogue_tables()
        self._site_table()
        self._rack_tables()
        self._machine_table()
        self._posting_tables()
        self._instrument_table()
        self._hour_tables(int(hours))
        self._usage_tables()
        self._period_table()
        self._uncertainty_table()
        return self.package

    def _catalogue_tables(self) -> None:
        rng = self.catalogue
        for cluster in self.clusters:
            kind = rng.choice(["region", "edge", "availability_zone", "data_center"])
            row = {"cluster": cluster, "kind": kind, "region": self.region_of[cluster]}
            self.package.add("clusters", row)
        for service in self.services:
            kind = rng.choice(["", "", "standard", "core"])
            row = {"service": service, "kind": kind, "unit": "h", "name": 'any, "name"'}
            self.package.add(
                "services", row | {"split_key": rng.choice(["", "", "revenue", "node_hours", "peak_weighted"])}
            )
        for account in self.accounts:
            internal = rng.choice(["", "false", "true"])
            self.package.add("accounts", {"account": account, "internal": internal})
        self.package.add("gwp", {"gwp_set": "AR6", "gas": "CO2", "gwp": "1"})
        self.package.add("gwp", {"gwp_set": "AR6", "gas": "CH4", "gwp": "29.8"})
        self.package.add("gwp", {"gwp_set": "AR5", "gas": "CH4", "gwp": "30"})
        self.package.add("sites").add("racks").add("usage")

    def _site_table(self) -> None:
        for cluster in self.clusters:
            for n in range(self.site_count[cluster]):
                self._site(f"{cluster} site {n}", cluster)

    def _site(self, code: str, cluster: str) -> None:
        rng = self.rng
        cells = rng.choice(
            ["facility", "facility pue", "facility it", "facility it pue", "it pue", "it pue", "pue"]
        ).split()
        it_kwh = self._number(100_000)
        pue = rng.choice(["1", "1.0", "1.2", "1.57", "2.000000000001"])
        ideal = Fraction(it_kwh) * Fraction(pue)
        facility_kwh = str(int(ideal) + rng.choice([1, 1, 1 + int(ideal) // 5]))
        row = {"site": code, "cluster": cluster}
        row["boundary"] = rng.choice(["scope2", "scope2", "scope3_leased"])
        row["facility_kwh"] = facility_kwh if "facility" in cells else ""
        row["it_kwh"] = it_kwh if "it" in cells else ""
        row["pue"] = pue if "pue" in cells else ""
        row["location_g_per_kwh"] = self._number(900)
        row["residual_g_per_kwh"] = self._maybe(self._number(900), 0.7)
        row["green_ratio"] = rng.choice(["", "", "0", "0.4", "0.333333333333", "1"])
        row["green_g_per_kwh"] = self._maybe(self._number(30), 0.3)
        row["fera_lbm_g_per_kwh"] = self._maybe(self._number(60), 0.3)
        row["fera_mbm_g_per_kwh"] = self._maybe(self._number(60), 0.3)
        row["market"] = rng.choice(["", "", "m", "m!"])
        row["quality"] = self._quality()
        self.package.add("sites", row)
        metered = "it" in cells or cells == ["facility", "pue"]
        known_it = Fraction(it_kwh) if "it" in cells else Fraction(facility_kwh) / Fraction(pue)
        self.sites.append(_Site(code, cluster, metered, known_it if metered else Fraction(0), "facility" in cells))

    def _sites_of(self, cluster: str) -> list[_Site]:
        return [site for site in self.sites if site.cluster == cluster]

    def _site_cell(self, cluster: str, site: _Site | None) -> str:
        """The site's code, left out sometimes where the format allows it."""
        sites = self._sites_of(cluster)
        if site is None:
            return ""
        weighs = self._option("rack_weight") == "facility_kwh"
        needed = len(sites) > 1 and (weighs or not all(site.metered for site in sites))
        return site.code if needed else self._maybe(site.code)

    def _rack_tables(self) -> None:
        for cluster in self.clusters:
            count = self.rng.randint(0, self.size.racks_per_cluster)
            for n in range(count):
                self._rack(f"{cluster}/{n}", cluster)
        for region in self.regions:
            active = [k for k in self.clusters if self.region_of[k] == region]
            counts = {self.site_count[k] for k in active} - {0}
            if counts == {1} and self.rng.random() < 0.6:
                self._rack(f"{region} rack", region)

    def _rack(self, code: str, place: str) -> None:
        rng = self.rng
        sites = self._sites_of(place)
        row = {"rack": code, "cluster": place}
        row["site"] = self._site_cell(place, rng.choice(sites) if sites else None)
        row["role"] = rng.choice(["service"] * 6 + ["network", "management", "spare"])
        row["quality"] = self._quality()
        if rng.random() < 0.7:
            row["it_kwh"] = self._number(20_000)
        else:
            row["servers"] = str(rng.randint(0, 50))
            row["idle_w"] = self._number(200)
            row["max_w"] = self._number(900, least=200)
            row["utilisation"] = rng.choice(["", "0", "0.37", "1"])
            row["hours"] = self._maybe(self._number(SHORTEST_MONTH_HOURS))
        if row["role"] == "service" and rng.random() < 0.3:
            row["service"] = rng.choice(self.services)
        self.package.add("racks", row)
        if row["role"] == "service" and "service" not in row and not self._rarely():
            self._rack_use(code)

    def _rack_use(self, rack: str) -> None:
        rng = self.rng
        for resource in rng.sample(["cpu", "mem", "disk"], rng.randint(1, 3)):
            row = {"rack": rack, "resource": resource, "weight": self._number(5, least=1)}
            capacity = self._number(1000, least=100)
            self.package.add("rack_resources", row | {"capacity": capacity})
            users = rng.sample(self.services, rng.randint(0, min(3, len(self.services))))
            # Now and then a rack is full to the last unit, or overbooked.
            full = len(users) == 1 and self._rarely()
            for service in users:
                row = {"rack": rack, "resource": resource, "service": service}
                used = capacity if full else self._number(rng.choice([40, 40, 900]))
                self.package.add("rack_use", row | {"used": used})

    def _machine_table(self) -> None:
        if not self.sites:
            return
        for n in range(self.rng.randint(0, self.size.machines)):
            site = self.rng.choice(self.sites)
            hours = self._number(SHORTEST_MONTH_HOURS, least=1)
            most_kwh = min(site.machine_budget_kwh, Fraction(500)) if site.metered else Fraction(500)
            most_w = int(most_kwh * 1000 / Fraction(hours))
            power_w = str(self.rng.randint(0, most_w))
            site.machine_budget_kwh -= Fraction(power_w) * Fraction(hours) / 1000
            self.package.add(
                "machines",
                {
                    # Racks and machines may share a code.
                    "machine": self.rng.choice([f"machine {n}", f"{site.cluster}/{n}"]),
                    "cluster": site.cluster,
                    "site": self._site_cell(site.cluster, site),
                    "service": self.rng.choice(self.services),
                    "account": self.rng.choice(self.accounts),
                    "resource_group": self.rng.choice(self.groups),
                    "avg_power_w": power_w,
                    "hours": hours,
                    "quality": self._quality(),
                },
            )

    def _places_with_driver(self) -> list[str]:
        """Clusters, regions and "" (all) over which a pool can certainly be spread."""
        if self._option("pool_driver") == "equal":
            driven = {site.cluster for site in self.sites}
        elif self._option("pool_driver") == "it_kwh":
            driven = {site.cluster for site in self.sites if site.it_kwh}
        else:
            driven = {s.cluster for s in self.sites if s.it_kwh or s.energy_known}
        regions = {self.region_of[k] for k in driven} - {""}
        return [*sorted(driven), *sorted(regions), ""] if driven else []

    def _rows(self) -> Iterator[int]:
        yield from range(self.rng.randint(0, self.size.rows))

    def _posting_tables(self) -> None:
        rng = self.rng
        places = self._places_with_driver()
        gases: list[tuple[str, str]] = [(s, g) for s in ("fuel", "refrigerant") for g in _GASES]
        for site in self.sites:
            for source, gas in rng.sample(gases, rng.choice([0, 0, 1, 2])):
                row = {"site": site.code, "source": source, "gas": gas}
                row |= {"mass_kg": self._number(500), "quality": self._quality()}
                row["gwp_set"] = "AR6" if gas == "CO2e" else ""
                self.package.add("direct_gases", row)
        for n in self._rows() if places else ():
            row = {"pool": f"pool {n}", "cluster": rng.choice(places), "line": rng.choice(LINES)}
            row |= {"kg_co2e": self._number(9_000_000), "quality": self._quality()}
            row["gwp_set"] = self._maybe("AR6")
            self.package.add("shared_pools", row)
        racks = [r["rack"] for r in self.package.tables["racks"] if r["cluster"] in self.clusters]
        owners = {"site": [site.code for site in self.sites], "rack": racks, "pool": places}
        for n in self._rows():
            self._asset(f"asset {n}", {kind: codes for kind, codes in owners.items() if codes})

    def _asset(self, code: str, owners: dict[str, list[str]]) -> None:
        rng = self.rng
        if not owners:
            return
        kind = rng.choice(sorted(owners))
        in_service = self.index - rng.choice([-1, 0, 1, 17, 59, 60, 300])
        retired = self.index + rng.choice([-12, -1, 0, 1])
        self.package.add(
            "assets",
            {
                "asset": code,
                "owner_kind": kind,
                "owner": rng.choice(owners[kind]),
                "category": rng.choice(["building", "it_hardware", "other"]),
                "embodied_kg": self._number(50_000),
                "life_months": rng.choice(["1", "60", "72", "600"]),
                "in_service": _month(in_service),
                "retired": self._maybe(_month(max(retired, in_service)), 0.3),
                "quality": self._quality(),
            },
        )

    def _instrument_table(self) -> None:
        markets = sorted({row["market"] or row["cluster"] for row in self.package.tables["sites"]})
        for n in self._rows() if markets else ():
            self.package.add(
                "instruments",
                {
                    "instrument": f"certificate {n}",
                    "market": self.rng.choice(markets),
                    "type": self.rng.choice(["EAC", "contract", "supplier_specific"]),
                    "kwh": self._number(self.rng.choice([1000, 30_000, 10**7])),
                    "g_per_kwh": self.rng.choice(["0", "0", "12.5", "300"]),
                    "vintage": self._maybe(_month(self.index + self.rng.randint(-14, 14))),
                    "retired": self.rng.choice(["", "true", "true", "false"]),
                },
            )

    def _hour_tables(self, hours: int) -> None:
        """Consumption and generation by hour where they are needed, rarely where they are not."""
        rng = self.rng
        if self.options.get("matching", "monthly") == "monthly" and not self._rarely(chance=0.03):
            return
        for site in self.sites:
            day = [self._number(90, least=1) for _ in range(24)]
            factors = rng.choice([[""] * 24, [self._maybe(self._number(900)) for _ in range(24)]])
            for hour in range(hours):
                row = {"site": site.code, "hour": str(hour), "kwh": day[hour % 24]}
                self.package.add("site_hours", row | {"residual_g_per_kwh": factors[hour % 24]})
        for instrument in self.package.tables.get("instruments", []):
            running = rng.sample(range(hours), rng.choice([0, 1, 24, 300]))
            for hour in running:
                milli_kwh = int(Fraction(instrument["kwh"]) * 1000) // len(running)
                kwh = f"{milli_kwh // 1000}.{milli_kwh % 1000:03d}"
                row = {"instrument": instrument["instrument"], "hour": str(hour), "kwh": kwh}
                self.package.add("instrument_hours", row)

    def _usage_tables(self) -> None:
        rng = self.rng
        places = [*self.clusters, *self._active_regions()]
        # Services that sell nothing this month, and months in which all buy alike (ties).
        silent = rng.sample(self.services, rng.randint(0, len(self.services) // 2))
        sold = [service for service in self.services if service not in silent]
        all_alike = self._rarely()
        for _ in range(rng.randint(0, self.size.usage_rows)):
            quantity = "1" if all_alike else self._number(rng.choice([10, 10**4, 10**9]))
            sign = "-" if self._rarely() and not all_alike else ""
            cell = (rng.choice(places), rng.choice(sold), rng.choice(self.accounts))
            self._usage(cell, rng.choice(self.groups), sign + quantity)
        uses = set()
        for _ in range(rng.randint(0, self.size.service_uses)):
            group = silent if silent and self._rarely(chance=0.4) else self.services
            uses.add((rng.choice(places), rng.choice(group), rng.choice(group)))
        for place, service, consumer in sorted(uses):
            row = {"cluster": place, "service": service, "consumer": consumer}
            self.package.add("service_use", row | {"quantity": self._number(500)})
        providers = {(place, service) for place, service, _ in uses} | self._cross_use(silent)
        if self._option("closed_class") == "error":
            # Every service that others use also sells something, so that no class is closed.
            for place, service in sorted(providers):
                self._usage((place, service, rng.choice(self.accounts)), "sold", "7")

    def _uncertainty_table(self) -> None:
        """Uncertainties of some sources, some with a factor in common."""
        rng = self.rng
        keys = {"sites": "site", "direct_gases": "site", "assets": "asset", "shared_pools": "pool"}
        sources = {
            (table, row[key], line)
            for table, key in keys.items()
            for row in self.package.tables.get(table, [])
            for line in LINES
        }
        for table, code, line in rng.sample(sorted(sources), min(len(sources), rng.choice([0, 0, 6, 30]))):
            row = {"source": table, "code": code, "line": line, "activity_percent": self._maybe(self._number(9))}
            factor = rng.choice(["", "grid", "gwp"])
            percent = {"grid": "10", "gwp": "2.5"}.get(factor, "")
            self.package.add("uncertainties", row | {"factor": factor, "factor_percent": percent})

    def _cross_use(self, silent: Sequence[str]) -> set[tuple[str, str]]:
        """Now and then services serve other clusters; returns those that do."""
        rng = self.rng
        if len(self.clusters) == 1 or rng.random() < 0.7:
            return set()
        uses = set()
        for _ in range(rng.randint(1, self.size.service_uses)):
            cluster, other = rng.sample(self.clusters, 2)
            service = rng.choice(silent if silent and self._rarely(chance=0.4) else self.services)
            uses.add((cluster, service, other, rng.choice(self.services)))
        for use in sorted(uses):
            row = dict(zip(("cluster", "service", "consumer_cluster", "consumer"), use, strict=True))
            self.package.add("cross_use", row | {"quantity": self._number(500)})
        return {use[:2] for use in uses}

    def _period_table(self) -> None:
        """By period, what some leaves used: mostly of peak-weighted services, mostly what they used altogether."""
        rng = self.rng
        peak = {row["service"] for row in self.package.tables["services"] if row["split_key"] == "peak_weighted"}
        leaves = {
            (row["cluster"], row["service"], row["account"], row["resource_group"] or "default"): row["quantity"]
            for row in self.package.tables["usage"]
            if row["cluster"] in self.clusters and (row["service"] in peak or self._rarely(chance=0.02))
        }
        for leaf, quantity in sorted(leaves.items())[:40]:
            whole = Fraction(quantity.removeprefix("-"))
            for period in rng.sample(range(4), rng.choice([0, 1, 2, 4, 4])):
                part = whole / 4 if rng.random() < 0.7 else Fraction(rng.randint(0, 50))
                row = dict(zip(("cluster", "service", "account", "resource_group"), leaf, strict=True))
                row |= {"period": str(period), "quantity": f"{int(part * 10)}.{rng.randint(0, 9)}"}
                self.package.add("usage_periods", row)

    def _usage(self, cell: Sequence[str], group: str, quantity: str) -> None:
        row = dict(zip(("cluster", "service", "account"), cell, strict=True))
        row |= {"resource_group": group, "quantity": quantity}
        if self._rarely():
            row["month"] = self.month
        self.package.add("usage", row)

    def _active_regions(self) -> list[str]:
        return sorted({self.region_of[site.cluster] for site in self.sites} - {""})


_GASES = ("CO2", "CH4", "CO2e")


def _month(index: int) -> str:
    return f"{index // 12:04d}-{index % 12 + 1:02d}"
