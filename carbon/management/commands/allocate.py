"""`manage.py allocate`: one month, by the workers that run, or by one of its own if none does."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.months import parse_month
from accounts.services.refusal import Refusal
from allocation import tasks
from allocation.models import RunState
from allocation.services import leases
from allocation.services.progress import Progress, findings_of, progress_of
from allocation.services.proof import ProofError
from allocation.services.publication import publish_run
from allocation.services.runs import newest_package, request_run
from allocation.services.system import database_now, system
from carbon.services import ServiceError, Services, StopRequestedError, stop_requests, worker, worker_answers

if TYPE_CHECKING:
    from argparse import ArgumentParser

WORKER_PATIENCE_SECONDS = 2.0
POLL_SECONDS = 0.2
SWEEP_SECONDS = 2.0


class Command(BaseCommand):
    help = "Allocate the newest package of a month; findings go to standard output, one JSON object a line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("month", help="YYYY-MM")
        parser.add_argument("--provider", required=True, help="provider code")
        parser.add_argument("--publish", action="store_true", help="publish the month when the run is ready")
        parser.add_argument("--again", action="store_true", help="run again although the package has a run")

    def handle(self, *, month: str, provider: str, publish: bool, again: bool, **_options: Any) -> None:  # noqa: ANN401 Django's
        try:
            package = newest_package(provider_code=provider, month=parse_month(month))
            run = request_run(viewer=system(database_now()), package_id=package.pk, again=again)
        except (Refusal, ValueError) as error:
            raise CommandError(str(error)) from error
        progress = self._bring_to_its_end(run.pk)
        for finding in findings_of(run.pk):
            self.stdout.write(json.dumps(finding, ensure_ascii=False))
        if progress.state in {RunState.FAILED, RunState.WITHDRAWN}:
            raise CommandError(f"run {run.pk} {progress.state}: {progress.failure}")
        if publish:
            self._publish(run.pk)

    def _bring_to_its_end(self, run_id: int) -> Progress:
        progress = progress_of(run_id)
        if progress.ended:
            self.stderr.write(f"run {run_id}: {progress} already")
            return progress
        tasks.wake(run_id)
        try:
            with stop_requests(), contextlib.ExitStack() as stack:
                if not worker_answers(WORKER_PATIENCE_SECONDS):
                    self.stderr.write("no worker answers: starting one for this command")
                    stack.enter_context(Services(settings.STATE_DIR, [worker("allocate")]))
                return self._follow(run_id)
        except StopRequestedError as stopped:
            raise CommandError(f"stopped ({stopped}); run {run_id} goes on when a worker is there") from stopped
        except ServiceError as error:
            raise CommandError(str(error)) from error

    def _follow(self, run_id: int) -> Progress:
        shown, swept = None, time.monotonic()
        while True:
            progress = progress_of(run_id)
            if progress != shown:
                self.stderr.write(f"run {run_id}: {progress}")
                shown = progress
            if progress.ended:
                return progress
            if time.monotonic() - swept > SWEEP_SECONDS:
                # No clock may be running: a lost message or a dead worker is answered here as well.
                swept = time.monotonic()
                for abandoned in leases.runs_to_wake():
                    tasks.wake(abandoned)
            time.sleep(POLL_SECONDS)

    def _publish(self, run_id: int) -> None:
        try:
            publication = publish_run(viewer=system(database_now()), run_id=run_id)
        except (Refusal, ProofError) as error:
            raise CommandError(str(error)) from error
        self.stderr.write(f"published: {publication}")
