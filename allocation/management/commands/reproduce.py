"""`manage.py reproduce`: compute a run again and compare."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from allocation.models import PROVED, AllocationRun
from allocation.services.verification import reproduce_run

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = "Compute a run again from its stored inputs and compare digests of inputs, code and ledger."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", type=int, help="number of the run")

    def handle(self, *, run: int, **_options: Any) -> None:  # noqa: ANN401 Django's
        found = (
            AllocationRun.objects.select_related("package", "methodology_version", "provider")
            .filter(pk=run, state__in=PROVED)
            .first()
        )
        if found is None:
            raise CommandError(f"there is no proved run {run}")
        wrong = 0
        for verdict in reproduce_run(found):
            self.stdout.write(json.dumps(dataclasses.asdict(verdict), ensure_ascii=False))
            wrong += not verdict.ok
        if wrong:
            raise CommandError(f"run {run} differs in {wrong} respects")
        self.stderr.write(f"run {run} is reproduced")
