"""The two lines of defence one at a time: the policies without the database's, the database's without the policies."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import connection, transaction

from accounts.web_role import as_web
from graphql_api import context
from tests.security.model import ACCOUNT, DIRECTORY, GROUP, RESOURCE_GROUP, Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from tests.security.comparison import Findings
    from tests.security.model import Pair
    from tests.security.worlds import World

Selector = TypeVar("Selector", bound="Callable[..., Any]")

# What is in the protected tables, as (kind, id, month), without any condition: a statement that forgot to ask.
_BARE = {
    "ledger": (
        "SELECT DISTINCT 'resource_group', row.resource_group_id, run.month"
        " FROM allocation_ledgerrow row JOIN allocation_allocationrun run ON run.id = row.run_id"
    ),
    "account totals": (
        "SELECT DISTINCT 'account', total.account_id, run.month"
        " FROM allocation_accounttotal total JOIN allocation_allocationrun run ON run.id = total.run_id"
    ),
    "container totals": (
        "SELECT DISTINCT CASE WHEN total.group_id IS NULL THEN 'resource_directory' ELSE 'account_group' END,"
        " COALESCE(total.group_id, total.directory_id), made.month"
        " FROM allocation_containertotal total JOIN allocation_publication made ON made.id = total.publication_id"
    ),
}


@contextmanager
def _as_the_owner(**_viewer: object) -> Iterator[None]:
    with transaction.atomic():
        yield


def without_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests keep the rights of the owner of the tables: the policies alone decide."""
    monkeypatch.setattr(context, "as_web", _as_the_owner)


def forgetful(world: World, selector: Selector) -> Selector:
    """The selector, asked by somebody who sees everything: a forgotten policy."""

    def asked(*, question: Any, **given: Any) -> Any:  # noqa: ANN401 any selector
        eyes = replace(question, viewer=world.viewer(world.operator), role_kinds=frozenset())
        return selector(question=eyes, **given)

    return asked  # type: ignore[return-value] # the same signature


def compare_bare(world: World, findings: Findings) -> None:
    """What everybody reads by bare statements as the web role, beside the (node, month) pairs that they may see."""
    for name, statement in _BARE.items():
        there = _read(statement)
        for person in world.everybody():
            numbers = world.model.numbers(person, world.now)
            with as_web(viewer_id=person, now=world.now):
                found = _read(statement)
            findings.compare(
                f"{name} to {person} in world {world.seed}", found=found, expected=there & numbers, asked=len(there)
            )


def _read(statement: str) -> set[Pair]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        rows = cursor.fetchall()
    assert {kind for kind, _, _ in rows} <= {RESOURCE_GROUP, ACCOUNT, GROUP, DIRECTORY}
    return {(Node(kind, node_id), month) for kind, node_id, month in rows}
