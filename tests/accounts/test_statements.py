"""Statements of selectors are prepared where plans do not depend on partitions; their answers do not depend on that."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.statements import rows_of
from accounts.web_role import as_web

if TYPE_CHECKING:
    from django.conf import LazySettings

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SQUARES = "SELECT number * number AS square FROM unnest(%(numbers)s::bigint[]) AS number WHERE number > %(least)s"


def plans_of(part: str) -> list[tuple[int, int]]:
    """Generic and custom plans of the prepared statements whose text has a part."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE strpos(statement, %s) > 0", [part]
        )
        return [(int(generic), int(custom)) for generic, custom in cursor.fetchall()]


def test_a_statement_is_prepared_once_and_planned_without_its_parameters() -> None:
    with as_web(viewer_id=None, now=NOW, plan_once=True):
        assert rows_of(SQUARES, {"numbers": [1, 2, 3], "least": 1}) == [(4,), (9,)]
        assert rows_of(SQUARES, {"numbers": [4, 5], "least": 1}) == [(16,), (25,)]
        assert rows_of(SQUARES, {"numbers": [6], "least": 3}) == [(36,)]
        assert plans_of("AS square") == [(3, 0)]


def test_elsewhere_plans_know_their_parameters() -> None:
    with as_web(viewer_id=None, now=NOW):
        assert rows_of(SQUARES.replace("square", "area"), {"numbers": [7], "least": 1}) == [(49,)]
    with as_web(viewer_id=None, now=NOW, plan_once=True):
        pass
    assert rows_of(SQUARES.replace("square", "area"), {"numbers": [8], "least": 1}) == [(64,)]
    assert plans_of("AS area") == [(0, 2)]


def test_statements_on_partitions_are_not_prepared() -> None:
    statement = "SELECT count(*) AS partitioned FROM allocation_accounttotal WHERE run_id = ANY(%s::bigint[])"
    assert rows_of(statement, [[1, 2]]) == [(0,)]
    assert plans_of("AS partitioned") == []


def test_nothing_is_prepared_behind_a_pooler_that_does_not_know_it(
    settings: LazySettings,
) -> None:
    settings.PREPARED_STATEMENTS = False
    assert rows_of(SQUARES.replace("square", "surface"), {"numbers": [9], "least": 1}) == [(81,)]
    assert plans_of("AS surface") == []


def test_the_log_of_statements_has_their_text() -> None:
    with CaptureQueriesContext(connection) as captured:
        rows_of("SELECT %(x)s::int AS logged", {"x": 3})
    assert [query["sql"] for query in captured] == ["SELECT $1::int AS logged"]
