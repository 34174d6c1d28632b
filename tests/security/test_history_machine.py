"""A state machine that shrinks: Hypothesis chooses who does what, and asks after every few changes.

`make leaks` plays more histories; CANOPY_LEAK_HISTORIES chooses how many.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.security.api import Api
from tests.security.changes import Changes
from tests.security.comparison import Findings, compare_policies
from tests.security.explained import compare_explanations
from tests.security.exported import compare_exports
from tests.security.publishing import restate_what_moved
from tests.security.worlds import World

if TYPE_CHECKING:
    import random

pytestmark = pytest.mark.django_db

CHANGES = (
    "place_accounts",
    "move_group",
    "leave",
    "create_group",
    "close_group",
    "give",
    "take",
    "delegate",
    "end_delegation",
    "make_manager",
    "switch",
    "join_team",
    "deactivate",
    "publish",
)
HISTORIES = int(os.environ.get("CANOPY_LEAK_HISTORIES", "2"))
RANDOM = st.randoms(use_true_random=False)


class History(RuleBasedStateMachine):
    """One world from its beginning; every choice in it is Hypothesis's, so that a failing history shrinks."""

    patched: pytest.MonkeyPatch

    def __init__(self) -> None:
        super().__init__()
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.world = World(1)

    @initialize(rng=RANDOM)
    def begin(self, rng: random.Random) -> None:
        """A small world with something to lose."""
        self.world.rng = rng
        self.world.found()
        self.changes = Changes(self.world)
        self.changes.furnish()

    @rule(name=st.sampled_from(CHANGES), by_operator=st.booleans(), rng=RANDOM)
    def change(self, name: str, by_operator: bool, rng: random.Random) -> None:  # noqa: FBT001 drawn by Hypothesis
        """Somebody tries something."""
        self.world.rng = rng
        people = [pk for pk, person in self.world.model.people.items() if person.active]
        self.changes.actor = self.world.operator if by_operator else rng.choice(people)
        getattr(self.changes, name)()
        restate_what_moved(self.world)

    @rule(rng=RANDOM)
    def pass_time(self, rng: random.Random) -> None:
        """Roles end, months begin."""
        self.world.rng = rng
        self.world.pass_time()

    @rule(rng=RANDOM)
    def ask(self, rng: random.Random) -> None:
        """Somebody asks the policies and the API everything."""
        self.world.rng = rng
        person = rng.choice([pk for pk, one in self.world.model.people.items() if one.active])
        findings = Findings()
        compare_policies(self.world, findings, [person])
        with self.patched.context() as patched:
            patched.setattr("django.utils.timezone.now", lambda: self.world.now)
            api = Api(self.world, person, findings)
            api.compare()
            compare_explanations(api)
        compare_exports(self.world, findings)
        assert (findings.leaks, findings.denials) == ([], []), str(findings)

    def teardown(self) -> None:
        """Throw the world away."""
        transaction.set_rollback(True)
        self.transaction.__exit__(None, None, None)


def test_no_history_leads_to_a_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    class Here(History):
        patched = monkeypatch

    quiet: Any = list(HealthCheck)
    chosen = settings(max_examples=HISTORIES, stateful_step_count=12, deadline=None, suppress_health_check=quiet)
    run_state_machine_as_test(Here, settings=chosen)
