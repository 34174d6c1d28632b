"""B1 by the arithmetic of Cloud Carbon Footprint: usage rows estimated in a second."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from tests.benchmarks.figure import Figure
from tests.benchmarks.peers.node import FOLDER, node

if TYPE_CHECKING:
    from collections.abc import Iterator


def cloud_carbon_figures(row_count: int) -> Iterator[Figure]:
    """Estimate so many rows of computing with `@cloud-carbon-footprint/core`, in memory, one after the other."""
    done = subprocess.run(
        [str(node()), "--no-deprecation", str(FOLDER / "estimate.cjs"), str(row_count)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    note = "in memory: energy of a row times a factor; nothing is read, stored or proved"
    yield Figure(
        "peers",
        f"{row_count:,} usage rows",
        "Cloud Carbon Footprint: estimate",
        row_count / told["seconds"],
        "rows/s",
        note,
    )
