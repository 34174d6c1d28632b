"""A small sound package and ways to write it differently."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = """\
format_version = 1
provider = "echo"
month = "2025-06"
timezone = "Asia/Shanghai"
hours = 720

[methodology]
name = "plain"
version = "1.0.0"
preset = "custom"
gwp_set = "AR6"
"""

TABLES: dict[str, list[list[str]]] = {
    "clusters": [
        ["cluster", "name", "kind", "region", "country"],
        ["k1", 'First "one", north', "region", "r1", "CN"],
        ["k2", "Zweite Zürich", "region", "r1", "DE"],
        ["k3", "", "edge", "", ""],
    ],
    "sites": [
        ["site", "cluster", "boundary", "it_kwh", "pue", "location_g_per_kwh", "residual_g_per_kwh"],
        ["i1", "k1", "scope2", "1000", "1.5", "400", "500.000000000001"],
        ["i2", "k2", "scope2", "500", "1.25", "400", "450"],
    ],
    "services": [["service", "unit", "kind"], ["s1", "h", ""], ["s2", "GB, raw", "core"]],
    "accounts": [["account", "name", "internal"], ["a1", "One", "false"], ["a2", "", "true"], ["ä3", "", ""]],
    "racks": [
        ["rack", "cluster", "role", "service", "it_kwh"],
        ["ra", "k1", "service", "", "600"],
        ["rb", "k1", "service", "s2", "400"],
        ["rc", "k2", "service", "s1", "500"],
    ],
    "rack_resources": [["rack", "resource", "weight", "capacity"], ["ra", "cpu", "1", "100"]],
    "rack_use": [["rack", "resource", "service", "used"], ["ra", "cpu", "s1", "50"]],
    "usage": [
        ["cluster", "service", "account", "resource_group", "quantity"],
        ["k1", "s1", "a1", "team 1, east", "10"],
        ["k1", "s1", "a1", "", "0.000000000001"],
        ["k1", "s2", "a2", 'the "best"', "-5"],
        ["r1", "s1", "ä3", "default", "999999999999999999.999999999999"],
        ["k2", "s1", "a2", "", "3"],
    ],
}


@dataclass(frozen=True)
class Style:
    """One of the many ways in which the format lets a file be written."""

    bom: bool = False
    line_end: str = "\n"
    quoted: bool = False
    empty_lines: int = 0
    last_line_ends: bool = True
    order: int | None = None

    def text(self, rows: list[list[str]]) -> bytes:
        """Return the file; with `order`, the seed of a shuffle of rows and columns."""
        header, *body = rows
        columns = list(range(len(header)))
        if self.order is not None:
            shuffle = random.Random(self.order)  # noqa: S311 - not a secret
            shuffle.shuffle(body := list(body))
            shuffle.shuffle(columns)
        lines = [",".join(self._cell(row[column]) for column in columns) for row in [header, *body]]
        lines += [""] * self.empty_lines
        end = self.line_end if self.last_line_ends else ""
        return ("\ufeff" if self.bom else "").encode() + (self.line_end.join(lines) + end).encode()

    def _cell(self, text: str) -> str:
        if self.quoted or "," in text or '"' in text:
            return '"' + text.replace('"', '""') + '"'
        return text


@dataclass
class Sample:
    """The sample with replaced tables, manifest or whole files."""

    tables: dict[str, list[list[str]]] = field(
        default_factory=lambda: {k: [list(r) for r in v] for k, v in TABLES.items()}
    )
    manifest: str = MANIFEST
    files: dict[str, bytes] = field(default_factory=dict)

    def write(self, folder: Path, style: Style = Style()) -> Path:
        """Write the folder and return it."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.toml").write_text(self.manifest, encoding="utf-8")
        for name, rows in self.tables.items():
            (folder / f"{name}.csv").write_bytes(style.text(rows))
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return folder
