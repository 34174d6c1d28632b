"""The order of the engine's tests: sharp and quick ones first, random months after them, properties last."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a wrong engine fail early: an example finds within a second what most mutants break."""
    items.sort(key=_slowness)


def _slowness(item: pytest.Item) -> int:
    if "test_solved_months" in item.nodeid:
        return -1
    if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
        return 2
    return int("random" in item.name or "oracle" in item.name)
