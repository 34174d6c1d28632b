"""A package in the making: tables as rows of text, written to a folder in a chosen style."""

import copy
import json
import random
from dataclasses import dataclass, field
from pathlib import Path

from tests.oracle.table import REQUIRED_TABLES, TABLES

TomlValue = str | int | list[str]


@dataclass
class Draft:
    """`identity` and `methodology` are the keys of `package.toml`, `tables` its CSV files."""

    identity: dict[str, TomlValue]
    methodology: dict[str, TomlValue]
    options: dict[str, TomlValue] = field(default_factory=dict)
    tables: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    def copy(self) -> "Draft":
        """An independent copy."""
        return copy.deepcopy(self)

    def add(self, table: str, *rows: dict[str, str]) -> "Draft":
        """Append rows to a table."""
        self.tables.setdefault(table, []).extend(rows)
        return self

    def toml(self) -> str:
        """The text of `package.toml`."""
        lines = [f"{key} = {_toml(value)}" for key, value in self.identity.items()]
        lines += ["", "[methodology]"]
        lines += [f"{key} = {_toml(value)}" for key, value in self.methodology.items()]
        if self.options:
            lines += ["", "[methodology.options]"]
            lines += [f"{key} = {_toml(value)}" for key, value in self.options.items()]
        return "\n".join(lines) + "\n"

    def write(self, folder: Path, shuffle: random.Random | None = None) -> Path:
        """Write the folder; with `shuffle` in one of the many styles the format allows.

        Without it the n-th row of a table stands in line n + 1 of its file.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.toml").write_bytes(self.toml().encode())
        for table, rows in self.tables.items():
            if rows or table in REQUIRED_TABLES:
                style = Style.random(shuffle) if shuffle else Style()
                (folder / f"{table}.csv").write_bytes(style.file(table, rows))
        return folder


@dataclass
class Style:
    """How a CSV file is written."""

    bom: bool = False
    line_end: str = "\n"
    all_quoted: bool = False
    all_columns: bool = False
    last_line_ends: bool = True
    order: random.Random | None = None

    @classmethod
    def random(cls, rng: random.Random) -> "Style":
        """Any style."""
        return cls(
            bom=rng.random() < 0.2,
            line_end=rng.choice(["\n", "\r\n"]),
            all_quoted=rng.random() < 0.2,
            all_columns=rng.random() < 0.5,
            last_line_ends=rng.random() < 0.9,
            order=rng,
        )

    def file(self, table: str, rows: list[dict[str, str]]) -> bytes:
        """The bytes of the file. Optional columns that are empty everywhere may be left out."""
        spec = TABLES[table].columns
        columns = [
            column
            for column, kind in spec.items()
            if kind.startswith("*") or self.all_columns or any(row.get(column) for row in rows)
        ]
        columns += [column for row in rows for column in row if column not in spec]
        if self.order:
            rows = self.order.sample(rows, len(rows))
            columns = self.order.sample(columns, len(columns))
        records = [columns, *([row.get(column, "") for column in columns] for row in rows)]
        lines = [",".join(map(self._field, record)) for record in records]
        text = self.line_end.join(lines) + (self.line_end if self.last_line_ends else "")
        return (("\ufeff" if self.bom else "") + text).encode()

    def _field(self, value: str) -> str:
        special = any(character in value for character in ',"\r\n')
        if special or (self.all_quoted and self.order and self.order.random() < 0.7):
            return '"' + value.replace('"', '""') + '"'
        return value


def _toml(value: TomlValue) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
