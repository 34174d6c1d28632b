"""A campaign: work that never stops, faults in an order drawn from a seed, and at the end peace and an inspection."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from accounts.services.refusal import Refusal
from allocation import tasks
from allocation.models import RUNNING, AllocationRun, Publication, RunState, RunTransition
from allocation.services.runs import request_run
from allocation.services.system import database_now, system
from tests.faults.injury import Injury, inflicted
from tests.faults.insistence import BROKER_ERRORS, insist
from tests.faults.inspection import published_digests

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from tests.faults.units import Unit

WARRANTS_MAX = 5
ACTIVE_MAX = 14
LOST_MESSAGES = 0.15
RARELY = 0.1
REPORT_SECONDS = 10
AHEAD = 12
WORK_BETWEEN_STOPS = 10
BY_MESSAGE = {"queues_emptied", "message_again", "two_publish", "two_schedulers", "broker_server"}
STOPPING = {"worker", "broker_server", "postgres_server", "postgres_process", "disk_full"}


@dataclass(frozen=True)
class Quota:
    """How many faults of each kind."""

    deaths_per_step: int
    halts_per_step: int
    steps: Sequence[str]
    others: dict[str, int]

    def orders(self, draw: random.Random) -> list[tuple[str, str]]:
        """All faults as (kind, step), in an order drawn at random."""
        orders = [("step", step) for step in self.steps] * self.deaths_per_step
        orders += [("halt", step) for step in self.steps] * self.halts_per_step
        orders += [(kind, "") for kind, count in self.others.items() for _ in range(count)]
        draw.shuffle(orders)
        return orders


@dataclass
class Campaign:
    """What was done so far. `inflicted` counts by kind; deaths at steps are counted by the warrants."""

    injury: Injury
    units: Sequence[Unit]
    draw: random.Random
    inflicted: Counter[str] = field(default_factory=Counter)
    lost_messages: int = 0
    requests: int = 0
    seen: dict[int, str] = field(default_factory=dict)
    _work: int = 0

    def wage(self, quota: Quota, pause_seconds: float, say: Callable[[str], None], until: float) -> None:
        """Do all faults while work goes on; those that find nothing to hit are put off.

        Args:
            quota: the faults.
            pause_seconds: mean pause between two of them.
            say: told about progress.
            until: no new fault after this moment (`time.monotonic`).
        """
        orders = quota.orders(self.draw)
        total, shown = len(orders), time.monotonic()
        while orders and time.monotonic() < until:
            self.keep_working()
            place = self._next(orders)
            if place is not None:
                order = orders.pop(place)
                if not self._inflict(order):
                    orders.append(order)
            else:
                # Others have their turn while these wait.
                orders.append(orders.pop(0))
            if time.monotonic() - shown > REPORT_SECONDS:
                shown = time.monotonic()
                insist(self.remember_publications)
                say(f"{total - len(orders)} of {total} faults, {self.requests} runs asked for")
            time.sleep(self.draw.uniform(0, 2 * pause_seconds))
        while self.injury.warrants.waiting() and time.monotonic() < until:
            self.keep_working()
            self._feed_rare_steps()
            time.sleep(pause_seconds)

    def _next(self, orders: list[tuple[str, str]]) -> int | None:
        """The place of the next order that can be given, or None to wait.

        Few warrants are open at a time, one for each step. What stops everything is done only after some work was done
        since: a fault that hits nobody proves nothing. Without a broker there are no messages.
        """
        waiting = self.injury.warrants.waiting()
        for place, (kind, step) in enumerate(orders[:AHEAD]):
            if kind in BY_MESSAGE and not self.injury.broker.answers():
                ready = False
            elif kind in STOPPING:
                ready = self._work_was_done()
            else:
                ready = not step or (len(waiting) < WARRANTS_MAX and step not in waiting)
            if ready:
                return place
        self._feed_rare_steps()
        return None

    def _work_was_done(self) -> bool:
        """Whether some runs have gone on since the last fault that stopped everything, which is counted from now."""
        count = insist(RunTransition.objects.count)
        if count < self._work + WORK_BETWEEN_STOPS:
            return False
        self._work = count
        return True

    def _inflict(self, order: tuple[str, str]) -> bool:
        kind, step = order
        fault = getattr(self.injury, kind)
        done = inflicted(partial(fault, step) if step else fault)
        if done and not step:
            self.inflicted[kind] += 1
        return done

    def _feed_rare_steps(self) -> None:
        """Some steps are reached only if somebody cancels or publishes."""
        if not self.injury.broker.answers():
            return
        if "cancelled" in self.injury.warrants.waiting() and self.draw.random() < RARELY:
            inflicted(self.injury.cancel)
        if any(step.startswith("publishing") for step in self.injury.warrants.waiting()):
            inflicted(self._publish_due)

    @staticmethod
    def _publish_due() -> bool:
        tasks.publish_due_months.delay()
        return True

    def remember_publications(self) -> None:
        """Keep a digest of what is published now, to compare at the end."""
        new = set(Publication.objects.values_list("pk", flat=True)) - self.seen.keys()
        self.seen |= published_digests(new)

    def keep_working(self) -> None:
        """Ask for runs until enough are under way; some of the messages about it are lost."""
        insist(self._keep_working)

    def _keep_working(self) -> None:
        busy = set(AllocationRun.objects.filter(state__in=RUNNING).values_list("package_id", flat=True))
        idle = [unit for unit in self.units if unit.package_id not in busy]
        self.draw.shuffle(idle)
        # Those that never had a run come last, so that the release calendar has something to do to the end.
        idle.sort(key=lambda unit: not unit.runs)
        fresh = [unit for unit in idle if not unit.runs]
        chosen = [*fresh[:1], *idle][: max(0, ACTIVE_MAX - len(busy))]
        for unit in chosen:
            self._request(unit)

    def _request(self, unit: Unit) -> None:
        unit.requests += 1
        try:
            run = request_run(viewer=system(database_now()), package_id=unit.package_id, again=True)
        except Refusal:
            return
        if run.pk in unit.runs:
            return
        unit.runs.append(run.pk)
        self.requests += 1
        if self.draw.random() < LOST_MESSAGES or not self.injury.broker.answers():
            self.lost_messages += 1
            return
        try:
            tasks.allocate_run.apply_async(kwargs={"run_id": run.pk}, expires=60)
        except BROKER_ERRORS:
            self.lost_messages += 1

    def make_peace(self, patience_seconds: float) -> bool:
        """Stop the faults and wait until every run has ended and what is due is published; whether that came about."""
        self.injury.warrants.withdraw()
        self.injury.broker.wait()
        deadline = time.monotonic() + patience_seconds
        while time.monotonic() < deadline:
            if insist(self._at_rest):
                return True
            inflicted(self._publish_due)
            time.sleep(0.5)
        return False

    def _at_rest(self) -> bool:
        if AllocationRun.objects.filter(state__in=RUNNING).exists():
            return False
        ready = AllocationRun.objects.filter(state=RunState.READY, pk__in=[r for u in self.units for r in u.runs])
        return not ready.exclude(package__in=Publication.objects.values("run__package")).exists()
