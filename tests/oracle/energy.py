"""Energy of sites, racks and machines (the layer of checks called energy), and the pool drivers."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from tests.oracle.reader import Package
from tests.oracle.table import QUALITIES, Row

ZERO = Fraction(0)


def weakest(qualities: Iterable[str]) -> str:
    """The weakest of some qualities (at least one)."""
    return max(qualities, key=QUALITIES.index)


def is_estimated(quality: str) -> bool:
    """All qualities but `metered` and `invoice` count as estimated."""
    return quality not in ("metered", "invoice")


@dataclass(frozen=True)
class Place:
    """A rack in one cluster (a region's rack is several), or a machine. `p` is its weight."""

    code: str
    cluster: str
    site: str | None
    kwh: Fraction
    p: Fraction
    quality: str
    row: Row
    is_machine: bool = False

    @property
    def key(self) -> str:
        """Unique among racks and machines of a cluster, which may share a code."""
        return f"{'machine' if self.is_machine else 'rack'}|{self.code}"

    @property
    def role(self) -> str:
        """Role of the rack; a machine counts as a service rack."""
        return "service" if self.is_machine else self.row.text("role")


@dataclass(frozen=True)
class Site:
    """Electricity (`energy_kwh`, E) and IT energy of a site."""

    row: Row
    cluster: str
    it_kwh: Fraction
    energy_kwh: Fraction
    bottom_up: bool

    @property
    def weight_factor(self) -> Fraction:
        """E / IT, for weights by facility energy."""
        if self.it_kwh:
            return self.energy_kwh / self.it_kwh
        return self.row.exact("pue", "1")


@dataclass
class Energy:
    """What the allocation needs to know about energy, all in kWh."""

    sites: dict[str, Site] = field(default_factory=dict)
    racks: list[Place] = field(default_factory=list)
    machines: list[Place] = field(default_factory=list)

    def of_cluster(self, cluster: str) -> list[Site]:
        """The sites of a cluster."""
        return [site for site in self.sites.values() if site.cluster == cluster]

    def driver(self, cluster: str, measure: str) -> Fraction:
        """What one cluster weighs by `it_kwh`, `facility_kwh` or `equal`."""
        if measure == "equal":
            return Fraction(1)
        return sum(
            (s.it_kwh if measure == "it_kwh" else s.energy_kwh for s in self.of_cluster(cluster)),
            ZERO,
        )


def measure_energy(package: Package) -> Energy:
    """Compute all energies.

    Raises:
        RejectedError: if the layer of energy checks rejects the package.
    """
    _check_cells(package)
    package.stop_if_rejected()
    racks = [place for row in package.tables["racks"] for place in _rack_places(package, row)]
    machines = [_machine_place(package, row) for row in package.tables["machines"]]
    sites = {row.text("site"): _site(row, [*racks, *machines]) for row in package.tables["sites"]}
    energy = Energy(sites, racks, machines)
    if package.methodology.choice("rack_weight") == "facility_kwh":
        energy.racks = [_by_facility(place, sites) for place in racks]
        energy.machines = [_by_facility(place, sites) for place in machines]
    _check_drivers(package, energy)
    _check_machines(package, energy)
    _flag_closure(package, energy)
    package.stop_if_rejected()
    return energy


def it_is_metered(site: Row) -> bool:
    """Whether the IT energy of a site is known without looking at its racks."""
    return site.has("it_kwh") or (site.has("facility_kwh") and site.has("pue"))


def clusters_of_pool(package: Package, code: str) -> list[str]:
    """Active clusters a pool is spread over; an empty code means all."""
    if code == "":
        return package.active
    return [cluster for cluster in package.stands_for(code) if cluster in package.active]


def _check_cells(package: Package) -> None:
    for row in package.tables["sites"]:
        if not row.has("facility_kwh") and not row.has("pue"):
            package.find("NO_SITE_ENERGY", "package", "sites", row.number)
        below = row.has("pue") and row.exact("pue") < 1
        both = row.has("facility_kwh") and row.has("it_kwh")
        if below or (both and row.exact("facility_kwh") < row.exact("it_kwh")):
            package.find("PUE_BELOW_ONE", "package", "sites", row.number)
    for table in ("racks", "machines"):
        for row in package.tables[table]:
            if row.has("hours") and row.exact("hours") > package.methodology.hours:
                package.find("HOURS_EXCEED_MONTH", "package", table, row.number)
            if _site_is_missing(package, row):
                package.find("SITE_REQUIRED", "package", table, row.number)
    for row in package.tables["racks"]:
        _check_rack(package, row)
    _check_hours(package)


def _check_hours(package: Package) -> None:
    for table in ("site_hours", "instrument_hours"):
        for row in package.tables[table]:
            if row.exact("hour") >= package.methodology.hours:
                package.find("HOURS_EXCEED_MONTH", "package", table, row.number)


def _check_rack(package: Package, row: Row) -> None:
    if not row.has("it_kwh"):
        if not all(row.has(column) for column in ("servers", "idle_w", "max_w")):
            package.find("NO_RACK_ENERGY", "package", "racks", row.number)
        elif not row.has("utilisation"):
            package.find("DEFAULT_UTILISATION", "flag", "racks", row.number)
    if package.is_region(row.text("cluster")):
        clusters = package.stands_for(row.text("cluster"))
        if not clusters or any(len(package.sites_of[cluster]) != 1 for cluster in clusters):
            package.find("REGION_SPLIT", "package", "racks", row.number)


def _site_is_missing(package: Package, row: Row) -> bool:
    sites = package.sites_of.get(row.text("cluster"), [])
    if row.has("site") or len(sites) < 2:
        return False
    by_facility = package.methodology.choice("rack_weight") == "facility_kwh"
    return by_facility or not all(it_is_metered(site) for site in sites)


def _default_site(package: Package, row: Row, cluster: str) -> str | None:
    sites = package.sites_of[cluster]
    if row.has("site"):
        return row.text("site")
    return sites[0].text("site") if len(sites) == 1 else None


def _rack_places(package: Package, row: Row) -> list[Place]:
    """The rack in its cluster, or one rack per active cluster of its region."""
    kwh, quality = _rack_kwh(package, row)
    clusters = package.stands_for(row.text("cluster"))
    shares = {cluster: Fraction(1) for cluster in clusters}
    if package.is_region(row.text("cluster")):
        shares, equal = _region_shares(package, clusters)
        quality = weakest([quality, "regional_equal_split"]) if equal else quality
    return [
        Place(
            row.text("rack"),
            cluster,
            _default_site(package, row, cluster),
            kwh * share,
            kwh * share,
            quality,
            row,
        )
        for cluster, share in shares.items()
    ]


def _rack_kwh(package: Package, row: Row) -> tuple[Fraction, str]:
    if row.has("it_kwh"):
        return row.exact("it_kwh"), row.text("quality", "metered")
    idle_w, max_w = row.exact("idle_w"), row.exact("max_w")
    power_w = idle_w + row.exact("utilisation", "0.5") * (max_w - idle_w)
    hours = row.exact("hours") if row.has("hours") else package.methodology.hours
    kwh = row.exact("servers") * power_w * hours / 1000
    return kwh, weakest([row.text("quality", "estimated_profile"), "estimated_profile"])


def _region_shares(package: Package, clusters: list[str]) -> tuple[dict[str, Fraction], bool]:
    """Shares of a region's rack by cluster, and whether they had to be equal."""
    sites = {cluster: package.sites_of[cluster][0] for cluster in clusters}
    if all(it_is_metered(site) for site in sites.values()):
        known = {
            cluster: site.exact("it_kwh") if site.has("it_kwh") else site.exact("facility_kwh") / site.exact("pue")
            for cluster, site in sites.items()
        }
        total = sum(known.values())
        if total:
            return {cluster: kwh / total for cluster, kwh in known.items()}, False
    return {cluster: Fraction(1, len(clusters)) for cluster in clusters}, True


def _machine_place(package: Package, row: Row) -> Place:
    kwh = row.exact("avg_power_w") * row.exact("hours") / 1000
    cluster = row.text("cluster")
    return Place(
        row.text("machine"),
        cluster,
        _default_site(package, row, cluster),
        kwh,
        kwh,
        row.text("quality", "average_power"),
        row,
        is_machine=True,
    )


def _site(row: Row, places: list[Place]) -> Site:
    bottom_up = not it_is_metered(row)
    if row.has("it_kwh"):
        it_kwh = row.exact("it_kwh")
    elif not bottom_up:
        it_kwh = row.exact("facility_kwh") / row.exact("pue")
    else:
        it_kwh = sum((place.kwh for place in places if place.site == row.text("site")), ZERO)
    energy = row.exact("facility_kwh") if row.has("facility_kwh") else it_kwh * row.exact("pue")
    return Site(row, row.text("cluster"), it_kwh, energy, bottom_up)


def _by_facility(place: Place, sites: dict[str, Site]) -> Place:
    """The same rack or machine with p = kWh x E / IT of its site."""
    factor = sites[place.site].weight_factor if place.site else Fraction(1)
    return Place(
        place.code,
        place.cluster,
        place.site,
        place.kwh,
        place.kwh * factor,
        place.quality,
        place.row,
        place.is_machine,
    )


def _check_drivers(package: Package, energy: Energy) -> None:
    measure = package.methodology.choice("pool_driver")
    pools = [
        ("assets", row, row.text("owner")) for row in package.tables["assets"] if row.text("owner_kind") == "pool"
    ] + [("shared_pools", row, row.text("cluster")) for row in package.tables["shared_pools"]]
    for table, row, code in pools:
        clusters = clusters_of_pool(package, code)
        if not any(energy.driver(cluster, measure) for cluster in clusters):
            package.find("NO_POOL_DRIVER", "package", table, row.number)


def _check_machines(package: Package, energy: Energy) -> None:
    methodology = package.methodology
    if methodology.choice("machines") != "subtract":
        return
    for cluster in package.clusters:
        taken = sum((place.p for place in energy.machines if place.cluster == cluster), ZERO)
        if taken > energy.driver(cluster, methodology.choice("rack_weight")):
            package.find("MACHINE_EXCEEDS_CLUSTER", "package", "machines", None)


def _flag_closure(package: Package, energy: Energy) -> None:
    tolerance = package.methodology.closure_tolerance
    for site in energy.sites.values():
        row = site.row
        if site.bottom_up and not row.has("facility_kwh"):
            package.find("BOTTOM_UP_SITE", "flag", "sites", row.number)
        if all(row.has(column) for column in ("facility_kwh", "it_kwh", "pue")):
            expected = row.exact("pue") * row.exact("it_kwh")
            if abs(row.exact("facility_kwh") - expected) > tolerance * expected:
                package.find("CLOSURE_GAP", "flag", "sites", row.number)
    for cluster in package.active:
        sites = energy.of_cluster(cluster)
        places = [*energy.racks, *energy.machines]
        racked = sum((place.kwh for place in places if place.cluster == cluster), ZERO)
        metered = energy.driver(cluster, "it_kwh")
        gap = abs(metered - racked) > tolerance * racked
        if gap and not any(site.bottom_up for site in sites):
            package.find("CLOSURE_GAP", "flag", "clusters", package.row_of("clusters", cluster))
