"""The digest by which a package is recognised when it is loaded again.

SHA-256 over what was understood, in the order of the files: header with effective options, small tables with defaults
filled in, accepted usage rows, rejected ones with their reasons. Byte order mark, line ends, quoting, the order of
columns and empty lines at the end do not count; the order of rows does, and a package whose rows were reordered is a
new one with the same result.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import csv as arrow_csv

from allocation.engine.frames import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from allocation.engine.frames import Activity, Finding, Header
    from allocation.exchange.package.usage import UsageCodes


class ContentDigest:
    """Takes a package up part by part."""

    def __init__(self, activity: Activity, max_rejected_rows: int) -> None:
        self._hash = hashlib.sha256()
        self._codes: dict[str, pa.Array] = {}
        self._add(_used(activity.header), max_rejected_rows)
        for name, table in TABLES.items():
            # A table beyond version 1 that is not used leaves the digest as it was before there was one.
            if name in activity.tables and not (table.beyond and activity.tables[name].empty):
                frame = activity.tables[name]
                self._add(name, *(frame[column.name].to_list() for column in table.columns))

    def usage(self, rows: pa.RecordBatch, codes: UsageCodes) -> None:
        """Add accepted rows as codes, so that the numbers given to them do not count."""
        if not self._codes:
            for name, fixed in ("cluster", codes.places), ("service", codes.services), ("account", codes.accounts):
                self._codes[name] = pa.array(fixed, type=pa.string())
        self._codes["resource_group"] = pa.array(codes.groups, type=pa.string())
        texts = [values.take(rows.column(name)) for name, values in self._codes.items()]
        table = pa.Table.from_arrays([*texts, rows.column("quantity")], names=[*self._codes, "quantity"])
        buffer = io.BytesIO()
        arrow_csv.write_csv(table, buffer, arrow_csv.WriteOptions(include_header=False, quoting_style="all_valid"))
        self._hash.update(buffer.getbuffer())

    def rejected(self, findings: Iterable[Finding]) -> None:
        """Add the rejected rows."""
        self._add("rejected", *((f.code, f.row, f.message) for f in findings if f.severity == "row"))

    def hexdigest(self) -> str:
        """Return the digest so far, 64 hexadecimal digits."""
        return self._hash.hexdigest()

    def _add(self, *parts: object) -> None:
        for part in parts:
            self._hash.update(json.dumps(part, default=str, sort_keys=True).encode() + b"\n")


def _used(header: Header) -> dict[str, object]:
    """Return the header; an option beyond version 1 that is not used leaves the digest as it was before."""
    beyond = {field.name: field.default for field in dataclasses.fields(header.options)}
    options = dataclasses.asdict(header.options).items()
    return dataclasses.asdict(header) | {"options": {name: value for name, value in options if value != beyond[name]}}
