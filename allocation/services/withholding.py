"""What a provider does not cover, and what lies below its threshold: kept and proved, but told to no reader.

Decided once for a run, for everything that an account caused with a service in the month, whatever the place and the
resource group. What is withheld is in no sum, so no difference of sums leads back to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import connection
from psycopg import sql

from allocation.models import RunFinding, ServiceCoverage, Severity, Withheld
from allocation.selectors.amounts import LINES, Method
from allocation.services import partitions

if TYPE_CHECKING:
    from allocation.models import AllocationRun

CODE: Final = "WITHHELD"
FILE: Final = "coverage.csv"
_MARK: Final = sql.SQL("""
WITH rule AS (
    SELECT known.service_id, COALESCE(own.covered, true) AS covered,
           COALESCE(own.threshold_kg, others.threshold_kg, 0) * 1000000000 AS threshold_ug
    FROM allocation_packageservice known
    LEFT JOIN allocation_servicecoverage own
        ON own.package_id = known.package_id AND own.service_id = known.service_id
    LEFT JOIN allocation_servicecoverage others
        ON others.package_id = known.package_id AND others.service_id IS NULL
    WHERE known.package_id = {package}
), caused AS (
    SELECT account_id, service_id, COALESCE(sum(ug) FILTER (WHERE line = ANY ({location})), 0) AS location_ug,
           COALESCE(sum(ug) FILTER (WHERE line = ANY ({market})), 0) AS market_ug
    FROM {ledger} WHERE special = 0 GROUP BY account_id, service_id
), decided AS MATERIALIZED (
    SELECT caused.*, CASE
               WHEN NOT rule.covered THEN {not_covered}
               WHEN greatest(location_ug, market_ug) > 0 AND greatest(location_ug, market_ug) < rule.threshold_ug
               THEN {below_threshold} END AS reason
    FROM caused JOIN rule USING (service_id)
), marked AS (
    UPDATE {ledger} AS kept SET withheld = decided.reason
    FROM decided
    WHERE decided.reason IS NOT NULL AND kept.special = 0
        AND kept.account_id = decided.account_id AND kept.service_id = decided.service_id
)
SELECT reason, count(*), sum(location_ug), sum(market_ug)
FROM decided WHERE reason IS NOT NULL GROUP BY reason ORDER BY reason
""")


def withholds(run_id: int) -> bool:
    """Tell whether the package of a run says anything of its coverage."""
    return ServiceCoverage.objects.filter(package__runs=run_id).exists()


def withhold(run: AllocationRun) -> None:
    """Mark the ledger rows of a run that are not told; how many figures and how much that is becomes a finding.

    The ledger is written and not read yet. Nothing else of its rows changes. Done again, it does the same.
    """
    if not withholds(run.pk):
        return
    RunFinding.objects.filter(run=run, code=CODE).delete()
    statement = _MARK.format(
        package=sql.Literal(run.package_id),
        ledger=sql.Identifier(partitions.ledger_of(run.pk).table),
        location=_lines(Method.LOCATION_BASED),
        market=_lines(Method.MARKET_BASED),
        not_covered=sql.Literal(int(Withheld.NOT_COVERED)),
        below_threshold=sql.Literal(int(Withheld.BELOW_THRESHOLD)),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
        found = cursor.fetchall()
    RunFinding.objects.bulk_create(
        RunFinding(
            run=run,
            code=CODE,
            severity=Severity.FLAG,
            file=FILE,
            message=f"{figures} figures of an account and service are {Withheld(reason).label} and not told:"
            f" {location_ug} ug location-based, {market_ug} ug market-based",
        )
        for reason, figures, location_ug, market_ug in found
    )


def _lines(method: Method) -> sql.Literal:
    return sql.Literal([place for place, line in enumerate(LINES) if line.method in {None, method}])
