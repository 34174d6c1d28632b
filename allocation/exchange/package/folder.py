"""A package folder: which files are there, and their text (the first layer of checks)."""

from __future__ import annotations

import codecs
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from allocation.engine.frames import TABLES
from allocation.exchange.package.findings import shown
from allocation.exchange.package.manifest import FILE as MANIFEST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from allocation.exchange.package.findings import Findings

_USAGE: Final = TABLES["usage"].file
_BLOCK_BYTES: Final = 1 << 20
_LONGEST_NAME: Final = 128
_BYTE_ORDER_MARK: Final = "\ufeff"


@dataclass(frozen=True, slots=True)
class Folder:
    """Texts of the files by table, without a byte order mark; `usage.csv` stays on disk, it may be very large."""

    manifest: str | None
    tables: Mapping[str, str]
    usage: Path


def read_folder(path: Path, findings: Findings) -> Folder:
    """Read every file of the package but `usage.csv`; report missing, unknown and undecodable ones."""
    present = {entry.name for entry in os.scandir(path) if not entry.is_dir()} if path.is_dir() else set()
    known = {MANIFEST, *(table.file for table in TABLES.values())}
    required = {MANIFEST, *(table.file for table in TABLES.values() if table.required)}
    files = {name for name in present & known if (path / name).is_file()}
    for name in sorted(required - files):
        findings.reject("MISSING_FILE", name, "the file is absent")
    for name in sorted(present - files):
        if not name.startswith("expected_") and name not in required:
            written = name.encode("utf-8", "backslashreplace").decode()
            findings.flag("UNKNOWN_FILE", written[:_LONGEST_NAME], f"{shown(name)} is not a file of the format")
    if _USAGE in files:
        _check_encoding(path / _USAGE, findings)
    texts: dict[str, str] = {}
    for name in sorted(files - {_USAGE}):
        text = _read(path / name, findings)
        if text is not None:
            texts[name] = text
    tables = {name: texts[table.file] for name, table in TABLES.items() if table.file in texts}
    return Folder(texts.get(MANIFEST), tables, path / _USAGE)


def _read(path: Path, findings: Findings) -> str | None:
    content = path.read_bytes()
    try:
        return content.decode("utf-8").removeprefix(_BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        _report_encoding(path.name, content.count(b"\n", 0, error.start) + 1, findings)
        return None


def _check_encoding(path: Path, findings: Findings) -> None:
    """Decode a file of any size piece by piece."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    row = 1
    with path.open("rb") as file:
        while True:
            block = file.read(_BLOCK_BYTES)
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                # `error.start` counts from the bytes kept of the last block: at most three, none of them a line end.
                kept = len(error.object) - len(block)
                _report_encoding(path.name, row + block.count(b"\n", 0, max(0, error.start - kept)), findings)
                return
            if not block:
                return
            row += block.count(b"\n")


def _report_encoding(file: str, row: int, findings: Findings) -> None:
    findings.reject("BAD_ENCODING", file, f"the file is not UTF-8, first in line {row}")
