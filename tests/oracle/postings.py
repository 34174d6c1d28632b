"""Stage 1: what is posted to each (cluster, line), exactly, before the source integer."""

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction

from tests.oracle.energy import ZERO, Energy, Site, clusters_of_pool, is_estimated
from tests.oracle.methodology import FILE, month_index
from tests.oracle.reader import Package
from tests.oracle.table import Finding, Row

UG_PER_KG = 10**9
UG_PER_G = 10**6
INSTRUMENT_ORDER = ("EAC", "contract", "supplier_specific")
Pair = tuple[str, str]


@dataclass
class Source:
    """All postings to one (cluster, line) in micrograms.

    `exact_ug` and `estimated_ug` leave the assets of racks out, which stand by rack in `racks_ug`. `rows`
    has every posting: table, first code of its row, micrograms.
    """

    exact_ug: Fraction = ZERO
    estimated_ug: Fraction = ZERO
    qualities: set[str] = field(default_factory=set)
    rows: list[tuple[str, str, Fraction]] = field(default_factory=list)
    racks_ug: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    @property
    def source_ug(self) -> int:
        """x: rounded once, half to even."""
        return round(self.exact_ug)

    @property
    def total_ug(self) -> int:
        """N: what the leaves have to add up to."""
        return self.source_ug + sum(ug for own in self.racks_ug.values() for ug, _ in own)

    @property
    def estimated_share(self) -> Fraction:
        """The estimated part of x, before rounding."""
        return self.estimated_ug / self.exact_ug if self.exact_ug else ZERO


class Sources(defaultdict[Pair, Source]):
    """The sources of a package by (cluster, line)."""

    def __init__(self) -> None:
        super().__init__(Source)

    def post(self, cluster: str, line: str, ug: Fraction | int, quality: str, row: tuple[str, str]) -> None:
        """Add the posting of one row."""
        source = self[cluster, line]
        source.rows.append((*row, Fraction(ug)))
        source.exact_ug += ug
        source.estimated_ug += ug if is_estimated(quality) else 0
        source.qualities.add(quality)

    def post_to_rack(self, cluster: str, rack: str, ug: int, quality: str, asset: str) -> None:
        """Add the posting of an asset of a rack."""
        source = self[cluster, "scope3_embodied"]
        source.rows.append(("assets", asset, Fraction(ug)))
        source.racks_ug.setdefault(rack, []).append((ug, quality))
        source.qualities.add(quality)


def post_all(package: Package, energy: Energy) -> dict[Pair, Source]:
    """Every existing (cluster, line) that the option `lines` names; flags for the rest."""
    sources = Sources()
    _post_electricity(package, energy, sources)
    _post_gases(package, energy, sources)
    _post_assets(package, energy, sources)
    for row in package.tables["shared_pools"]:
        ug = row.exact("kg_co2e") * UG_PER_KG
        _spread(package, energy, row.text("cluster"), ug).post(
            sources, row.text("line"), row.text("quality", "metered"), ("shared_pools", row.text("pool"))
        )
    lines = package.methodology.lines
    for line in sorted({line for _, line in sources} - lines):
        package.findings.append(Finding("LINE_EXCLUDED", "flag", FILE, None))
        assert line not in lines
    return {pair: source for pair, source in sources.items() if pair[1] in lines}


@dataclass(frozen=True)
class Spread:
    """A pool divided among clusters, in micrograms."""

    ug_by_cluster: dict[str, Fraction]

    def post(self, sources: Sources, line: str, quality: str, row: tuple[str, str]) -> None:
        """Post each part, zeros included."""
        for cluster, ug in self.ug_by_cluster.items():
            sources.post(cluster, line, ug, quality, row)


def _spread(package: Package, energy: Energy, code: str, ug: Fraction | int) -> Spread:
    measure = package.methodology.choice("pool_driver")
    drivers = {cluster: energy.driver(cluster, measure) for cluster in clusters_of_pool(package, code)}
    total = sum(drivers.values())
    return Spread({cluster: ug * driver / total for cluster, driver in drivers.items()})


def _post_electricity(package: Package, energy: Energy, sources: Sources) -> None:
    market_grams = _market_based_grams(package, energy)
    for code, site in energy.sites.items():
        row = site.row
        quality = row.text("quality", "metered")
        stem = "scope3_leased" if row.text("boundary") == "scope3_leased" else "scope2"
        location_g = site.energy_kwh * row.exact("location_g_per_kwh")
        sources.post(site.cluster, f"{stem}_lbm", location_g * UG_PER_G, quality, ("sites", code))
        sources.post(site.cluster, f"{stem}_mbm", market_grams[code] * UG_PER_G, quality, ("sites", code))
        for method in ("lbm", "mbm"):
            column = f"fera_{method}_g_per_kwh"
            if row.has(column):
                upstream_g = site.energy_kwh * row.exact(column)
                line = f"scope3_fera_{method}"
                sources.post(site.cluster, line, upstream_g * UG_PER_G, quality, ("sites", code))


def _market_based_grams(package: Package, energy: Energy) -> dict[str, Fraction]:
    """Market-based grams by site: green share, instruments of the market, residual mix."""
    grams: dict[str, Fraction] = {}
    left_kwh: dict[str, Fraction] = {}
    markets: dict[str, list[str]] = defaultdict(list)
    for code, site in energy.sites.items():
        green_kwh = site.row.exact("green_ratio", "0") * site.energy_kwh
        grams[code] = green_kwh * site.row.exact("green_g_per_kwh", "0")
        left_kwh[code] = site.energy_kwh - green_kwh
        markets[site.row.text("market", site.cluster)].append(code)
    if package.methodology.choice("matching") == "hourly":
        return {code: grams[code] + by_hour for code, by_hour in hourly_grams(package, energy, left_kwh).items()}
    for row in eligible_in_order(package):
        members = markets[row.text("market")]
        open_kwh = sum((left_kwh[code] for code in members), ZERO)
        covered_kwh = min(open_kwh, row.exact("kwh"))
        if covered_kwh < row.exact("kwh"):
            package.find("SURPLUS_INSTRUMENT", "flag", "instruments", row.number)
        for code in members if covered_kwh else []:
            part_kwh = covered_kwh * left_kwh[code] / open_kwh
            grams[code] += part_kwh * row.exact("g_per_kwh")
            left_kwh[code] -= part_kwh
    for code, site in energy.sites.items():
        grams[code] += left_kwh[code] * residual_g_per_kwh(package, site)
    return grams


def residual_g_per_kwh(package: Package, site: Site) -> Fraction:
    """What no instrument covers; flags sites without a residual mix."""
    if site.row.has("residual_g_per_kwh"):
        return site.row.exact("residual_g_per_kwh")
    package.find("NO_RESIDUAL_MIX", "flag", "sites", site.row.number)
    return site.row.exact("location_g_per_kwh")


def eligible_in_order(package: Package) -> list[Row]:
    """The eligible instruments in the order of the cascade; flags the others."""
    month = month_index(package.methodology.month)
    eligible = []
    for row in package.tables["instruments"]:
        distance = abs(month_index(row.text("vintage", package.methodology.month)) - month)
        too_far = distance > package.methodology.vintage_window_months
        if row.text("retired") == "false" or too_far:
            package.find("INELIGIBLE_INSTRUMENT", "flag", "instruments", row.number)
        else:
            eligible.append(row)
    return sorted(
        eligible,
        key=lambda row: (INSTRUMENT_ORDER.index(row.text("type")), row.text("instrument")),
    )


def hourly_grams(package: Package, energy: Energy, left_kwh: dict[str, Fraction]) -> dict[str, Fraction]:
    """Section 9, `matching = hourly`: market-based grams of what the green shares leave, hour by hour."""
    hours = range(int(package.methodology.hours))
    profiles = {code: _profile(package, site) for code, site in energy.sites.items()}
    generated: dict[str, dict[int, Fraction]] = {}
    for row in package.tables["instrument_hours"]:
        generated.setdefault(row.text("instrument"), {})[int(row.exact("hour"))] = row.exact("kwh")
    instruments = []
    for row in eligible_in_order(package):
        if row.text("instrument") in generated:
            instruments.append(row)
        else:
            package.find("INELIGIBLE_INSTRUMENT", "flag", "instruments", row.number)
    market_of = {code: site.row.text("market", site.cluster) for code, site in energy.sites.items()}
    unused_kwh = {row.text("instrument"): row.exact("kwh") for row in instruments}
    grams = dict.fromkeys(energy.sites, ZERO)
    residual = {code: residual_g_per_kwh(package, site) for code, site in energy.sites.items()}
    for hour in hours:
        open_kwh = {code: left_kwh[code] * profiles[code][hour][0] for code in energy.sites}
        for row in instruments:
            members = [code for code, market in market_of.items() if market == row.text("market")]
            demand = sum((open_kwh[code] for code in members), ZERO)
            taken = min(demand, generated[row.text("instrument")].get(hour, ZERO))
            unused_kwh[row.text("instrument")] -= taken
            for code in members if taken else []:
                part = taken * open_kwh[code] / demand
                grams[code] += part * row.exact("g_per_kwh")
                open_kwh[code] -= part
        for code, kwh in open_kwh.items():
            own = profiles[code][hour][1]
            grams[code] += kwh * (residual[code] if own is None else own)
    for row in instruments:
        if unused_kwh[row.text("instrument")]:
            package.find("SURPLUS_INSTRUMENT", "flag", "instruments", row.number)
    return grams


def _profile(package: Package, site: Site) -> dict[int, tuple[Fraction, Fraction | None]]:
    """By hour: the share of the month's consumption and the residual factor of the hour; flags gaps."""
    rows = {
        int(row.exact("hour")): row for row in package.tables["site_hours"] if row.text("site") == site.row.text("site")
    }
    total = sum((row.exact("kwh") for row in rows.values()), ZERO)
    if abs(total - site.energy_kwh) > package.methodology.closure_tolerance * site.energy_kwh:
        package.find("CLOSURE_GAP", "flag", "site_hours", None)
    return {
        hour: (
            row.exact("kwh") / total if total else ZERO,
            row.exact("residual_g_per_kwh") if row.has("residual_g_per_kwh") else None,
        )
        for hour, row in rows.items()
    }


def check_hours(package: Package, energy: Energy) -> None:
    """The part of the energy layer that is about hours."""
    if package.methodology.choice("matching") != "hourly":
        for table in ("site_hours", "instrument_hours"):
            if package.tables[table]:
                package.find("HOURS_IGNORED", "flag", table, None)
        return
    for code, site in energy.sites.items():
        rows = [row for row in package.tables["site_hours"] if row.text("site") == code]
        drawn = any(row.exact("kwh") for row in rows)
        if len(rows) < package.methodology.hours or (site.energy_kwh and not drawn):
            package.find("HOURS_INCOMPLETE", "package", "sites", site.row.number)
    for row in eligible_in_order(package):
        parts = [it for it in package.tables["instrument_hours"] if it.text("instrument") == row.text("instrument")]
        if sum((part.exact("kwh") for part in parts), ZERO) > row.exact("kwh"):
            package.find("INSTRUMENT_EXCEEDED", "package", "instruments", row.number)


def _post_gases(package: Package, energy: Energy, sources: Sources) -> None:
    gwp = {
        row.text("gas"): row.exact("gwp")
        for row in package.tables["gwp"]
        if row.text("gwp_set") == package.methodology.gwp_set
    } | {"CO2e": Fraction(1)}
    for row in package.tables["direct_gases"]:
        site = energy.sites[row.text("site")]
        leased = site.row.text("boundary") == "scope3_leased"
        ug = row.exact("mass_kg") * gwp[row.text("gas")] * UG_PER_KG
        line = "scope3_other" if leased else "scope1"
        gas_of = ("direct_gases", row.text("site"))
        sources.post(site.cluster, line, ug, row.text("quality", "metered"), gas_of)


def _post_assets(package: Package, energy: Energy, sources: Sources) -> None:
    racks = {place.code: place.cluster for place in energy.racks}
    for row in package.tables["assets"]:
        ug = embodied_ug(row, package.methodology.month, package.methodology.choice("early_retirement"))
        quality = row.text("quality", "metered")
        owner = row.text("owner")
        asset = ("assets", row.text("asset"))
        kind = row.text("owner_kind")
        if kind == "rack":
            sources.post_to_rack(racks[owner], owner, ug, quality, row.text("asset"))
        elif kind == "site":
            sources.post(energy.sites[owner].cluster, "scope3_embodied", ug, quality, asset)
        else:
            _spread(package, energy, owner, ug).post(sources, "scope3_embodied", quality, asset)


def embodied_ug(row: Row, month: str, early_retirement: str) -> int:
    """The posting in micrograms of one asset in one month; 0 outside its life."""
    total_ug = round(row.exact("embodied_kg") * UG_PER_KG)
    life = int(row.exact("life_months"))
    n = month_index(month) - month_index(row.text("in_service")) + 1
    if not 1 <= n <= life:
        return 0
    posted_before = total_ug * (n - 1) // life
    if row.has("retired") and early_retirement != "continue":
        after = month_index(month) - month_index(row.text("retired"))
        if after > 0:
            return 0
        if after == 0 and early_retirement == "write_off":
            return total_ug - posted_before
    return total_ug * n // life - posted_before
