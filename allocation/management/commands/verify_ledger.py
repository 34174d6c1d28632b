"""`manage.py verify_ledger`: prove all published months from what is stored."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from allocation.services.verification import verify_published_months


class Command(BaseCommand):
    help = "Prove conservation and digests of every month that was ever published; one JSON object a line."

    def handle(self, **_options: Any) -> None:  # noqa: ANN401 Django's
        verdicts = verify_published_months()
        for verdict in verdicts:
            self.stdout.write(json.dumps(dataclasses.asdict(verdict), ensure_ascii=False))
        wrong = sum(not verdict.ok for verdict in verdicts)
        if wrong:
            raise CommandError(f"{wrong} of {len(verdicts)} published runs are not as they were")
        self.stderr.write(f"{len(verdicts)} published runs are as they were")
