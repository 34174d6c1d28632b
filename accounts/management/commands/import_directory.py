"""Load a document of directories, groups and accounts."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.policies import Viewer
from accounts.services.import_directory import DocumentRefused, import_directory
from accounts.services.refusal import Refusal

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = (
        "Brings enterprises, directories, groups, accounts and their dated places to what a JSON document says "
        "(docs/hierarchy.md describes it). Loading it twice changes nothing; a faulty document changes nothing. "
        "Faults are JSON lines on stdout: where, field, code, message."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the document; - for standard input")

    def handle(self, *_args: Any, file: Path, **_options: Any) -> None:  # noqa: ANN401 Django's signature
        started = time.monotonic()
        try:
            text = Path("/dev/stdin").read_bytes() if str(file) == "-" else file.read_bytes()
        except OSError as error:
            raise CommandError(f"cannot read {file}: {error.strerror}") from error
        viewer = Viewer(user_id=None, is_active=True, is_operator=True, now=timezone.now())
        try:
            report = import_directory(viewer=viewer, text=text, frozen_months={})
        except DocumentRefused as refusal:
            for fault in refusal.faults:
                self.stdout.write(json.dumps({"file": str(file), **fault._asdict()}, ensure_ascii=False))
            raise CommandError(f"{len(refusal.faults)} faults; nothing was written") from refusal
        except Refusal as refusal:
            self.stdout.write(json.dumps({"file": str(file), "code": refusal.code, "message": str(refusal)}))
            raise CommandError("refused; nothing was written") from refusal
        changed = {name: count for name, count in report.counts.items() if count}
        self.stdout.write(
            json.dumps(
                {
                    "file": str(file),
                    "changed": changed,
                    "months": {code: [str(span) for span in spans] for code, spans in report.changed_months.items()},
                }
            )
        )
        self.stderr.write(
            f"{file}: {'changed' if changed else 'nothing to change'}, {time.monotonic() - started:.1f} s"
        )
