"""The small world, built once for the package; each test works in a savepoint of its own."""

from __future__ import annotations

import copy
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import pytest
from django.db import transaction

from tests.read_model.world import World, small_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import DjangoDbBlocker


@pytest.fixture(scope="package")
def built_world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:  # noqa: ARG001 the database is needed
    with django_db_blocker.unblock(), transaction.atomic():
        yield small_world()
        transaction.set_rollback(True)


@pytest.fixture
def world(built_world: World, db: None) -> World:  # noqa: ARG001 a savepoint for each test
    """The world, as it was built; what a test changes is undone."""
    return replace(
        built_world, **{each.name: copy.copy(getattr(built_world, each.name)) for each in fields(built_world)}
    )
