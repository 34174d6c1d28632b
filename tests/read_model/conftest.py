"""The small world, built once: every test runs in a transaction of its own that is rolled back."""

from __future__ import annotations

import pytest

from tests.read_model.world import World, small_world


@pytest.fixture
def world(db: None) -> World:  # noqa: ARG001 the database is needed
    return small_world()
