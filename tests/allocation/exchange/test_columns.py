"""Columns out of PostgreSQL, in its binary form."""

from __future__ import annotations

import pytest
from psycopg import sql

from allocation.exchange.columns import bigints_of, read_arrays

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
