"""`manage.py publish`: show a month to its readers, or show it again with a cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from accounts.months import parse_month
from accounts.services.refusal import Refusal
from allocation.models import Cause
from allocation.services.publication import publish_run
from allocation.services.restatement import restate_month
from allocation.services.runs import newest_package, newest_ready_run
from allocation.services.system import database_now, system

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = "Publish the newest ready run of the newest package of a month."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("month", help="YYYY-MM")
        parser.add_argument("--provider", required=True, help="provider code")
        causes = [str(cause) for cause in Cause if cause != Cause.FIRST]
        parser.add_argument("--cause", choices=causes, help="why a published month is published again")
        parser.add_argument("--reason", default="", help="the same in a sentence")

    def handle(
        self,
        *,
        month: str,
        provider: str,
        cause: str | None,
        reason: str,
        **_options: Any,  # noqa: ANN401 Django's
    ) -> None:
        viewer = system(database_now())
        try:
            package = newest_package(provider_code=provider, month=parse_month(month))
            run = newest_ready_run(package)
            if cause is None:
                publication = publish_run(viewer=viewer, run_id=run.pk)
            else:
                restatement = restate_month(viewer=viewer, run_id=run.pk, cause=Cause(cause), reason=reason)
                if restatement.publication is None:
                    raise CommandError(f"{restatement} waits for a second operator: {restatement.approval_because}")
                publication = restatement.publication
        except (Refusal, ValueError) as error:
            raise CommandError(str(error)) from error
        self.stderr.write(f"published: {publication}")
