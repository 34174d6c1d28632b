"""The demo: an invented company with two directories at two invented providers, and what surrounds it.

Written by hand where a story is told (who moved, who closed, who may see what), drawn where only numbers are needed.
docs/demo.md tells the story; tests hold both to it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import numpy as np

from allocation.exchange.estate.estates import Estate, ProviderEstate
from allocation.exchange.estate.marginals import read_marginals
from allocation.exchange.estate.months import month_after
from allocation.exchange.estate.organisation import (
    Account,
    Delegation,
    Directory,
    Enterprise,
    Group,
    Organisation,
    Provider,
    Stay,
)
from allocation.exchange.estate.places import read_places
from allocation.exchange.estate.plant.halls import Hall, HallPlant
from allocation.exchange.estate.plant.zones import Zone, ZonePlant
from allocation.exchange.estate.population import populate
from allocation.exchange.estate.streams import Purpose, stream
from allocation.exchange.estate.usage import Demand

if TYPE_CHECKING:
    from pathlib import Path

    from allocation.exchange.estate.marginals import Marginals
    from allocation.exchange.estate.places import Places
    from allocation.exchange.estate.plant.tables import Plant

SEED: Final = 2025
FIRST_MONTH: Final = dt.date(2025, 6, 1)
MONTH_COUNT: Final = 13
# Quantities spread less than the bill's: an account is a team's, not a stray resource.
SPREAD: Final = 0.35

TARN: Final = Provider("tarn", "Tarn Cloud", "Asia/Singapore", "alibaba")
ALDERMOOR: Final = Provider("aldermoor", "Aldermoor Computing", "UTC", "ibm")
ROWS: Final = {TARN.code: 6000, ALDERMOOR.code: 3500}
PRODUCTS: Final = (
    *("compute", "block-storage", "object-storage", "database", "containers", "functions", "queue"),
    *("load-balancer", "delivery", "logs", "monitoring"),
)

LINDENMARK: Final = Enterprise("lindenmark", "Lindenmark Group")
OSTERFELD: Final = Enterprise("osterfeld", "Osterfeld Dairies")
AT_TARN: Final = "tarn-lindenmark"
AT_ALDERMOOR: Final = "aldermoor-lindenmark"
NEIGHBOUR: Final = "tarn-osterfeld"
TEAM_GROUP: Final = "retail-web"
"""The group whose lead logs in."""

# Who uses how much: the company, its neighbour, the accounts without a directory, the providers' own teams.
ENTERPRISE_WEIGHTS: Final = (0.78, 0.08, 0.05, 0.09)
COMPANY, NEIGHBOURS, ALONE, OWN_TEAMS = range(4)

# Directory, group, name, parent, accounts in it.
GROUPS: Final = (
    (AT_TARN, "retail", "Retail", None, 6),
    (AT_TARN, "retail-web", "Web shops", "retail", 8),
    (AT_TARN, "retail-web-eu", "Web shops Europe", "retail-web", 26),
    (AT_TARN, "retail-web-apac", "Web shops Asia-Pacific", "retail-web", 18),
    (AT_TARN, "retail-stores", "Stores", "retail", 22),
    (AT_TARN, "retail-supply", "Supply chain", "retail", 16),
    (AT_TARN, "finance", "Finance", None, 8),
    (AT_TARN, "finance-ledger", "General ledger", "finance", 12),
    (AT_TARN, "finance-risk", "Risk", "finance", 10),
    (AT_TARN, "platform", "Platform engineering", None, 9),
    (AT_TARN, "platform-shared", "Shared services", "platform", 16),
    (AT_TARN, "innovation", "Innovation lab", None, 12),
    (AT_ALDERMOOR, "logistics", "Logistics", None, 5),
    (AT_ALDERMOOR, "logistics-fleet", "Fleet", "logistics", 18),
    (AT_ALDERMOOR, "logistics-warehouses", "Warehouses", "logistics", 4),
    (AT_ALDERMOOR, "warehouses-north", "Warehouses North", "logistics-warehouses", 13),
    (AT_ALDERMOOR, "warehouses-south", "Warehouses South", "logistics-warehouses", 11),
    (AT_ALDERMOOR, "analytics", "Analytics", None, 10),
    (AT_ALDERMOOR, "analytics-models", "Models", "analytics", 20),
    (AT_ALDERMOOR, "corporate", "Corporate systems", None, 9),
    (NEIGHBOUR, "dairy", "Dairy plants", None, 9),
    (NEIGHBOUR, "cold-chain", "Cold chain", None, 6),
)
# Directory, accounts in no group. The first is the management account.
UNGROUPED: Final = ((AT_TARN, 7), (AT_ALDERMOOR, 6), (NEIGHBOUR, 1))
# Provider, standalone accounts, accounts of the provider's own teams.
OUTSIDE: Final = ((TARN, 5, 5), (ALDERMOOR, 3, 5))
PURPOSES: Final = ("production", "staging", "development", "data", "sandbox")

REORGANISED: Final = dt.date(2026, 1, 1)
LENT: Final = (dt.date(2025, 10, 1), dt.date(2026, 2, 1))
RISK_MOVED: Final = dt.date(2026, 2, 1)
CLOSED: Final = dt.date(2026, 3, 1)
OPENED: Final = dt.date(2025, 11, 1)
MOVED_COUNT, LENT_COUNT, OPENED_COUNT = 5, 2, 4


def demo_estate(fixtures: Path) -> Estate:
    """The demo, always the same; nothing is written.

    Args:
        fixtures: the folder `fixtures/`.
    """
    organisation = demo_organisation()
    marginals, places = read_marginals(fixtures), read_places(fixtures)
    parts = (
        _part(0, TARN, organisation, marginals, places),
        _part(1, ALDERMOOR, organisation, marginals, places),
    )
    return Estate(organisation, parts, FIRST_MONTH, MONTH_COUNT)


def demo_organisation() -> Organisation:
    """The hierarchy of the demo."""
    organisation = Organisation(FIRST_MONTH, [TARN, ALDERMOOR], [LINDENMARK, OSTERFELD])
    accounts = [*_grouped_accounts(), *_ungrouped_accounts(), *_outside_accounts()]
    # Who is big is a matter of chance, not of the order above.
    order = stream(SEED, Purpose.TREE).permutation(len(accounts))
    organisation.accounts = [accounts[place] for place in order]
    organisation.directories = [
        Directory(AT_TARN, "Lindenmark at Tarn Cloud", TARN.code, LINDENMARK.external_id, _code(AT_TARN, None, 0)),
        Directory(
            AT_ALDERMOOR,
            "Lindenmark at Aldermoor",
            ALDERMOOR.code,
            LINDENMARK.external_id,
            _code(AT_ALDERMOOR, None, 0),
        ),
        Directory(NEIGHBOUR, "Osterfeld at Tarn Cloud", TARN.code, OSTERFELD.external_id, _code(NEIGHBOUR, None, 0)),
    ]
    organisation.groups = [
        Group(directory, code, name, _group_stays(code, parent)) for directory, code, name, parent, _ in GROUPS
    ]
    organisation.delegations = [
        Delegation(AT_TARN, _code(AT_TARN, "platform", 0)),
        Delegation(AT_ALDERMOOR, _code(AT_ALDERMOOR, "corporate", 0), group="logistics"),
    ]
    return organisation


def _group_stays(code: str, parent: str | None) -> tuple[Stay, ...]:
    if code == "finance-risk":  # the whole group changes its parent
        return (Stay(parent, FIRST_MONTH, RISK_MOVED), Stay("platform", RISK_MOVED))
    return (Stay(parent, FIRST_MONTH),)


def _code(directory: str, group: str | None, number: int) -> str:
    """External id of an account: the provider's prefix and a number that says nothing, as real ones do."""
    place: list[tuple[str, str | None]] = [(each, code) for each, code, *_ in GROUPS]
    place += [(each, None) for each, _ in UNGROUPED]
    serial = 1000 * (place.index((directory, group)) + 11) + number * 7
    return f"{'1' if directory.startswith(TARN.code) else 'a'}{serial * 7919:09}"


def _grouped_accounts() -> list[Account]:
    accounts = []
    for directory, group, name, _, count in GROUPS:
        enterprise = NEIGHBOURS if directory == NEIGHBOUR else COMPANY
        for number in range(count):
            account = Account(
                provider=_provider(directory),
                external_id=_code(directory, group, number),
                name=f"{name} {PURPOSES[number % len(PURPOSES)]} {number // len(PURPOSES) + 1}",
                enterprise=enterprise,
                directory=directory,
                stays=(Stay(group, FIRST_MONTH),),
            )
            accounts.append(_with_story(account, group, number))
    return accounts


def _with_story(account: Account, group: str, number: int) -> Account:
    """Give the accounts that have one their history; all others stay where they are."""
    if group == "retail-web-eu" and number < MOVED_COUNT:
        moved = (Stay(group, FIRST_MONTH, REORGANISED), Stay("retail-stores", REORGANISED))
        return dataclasses.replace(account, stays=moved)
    if group == "innovation" and number < LENT_COUNT:
        there, back = LENT
        lent = (Stay(group, FIRST_MONTH, there), Stay("retail-web-apac", there, back), Stay(group, back))
        return dataclasses.replace(account, stays=lent)
    if group == "finance-risk" and number == 0:
        return dataclasses.replace(account, closed=_index(CLOSED))
    if group == "platform-shared" and number < OPENED_COUNT:
        return dataclasses.replace(account, opened=_index(OPENED), stays=(Stay(group, OPENED),))
    return account


def _index(month: dt.date) -> int:
    return next(index for index in range(MONTH_COUNT) if month_after(FIRST_MONTH, index) == month)


def _provider(directory: str) -> str:
    return ALDERMOOR.code if directory == AT_ALDERMOOR else TARN.code


def _ungrouped_accounts() -> list[Account]:
    return [
        Account(
            provider=_provider(directory),
            external_id=_code(directory, None, number),
            name="Management account" if number == 0 else f"Unassigned {number}",
            enterprise=NEIGHBOURS if directory == NEIGHBOUR else COMPANY,
            directory=directory,
            stays=(Stay(None, FIRST_MONTH),),
        )
        for directory, count in UNGROUPED
        for number in range(count)
    ]


def _outside_accounts() -> list[Account]:
    accounts = []
    for provider, alone_count, own_count in OUTSIDE:
        prefix = "1" if provider is TARN else "a"
        accounts += [
            Account(provider.code, f"{prefix}{900_000_011 + 97 * number}", f"Single customer {number + 1}", ALONE)
            for number in range(alone_count)
        ]
        accounts += [
            Account(
                provider.code,
                f"{prefix}{990_000_017 + 89 * number}",
                f"{provider.name} internal {number + 1}",
                OWN_TEAMS,
                internal=True,
            )
            for number in range(own_count)
        ]
    return accounts


def _part(
    order: int, provider: Provider, organisation: Organisation, marginals: Marginals, places: Places
) -> ProviderEstate:
    zones, halls = _zones(places), _halls(places)
    kwh = [place.it_kwh for place in (zones if provider is TARN else halls)]
    tamed = dataclasses.replace(marginals, rows_by_region_rank=tuple(int(each) for each in kwh))
    products = tuple(product for product in marginals.products if product.code in PRODUCTS)
    population = populate(
        seed=SEED,
        provider_order=order,
        accounts=organisation.accounts_of(provider.code),
        enterprise_weights=np.array(ENTERPRISE_WEIGHTS),
        cluster_count=len(kwh),
        marginals=tamed,
    )
    plant: Plant
    if provider is TARN:
        plant = ZonePlant(seed=SEED, provider_order=order, zones=zones, products=products, places=places)
    else:
        plant = HallPlant(
            seed=SEED, provider_order=order, halls=halls, products=products, places=places, population=population
        )
    demand = Demand(
        seed=SEED,
        provider_order=order,
        clusters=plant.clusters,
        population=population,
        products=products,
        marginals=tamed,
        row_count=ROWS[provider.code],
        spread=SPREAD,
    )
    return ProviderEstate(provider, population, demand, plant)


def _zones(places: Places) -> list[Zone]:
    """Zone, usual IT kWh a month, leased, green ratio."""
    table = (
        ("eu-central-1", "a", 260_000.0, False, "0.4"),
        ("eu-central-1", "b", 120_000.0, True, "0.1"),
        ("eu-west-1", "a", 150_000.0, False, "0.6"),
        ("ap-southeast-1", "a", 180_000.0, False, "0.1"),
        ("ap-southeast-1", "b", 80_000.0, True, "0"),
        ("ap-northeast-1", "a", 90_000.0, False, "0.2"),
    )
    return [
        Zone(f"{code}{letter}", places.regions["aws", code], it_kwh, leased, Decimal(green))
        for code, letter, it_kwh, leased, green in table
    ]


def _halls(places: Places) -> list[Hall]:
    """Data centre, region, usual IT kWh a month, zero-emission."""
    table = (
        ("eu-de", "dc1", 200_000.0, False),
        ("eu-de", "dc2", 120_000.0, False),
        ("eu-gb", "dc1", 100_000.0, True),
        ("us-south", "dc1", 160_000.0, False),
        ("us-east", "dc1", 90_000.0, False),
        ("jp-tok", "dc1", 60_000.0, False),
    )
    return [
        Hall(f"{code}-{name}", places.regions["ibm", code], it_kwh, zero_emission)
        for code, name, it_kwh, zero_emission in table
    ]
