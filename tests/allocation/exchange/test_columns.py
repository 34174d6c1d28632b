"""Columns out of PostgreSQL and into it, in its binary form."""

from __future__ import annotations

import numpy as np
import pytest
from django.db import connection, transaction
from psycopg import sql

from allocation.exchange.columns import (
    NUMERIC,
    Cells,
    bigints,
    bigints_of,
    read_arrays,
    read_bigints,
    texts,
    write_columns,
)

pytestmark = pytest.mark.django_db

SOME = (
    "SELECT array_agg(n ORDER BY n), string_agg(n::text, ',' ORDER BY n) FROM generate_series({}, {}::bigint) n"
    " GROUP BY n & 3 ORDER BY n & 3"
)


def asked(values: str) -> sql.Composed:
    return sql.Composed([sql.SQL(f"SELECT {values}")])


def test_arrays_and_texts_come_row_by_row() -> None:
    rows = list(read_arrays(sql.SQL(SOME).format(-2, 5)))
    assert [(bigints_of(numbers).tolist(), bytes(text)) for numbers, text in rows] == [
        ([0, 4], b"0,4"),
        ([1, 5], b"1,5"),
        ([-2, 2], b"-2,2"),
        ([-1, 3], b"-1,3"),
    ]
    assert list(read_arrays(asked("'{1}'::bigint[] WHERE false"))) == []


@pytest.mark.parametrize("value", ["NULL::bigint[]", "'x'::text, NULL::text"])
def test_nothing_may_be_null(value: str) -> None:
    with pytest.raises(ValueError, match="NULL"):
        list(read_arrays(asked(value)))


@pytest.mark.parametrize(
    "value", ["'{1,NULL}'::bigint[]", "'{1}'::integer[]", "'{{1},{2}}'::bigint[]", "'{}'::bigint[]"]
)
def test_a_list_of_bigints_is_nothing_else(value: str) -> None:
    ((field,),) = read_arrays(asked(value))
    with pytest.raises(ValueError, match="bigints"):
        bigints_of(field)


def test_columns_of_bigints_come_together() -> None:
    some = read_bigints(sql.Composed([sql.SQL("SELECT n, -n FROM generate_series(1, 3::bigint) n")]), ("up", "down"))
    assert {name: column.tolist() for name, column in some.items()} == {"up": [1, 2, 3], "down": [-1, -2, -3]}
    none = read_bigints(sql.Composed([sql.SQL("SELECT 1::bigint WHERE false")]), ("one",))
    assert none["one"].tolist() == []


def test_whole_numbers_of_any_size_and_nulls_come_back_as_they_were_written() -> None:
    small = np.array([0, 7, 10_000, 2**63 - 1, 5])
    large = np.array([10**38 - 1, 0, 1, 10**20, 2**63], dtype=object)
    there = np.array([True, False, True, True, False])
    columns = {
        "small": Cells(NUMERIC, small, there),
        "large": Cells(NUMERIC, large, ~there),
        "number": Cells(">i8", -small),
        "flag": Cells(">i1", there.astype(np.int8)),
    }
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE taken (small numeric(38), large numeric(38), number bigint, flag boolean)")
        write_columns(sql.Identifier("taken"), columns)
        cursor.execute("SELECT small, large, number, flag FROM taken ORDER BY number DESC")
        rows = cursor.fetchall()
    assert rows == [
        (0, None, 0, True),
        (None, 2**63, -5, False),
        (None, 0, -7, False),
        (10_000, None, -10_000, True),
        (2**63 - 1, None, 1 - 2**63, True),
    ]


def test_many_rows_go_in_block_by_block() -> None:
    numbers = np.arange(20_000)
    digits = [0, 9_999, 10_000, 99_999_999, 10**8] * 4_000
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE many (number bigint, digits numeric, third bigint)")
        third = Cells(">i8", numbers, numbers % 3 == 0)
        write_columns(
            sql.Identifier("many"),
            {"number": Cells(">i8", numbers), "digits": Cells(NUMERIC, np.array(digits)), "third": third},
        )
        cursor.execute("SELECT number, digits, third FROM many ORDER BY number")
        rows = cursor.fetchall()
    assert rows == [(n, digits[n], None if n % 3 else n) for n in range(20_000)]


def test_lists_are_literals_of_whatever_they_hold() -> None:
    codes = ["plain", "", " ", "NULL", "a,b", "{c}", 'say "d"', "back\\slash", "it's", "%s", "é"]
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT {}, {}, {}").format(texts(codes), bigints([-1, 2**62]), texts([])))
        assert cursor.fetchone() == (codes, [-1, 2**62], [])


@pytest.mark.parametrize(
    "cells",
    [
        Cells(NUMERIC, np.array([-1])),
        Cells(NUMERIC, np.array([10**48], dtype=object)),
        Cells(">i2", np.array([1 << 15])),
        Cells(">i4", np.array([-(1 << 31) - 1])),
    ],
)
def test_what_does_not_fit_is_refused(cells: Cells) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE refused (value numeric)")
    with pytest.raises(OverflowError, match="value"), transaction.atomic():
        write_columns(sql.Identifier("refused"), {"value": cells})
