"""The totals that rows of containers keep are those of their lines, and nobody can write others."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.utils import ProgrammingError

from allocation.selectors.amounts import COLUMNS, KEPT_TOTALS, Amounts

ROWS = f"SELECT {', '.join((*COLUMNS, *KEPT_TOTALS.values()))} FROM allocation_containertotal"  # noqa: S608 fixed names


@pytest.mark.usefixtures("world")
def test_kept_totals_are_those_of_the_lines() -> None:
    with connection.cursor() as cursor:
        cursor.execute(ROWS)
        rows = cursor.fetchall()
    kept_totals = {method: [row[len(COLUMNS) + place] for row in rows] for place, method in enumerate(KEPT_TOTALS)}
    amounts = [Amounts.of(row[: len(COLUMNS)]) for row in rows]
    for method, kept in kept_totals.items():
        assert kept == [amount.total_ug(method) for amount in amounts]
        assert len({*kept}) > 1
    assert kept_totals[next(iter(KEPT_TOTALS))] != kept_totals[list(KEPT_TOTALS)[-1]]


@pytest.mark.usefixtures("world")
def test_a_total_is_not_written() -> None:
    with pytest.raises(ProgrammingError, match="total_lbm_ug"), connection.cursor() as cursor:
        cursor.execute("INSERT INTO allocation_containertotal (publication_id, total_lbm_ug) VALUES (1, 1)")
