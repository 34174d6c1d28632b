"""Emissions for each unit of a service at each place, worked out once for a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from django.db import connection
from psycopg import sql

from allocation.engine.leaves import INT64_MAX
from allocation.exchange.columns import read_bigints
from allocation.exchange.read import read_positive_usage
from allocation.exchange.sheet import Sheet, distinct, joined, numbered
from allocation.models import Region, RunLocation, ServiceIntensity
from allocation.selectors.amounts import LINE_COLUMNS, LINES, Method
from allocation.services.rollups import fine_totals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from allocation.engine.leaves import Integers
    from allocation.exchange.read import PositiveUsage
    from allocation.exchange.sheet import FineTotals, Keys
    from allocation.models import AllocationRun

_EDGE: Final = "edge"
_NOWHERE: Final = ""
_USED, _LOCATION, _MARKET, _ENERGY = "quantity", "location_ug", "market_ug", "energy_wh"
_EMITTED: Final = {
    _LOCATION: [f"{line.name}_ug" for line in LINES if line.method in {None, Method.LOCATION_BASED}],
    _MARKET: [f"{line.name}_ug" for line in LINES if line.method in {None, Method.MARKET_BASED}],
    _ENERGY: [LINE_COLUMNS[-1]],
}
_DECIMALS: Final = 12
"""Quantities have at least as many, so that ratios are not cut short."""

_MEMBERS: Final = sql.SQL("""
SELECT account_id, directory_id FROM accounts_accountmembership
WHERE superseded_by_id IS NULL AND valid_from <= {month} AND (valid_to IS NULL OR valid_to > {month})
ORDER BY account_id
""")
_INSERT: Final = """
INSERT INTO allocation_serviceintensity
    (run_id, service_id, place, unit, tenants, location_ug_per_unit, market_ug_per_unit, wh_per_unit)
SELECT %s, one.service_id, one.place, COALESCE(service.unit, ''), one.tenants,
       location_ug::numeric / quantity::numeric, market_ug::numeric / quantity::numeric,
       energy_wh::numeric / quantity::numeric
FROM unnest(%s::bigint[], %s::text[], %s::integer[], %s::text[], %s::text[], %s::text[], %s::text[])
    one (service_id, place, tenants, quantity, location_ug, market_ug, energy_wh)
LEFT JOIN allocation_packageservice service ON service.package_id = %s AND service.service_id = one.service_id
"""


def fill_service_intensities(run: AllocationRun, fine: FineTotals | None = None) -> None:
    """Work out the intensities of a run whose account totals are written, replacing what was there.

    Only accounts with both usage and emissions count, so that ratios are those of what was used; what is withheld does
    not. Usage that is told by region and usage told by cluster meet at the region.

    Args:
        run: the run.
        fine: its account totals by service and cluster, where they have been read already.
    """
    ServiceIntensity.objects.filter(run=run).delete()
    places = _Places(run)
    used = read_positive_usage(run.package_id)
    emitted = fine_totals(run.pk) if fine is None else fine
    told = np.isin(emitted.cluster, list(places.of_cluster))
    for count in ("below_threshold", "not_covered"):
        told &= ~emitted.amounts.present.get(count, np.zeros(len(told), dtype=bool))
    sheet = joined(_used(used), _emitted(emitted).take(told))
    services, service = numbered(np.concatenate([used.service, emitted.service[told]]))
    accounts, account = numbered(np.concatenate([used.account, emitted.account[told]]))
    place = np.concatenate([places.of_usage(used), places.at(emitted.cluster[told])])
    keys, sums = sheet.added_up((service * len(places.codes) + place) * max(len(accounts), 1) + account)
    both = sums.present[_USED] & sums.present[_LOCATION]
    spot, account = np.divmod(keys[both], max(len(accounts), 1))
    spots, totals = sums.take(both).added_up(spot)
    directories, directory = np.unique(_tenants(run, accounts), return_inverse=True)
    tenants, _ = distinct(spot * len(directories) + directory[account])
    service, place = np.divmod(spots, len(places.codes))
    scale = max(used.decimals, _DECIMALS)
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [
                run.pk,
                services[service].tolist(),
                [places.codes[number] for number in place.tolist()],
                distinct(tenants // max(len(directories), 1))[1].tolist(),
                [f"{int(one) * 10 ** (scale - used.decimals)}e-{scale}" for one in totals.values[_USED]],
                *([str(one) for one in totals.values[name]] for name in _EMITTED),
                run.package_id,
            ],
        )


class _Places:
    """Codes of places, and which of them clusters and regions stand for: an edge location for none."""

    def __init__(self, run: AllocationRun) -> None:
        located = RunLocation.objects.filter(run=run).values_list("cluster_id", "kind", "region")
        of_cluster = {cluster: _NOWHERE if kind == _EDGE else region for cluster, kind, region in located}
        of_region = dict(Region.objects.filter(provider=run.provider_id).values_list("pk", "code"))
        self.codes = sorted({_NOWHERE, *of_cluster.values(), *of_region.values()})
        number = {code: place for place, code in enumerate(self.codes)}
        self.of_cluster = {cluster: number[code] for cluster, code in of_cluster.items()}
        self._of_region = {region: number[code] for region, code in of_region.items()}
        self._nowhere = number[_NOWHERE]

    def at(self, clusters: Keys) -> Keys:
        """Return the place of each of the clusters, all of which have one."""
        return _looked_up(self.of_cluster, clusters, self._nowhere)

    def of_usage(self, used: PositiveUsage) -> Keys:
        """Return the place of each row of usage: that of its cluster, else its region."""
        by_region = _looked_up(self._of_region, used.region, self._nowhere)
        located = np.isin(used.cluster, list(self.of_cluster))
        return np.where(located, self.at(used.cluster), by_region)


def _looked_up(numbers: Mapping[int, int], ids: Keys, otherwise: int) -> Keys:
    distinct, index = numbered(ids)
    return np.array([numbers.get(one, otherwise) for one in distinct.tolist()], np.int64)[index]


def _used(used: PositiveUsage) -> Sheet:
    return _sheet({_USED: used.quantity}, dict.fromkeys(_EMITTED, _zeros(len(used.quantity))), (_USED,))


def _emitted(fine: FineTotals) -> Sheet:
    known, nothing = fine.amounts.values, _zeros(len(fine.account))
    sums = {name: _added([known[line] for line in lines if line in known], nothing) for name, lines in _EMITTED.items()}
    return _sheet({_USED: nothing}, sums, tuple(_EMITTED))


def _sheet(used: Mapping[str, Integers], emitted: Mapping[str, Integers], present: tuple[str, ...]) -> Sheet:
    values = {**used, **emitted}
    rows = len(next(iter(values.values())))
    there = {False: np.zeros(rows, dtype=bool), True: np.ones(rows, dtype=bool)}
    return Sheet(values, {name: there[name in present] for name in values})


def _zeros(rows: int) -> npt.NDArray[np.int64]:
    return np.zeros(rows, np.int64)


def _added(columns: Iterable[Integers], total: Integers) -> Integers:
    """Return a column with others added to it, row by row; as Python integers if one may be larger than 64 bits."""
    for column in columns:
        most = sum(int(one.max()) for one in (total, column) if len(one))
        total = (total.astype(object) if most > INT64_MAX else total) + column
    return total


def _tenants(run: AllocationRun, accounts: Keys) -> Keys:
    """Return the directory of each of the accounts; an account outside of any stands for itself, negative."""
    owner, directory = read_bigints(_MEMBERS.format(month=sql.Literal(run.month)), ("account", "directory")).values()
    if not len(owner):
        return -accounts
    found = np.searchsorted(owner, accounts)
    found[found == len(owner)] = 0
    return np.where(owner[found] == accounts, directory[found], -accounts)
