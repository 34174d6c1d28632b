"""No leak: random worlds, random people, every answer beside the model's.

`make leaks` runs the long form. CANOPY_LEAK_WORLDS and CANOPY_LEAK_SEED choose how many worlds and which.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from django.db import connection, transaction

from tests.security.api import Api
from tests.security.changes import Changes
from tests.security.comparison import Findings, compare_policies
from tests.security.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db

WORLDS = int(os.environ.get("CANOPY_LEAK_WORLDS", "2"))
SEED = int(os.environ.get("CANOPY_LEAK_SEED", "20260"))
STEPS = 40


def lived(seed: int) -> World:
    """A world after a random history."""
    world = World(seed).found()
    changes = Changes(world)
    changes.furnish()
    for _ in range(STEPS):
        changes.step()
    return world


@contextmanager
def clock_of(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What time it is in the world is what time it is to Django."""
    with monkeypatch.context() as patched:
        patched.setattr("django.utils.timezone.now", lambda: world.now)
        yield


def compare_api(world: World, findings: Findings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the API everything, as everybody who can sign in."""
    with clock_of(world, monkeypatch):
        for person, known in world.model.people.items():
            if known.active:
                Api(world, person, findings).compare()


def test_no_answer_says_more_or_less_than_the_model(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    policies, api = Findings(), Findings()
    for seed in range(SEED, SEED + WORLDS):
        with transaction.atomic():
            world = lived(seed)
            compare_policies(world, policies)
            compare_api(world, api, monkeypatch)
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            transaction.set_rollback(True)
    with capsys.disabled():
        sys.stdout.write(f"\n{WORLDS} worlds from seed {SEED}\npolicies: {policies}\nAPI: {api}\n")
    assert (policies.leaks, policies.denials) == ([], [])
    assert (api.leaks, api.denials) == ([], [])
    assert api.compared > WORLDS * 400
