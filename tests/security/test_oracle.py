"""No leak: random worlds, random people, every answer beside the model's; both lines of defence, and each alone.

`make leaks` runs the long form. CANOPY_LEAK_WORLDS and CANOPY_LEAK_SEED choose how many worlds and which.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING

import pytest
from django.db import connection, transaction

from allocation.selectors import candidates, emissions
from tests.security.api import Api
from tests.security.changes import Changes
from tests.security.comparison import Findings, compare_policies
from tests.security.defences import compare_bare, forgetful, without_the_database
from tests.security.explained import compare_explanations
from tests.security.exported import compare_exports
from tests.security.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db

WORLDS = int(os.environ.get("CANOPY_LEAK_WORLDS", "2"))
SEED = int(os.environ.get("CANOPY_LEAK_SEED", "20260"))
STEPS = 40
# Everybody is compared by the policies and by the database; so many of each world, drawn by lot, ask the API, and more
# where those who were drawn may know too little to ask about.
ASK = 2
PROMISED = 400
"""Pairs of each world and each line of defence: 20 000 in 50 worlds."""


def lived(seed: int) -> World:
    """A world after a random history."""
    world = World(seed).found()
    changes = Changes(world)
    changes.furnish()
    for _ in range(STEPS):
        changes.step()
    return world


@contextmanager
def clock_of(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """What time it is in the world is what time it is to Django; in every second world two children are very many."""
    with monkeypatch.context() as patched:
        patched.setattr("django.utils.timezone.now", lambda: world.now)
        if world.seed % 2:
            patched.setattr(candidates, "FEW", 1)
        yield patched


def drawn(world: World, findings: Findings) -> Iterator[int]:
    """Some of those who can sign in, and do not see everything: until they asked enough."""
    known = world.model.people.items()
    people = [person for person, one in known if one.active and not world.model.is_operator(person)]
    promised = findings.compared + PROMISED
    for number, person in enumerate(world.rng.sample(people, k=len(people))):
        if number >= ASK and findings.compared >= promised:
            return
        yield person


def compare_api(world: World, findings: Findings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the API everything, as it is."""
    with clock_of(world, monkeypatch):
        for person in chain(drawn(world, findings), [world.operator] if world.seed % 5 == 0 else []):
            ask_everything(world, person, findings)


def compare_policy_alone(world: World, findings: Findings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same without row-level security."""
    with clock_of(world, monkeypatch) as patched:
        without_the_database(patched)
        for person in drawn(world, findings):
            ask_everything(world, person, findings)


def ask_everything(world: World, person: int, findings: Findings) -> None:
    """Ask the API as somebody about every node, and for the origin of some figures."""
    api = Api(world, person, findings)
    api.compare()
    compare_explanations(api)


def compare_database_alone(world: World, findings: Findings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the policies: bare statements, and the API with a selector that forgot who asks."""
    compare_bare(world, findings)
    with clock_of(world, monkeypatch) as patched:
        patched.setattr(emissions, "by_month", forgetful(world, emissions.by_month))
        for person in drawn(world, findings):
            Api(world, person, findings, policies=False).compare()


def test_no_answer_says_more_or_less_than_the_model(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    policies, api, policy_alone, database_alone, exports = (Findings() for _ in range(5))
    for seed in range(SEED, SEED + WORLDS):
        with transaction.atomic():
            world = lived(seed)
            compare_policies(world, policies)
            compare_api(world, api, monkeypatch)
            compare_policy_alone(world, policy_alone, monkeypatch)
            compare_database_alone(world, database_alone, monkeypatch)
            compare_exports(world, exports)
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            transaction.set_rollback(True)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{WORLDS} worlds from seed {SEED}\npolicies: {policies}\nAPI: {api}\n"
            f"API, policies alone: {policy_alone}\nAPI and bare statements, database alone: {database_alone}\n"
            f"exports: {exports}\n"
        )
    for findings in (policies, api, policy_alone, database_alone, exports):
        assert (findings.leaks, findings.denials) == ([], [])
    for findings in (policies, api, policy_alone, database_alone):
        assert findings.compared >= WORLDS * PROMISED
    # Everybody's export of every published month was compared: a world holds no more.
    assert exports.compared > 0
