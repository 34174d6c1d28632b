"""An estate: an organisation, and for each provider the plant and the usage that make its packages."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import numpy as np

from allocation.exchange.estate.enterprises import draw_organisation, enterprise_weights, split_whole
from allocation.exchange.estate.marginals import read_marginals
from allocation.exchange.estate.months import month_after
from allocation.exchange.estate.organisation import Provider
from allocation.exchange.estate.places import read_places
from allocation.exchange.estate.plant.areas import Area, AreaPlant
from allocation.exchange.estate.plant.halls import Hall, HallPlant
from allocation.exchange.estate.plant.zones import Zone, ZonePlant
from allocation.exchange.estate.population import populate
from allocation.exchange.estate.usage import QUANTITY_SCALE, Demand

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from pathlib import Path

    from allocation.exchange.estate.marginals import Marginals
    from allocation.exchange.estate.organisation import Organisation
    from allocation.exchange.estate.places import Places, Region
    from allocation.exchange.estate.plant.tables import Plant
    from allocation.exchange.estate.population import Population

STYLES: Final = ("alibaba", "aws-v2", "ibm")
IT_KWH_PER_ACCOUNT: Final = 4000.0
LEASED_EVERY: Final = 5
ZERO_EMISSION_EVERY: Final = 4
# Whose names of regions a style uses.
SCHEMES: Final = {"alibaba": "aws", "aws-v2": "aws", "ibm": "ibm"}


@dataclass(frozen=True, slots=True)
class EstatePlan:
    """What to generate.

    Attributes:
        seed: everything follows from it.
        account_count: accounts over all providers.
        row_count: usage rows a month over all providers, while all accounts are open.
        month_count: months.
        first_month: first day of the first one.
        styles: ways of building a plant; one provider for each.
        enterprise_count: companies.
        cluster_count: clusters of each provider.
        spread: factor on the standard deviation of the logarithms of quantities; 1 is as fitted.
    """

    seed: int
    account_count: int
    row_count: int
    month_count: int
    first_month: dt.date
    styles: tuple[str, ...] = ("aws-v2",)
    enterprise_count: int = 4
    cluster_count: int = 12
    spread: float = 1.0


@dataclass(frozen=True, slots=True)
class ProviderEstate:
    """One provider's part of an estate."""

    provider: Provider
    population: Population
    demand: Demand
    plant: Plant


@dataclass(frozen=True, slots=True)
class Estate:
    """Everything that can be written down."""

    organisation: Organisation
    providers: tuple[ProviderEstate, ...]
    first_month: dt.date
    month_count: int

    @property
    def months(self) -> list[dt.date]:
        """First days of its months."""
        return [month_after(self.first_month, index) for index in range(self.month_count)]


def draw_estate(plan: EstatePlan, fixtures: Path) -> Estate:
    """Draw an estate; nothing is written.

    Args:
        plan: what to generate.
        fixtures: the folder `fixtures/`.

    Raises:
        ValueError: the plan cannot be met.
    """
    _check(plan)
    marginals, places = read_marginals(fixtures), read_places(fixtures)
    providers = [
        Provider(f"generated-{number}-{style}", f"Generated provider {number}", "UTC", style)
        for number, style in enumerate(plan.styles, 1)
    ]
    organisation = draw_organisation(
        seed=plan.seed,
        providers=providers,
        account_count=plan.account_count,
        enterprise_count=plan.enterprise_count,
        first_month=plan.first_month,
        month_count=plan.month_count,
        marginals=marginals,
    )
    weights = enterprise_weights(plan.seed, plan.enterprise_count, marginals)
    rows = split_whole(plan.row_count, np.ones(len(providers)))
    parts = []
    for order, provider in enumerate(providers):
        population = populate(
            seed=plan.seed,
            provider_order=order,
            accounts=organisation.accounts_of(provider.code),
            enterprise_weights=weights,
            cluster_count=plan.cluster_count,
            marginals=marginals,
        )
        parts.append(_provider_estate(plan, order, provider, population, int(rows[order]), marginals, places))
    return Estate(organisation, tuple(parts), plan.first_month, plan.month_count)


def _check(plan: EstatePlan) -> None:
    if unknown := sorted(set(plan.styles) - set(STYLES)):
        raise ValueError(f"no style is called {', '.join(unknown)}; there are {', '.join(STYLES)}")
    smallest = len(plan.styles) * plan.enterprise_count
    if not plan.styles or plan.enterprise_count < 1 or plan.cluster_count < 1 or plan.month_count < 1:
        raise ValueError("styles, enterprises, clusters and months: at least one of each")
    if plan.account_count < smallest:
        raise ValueError(f"at least {smallest} accounts: one for each enterprise at each provider")
    if plan.row_count < len(plan.styles) * plan.cluster_count:
        raise ValueError("at least one row for each cluster")


def _provider_estate(  # noqa: PLR0913, PLR0917 private: what a part is made of
    plan: EstatePlan,
    order: int,
    provider: Provider,
    population: Population,
    row_count: int,
    marginals: Marginals,
    places: Places,
) -> ProviderEstate:
    regions = sorted(
        (region for region in places.regions.values() if region.scheme == SCHEMES[provider.style]),
        key=lambda region: region.code,
    )
    codes, it_kwh = _clusters(provider.style, regions, plan.cluster_count), _it_kwh(population)
    demand = Demand(
        seed=plan.seed,
        provider_order=order,
        clusters=[code for code, _ in codes],
        population=population,
        products=marginals.products,
        marginals=marginals,
        row_count=row_count,
        spread=plan.spread,
    )
    common = {"seed": plan.seed, "provider_order": order}
    plant: Plant
    match provider.style:
        case "alibaba":
            zones = [
                Zone(code, region, it_kwh[place], place % LEASED_EVERY == 1, Decimal(place % 4) / 10)
                for place, (code, region) in enumerate(codes)
            ]
            plant = ZonePlant(**common, zones=zones, products=marginals.products, places=places)
        case "ibm":
            halls = [
                Hall(code, region, it_kwh[place], zero_emission=place % ZERO_EMISSION_EVERY == ZERO_EMISSION_EVERY - 1)
                for place, (code, region) in enumerate(codes)
            ]
            plant = HallPlant(**common, halls=halls, products=marginals.products, places=places, population=population)
        case _:
            areas = [Area(region, it_kwh[place]) for place, (_, region) in enumerate(codes)]
            plant = AreaPlant(
                **common,
                areas=areas,
                products=marginals.products,
                places=places,
                expected_units=expected_units(demand),
            )
    return ProviderEstate(provider, population, demand, plant)


def _clusters(style: str, regions: Sequence[Region], count: int) -> list[tuple[str, Region]]:
    """Codes of clusters with their regions, spread over all regions before a region gets a second one."""
    if style == "aws-v2":
        found = [(region.code, region) for region in regions]
    elif style == "alibaba":
        found = [
            (region.zones[turn], region)
            for turn in range(max(len(region.zones) for region in regions))
            for region in regions
            if turn < len(region.zones)
        ]
    else:
        turns = -(-count // len(regions))
        found = [(f"{region.code}-dc{turn + 1}", region) for turn in range(turns) for region in regions]
    if len(found) < count:
        raise ValueError(f"the style {style} has places for {len(found)} clusters, not {count}")
    return found[:count]


def _it_kwh(population: Population) -> list[float]:
    """IT energy of a usual month by cluster, as its accounts' share of usage."""
    shares = population.cluster_weights.sum(axis=0)
    total = IT_KWH_PER_ACCOUNT * len(population.codes)
    return [max(20_000.0, float(total * share)) for share in shares]


def expected_units(demand: Demand) -> dict[tuple[str, str], float]:
    """About how many units customers use of a product in a cluster: the sums of the first chunk, scaled up."""
    units: dict[tuple[str, str], float] = {}
    for cluster, code in enumerate(demand.clusters):
        if not len(demand.chunks(cluster)):
            continue
        rows = demand.rows(cluster, 0, 0)
        scale = float(demand.row_counts[cluster]) / max(1, len(rows.account)) / 10**6
        sums = np.bincount(rows.product, weights=rows.quantity_micro, minlength=len(demand.products)) * scale
        units |= {
            (code, product.code): min(float(total), QUANTITY_SCALE * 1e9)
            for product, total in zip(demand.products, sums, strict=True)
        }
    return units
