"""Compare the closure with the edges, and repair it on demand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from accounts import closure
from accounts.models import ResourceDirectory
from accounts.months import format_month

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = (
        "Verifies that the closure table says exactly what the dated edges say. Prints one JSON line for each "
        "difference; exits with an error if there is one that --repair did not mend."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--repair", action="store_true", help="rebuild the directories that differ")
        parser.add_argument("--directory", type=int, action="append", help="primary key; default: every directory")

    def handle(self, *_args: Any, repair: bool, directory: list[int] | None, **_options: Any) -> None:  # noqa: ANN401 Django's signature
        known = ResourceDirectory.objects.order_by("id")
        ids = list((known if directory is None else known.filter(id__in=directory)).values_list("id", flat=True))
        unknown = sorted(set(directory or []) - set(ids))
        if unknown:
            raise CommandError(f"no such directory: {', '.join(map(str, unknown))}")
        faulty: set[int] = set()
        for one in ids:
            for fault in closure.verify(directory_ids=[one]):
                faulty.add(one)
                row = fault._asdict() | {
                    "valid_from": format_month(fault.valid_from),
                    "valid_to": fault.valid_to and format_month(fault.valid_to),
                }
                self.stdout.write(json.dumps(row))
        if faulty and repair:
            closure.rebuild(directory_ids=faulty)
            self.stderr.write(f"rebuilt {len(faulty)} of {len(ids)} directories")
        elif faulty:
            raise CommandError(f"the closure of {len(faulty)} of {len(ids)} directories is wrong; run with --repair")
        else:
            self.stderr.write(f"{len(ids)} directories: the closure agrees with the edges")
