"""The ledger of a run as CSV (section 6, byte for byte) or Parquet, streamed: memory does not grow with the rows."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import pyarrow as pa
from django.db import connection
from psycopg import sql
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from allocation.engine.frames import LINES, QUALITIES
from allocation.models import SpecialAccount

if TYPE_CHECKING:
    from collections.abc import Iterator
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

_BLOCK_BYTES: Final = 8 << 20

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
    stream.writelines(_blocks(run))


def export_parquet(run: AllocationRun, stream: BinaryIO) -> None:
    """Write the ledger of `run` as Parquet, in the order of the CSV, with the types in `COLUMNS`.

    The stream need not be seekable.
    """
    schema = pa.schema(list(COLUMNS.items()))
    with parquet.ParquetWriter(pa.PythonFile(_Forward(stream), mode="w"), schema) as writer:
        for number, block in enumerate(_blocks(run)):
            rows = arrow_csv.read_csv(
                pa.BufferReader(block),
                read_options=arrow_csv.ReadOptions(column_names=list(COLUMNS), skip_rows=0 if number else 1),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=COLUMNS, null_values=[], strings_can_be_null=False
                ),
            )
            writer.write_table(rows)


class _Forward(io.RawIOBase):
    """A stream that is only written to, and knows how far it is: Arrow asks, a pipe cannot tell."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._position = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def write(self, data: bytes) -> int:  # type: ignore[override] # Arrow hands over bytes
        self._stream.write(data)
        self._position += len(data)
        return len(data)

    def flush(self) -> None:
        if not self.closed:
            self._stream.flush()


def _blocks(run: AllocationRun) -> Iterator[bytes]:
    """Yield the CSV in blocks of whole lines; the first begins with the header."""
    ledger = sql.SQL(_LEDGER).format(
        qualities=sql.Literal(list(QUALITIES)),
        lines=sql.Literal(list(LINES)),
        unallocated=sql.Literal(int(SpecialAccount.UNALLOCATED)),
        provider=sql.Literal(int(SpecialAccount.PROVIDER)),
        none=sql.Literal(int(SpecialAccount.NONE)),
        run=sql.Literal(run.pk),
        energy=sql.Literal(len(LINES)),
    )
    statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv, HEADER true, ENCODING 'UTF8')").format(ledger)
    block = bytearray()
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copy:
        for data in copy:  # one row each: no line breaks inside a field
            block += data
            if len(block) >= _BLOCK_BYTES:
                yield bytes(block)
                block.clear()
    if block:
        yield bytes(block)
