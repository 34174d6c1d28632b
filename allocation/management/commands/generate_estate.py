"""`manage.py generate_estate`: packages and a hierarchy of any size, invented, the same for the same seed."""

from __future__ import annotations

import datetime as dt
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from allocation.exchange.estate.estates import STYLES, EstatePlan, draw_estate
from allocation.exchange.estate.hierarchy import write_hierarchy
from allocation.exchange.estate.writing import write_package

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from allocation.exchange.estate.estates import Estate, ProviderEstate


class Command(BaseCommand):
    help = "Generate activity packages and a hierarchy; stdout gets one JSON line for each file or folder."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--accounts", type=int, required=True, help="accounts over all providers")
        parser.add_argument("--rows", type=int, required=True, help="usage rows a month over all providers")
        parser.add_argument("--months", type=int, default=1, help="months")
        parser.add_argument("--seed", type=int, required=True, help="the same seed gives the same files")
        parser.add_argument("--out", type=Path, required=True, help="folder to write into")
        parser.add_argument("--first-month", default="2025-06", help="YYYY-MM")
        parser.add_argument("--styles", nargs="+", default=["aws-v2"], choices=STYLES, help="one provider for each")
        parser.add_argument("--enterprises", type=int, default=4, help="companies")
        parser.add_argument("--clusters", type=int, default=12, help="clusters of each provider")
        parser.add_argument("--only-month", default="", help="YYYY-MM: write this month's packages alone")

    def handle(self, *, out: Path, only_month: str, **options: Any) -> None:  # noqa: ANN401 Django's
        plan = EstatePlan(
            seed=options["seed"],
            account_count=options["accounts"],
            row_count=options["rows"],
            month_count=options["months"],
            first_month=_month(options["first_month"]),
            styles=tuple(options["styles"]),
            enterprise_count=options["enterprises"],
            cluster_count=options["clusters"],
        )
        try:
            estate = draw_estate(plan, settings.BASE_DIR / "fixtures")
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps({"hierarchy": str(write_hierarchy(estate.organisation, out))}))
        months = estate.months
        chosen = [self._index(months, _month(only_month))] if only_month else range(len(months))
        for part in estate.providers:
            for month in chosen:
                self._write(estate, part, month, out)

    @staticmethod
    def _index(months: list[dt.date], month: dt.date) -> int:
        if month not in months:
            raise CommandError(f"{month:%Y-%m} is not one of the estate's months")
        return months.index(month)

    def _write(self, estate: Estate, part: ProviderEstate, month: int, out: Path) -> None:
        """Write one package, with its rows and their speed on stderr."""
        begin, rows = time.monotonic(), 0

        def progress(count: int) -> None:
            nonlocal rows
            rows += count
            seconds = max(time.monotonic() - begin, 1e-9)
            text = f"{part.provider.code} {estate.months[month]:%Y-%m}: {rows:,} rows, {rows / seconds:,.0f} rows/s"
            self.stderr.write(f"\r{text}", ending="")

        folder = write_package(estate, part, month, out, progress)
        self.stderr.write("")
        self.stdout.write(json.dumps({"package": str(folder), "rows": rows}))


def _month(text: str) -> dt.date:
    try:
        return dt.datetime.strptime(text, "%Y-%m").replace(tzinfo=dt.UTC).date()
    except ValueError as error:
        raise CommandError(f"{text!r} is not a month (YYYY-MM)") from error
