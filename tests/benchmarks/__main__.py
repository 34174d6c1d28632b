"""`python -m tests.benchmarks`: measure, print a table, write JSON. Nothing here fails because something is slow."""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING

from rich.console import Console

from carbon.environment import state_dir
from carbon.memory import limit_memory
from tests.benchmarks.figure import Figure, table_of
from tests.benchmarks.state import own_servers

if TYPE_CHECKING:
    from pathlib import Path

WIDTH = 150
READING = ["B2", "RLS", "B3", "B4", "shapes", "B5", "B6", "peers"]
# Only if they are asked for: the alternatives come from package registries, and two hosts need root.
USUAL = ["B1", *(one for one in READING if one != "peers")]


def arguments() -> argparse.Namespace:
    """Read what to measure, and how large."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=["B1", *READING, "hosts"], default=USUAL, help="which")
    parser.add_argument("--rows", nargs="+", type=int, default=[100_000, 1_000_000], help="B1: usage rows, rising")
    parser.add_argument("--accounts", type=int, default=2_000, help="B2: accounts (in full: 100000)")
    parser.add_argument("--groups", type=int, default=200, help="B2: groups (in full: 2000)")
    parser.add_argument("--months", type=int, default=12, help="B2: published months (in full: 36)")
    parser.add_argument("--times", type=int, default=40, help="B2: repetitions of each question")
    parser.add_argument("--wide", type=int, default=2_000, help="shapes: subgroups of one node (in full: 20000)")
    parser.add_argument("--seconds", type=int, default=20, help="B3: how long (in full: 60)")
    return parser.parse_args()


def measure(chosen: argparse.Namespace, folder: Path) -> tuple[list[Figure], dict[str, object]]:
    """Do the work; models can be imported only now that Django is set up."""
    from tests.benchmarks.machine import load_1m, machine  # noqa: PLC0415 as said above
    from tests.benchmarks.month import month_figures  # noqa: PLC0415

    about: dict[str, object] = machine()
    figures: list[Figure] = []
    if "B1" in chosen.only:
        for index, row_count in enumerate(sorted(chosen.rows)):
            first_month = f"2025-{index + 1:02d}"
            figures += month_figures(row_count=row_count, folder=folder, first_month=first_month)
    if "hosts" in chosen.only:
        from tests.benchmarks.hosts import host_figures  # noqa: PLC0415 as said above

        figures += host_figures(row_count=max(chosen.rows), folder=folder, first_month="2025-12")
    if set(READING) & set(chosen.only):
        from tests.benchmarks.reading import reading_figures  # noqa: PLC0415 as said above

        figures += reading_figures(chosen, folder)
    about["load_1m_at_end"] = round(load_1m(), 2)
    return figures, about


def main() -> None:
    """Measure, and say what came of it."""
    chosen = arguments()
    results = state_dir() / "benchmarks.json"
    limit_memory()
    begin = time.monotonic()
    with own_servers() as folder:
        figures, about = measure(chosen, folder)
    about["seconds"] = round(time.monotonic() - begin)
    console = Console(width=WIDTH)
    console.print(table_of(figures))
    console.print(", ".join(f"{name} {value}" for name, value in about.items()), style="dim")
    document = {"machine": about, "arguments": vars(chosen), "figures": [figure.as_json() for figure in figures]}
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    console.print(f"written to {results.name}", style="dim")


if __name__ == "__main__":
    main()
