"""Checked usage rows on their way to the database: on disk, so that nothing is stored before everything is checked."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any, Final, Self

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA: Final = pa.schema(
    [
        ("cluster", pa.int32()),
        ("service", pa.int32()),
        ("account", pa.int32()),
        ("resource_group", pa.int32()),
        ("quantity", pa.string()),
    ]
)
"""Rows as `UsageReader` yields them."""


class Spool:
    """A temporary file of record batches: written once, read as often as wanted, gone when closed."""

    def __init__(self) -> None:
        self._file: Any = tempfile.TemporaryFile(prefix="canopy-usage-")  # noqa: SIM115 - closed by __exit__
        self._writer = pa.ipc.new_stream(self._file, SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._file.close()

    def add(self, rows: pa.RecordBatch) -> None:
        """Append rows."""
        self._writer.write_batch(rows)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in the order in which they were added. Nothing can be added any more."""
        self._writer.close()
        self._file.seek(0)
        yield from pa.ipc.open_stream(self._file)
