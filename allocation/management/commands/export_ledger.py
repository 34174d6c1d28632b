"""`manage.py export_ledger`: the ledger of a month on standard output."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, cast

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.months import parse_month
from accounts.services.refusal import Refusal
from allocation.services.ledger_export import (
    FORMATS,
    export_ledger,
    newest_proved_run,
    proved_run,
    published_run,
)
from allocation.services.system import system

if TYPE_CHECKING:
    import datetime as dt
    from argparse import ArgumentParser
    from typing import BinaryIO

    from allocation.models import AllocationRun


class Command(BaseCommand):
    help = "Write the ledger of a month to standard output: by default that of the newest proved run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("month", help="YYYY-MM")
        parser.add_argument("--provider", required=True, help="provider code")
        parser.add_argument("--format", choices=sorted(FORMATS), default="csv")
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--published", action="store_true", help="the run that readers see")
        which.add_argument("--run", type=int, metavar="ID", help="this run")

    def handle(self, *, month: str, provider: str, **options: Any) -> None:  # noqa: ANN401 - Django's
        try:
            run = _run(parse_month(month), provider, published=options["published"], run_id=options["run"])
            # Rows go out as bytes: the export has line feeds and UTF-8 whatever the terminal's settings are.
            stream = cast("BinaryIO", self.stdout.buffer)
            export_ledger(viewer=system(timezone.now()), run=run, form=options["format"], stream=stream)
            stream.flush()
        except (Refusal, ValueError) as error:
            raise CommandError(str(error)) from error
        except BrokenPipeError:
            # Whoever reads has seen enough; Python would complain once more when it closes standard output.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(month: dt.date, provider: str, *, published: bool, run_id: int | None) -> AllocationRun:
    if run_id is not None:
        return proved_run(provider_code=provider, month=month, run_id=run_id)
    if published:
        return published_run(provider_code=provider, month=month)
    return newest_proved_run(provider_code=provider, month=month)
