"""Emissions for each unit of a service at each place, worked out once for a run, in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import connection
from psycopg import sql

from allocation.exchange.sums import usage_of
from allocation.models import ServiceIntensity
from allocation.selectors.amounts import Method
from allocation.services import partitions
from allocation.services.rollups import total_ug

if TYPE_CHECKING:
    from allocation.models import AllocationRun

# Only accounts with both usage and emissions count, so that ratios are those of what was used; what is withheld does
# not. Usage that is told by region and usage told by cluster meet at the region. Places are numbers, and what was used
# and what was emitted lie in one heap, until all is added up: joining a million accounts by names takes twice as long.
_FILL: Final = """
INSERT INTO allocation_serviceintensity
    (run_id, service_id, place, unit, tenants, location_ug_per_unit, market_ug_per_unit, wh_per_unit)
WITH spot AS MATERIALIZED (
    SELECT location.cluster_id, CASE WHEN location.kind = 'edge' THEN '' ELSE location.region END AS place
    FROM allocation_runlocation location WHERE location.run_id = %(run)s
), named AS MATERIALIZED (
    SELECT place, row_number() OVER (ORDER BY place)::integer AS number
    FROM (SELECT place FROM spot UNION SELECT code FROM allocation_region UNION SELECT '') AS place
), at_cluster AS MATERIALIZED (
    SELECT spot.cluster_id, named.number FROM spot JOIN named USING (place)
), at_region AS MATERIALIZED (
    SELECT region.id AS region_id, named.number FROM allocation_region region JOIN named ON named.place = region.code
), heap AS (
    SELECT used.service_id, COALESCE(at_cluster.number, at_region.number, nowhere.number) AS number, used.account_id,
           used.positive_quantity AS quantity, NULL AS location_ug, NULL AS market_ug, NULL AS energy_wh,
           false AS emitted
    FROM {usage} AS used
    JOIN named nowhere ON nowhere.place = ''
    LEFT JOIN at_region ON at_region.region_id = used.region_id
    LEFT JOIN at_cluster ON at_cluster.cluster_id = used.cluster_id
    WHERE used.positive_quantity > 0
    UNION ALL
    SELECT total.service_id, at_cluster.number, total.account_id, NULL, {location_ug}, {market_ug}, total.energy_wh,
           true
    FROM {totals} total JOIN at_cluster ON at_cluster.cluster_id = total.cluster_id
    WHERE total.grain = 3 AND total.below_threshold IS NULL AND total.not_covered IS NULL
), both_known AS MATERIALIZED (
    SELECT service_id, number, account_id, sum(quantity) AS quantity, sum(location_ug) AS location_ug,
           sum(market_ug) AS market_ug, sum(energy_wh) AS energy_wh
    FROM heap GROUP BY service_id, number, account_id HAVING bool_or(emitted) AND count(quantity) > 0
), member AS MATERIALIZED (
    SELECT account_id, directory_id FROM accounts_accountmembership
    WHERE superseded_by_id IS NULL AND valid_from <= %(month)s AND (valid_to IS NULL OR valid_to > %(month)s)
), at_place AS (
    SELECT known.service_id, known.number,
           count(DISTINCT CASE WHEN member.directory_id IS NULL THEN - known.account_id ELSE member.directory_id END)
               AS tenants,
           COALESCE(sum(known.location_ug), 0) / sum(known.quantity) AS location_ug_per_unit,
           COALESCE(sum(known.market_ug), 0) / sum(known.quantity) AS market_ug_per_unit,
           COALESCE(sum(known.energy_wh), 0) / sum(known.quantity) AS wh_per_unit
    FROM both_known known LEFT JOIN member USING (account_id)
    GROUP BY known.service_id, known.number
)
SELECT %(run)s, at_place.service_id, named.place, COALESCE(service.unit, ''), at_place.tenants,
       at_place.location_ug_per_unit, at_place.market_ug_per_unit, at_place.wh_per_unit
FROM at_place JOIN named USING (number)
LEFT JOIN allocation_packageservice service
    ON service.package_id = %(package)s AND service.service_id = at_place.service_id
"""


def fill_service_intensities(run: AllocationRun) -> None:
    """Work out the intensities of a run whose account totals are attached, replacing what was there."""
    ServiceIntensity.objects.filter(run=run).delete()
    with connection.cursor() as cursor:
        totals = sql.Identifier(partitions.account_totals_of(run.pk).table)
        cursor.execute("SET LOCAL work_mem = '128MB'")
        cursor.execute(
            sql.SQL(_FILL).format(
                usage=usage_of(run.package_id),
                totals=totals,
                location_ug=total_ug(run.pk, Method.LOCATION_BASED),
                market_ug=total_ug(run.pk, Method.MARKET_BASED),
            ),
            {"run": run.pk, "package": run.package_id, "month": run.month},
        )
