"""`manage.py export_uncertainty`: the uncertainty of a month by account on standard output."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.months import parse_month
from accounts.services.refusal import Refusal
from allocation.services.ledger_export import newest_proved_run
from allocation.services.system import system
from allocation.services.uncertainty import uncertainties

if TYPE_CHECKING:
    from argparse import ArgumentParser

COLUMNS = "provider", "month", "methodology_version", "account", "line", "ug", "uncertainty_ug", "covered_ug"


class Command(BaseCommand):
    help = "Write, by account and line, what the uncertainties of the package make of the newest proved run, as CSV."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("month", help="YYYY-MM")
        parser.add_argument("--provider", required=True, help="provider code")

    def handle(self, *, month: str, provider: str, **_options: Any) -> None:  # noqa: ANN401 - Django's
        try:
            run = newest_proved_run(provider_code=provider, month=parse_month(month))
        except (Refusal, ValueError) as error:
            raise CommandError(str(error)) from error
        writer = csv.writer(self.stdout, lineterminator="\n")
        writer.writerow(COLUMNS)
        start = provider, f"{run.month:%Y-%m}", str(run.methodology_version)
        for row in uncertainties(viewer=system(timezone.now()), run=run):
            amount = row.amount
            writer.writerow([*start, row.account, row.line, amount.ug, amount.uncertainty_ug, amount.covered_ug])
