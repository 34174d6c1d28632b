"""Columns of numbers in and out of PostgreSQL, in its binary COPY format, without a Python object per value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from django.db import connection
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_BLOCK_ROWS: Final = 100_000
_BIGINT: Final = 20
"""What PostgreSQL calls the type bigint in binary."""


def read_columns(query: sql.Composed, columns: Mapping[str, str]) -> npt.NDArray[np.void]:
    """Run a query whose values are numbers and never NULL.

    Args:
        query: composed with every value in it: COPY takes no parameters.
        columns: name to big-endian dtype, in the query's order: `>i8` bigint, `>i4` integer, `>i2` smallint.

    Returns:
        One structured array; `array[name]` is a column.

    Raises:
        ValueError: a value is NULL or of another width.
    """
    record = _record(columns)
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(_copy_out(query)) as copy:
        data = bytearray()
        for block in copy:
            data += block
    body = memoryview(data)[len(_HEADER) : len(data) - len(_TRAILER)]
    if len(body) % record.itemsize:
        raise ValueError("a column of numbers holds NULL or a value of another width")
    rows = np.frombuffer(body, dtype=record)
    for name, kind in columns.items():
        if not (rows[f"{name} bytes"] == np.dtype(kind).itemsize).all():
            raise ValueError(f"column {name} is not {kind} throughout")
    return rows


def read_arrays(query: sql.Composed) -> Iterator[tuple[memoryview, ...]]:
    """Run a query of arrays and texts, never NULL; yield the fields of each row as PostgreSQL sends them.

    For few rows that hold much: a row costs the client more than a number. `bigints_of` reads a field of type bigint[].

    Raises:
        ValueError: a value is NULL.
    """
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(_copy_out(query)) as copy:
        for number, block in enumerate(copy):
            # psycopg hands out row by row; the header stands before the first one, the trailer is a block of its own.
            row = memoryview(block)[len(_HEADER) if number == 0 else 0 :]
            if bytes(row[:2]) != _TRAILER:
                yield tuple(_fields(row))


def _fields(row: memoryview) -> Iterator[memoryview]:
    place = 2
    for _ in range(int.from_bytes(row[:2], "big")):
        size = int.from_bytes(row[place : place + 4], "big", signed=True)
        if size < 0:
            raise ValueError("a value is NULL")
        yield row[place + 4 : place + 4 + size]
        place += 4 + size


def bigints_of(field: memoryview) -> npt.NDArray[np.int64]:
    """Return the elements of a one-dimensional bigint[] without NULLs, as it is sent.

    Raises:
        ValueError: it is something else.
    """
    dimensions, nulls, kind = np.frombuffer(field[:12], dtype=">i4").tolist()
    if (dimensions, nulls, kind) != (1, 0, _BIGINT):
        raise ValueError("not a list of bigints")
    return np.frombuffer(field[20:], dtype=[("bytes", ">i4"), ("value", ">i8")])["value"].astype(np.int64)


def write_columns(table: sql.Identifier, columns: Mapping[str, tuple[str, npt.NDArray[np.generic]]]) -> None:
    """COPY columns of equal length into a table, a bounded block of rows at a time.

    Args:
        table: the table's name.
        columns: name to (big-endian dtype of the column in the table, values). A value that does not fit raises.

    Raises:
        OverflowError: a value does not fit its column.
    """
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
        table, sql.SQL(", ").join(sql.Identifier(name) for name in columns)
    )
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copy:
        for block in _blocks(columns):
            copy.write(block)


def _blocks(columns: Mapping[str, tuple[str, npt.NDArray[np.generic]]]) -> Iterator[bytes]:
    record = _record({name: kind for name, (kind, _) in columns.items()})
    rows = len(next(iter(columns.values()))[1])
    yield _HEADER
    for start in range(0, rows, _BLOCK_ROWS):
        stop = min(start + _BLOCK_ROWS, rows)
        block = np.empty(stop - start, dtype=record)
        block["fields"] = len(columns)
        for name, (kind, values) in columns.items():
            part = values[start:stop]
            limits = np.iinfo(kind)
            if part.size and (part.min() < limits.min or part.max() > limits.max):
                raise OverflowError(f"column {name} holds a value beyond {kind}")
            block[f"{name} bytes"] = np.dtype(kind).itemsize
            block[name] = part
        yield block.tobytes()
    yield _TRAILER


def _record(columns: Mapping[str, str]) -> np.dtype[np.void]:
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for name, kind in columns.items():
        fields += [(f"{name} bytes", ">i4"), (name, kind)]
    return np.dtype(fields)


def _copy_out(query: sql.Composed) -> sql.Composed:
    return sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(query)


def texts(values: Sequence[str]) -> sql.Composed:
    """Return an SQL literal of type `text[]`."""
    return sql.SQL("{}::text[]").format(sql.Literal(list(values)))


def bigints(values: Sequence[int]) -> sql.Composed:
    """Return an SQL literal of type `bigint[]`."""
    return sql.SQL("{}::bigint[]").format(sql.Literal(list(values)))
