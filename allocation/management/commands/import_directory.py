"""Load a document of directories, groups and accounts."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.models import User
from accounts.policies import Viewer, viewer_of
from accounts.services.import_report import DocumentRefused, ImportReport
from accounts.services.refusal import Refusal
from allocation.services.directory_import import Imported, load_document, restate_document
from allocation.services.system import system

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = (
        "Brings enterprises, directories, groups, accounts and their dated places to what a JSON document says "
        "(docs/hierarchy.md describes it). Loading it twice changes nothing; a faulty document changes nothing. "
        "Faults are JSON lines on stdout: where, field, code, message. A document that would change the tree of "
        "published months is refused (MONTH_PUBLISHED), unless an operator restates them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the document; - for standard input")
        parser.add_argument("--restate", metavar="REASON", help="publish the months that change again, for this reason")
        parser.add_argument("--author", metavar="USERNAME", help="the operator who restates")
        parser.add_argument("--approver", metavar="USERNAME", help="a second operator, where one is needed")

    def handle(self, *_args: Any, file: Path, **options: Any) -> None:  # noqa: ANN401 Django's signature
        started = time.monotonic()
        try:
            text = Path("/dev/stdin").read_bytes() if str(file) == "-" else file.read_bytes()
        except OSError as error:
            raise CommandError(f"cannot read {file}: {error.strerror}") from error
        try:
            imported = _carry_out(text, options)
        except DocumentRefused as refusal:
            for fault in refusal.faults:
                self.stdout.write(json.dumps({"file": str(file), **fault._asdict()}, ensure_ascii=False))
            raise CommandError(f"{len(refusal.faults)} faults; nothing was written") from refusal
        except Refusal as refusal:
            self.stdout.write(json.dumps({"file": str(file), "code": refusal.code, "message": str(refusal)}))
            raise CommandError("refused; nothing was written") from refusal
        changed = {name: count for name, count in imported.report.counts.items() if count}
        self.stdout.write(json.dumps({"file": str(file), "changed": changed} | _months(imported)))
        self.stderr.write(
            f"{file}: {'changed' if changed else 'nothing to change'}, {time.monotonic() - started:.1f} s"
        )


def _carry_out(text: bytes, options: dict[str, Any]) -> Imported:
    if options["restate"] is None:
        if options["author"] or options["approver"]:
            raise CommandError("--author and --approver belong to --restate")
        return Imported(load_document(viewer=system(timezone.now()), text=text), [])
    if options["author"] is None:
        raise CommandError("--restate needs --author: readers are told who restated")
    approver = None if options["approver"] is None else _operator(options["approver"])
    return restate_document(
        viewer=_operator(options["author"]), text=text, reason=options["restate"], approver=approver
    )


def _operator(username: str) -> Viewer:
    user = User.objects.filter(username=username).first()
    if user is None:
        raise CommandError(f"there is no user {username}")
    return viewer_of(user, now=timezone.now())


def _months(imported: Imported) -> dict[str, Any]:
    report: ImportReport = imported.report
    months = {code: [str(span) for span in spans] for code, spans in report.changed_months.items()}
    restated = [f"{one.provider.code} {one.month:%Y-%m}" for one in imported.restatements]
    return {"months": months} | ({"restated": restated} if restated else {})
