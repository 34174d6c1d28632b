"""Write the schema, or check that the committed one is up to date."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from graphql_api.schema import schema_text

if TYPE_CHECKING:
    from argparse import ArgumentParser

COMMITTED = Path(__file__).resolve().parents[2] / "schema.graphql"


class Command(BaseCommand):
    help = "Write graphql_api/schema.graphql; with --check, fail if it differs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="Change nothing; exit with 1 if the file is outdated.")

    def handle(self, *_args: str, **options: Any) -> None:  # noqa: ANN401 Django's signature
        text = schema_text()
        committed = COMMITTED.read_text() if COMMITTED.exists() else ""
        if not options["check"]:
            COMMITTED.write_text(text)
        elif text != committed:
            difference = difflib.unified_diff(
                committed.splitlines(), text.splitlines(), "committed", "code", lineterm="", n=1
            )
            raise CommandError("The committed schema is outdated:\n" + "\n".join(list(difference)[:60]))
