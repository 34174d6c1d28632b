"""Arrow tables into PostgreSQL by COPY."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from django.db import connection
from psycopg import sql
from pyarrow import csv as arrow_csv

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

_AS_COPY_READS_IT = arrow_csv.WriteOptions(include_header=False, quoting_style="needed")


def copy_rows(
    table: str, columns: Iterable[str], batches: Iterable[pa.RecordBatch | pa.Table], *, frozen: bool = False
) -> None:
    """COPY batches of rows, whose columns are in the order of `columns`, into a table; null becomes NULL.

    `frozen` is for a table that the transaction has made: rows go in as they will stay. Otherwise their first reader
    marks each of them as committed, page by page into the log, and vacuum reads them all again.
    """
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, FREEZE {})").format(
        sql.Identifier(table), sql.SQL(", ").join(sql.Identifier(name) for name in columns), sql.Literal(frozen)
    )
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copy:
        for batch in batches:
            text = io.BytesIO()
            arrow_csv.write_csv(batch, text, _AS_COPY_READS_IT)
            copy.write(text.getbuffer())
