"""A pytest plugin that tries mutants of the engine, each in a child of one session that has run all tests before.

mutmut starts pytest anew for every mutant; here a child has the tests, and the oracle's answers, from its parent.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import resource
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from importlib import import_module
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from tests.mutation.results import KILLED, NO_TEST, SURVIVED, TIMEOUT, store

if TYPE_CHECKING:
    import pytest

LEARNT = Path("learnt.json")
PATIENCE = 10
"""How many times as long as the tests took without a mutant they may take with one, plus as many seconds."""


@dataclass(slots=True)
class Learnt:
    """What is known of the tests: seconds, and the functions that each reaches, as long as no file changes."""

    digest: str
    tests: dict[str, tuple[float, list[str]]]

    @classmethod
    def read(cls) -> Learnt:
        """Return what an earlier session learnt of the same files."""
        digest = hashlib.sha256()
        for folder in ("allocation/engine", "tests/allocation/engine", "tests/oracle"):
            for path in sorted(Path(folder).rglob("*.py")):
                digest.update(path.read_bytes())
        stored = json.loads(LEARNT.read_text("utf-8")) if LEARNT.exists() else {}
        return cls(digest.hexdigest(), stored["tests"] if stored.get("digest") == digest.hexdigest() else {})

    def write(self) -> None:
        """Keep it for the next session."""
        LEARNT.write_text(json.dumps({"digest": self.digest, "tests": self.tests}), "utf-8")


class Trials:
    """The loop of the session: all tests once, then the mutants that standard input names."""

    def __init__(self) -> None:
        self.failed = False
        self.seconds: dict[pytest.Item, float] = {}
        self.reached: dict[str, list[pytest.Item]] = defaultdict(list)
        self.killers: dict[str, Counter[pytest.Item]] = defaultdict(Counter)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember a failure."""
        self.failed |= report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try every mutant; print the survivors."""
        mutants = sys.stdin.read().split()
        self._run_all(session.items)
        for number, mutant in enumerate(mutants, start=1):
            code = self._try(mutant)
            store(mutant, code, Path.cwd())
            word = {KILLED: "killed", SURVIVED: "survived", NO_TEST: "no test", TIMEOUT: "timeout"}[code]
            print(f"{number}/{len(mutants)} {word} {mutant}", flush=True)  # noqa: T201 -- a command
        return True

    def _run_all(self, items: list[pytest.Item]) -> None:
        """Run the tests without a mutant; learn how long each takes and what it reaches, unless that is known."""
        hits = import_module("mutmut.state").state()._stats  # noqa: SLF001 -- where its mutants write down who called them
        learnt = Learnt.read()
        for item in items:
            known = item.nodeid in learnt.tests
            # What is known need not be run, but for the oracle's answers, which children are to find.
            if known and not ("random" in item.name or "oracle" in item.nodeid):
                continue
            os.environ["MUTANT_UNDER_TEST"] = "" if known else "stats"
            hits.clear()
            start = time.process_time()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            if not known:
                learnt.tests[item.nodeid] = time.process_time() - start, sorted(hits)
        if self.failed:
            raise RuntimeError("the tests fail without any mutant")
        learnt.write()
        for item in items:
            self.seconds[item], functions = learnt.tests[item.nodeid]
            for function in functions:
                self.reached[function].append(item)
        gc.freeze()  # children need not look through what they share

    def _try(self, mutant: str) -> int:
        function = mutant.partition("__mutmut_")[0]
        # What killed a neighbour comes first, then what is quick.
        tests = sorted(self.reached[function], key=lambda it: (-self.killers[function][it], self.seconds[it]))
        if not tests:
            return NO_TEST
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.close(read)
            self._be(mutant, tests, write)
        os.close(write)
        with os.fdopen(read) as pipe:
            said = pipe.read()
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            return TIMEOUT
        if not said:
            return SURVIVED
        self.killers[function][tests[int(said)]] += 1
        return KILLED

    def _be(self, mutant: str, tests: list[pytest.Item], write: int) -> None:
        """Be the mutant until a test fails: say which one, and end."""
        seconds = ceil(time.process_time() + PATIENCE * (1 + sum(self.seconds[item] for item in tests)))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        os.environ["MUTANT_UNDER_TEST"] = mutant
        for number, item in enumerate(tests):
            try:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            except BaseException:  # noqa: BLE001 -- a mutant may break anything
                self.failed = True
            if self.failed:
                os.write(write, str(number).encode())
                break
        os._exit(0)


def pytest_configure(config: pytest.Config) -> None:
    """Take over the loop of this session."""
    config.pluginmanager.register(Trials(), "trials")
