"""Writes packages: `package.toml`, small CSV files, and `usage.csv` chunk by chunk."""

from __future__ import annotations

import concurrent.futures
import contextlib
import csv
import os
import shutil
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import csv as arrow_csv

from allocation.exchange.estate.truth import UsageTruth, source_totals_ug
from allocation.exchange.estate.usage import DECIMALS, MICRO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from allocation.exchange.estate.plant.tables import Tables
    from allocation.exchange.estate.usage import Demand, Rows

THREADS = 2
USAGE_COLUMNS = ("cluster", "service", "account", "resource_group", "quantity")


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Write a folder under another name and give it its own when it is complete: half a package is never found.

    Args:
        folder: where it shall be; what is there is replaced.
    """
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_toml(folder: Path, header: dict[str, str | int], methodology: dict[str, str]) -> None:
    """Write `package.toml`. Values are plain codes, so that quoting them is enough."""
    lines = [f"{key} = {value if isinstance(value, int) else _quoted(value)}" for key, value in header.items()]
    lines += ["", "[methodology]", *(f"{key} = {_quoted(value)}" for key, value in methodology.items()), ""]
    (folder / "package.toml").write_text("\n".join(lines), encoding="utf-8")


def _quoted(value: str) -> str:
    if '"' in value or "\\" in value or not value.isprintable():
        raise ValueError(f"{value!r} needs more than quotes")
    return f'"{value}"'


def write_tables(folder: Path, tables: Tables) -> None:
    """Write the small tables that have rows; all rows of a table have the columns of its first."""
    for name, rows in tables.items():
        if rows:
            with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)


def write_usage(folder: Path, demand: Demand, month: int, progress: Callable[[int], None]) -> UsageTruth:
    """Write `usage.csv`, drawing chunks side by side and writing them in order.

    Args:
        folder: of the package.
        demand: draws the rows.
        month: its index.
        progress: gets the number of rows after each chunk.

    Returns:
        What was written.
    """
    truth = UsageTruth(len(demand.products))
    places = [(cluster, chunk) for cluster in range(len(demand.clusters)) for chunk in demand.chunks(cluster)]

    def drawn(place: tuple[int, int]) -> tuple[int, Rows, pa.Buffer]:
        rows = demand.rows(*place, month)
        return place[0], rows, _csv(demand.table(place[0], rows))

    with (folder / "usage.csv").open("wb") as file, concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        file.write((",".join(USAGE_COLUMNS) + "\n").encode())
        waiting: list[concurrent.futures.Future[tuple[int, Rows, pa.Buffer]]] = []
        for order in range(len(places) + THREADS):
            if order < len(places):
                waiting.append(pool.submit(drawn, places[order]))
            if order >= THREADS and waiting:  # few chunks in memory at a time
                cluster, rows, text = waiting.pop(0).result()
                file.write(text)
                truth.add(cluster, rows)
                progress(len(rows.account))
    return truth


def _csv(table: pa.Table) -> pa.Buffer:
    output = pa.BufferOutputStream()
    # Codes of an estate need no quotes; quantities are written in full, without an exponent.
    arrow_csv.write_csv(table, output, arrow_csv.WriteOptions(include_header=False, quoting_style="none"))
    return output.getvalue()


def write_truth(folder: Path, tables: Tables, usage: UsageTruth, demand: Demand) -> None:
    """Write what the package must come to (estate.truth)."""
    sources = [
        {"cluster": cluster, "line": line, "ug": str(ug)} for (cluster, line), ug in source_totals_ug(tables).items()
    ]
    sums = [
        {
            "cluster": demand.clusters[cluster],
            "service": product.code,
            "rows": str(usage.rows[cluster][order]),
            "quantity": _decimal(usage.micro[cluster][order]),
        }
        for cluster in sorted(usage.rows)
        for order, product in enumerate(demand.products)
    ]
    write_tables(folder, {"expected_sources": sources, "expected_usage": sums})


def _decimal(micro: int) -> str:
    whole, part = divmod(abs(micro), MICRO)
    return f"{'-' if micro < 0 else ''}{whole}.{part:0{DECIMALS}}"
