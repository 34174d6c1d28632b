"""The rows of a statement as CSV or Parquet, streamed: memory does not grow with the rows."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from django.db import connection
from psycopg import sql
from pyarrow import csv as arrow_csv
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import BinaryIO

BLOCK_BYTES: Final = 8 << 20


def csv_blocks(
    query: sql.Composable, params: Mapping[str, Any] | None = None, count: Callable[[int], None] | None = None
) -> Iterator[bytes]:
    """Yield the rows of a SELECT as CSV in blocks of whole lines; the first begins with the header.

    PostgreSQL sends the rows as it finds them (COPY), and they are read as fast as the blocks are taken.

    Args:
        query: the SELECT.
        params: its parameters.
        count: told before each block how many rows there are so far; what it raises ends the reading.
    """
    statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv, HEADER true, ENCODING 'UTF8')").format(query)
    block, rows = bytearray(), -1  # the header is none
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement, params) as copy:
        for data in copy:  # one row each
            block += data
            rows += 1
            if len(block) >= BLOCK_BYTES:
                if count is not None:
                    count(rows)
                yield bytes(block)
                block.clear()
    if count is not None:
        count(rows)
    if block:
        yield bytes(block)


def write_csv(blocks: Iterable[bytes], stream: BinaryIO) -> None:
    """Write blocks of CSV as they are."""
    stream.writelines(blocks)


def write_parquet(blocks: Iterable[bytes], stream: BinaryIO, columns: Mapping[str, pa.DataType]) -> None:
    """Write blocks of CSV as Parquet with these columns; an empty field is null, unless the column is text.

    The stream need not be seekable.
    """
    schema = pa.schema(list(columns.items()))
    with parquet.ParquetWriter(pa.PythonFile(_Forward(stream), mode="w"), schema) as writer:
        for number, block in enumerate(blocks):
            rows = arrow_csv.read_csv(
                pa.BufferReader(block),
                read_options=arrow_csv.ReadOptions(column_names=list(columns), skip_rows=0 if number else 1),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=columns, null_values=[""], strings_can_be_null=False
                ),
                parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
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
