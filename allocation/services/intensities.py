"""Emissions for each unit of a service at each place, worked out once for a run, in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import connection
from psycopg import sql

from allocation.exchange.sums import usage_of
from allocation.models import ServiceIntensity
from allocation.selectors.amounts import Method, total_sql

if TYPE_CHECKING:
    from allocation.models import AllocationRun

# Only accounts with both usage and emissions count, so that ratios are those of what was used; what is withheld does
# not. Usage that is told by region and usage told by cluster meet at the region.
_FILL: Final = f"""
INSERT INTO allocation_serviceintensity
    (run_id, service_id, place, unit, tenants, location_ug_per_unit, market_ug_per_unit, wh_per_unit)
WITH spot AS MATERIALIZED (
    SELECT location.cluster_id, CASE WHEN location.kind = 'edge' THEN '' ELSE location.region END AS place
    FROM allocation_runlocation location WHERE location.run_id = %(run)s
), used AS MATERIALIZED (
    SELECT used.service_id, COALESCE(spot.place, region.code, '') AS place, used.account_id,
           sum(used.positive_quantity) AS quantity
    FROM {{usage}} AS used
    LEFT JOIN allocation_region region ON region.id = used.region_id
    LEFT JOIN spot ON spot.cluster_id = used.cluster_id
    WHERE used.positive_quantity > 0
    GROUP BY 1, 2, 3
), emitted AS MATERIALIZED (
    SELECT total.service_id, spot.place, total.account_id,
           sum({total_sql("total", Method.LOCATION_BASED)}) AS location_ug,
           sum({total_sql("total", Method.MARKET_BASED)}) AS market_ug, sum(total.energy_wh) AS energy_wh
    FROM allocation_accounttotal total JOIN spot ON spot.cluster_id = total.cluster_id
    WHERE total.run_id = %(run)s AND total.grain = 3 AND total.below_threshold IS NULL AND total.not_covered IS NULL
    GROUP BY 1, 2, 3
)
SELECT %(run)s, used.service_id, used.place, COALESCE(max(named.unit), ''),
       count(DISTINCT COALESCE('d' || member.directory_id, 'a' || used.account_id)),
       COALESCE(sum(emitted.location_ug), 0) / sum(used.quantity),
       COALESCE(sum(emitted.market_ug), 0) / sum(used.quantity),
       COALESCE(sum(emitted.energy_wh), 0) / sum(used.quantity)
FROM used
JOIN emitted USING (service_id, place, account_id)
LEFT JOIN accounts_accountmembership member ON member.account_id = used.account_id AND member.superseded_by_id IS NULL
    AND member.valid_from <= %(month)s AND (member.valid_to IS NULL OR member.valid_to > %(month)s)
LEFT JOIN allocation_packageservice named ON named.package_id = %(package)s AND named.service_id = used.service_id
GROUP BY used.service_id, used.place
"""  # noqa: S608 fixed texts


def fill_service_intensities(run: AllocationRun) -> None:
    """Work out the intensities of a run whose account totals are attached, replacing what was there."""
    ServiceIntensity.objects.filter(run=run).delete()
    with connection.cursor() as cursor:
        usage = usage_of(run.package_id)
        cursor.execute(
            sql.SQL(_FILL).format(usage=usage), {"run": run.pk, "package": run.package_id, "month": run.month}
        )
