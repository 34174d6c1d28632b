"""Columns of numbers in and out of PostgreSQL, in its binary COPY format, without a Python object per value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from django.db import connection
from psycopg import sql

from allocation.exchange.distinct import distinct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_BLOCK_ROWS: Final = 8192
"""So many rows of a dozen columns stay in the processor's cache while they are written column by column."""
_BIGINT: Final = 20
"""What PostgreSQL calls the type bigint in binary."""
NUMERIC: Final = "numeric"
"""The kind of a column of type numeric: for whole numbers that are not negative."""
_BASE: Final = 10_000
_BASE_DIGITS: Final = 4
_DIGITS: Final = 12


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


def read_bigints(query: sql.Composed, names: Sequence[str]) -> dict[str, npt.NDArray[np.int64]]:
    """Run a query of columns of type bigint without NULLs, in one record; return its columns by these names.

    For up to some million rows: quicker than row by row, but PostgreSQL holds a record as a whole, of 1 GB at most.
    """
    place = sql.SQL(", ").join(map(sql.Identifier, names))
    lists = sql.SQL(", ").join(sql.SQL("array_agg({})").format(sql.Identifier(name)) for name in names)
    record = sql.SQL("SELECT {} FROM ({}) AS rows ({}) HAVING count(*) > 0").format(lists, query, place)
    records = list(read_arrays(record))
    return {name: bigints_of(records[0][n]) if records else np.empty(0, np.int64) for n, name in enumerate(names)}


def _fields(row: memoryview) -> Iterator[memoryview]:
    place = 2
    for _ in range(int.from_bytes(row[:2], "big")):
        size = int.from_bytes(row[place : place + 4], "big", signed=True)
        if size < 0:
            raise ValueError("a value is NULL")
        yield row[place + 4 : place + 4 + size]
        place += 4 + size


def bigint_of(field: memoryview) -> int:
    """Return a bigint as it is sent."""
    return int.from_bytes(field, "big", signed=True)


def bigints_of(field: memoryview) -> npt.NDArray[np.int64]:
    """Return the elements of a one-dimensional bigint[] without NULLs, as it is sent.

    Raises:
        ValueError: it is something else.
    """
    dimensions, nulls, kind = np.frombuffer(field[:12], dtype=">i4").tolist()
    if (dimensions, nulls, kind) != (1, 0, _BIGINT):
        raise ValueError("not a list of bigints")
    return np.frombuffer(field[20:], dtype=[("bytes", ">i4"), ("value", ">i8")])["value"].astype(np.int64)


@dataclass(frozen=True, slots=True)
class Cells:
    """A column for a table: its kind (`NUMERIC`, or a big-endian dtype), its values, and which of them are not NULL."""

    kind: str
    values: npt.NDArray[np.generic]
    present: npt.NDArray[np.bool_] | None = None


def write_columns(table: sql.Identifier, columns: Mapping[str, Cells]) -> None:
    """COPY columns of equal length into a table, a bounded block of rows at a time.

    Rows with the same NULLs go in together, so rows keep their order only among those.

    Raises:
        OverflowError: a value does not fit its column.
    """
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
        table, sql.SQL(", ").join(sql.Identifier(name) for name in columns)
    )
    digits = {name: _digits_of(name, cells) for name, cells in columns.items()}
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(_HEADER)
        for there, positions in _patterns(columns):
            block = _empty_block(columns, there, digits, min(len(positions), _BLOCK_ROWS))
            for start in range(0, len(positions), _BLOCK_ROWS):
                copy.write(_filled(block, columns, there, positions[start : start + _BLOCK_ROWS]))
        copy.write(_TRAILER)


def _patterns(columns: Mapping[str, Cells]) -> Iterator[tuple[set[str], npt.NDArray[np.intp] | range]]:
    """Yield the rows that have values in the same columns: the columns, and the positions."""
    rows = len(next(iter(columns.values())).values)
    certain = {name for name, cells in columns.items() if cells.present is None or cells.present.all()}
    if len(certain) == len(columns):
        yield certain, range(rows)
        return
    doubtful = [name for name in columns if name not in certain]
    code = np.zeros(rows, np.int64)
    for bit, name in enumerate(doubtful):
        code |= cast("npt.NDArray[np.bool_]", columns[name].present).astype(np.int64) << bit
    for pattern in distinct(code, bound=1 << len(doubtful)).tolist():
        yield (
            certain | {name for bit, name in enumerate(doubtful) if pattern >> bit & 1},
            np.flatnonzero(code == pattern),
        )


def _digits_of(name: str, cells: Cells) -> int:
    """Return how many digits to base 10 000 the numbers of a column take at most, 0 for a column of another kind.

    Raises:
        OverflowError: a value does not fit the column.
    """
    least, most = (int(cells.values.min()), int(cells.values.max())) if cells.values.size else (0, 0)
    if cells.kind != NUMERIC:
        limits = np.iinfo(cells.kind)
        if least < limits.min or most > limits.max:
            raise OverflowError(f"column {name} holds a value beyond {cells.kind}")
        return 0
    if least < 0:
        raise OverflowError(f"column {name} holds a negative amount")
    if most >= _BASE**_DIGITS:
        raise OverflowError(f"column {name} holds a number of too many digits")
    return -(-len(str(most)) // _BASE_DIGITS)


def _empty_block(
    columns: Mapping[str, Cells], there: set[str], digits: Mapping[str, int], rows: int
) -> npt.NDArray[np.void]:
    """Return so many rows as COPY takes them, which have values in the same columns; all but the values is written."""
    fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = [("fields", ">i2")]
    for name, cells in columns.items():
        fields.append((f"{name} bytes", ">i4"))
        if name in there and digits[name]:
            fields += [(f"{name} head", ">i2", (4,)), (name, ">i2", (digits[name],))]
        elif name in there:
            fields.append((name, cells.kind))
    block = np.empty(rows, dtype=np.dtype(fields))
    block["fields"] = len(columns)
    for name, cells in columns.items():
        count = digits[name]
        if name not in there:
            block[f"{name} bytes"] = -1
        elif count:
            block[f"{name} bytes"] = 2 * (4 + count)
            # How many digits, the power of 10 000 of the first one, positive, no decimals.
            block[f"{name} head"] = (count, count - 1, 0, 0)
        else:
            block[f"{name} bytes"] = np.dtype(cells.kind).itemsize
    return block


def _filled(
    block: npt.NDArray[np.void],
    columns: Mapping[str, Cells],
    there: set[str],
    positions: npt.NDArray[np.intp] | range,
) -> memoryview:
    """Return the rows at `positions` as COPY takes them, written into `block`, which holds as many or more."""
    where = slice(positions.start, positions.stop) if isinstance(positions, range) else positions
    rows = block[: len(positions)]
    for name in there:
        values = columns[name].values[where]
        if columns[name].kind == NUMERIC:
            _fill_digits(rows[name], values)
        else:
            rows[name] = values
    return rows.view(np.uint8).data


def _fill_digits(digits: npt.NDArray[np.int16], values: npt.NDArray[np.generic]) -> None:
    """Write whole numbers as rows of digits to base 10 000, the first ones first; PostgreSQL drops leading zeros."""
    rest: npt.NDArray[Any] = values
    for place in range(digits.shape[1] - 1, 0, -1):
        above = rest // _BASE
        digits[:, place] = rest - above * _BASE
        rest = above
    digits[:, 0] = rest


def _record(columns: Mapping[str, str]) -> np.dtype[np.void]:
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for name, kind in columns.items():
        fields += [(f"{name} bytes", ">i4"), (name, kind)]
    return np.dtype(fields)


def _copy_out(query: sql.Composed) -> sql.Composed:
    return sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(query)


def texts(values: Iterable[str]) -> sql.Composed:
    """Return an SQL literal of type `text[]`, written as a whole: a list costs psycopg more than all else."""
    escaped = ('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)
    return sql.SQL("{}::text[]").format(sql.Literal("{" + ",".join(escaped) + "}"))


def bigints(values: Iterable[int]) -> sql.Composed:
    """Return an SQL literal of type `bigint[]`, likewise."""
    return sql.SQL("{}::bigint[]").format(sql.Literal("{" + ",".join(map(str, values)) + "}"))
