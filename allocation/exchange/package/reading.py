"""A package, layer by layer: package.toml and files; headers, cells and keys; references (section 7).

Energy and closed classes are decided by the engine, usage by `UsageReader`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocation.engine.frames import TABLES, Activity
from allocation.exchange.package.folder import read_folder
from allocation.exchange.package.manifest import read_manifest
from allocation.exchange.package.references import check_references
from allocation.exchange.package.tables import empty_table, read_table
from allocation.exchange.package.usage import BLOCK_BYTES, UsageCodes, UsageFile, UsageReader, read_usage_header

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from allocation.engine.frames import Header
    from allocation.exchange.package.findings import Findings


@dataclass(frozen=True, slots=True)
class ReadPackage:
    """A package whose first three layers are sound; `usage.csv` is still to be read."""

    activity: Activity
    usage: UsageFile

    def usage_reader(self, *, block_bytes: int = BLOCK_BYTES) -> UsageReader:
        """Return a new reader of `usage.csv`, which reads blocks of about `block_bytes`."""
        return UsageReader(self.usage, UsageCodes.of(self.activity.tables), block_bytes=block_bytes)


def read_package(
    path: Path, findings: Findings, *, check_header: Callable[[Header, Findings], None] | None = None
) -> ReadPackage | None:
    """Read the folder `path` up to its references; `None`, with every reason in `findings`, if it is rejected.

    `check_header` belongs to the first layer: it knows what was loaded before (VERSION_CONFLICT).
    """
    folder = read_folder(path, findings)
    manifest = read_manifest(folder.manifest, findings) if folder.manifest is not None else None
    if manifest is not None and check_header is not None:
        check_header(manifest.header, findings)
    if manifest is None or findings.rejected():
        return None
    tables = {
        name: read_table(table, folder.tables[name], findings) if name in folder.tables else empty_table(table)
        for name, table in TABLES.items()
        if name != "usage"
    }
    usage_header = read_usage_header(folder.usage, findings)
    if usage_header is None or findings.rejected():
        return None
    activity = Activity(manifest.header, tables)
    check_references(activity.header, tables, findings)
    if findings.rejected():
        return None
    usage = UsageFile(folder.usage, tuple(usage_header), activity.header.month, manifest.max_rejected_rows)
    return ReadPackage(activity, usage)
