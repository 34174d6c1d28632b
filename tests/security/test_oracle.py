"""No leak: random worlds, random people, every answer beside the model's.

`make leaks` runs the long form. CANOPY_LEAK_WORLDS and CANOPY_LEAK_SEED choose how many worlds and which.
"""

from __future__ import annotations

import os
import sys
from collections import Counter

import pytest
from django.db import connection, transaction

from tests.security.changes import Changes
from tests.security.comparison import Findings, compare_policies
from tests.security.worlds import World

pytestmark = pytest.mark.django_db

WORLDS = int(os.environ.get("CANOPY_LEAK_WORLDS", "4"))
SEED = int(os.environ.get("CANOPY_LEAK_SEED", "20260"))
STEPS = 40


def test_policies_agree_with_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    findings, done = Findings(), Counter[str]()
    for seed in range(SEED, SEED + WORLDS):
        with transaction.atomic():
            world = World(seed).found()
            changes = Changes(world)
            changes.furnish()
            for _ in range(STEPS):
                changes.step()
            compare_policies(world, findings)
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            done += changes.done
            transaction.set_rollback(True)
    with capsys.disabled():
        sys.stdout.write(f"\n{WORLDS} worlds from seed {SEED}: {findings}\n{dict(done)}\n")
    assert findings.leaks == []
    assert findings.denials == []
    assert findings.compared > WORLDS * 1000
