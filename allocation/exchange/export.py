"""The ledger of a run as CSV (section 6, byte for byte) or Parquet, streamed: memory does not grow with the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
from psycopg import sql

from allocation.engine.frames import LINES, QUALITIES
from allocation.exchange.blocks import csv_blocks, write_csv, write_parquet
from allocation.models import SpecialAccount

if TYPE_CHECKING:
    from typing import BinaryIO

    from allocation.models import AllocationRun

COLUMNS: Final = {
    "provider": pa.string(),
    "month": pa.string(),
    "methodology_version": pa.string(),
    "cluster": pa.string(),
    "service": pa.string(),
    "account": pa.string(),
    "resource_group": pa.string(),
    "line": pa.string(),
    "ug": pa.int64(),
    "quality": pa.string(),
    "estimated_share": pa.decimal128(7, 6),
}
"""Columns of the export with their types in Parquet; `ug` is micrograms CO2e."""

# "C" compares bytes of UTF-8, which is the order of code points. The leaf key is compared joined: as a tuple, a code
# that continues another with a character below "|" would sort elsewhere.
_LEDGER: Final = """
SELECT provider.code AS provider, to_char(run.month, 'YYYY-MM') AS month,
       method.name || '@' || method.version AS methodology_version,
       cluster.code AS cluster, service.code AS service, leaf.account AS account,
       leaf.resource_group AS resource_group, names.line AS line, ledger.ug AS ug,
       ({qualities}::text[])[ledger.quality + 1] AS quality,
       (ledger.estimated_ppm::numeric / 1000000)::numeric(7, 6) AS estimated_share
  FROM allocation_ledgerrow ledger
  JOIN allocation_allocationrun run ON run.id = ledger.run_id
  JOIN accounts_provider provider ON provider.id = run.provider_id
  JOIN allocation_methodologyversion method ON method.id = run.methodology_version_id
  JOIN allocation_cluster cluster ON cluster.id = ledger.cluster_id
  JOIN allocation_service service ON service.id = ledger.service_id
  LEFT JOIN accounts_account account ON account.id = ledger.account_id
  LEFT JOIN accounts_resourcegroup resource_group ON resource_group.id = ledger.resource_group_id
 CROSS JOIN LATERAL (SELECT ({lines}::text[])[ledger.line + 1] AS line) names
 CROSS JOIN LATERAL (SELECT
       CASE ledger.special WHEN {unallocated} THEN '(unallocated)' WHEN {provider} THEN '(provider)'
            ELSE account.external_id END AS account,
       CASE ledger.special WHEN {none} THEN resource_group.code ELSE 'default' END AS resource_group) leaf
 WHERE ledger.run_id = {run} AND ledger.line < {energy}
 ORDER BY cluster.code COLLATE "C", names.line COLLATE "C",
          (service.code || '|' || leaf.account || '|' || leaf.resource_group) COLLATE "C"
"""


def export_csv(run: AllocationRun, stream: BinaryIO) -> None:
    """Write the ledger of `run` as CSV: UTF-8, header, line feeds, quotes only where needed."""
    write_csv(csv_blocks(_query(run)), stream)


def export_parquet(run: AllocationRun, stream: BinaryIO) -> None:
    """Write the ledger of `run` as Parquet, in the order of the CSV, with the types in `COLUMNS`.

    The stream need not be seekable.
    """
    write_parquet(csv_blocks(_query(run)), stream, COLUMNS)


def _query(run: AllocationRun) -> sql.Composed:
    return sql.SQL(_LEDGER).format(
        qualities=sql.Literal(list(QUALITIES)),
        lines=sql.Literal(list(LINES)),
        unallocated=sql.Literal(int(SpecialAccount.UNALLOCATED)),
        provider=sql.Literal(int(SpecialAccount.PROVIDER)),
        none=sql.Literal(int(SpecialAccount.NONE)),
        run=sql.Literal(run.pk),
        energy=sql.Literal(len(LINES)),
    )
