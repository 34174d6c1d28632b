"""Emission factors that published months were computed with: values with unit, source and vintage, no quantities.

Factors are no secret to a provider's customers; which site has which, and how much was bought at them, is its business.
So a factor is told once for each (month, cluster, value), without the site or the contract that it stands at.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.db import connection

from allocation.policies import KNOWN_PROVIDERS

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

    from accounts.months import Period
    from accounts.policies import Viewer
    from allocation.selectors.publications import Published


class FactorKind(enum.StrEnum):
    """What a factor is for."""

    LOCATION = "location"
    RESIDUAL_MIX = "residual_mix"
    GREEN = "green"
    UPSTREAM_LOCATION = "upstream_location"
    UPSTREAM_MARKET = "upstream_market"
    INSTRUMENT = "instrument"
    GWP = "gwp"


LOCATION, RESIDUAL, GREEN = FactorKind.LOCATION, FactorKind.RESIDUAL_MIX, FactorKind.GREEN
UPSTREAM_LBM, UPSTREAM_MBM = FactorKind.UPSTREAM_LOCATION, FactorKind.UPSTREAM_MARKET
INSTRUMENT, GWP = FactorKind.INSTRUMENT, FactorKind.GWP
LINES_OF: Final = {
    "scope1": (GWP,),
    "scope2_lbm": (LOCATION,),
    "scope2_mbm": (LOCATION, RESIDUAL, GREEN, INSTRUMENT),
    "scope3_fera_lbm": (UPSTREAM_LBM,),
    "scope3_fera_mbm": (UPSTREAM_MBM,),
    "scope3_leased_lbm": (LOCATION,),
    "scope3_leased_mbm": (LOCATION, RESIDUAL, GREEN, INSTRUMENT),
    "scope3_other": (GWP,),
}
"""Kinds of factors behind each line; lines that are posted ready-made have none."""


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor. `cluster` is None for those of no single cluster; `name` is a type of instrument or a gas.

    `value` in g CO2e per kWh, for GWP in kg CO2e per kg. `source` is the table of the package that it comes from.
    """

    package_id: int
    provider_code: str
    month: date
    kind: str
    cluster: str
    name: str
    value: Decimal
    vintage: str
    source: str

    @property
    def unit(self) -> str:
        """Unit of the value."""
        return "kg CO2e/kg" if self.kind == GWP else "g CO2e/kWh"

    @property
    def key(self) -> FactorKey:
        """Where it stands in the list."""
        return FactorKey(self.package_id, self.kind, self.cluster, self.name, str(self.value), self.vintage)


class FactorKey(NamedTuple):
    """Place in the list of factors."""

    package_id: int
    kind: str
    cluster: str
    name: str
    value: str
    vintage: str


_COLUMNS = (
    (LOCATION, "location_g_per_kwh", "true"),
    (RESIDUAL, "residual_g_per_kwh", "true"),
    (GREEN, "green_g_per_kwh", "site.green_ratio > 0"),
    (UPSTREAM_LBM, "fera_lbm_g_per_kwh", "true"),
    (UPSTREAM_MBM, "fera_mbm_g_per_kwh", "true"),
)
_OF_SITES = " UNION ALL ".join(
    f"SELECT site.package_id, '{kind}' AS kind, cluster.code AS cluster, '' AS name, site.{column} AS value,"  # noqa: S608 ours
    " to_char(package.month, 'YYYY-MM') AS vintage, 'sites.csv' AS source"
    " FROM allocation_site site JOIN allocation_cluster cluster ON cluster.id = site.cluster_id"
    " JOIN package ON package.id = site.package_id"
    f" WHERE site.{column} IS NOT NULL AND {condition}"
    for kind, column, condition in _COLUMNS
)
_FACTORS = f"""
WITH {KNOWN_PROVIDERS.strip()}, package AS MATERIALIZED (
    SELECT package.id, package.month, provider.code AS provider, version.gwp_set
    FROM allocation_allocationrun run
    JOIN allocation_package package ON package.id = run.package_id
    JOIN allocation_methodologyversion version ON version.id = run.methodology_version_id
    JOIN accounts_provider provider ON provider.id = package.provider_id
    JOIN known_provider ON known_provider.provider_id = package.provider_id
    WHERE run.id = ANY(%(runs)s) AND (%(provider)s::text IS NULL OR provider.code = %(provider)s)
), factor AS (
    {_OF_SITES}
    UNION ALL
    SELECT instrument.package_id, 'instrument', here.cluster, instrument.type, instrument.g_per_kwh,
           to_char(COALESCE(instrument.vintage, package.month), 'YYYY-MM'), 'instruments.csv'
    FROM allocation_instrument instrument
    JOIN package ON package.id = instrument.package_id
    JOIN (SELECT DISTINCT site.package_id, COALESCE(NULLIF(site.market, ''), cluster.code) AS market,
                 cluster.code AS cluster
          FROM allocation_site site JOIN allocation_cluster cluster ON cluster.id = site.cluster_id
          JOIN package ON package.id = site.package_id) AS here
        ON here.package_id = instrument.package_id AND here.market = instrument.market
    WHERE instrument.retired
    UNION ALL
    SELECT gas.package_id, 'gwp', '', gas.gas, gas.gwp, gas.gwp_set, 'gwp.csv'
    FROM allocation_globalwarmingpotential gas JOIN package ON package.id = gas.package_id
    WHERE gas.gwp_set = package.gwp_set
)
SELECT DISTINCT factor.package_id, package.provider, package.month, factor.kind, factor.cluster, factor.name,
       factor.value, factor.vintage, factor.source
FROM factor JOIN package ON package.id = factor.package_id
WHERE (%(cluster)s::text IS NULL OR factor.cluster IN (%(cluster)s, ''))
    AND (%(id)s::bigint IS NULL OR (factor.package_id, factor.kind, factor.cluster, factor.name, factor.value,
                                    factor.vintage)
                                   > (%(id)s, %(kind)s, %(place)s, %(name)s, %(value)s::numeric, %(vintage)s))
ORDER BY factor.package_id, factor.kind, factor.cluster, factor.name, factor.value, factor.vintage
LIMIT %(limit)s
"""  # noqa: S608 fixed texts


def factors(  # noqa: PLR0913 what a list can be restricted to
    *,
    viewer: Viewer,
    published: Published,
    limit: int,
    provider: str | None = None,
    period: Period | None = None,
    cluster: str | None = None,
    after: FactorKey | None = None,
) -> list[Factor]:
    """Factors behind published months of providers that the viewer is a customer of, by package.

    `published` says which months; `cluster` keeps those of one cluster and those of none.
    """
    params: dict[str, Any] = {
        "viewer": viewer.user_id,
        "now": viewer.now,
        "runs": [pin.run_id for pin in published.pins if period is None or pin.month in period],
        "provider": provider,
        "cluster": cluster,
        "limit": limit,
    }
    key = after or FactorKey(0, "", "", "", "0", "")
    params |= {"id": None if after is None else key.package_id, "kind": key.kind, "place": key.cluster}
    params |= {"name": key.name, "value": key.value, "vintage": key.vintage}
    with connection.cursor() as cursor:
        cursor.execute(_FACTORS, params)
        return [Factor(*row) for row in cursor.fetchall()]
