"""Where the source total of a (cluster, line) comes from: every posting with its quantity, factor and rows."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from allocation.engine.electricity import LOCATION_LINE, MARKET_LINE
from allocation.engine.embodied import LINE as EMBODIED
from allocation.engine.embodied import posting_ug
from allocation.engine.frames import ENERGY_LINE
from allocation.engine.gases import CO2E, LINE_BY_BOUNDARY
from allocation.engine.lineage.market import Factor, bought
from allocation.engine.lineage.steps import InputRow
from allocation.engine.pools import drivers, spread
from allocation.engine.rows import rows
from allocation.engine.units import ONE, UG_PER_G, UG_PER_KG, WH_PER_KWH, exact, exact_sum, months_between
from allocation.engine.units import round_half_even as rounded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from allocation.engine.frames import Activity
    from allocation.engine.plan import Survey


@dataclass(frozen=True, slots=True)
class Posting:
    """`amount` (µg, Wh on the energy line) = quantity x factor x share in the units named, exactly.

    A factor of None counts as 1. `share` is the cluster's part of what belongs to several. `rack` is set where the
    posting goes to one rack, not to the cluster.
    """

    code: str
    quantity: Fraction
    unit: str
    factor: Factor | None
    share: Fraction
    amount: Fraction
    quality: str
    rows: tuple[InputRow, ...]
    rack: str | None = None


def postings(activity: Activity, found: Survey, cluster: str, line: str) -> list[Posting]:
    """Return every posting to a (cluster, line), those of its racks included.

    Raises:
        ArithmeticError: they do not add up to what the engine posted.
    """
    everything = list(_postings(activity, found, cluster, line))
    source = found.clusters[cluster].sources[line]
    shared = exact_sum(posting.amount for posting in everything if posting.rack is None)
    of_racks = exact_sum(posting.amount for posting in everything if posting.rack is not None)
    if shared != exact_sum(source.shared) or of_racks != source.rack_assets_ug:
        raise ArithmeticError(f"the postings of cluster {cluster} on {line} are not those of the engine")
    return everything


def _postings(activity: Activity, found: Survey, cluster: str, line: str) -> Iterator[Posting]:
    yield from _electricity(activity, found, cluster, line)
    yield from _gases(activity, cluster, line)
    yield from _pools(activity, found, cluster, line)
    if line == EMBODIED:
        yield from _assets(activity, found, cluster)


def _electricity(activity: Activity, found: Survey, cluster: str, line: str) -> Iterator[Posting]:
    month = activity.header.month
    for row in rows(activity.tables["sites"]):
        if row.cluster != cluster:
            continue
        here, code = InputRow("sites.csv", int(row.row)), f"site {row.site}"
        kwh, quality = found.sites[str(row.site)].facility_kwh, str(row.quality)
        if line == ENERGY_LINE:
            yield Posting(code, kwh, "kWh", None, ONE, kwh * WH_PER_KWH, quality, (here,))
        elif line == MARKET_LINE[str(row.boundary)]:
            for quantity, factor, more in bought(activity, found.sites, row):
                together = tuple(dict.fromkeys((here, factor.row, *more)))
                yield Posting(code, quantity, "kWh", factor, ONE, quantity * factor.value * UG_PER_G, quality, together)
        else:
            by_line = {
                LOCATION_LINE[str(row.boundary)]: "location_g_per_kwh",
                "scope3_fera_lbm": "fera_lbm_g_per_kwh",
                "scope3_fera_mbm": "fera_mbm_g_per_kwh",
            }
            name = by_line.get(line)
            value = exact(getattr(row, name)) if name else None
            if name and value is not None:
                factor = Factor(name, value, "g/kWh", f"{month:%Y-%m}", here)
                yield Posting(code, kwh, "kWh", factor, ONE, kwh * value * UG_PER_G, quality, (here,))


def _gases(activity: Activity, cluster: str, line: str) -> Iterator[Posting]:
    gwp_set = activity.header.gwp_set
    potentials = {str(row.gas): row for row in rows(activity.tables["gwp"]) if row.gwp_set == gwp_set}
    sites = {str(row.site): row for row in rows(activity.tables["sites"]) if row.cluster == cluster}
    for row in rows(activity.tables["direct_gases"]):
        site = sites.get(str(row.site))
        if site is None or LINE_BY_BOUNDARY[str(site.boundary)] != line:
            continue
        here = InputRow("direct_gases.csv", int(row.row))
        mass_kg, code = Fraction(row.mass_kg), f"{row.source} {row.gas} of site {row.site}"
        if row.gas == CO2E:
            amount = mass_kg * UG_PER_KG
            yield Posting(code, mass_kg, "kg CO2e", None, ONE, amount, str(row.quality), (here,))
            continue
        its_row = InputRow("gwp.csv", int(potentials[str(row.gas)].row))
        factor = Factor(f"GWP {row.gas}", Fraction(potentials[str(row.gas)].gwp), "kg CO2e/kg", gwp_set, its_row)
        amount = mass_kg * factor.value * UG_PER_KG
        yield Posting(code, mass_kg, "kg", factor, ONE, amount, str(row.quality), (here, its_row))


def _pools(activity: Activity, found: Survey, cluster: str, line: str) -> Iterator[Posting]:
    driver = drivers(activity.header.options.pool_driver, found.places, found.sites.values())
    for row in rows(activity.tables["shared_pools"]):
        share = (spread(found.places, driver, row.cluster) or {}).get(cluster)
        if row.line == line and share is not None:
            kg, here = Fraction(row.kg_co2e), InputRow("shared_pools.csv", int(row.row))
            amount = kg * UG_PER_KG * share
            yield Posting(f"pool {row.pool}", kg, "kg CO2e", None, share, amount, str(row.quality), (here,))


def _assets(activity: Activity, found: Survey, cluster: str) -> Iterator[Posting]:
    driver = drivers(activity.header.options.pool_driver, found.places, found.sites.values())
    site_cluster = {str(row.site): str(row.cluster) for row in rows(activity.tables["sites"])}
    rack_cluster = {str(row.rack): str(row.cluster) for row in rows(activity.tables["racks"])}
    for row in rows(activity.tables["assets"]):
        owner = str(row.owner)
        if row.owner_kind == "pool":
            share = (spread(found.places, driver, row.owner) or {}).get(cluster)
        else:
            known = rack_cluster if row.owner_kind == "rack" else site_cluster
            share = ONE if known[owner] == cluster else None
        if share is None:
            continue
        amount_ug = posting_ug(
            rounded(Fraction(row.embodied_kg) * UG_PER_KG),
            int(row.life_months),
            months_between(row.in_service, activity.header.month) + 1,
            None if row.retired is None else months_between(row.in_service, row.retired) + 1,
            activity.header.options.early_retirement,
        )
        yield Posting(
            f"asset {row.asset}",
            Fraction(amount_ug),
            "ug CO2e of the month",
            None,
            share,
            amount_ug * share,
            str(row.quality),
            (InputRow("assets.csv", int(row.row)),),
            owner if row.owner_kind == "rack" else None,
        )
