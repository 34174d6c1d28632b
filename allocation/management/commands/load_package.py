"""`manage.py load_package DIR`: findings as JSON lines on stdout, progress on stderr, status 1 if rejected."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from allocation.exchange.package.findings import json_line
from allocation.services.packages import load_package
from allocation.services.system import system

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = "Load an activity package: a folder with package.toml and CSV files (docs/package-format.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR", help="the package")

    def handle(self, *, folder: Path, **_options: Any) -> None:  # noqa: ANN401 - Django's
        report = load_package(viewer=system(timezone.now()), path=folder, progress=self.stderr.write)
        for finding in report.findings:
            self.stdout.write(json_line(finding))
        if report.package is None:
            self.stderr.write("rejected: nothing was stored")
            sys.exit(1)
        state = "loaded as" if report.created else "unchanged, it is"
        self.stderr.write(f"{state} {report.package}")
