"""One trial: servers, work, a campaign of faults, peace, inspection, report."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import connection

from accounts.months import format_month, shift
from allocation.models import Cause, RunTransition
from allocation.policies import Kind, NodeKey
from allocation.services.publication import publish_run
from allocation.services.restatement import restate_month
from allocation.services.retention import drop_leftovers
from allocation.services.system import database_now, system
from carbon.celery import app
from graphql_api.types.nodes import id_of
from tests.faults import reader, restater
from tests.faults.brokers import unpacked
from tests.faults.campaign import REPORT_SECONDS, Campaign, Quota
from tests.faults.disk import CappedFiles, SmallDisk, disk_folder, seen_full
from tests.faults.injury import Injury
from tests.faults.insistence import insist
from tests.faults.inspection import Inspection
from tests.faults.plant import LIBRARY, Plant
from tests.faults.steps import NAMES, VARIABLE
from tests.faults.warrants import HALT, Warrants

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.brokers import Broker
    from tests.faults.disk import Disk
    from tests.faults.sizes import Size
    from tests.faults.template import Work
    from tests.faults.units import Shown

START_SECONDS = 600


@dataclass
class Trial:
    """A trial in a folder of its own, against one broker."""

    folder: Path
    broker: Broker
    size: Size
    work: Work
    seed: int
    naive: bool
    say: Callable[[str], None]

    def hold(self) -> dict[str, Any]:
        """Do everything; return the figures, with the violations that were found."""
        began = time.monotonic()
        full = self.size.disk_and_clock
        disk = self._disk() if full else None
        self.say(f"seed {self.seed}; disk: {type(disk).__name__}")
        work, month = self.work
        self._prepare_reading(month)
        plant = self._plant(full=full)
        draw = random.Random(self.seed)  # noqa: S311 no secret, a reproducible draw
        warrants = Warrants(self.folder / "warrants")
        injury = Injury(draw, plant, self.broker, warrants, work, data_folder(), disk, self.size.whole_workers)
        campaign = Campaign(injury, work, draw)
        self.say(f"prepared in {time.monotonic() - began:.0f} s")
        with plant:
            wait_for_workers(self.size.workers)
            self.say("the workers answer")
            rested = self._wage(campaign, warrants, disk)
            reads = self._reads()
        inspection = Inspection()
        inspection.expect(rested, "some run has not ended, or a month that is due is not published")
        self._inspect(inspection, campaign, month, reads)
        return self._report(inspection, campaign, reads, time.monotonic() - began)

    def _disk(self) -> Disk:
        return SmallDisk.mounted(disk_folder(self.folder / "state")) or CappedFiles(data_folder())

    def _plant(self, *, full: bool) -> Plant:
        library = unpacked(self.folder.parent / "debian", "libfaketime", LIBRARY) / LIBRARY if full else None
        # This process gives the orders; it is not watched itself.
        environment = {**os.environ, VARIABLE: str(self.folder / "warrants")}
        # A process that is killed comes back in a quarter of the time if it finds compiled modules.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTHONPYCACHEPREFIX"] = str(self.folder.parent / "bytecode")
        plant = Plant(self.folder, environment, library)
        modules = ["tests.faults.steps", *(["tests.faults.naive"] if self.naive else [])]
        for number in range(self.size.workers):
            plant.add_worker(f"worker{number}", self.size.processes, *modules)
        for number in range(2):
            plant.add_clock(f"clock{number}")
        plant.add("restater", "-m", "tests.faults.restater", str(self.folder))
        if self.size.reads:
            plant.add("reader", "-m", "tests.faults.reader", str(self.folder))
        return plant

    def _wage(self, campaign: Campaign, warrants: Warrants, disk: Disk | None) -> bool:
        others = {kind: count for kind, count in self.size.others.items() if kind != "disk_full" or disk is not None}
        quota = Quota(self.size.deaths, self.size.halts, self.size.steps or NAMES, others)
        campaign.wage(quota, self.size.pause_seconds, self.say, time.monotonic() + 60 * self.size.minutes)
        self.say(f"{sum(campaign.inflicted.values()) + len(warrants.deaths())} faults done; waiting for peace")
        rested = campaign.make_peace(self.size.peace_seconds)
        # All the while one publishes and one reads; on a crowded machine that takes longer than the faults.
        deadline = time.monotonic() + 60 * self.size.minutes
        while (found := self._reads()["whole"]) < self.size.reads and time.monotonic() < deadline:
            self.say(f"{found} of {self.size.reads} reads")
            time.sleep(REPORT_SECONDS)
        return rested

    def _prepare_reading(self, month: Shown) -> None:
        """Publish each run of the shown month once and see what the API says of it."""
        viewer = system(database_now())
        first = publish_run(viewer=viewer, run_id=month.runs[0])
        company = id_of(NodeKey(Kind.ENTERPRISE_PARENT, month.directory.enterprise_id))
        directory = id_of(NodeKey(Kind.RESOURCE_DIRECTORY, month.directory.pk))
        period = {"from": format_month(first.month), "until": format_month(shift(first.month, 1))}
        variables = {"company": company, "directory": directory, "period": period}
        allowed = [self._total(month, variables)]
        restate_month(viewer=system(database_now()), run_id=month.runs[1], cause=Cause.DATA, reason="the other")
        allowed.append(self._total(month, variables))
        assert len(set(allowed)) == len(allowed)
        assert all(allowed)
        task = {"user": month.user.pk, "variables": variables, "allowed": allowed}
        reader.task_of(self.folder).write_text(json.dumps(task))
        restater.task_of(self.folder).write_text(json.dumps(month.runs))

    @staticmethod
    def _total(month: Shown, variables: dict[str, Any]) -> int:
        body = json.dumps({"query": reader.QUERY, "variables": variables})
        response = reader.sign_in(month.user.pk).post("/graphql/", data=body, content_type="application/json")
        answer = json.loads(response.content)
        (total,) = set().union(*(reader.figures(node) for node in answer["data"].values()))
        return total

    def _reads(self) -> dict[str, Any]:
        path = reader.counts_of(self.folder)
        nothing = {"whole": 0, "torn": 0, "refused": 0, "changes": 0, "answers": []}
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else nothing
        return found

    def _inspect(self, inspection: Inspection, campaign: Campaign, month: Shown, reads: dict[str, Any]) -> None:
        insist(lambda: drop_leftovers(now=database_now()))
        inspection.of_units(campaign.units)
        inspection.of_shown(month)
        inspection.of_partitions()
        inspection.of_proofs()
        inspection.of_unchanged(campaign.seen)
        inspection.of_reads(reads, self.size.reads)
        deaths = campaign.injury.warrants.deaths()
        inspection.of_steps(deaths, dict.fromkeys(self.size.steps or NAMES, min(self.size.deaths, 10)))
        done = len(deaths) + others_of(campaign).total()
        inspection.expect(done >= self.size.least, f"only {done} faults instead of {self.size.least}")

    def _report(
        self, inspection: Inspection, campaign: Campaign, reads: dict[str, Any], seconds: float
    ) -> dict[str, Any]:
        deaths = campaign.injury.warrants.deaths()
        by_step = Counter(death.step for death in deaths if death.kind != HALT)
        others = others_of(campaign)
        return {
            "faults": len(deaths) + others.total(),
            "killed_at_steps": {step: by_step[step] for step in NAMES},
            "halted_at_steps": sum(death.kind == HALT for death in deaths),
            "others": dict(sorted(others.items())),
            "runs": campaign.requests,
            "looked_at": dict(sorted(inspection.looked_at.items())),
            "reads": {name: count for name, count in reads.items() if name != "answers"},
            "disk_full_seen_by_postgres": seen_full(data_folder()),
            "recovery_seconds": recovery(campaign),
            "seconds": round(seconds),
            "violations": inspection.violations[:50] + reads["answers"],
        }


def others_of(campaign: Campaign) -> Counter[str]:
    """Count the faults that are not deaths or halts at a named step."""
    return campaign.inflicted + Counter(lost_message=campaign.lost_messages)


def wait_for_workers(count: int) -> None:
    """Return when so many workers answer."""
    deadline = time.monotonic() + START_SECONDS
    while len(app.control.ping(timeout=2) or []) < count:
        if time.monotonic() > deadline:
            raise RuntimeError("the workers do not answer")


def data_folder() -> Path:
    """PostgreSQL's data folder."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW data_directory")
        return Path(cursor.fetchone()[0])


def recovery(campaign: Campaign) -> dict[str, float]:
    """How long a run stood still after its worker was killed at a step: median, 95th percentile, longest, in seconds.

    From the death to the next change of the run's state; deaths after a run's end do not count.
    """
    wall = time.time() - time.monotonic()
    gaps = []
    for death in campaign.injury.warrants.deaths():
        if death.run_id is None or death.kind == HALT:
            continue
        died = wall + death.at_monotonic
        later = RunTransition.objects.filter(run=death.run_id).order_by("at").values_list("at", flat=True)
        following = [at.timestamp() - died for at in later if at.timestamp() > died]
        gaps += following[:1]
    if not gaps:
        return {}
    gaps.sort()
    return {
        "deaths": len(gaps),
        "median": round(gaps[len(gaps) // 2], 1),
        "p95": round(gaps[int(len(gaps) * 0.95)], 1),
        "longest": round(gaps[-1], 1),
    }
