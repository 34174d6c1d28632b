"""`usage.csv`: streamed in blocks, checked by whole columns, coded as integers; memory does not grow with the rows.

A block is cut at a line end. Lines are counted, measured and screened by numpy before Arrow parses them, so that every
row Arrow returns has a known line number and Arrow never meets a malformed line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from allocation.engine.frames import TABLES, Finding
from allocation.exchange.package.cells import code_fault
from allocation.exchange.package.findings import LISTED_PER_CODE, shown
from allocation.exchange.package.screen import LONGEST_LINE_BYTES, Screen
from allocation.exchange.package.tables import read_header

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    import pandas as pd

    from allocation.exchange.package.findings import Findings
    from allocation.exchange.package.screen import Block

_USAGE: Final = TABLES["usage"]
_FILE: Final = _USAGE.file
BLOCK_BYTES: Final = 8 << 20
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_NUMBER: Final = r"\A-?[0-9]{1,18}(\.[0-9]{1,12})?\z"
_EMPTY, _BAD, _UNKNOWN = -1, -2, -3

_CODED: Final[Mapping[str, str]] = {
    "cluster": "UNKNOWN_CLUSTER",
    "service": "UNKNOWN_SERVICE",
    "account": "UNKNOWN_ACCOUNT",
    "resource_group": "",
}
_COLUMNS_PER_ROW: Final = len(_USAGE.columns)


@dataclass(frozen=True, slots=True)
class UsageFile:
    """A `usage.csv` whose header is sound; `month` is that of the package."""

    path: Path
    header: tuple[str, ...]
    month: dt.date
    max_rejected_rows: int


@dataclass(frozen=True, slots=True)
class UsageCodes:
    """What the integers of a chunk stand for. `groups` grows while the file is read.

    `places` are the clusters, then the regions that are not also names of clusters.
    """

    places: tuple[str, ...]
    services: tuple[str, ...]
    accounts: tuple[str, ...]
    groups: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, tables: Mapping[str, pd.DataFrame]) -> UsageCodes:
        """Return the codes that the small tables define, each list in code-point order."""
        clusters = sorted(tables["clusters"]["cluster"])
        regions = sorted(set(tables["clusters"]["region"].dropna()) - set(clusters))
        return cls(
            places=(*clusters, *regions),
            services=tuple(sorted(tables["services"]["service"])),
            accounts=tuple(sorted(tables["accounts"]["account"])),
        )


class _Coder:
    """Texts of one column to integers; negative ones are refusals."""

    def __init__(self, codes: Sequence[str], *, grows: list[str] | None, default: str | None) -> None:
        self._known = {code: index for index, code in enumerate(codes)}
        self._grows = grows
        self._default = default

    def encode(self, texts: pa.ChunkedArray) -> npt.NDArray[np.int32]:
        encoded = texts.combine_chunks().dictionary_encode()
        values = encoded.dictionary.to_pylist()
        meaning = np.fromiter((self._code(value) for value in values), dtype=np.int32, count=len(values))
        indices: npt.NDArray[np.int32] = encoded.indices.to_numpy(zero_copy_only=False)
        return meaning[indices]

    def _code(self, text: str) -> int:
        if not text:
            if self._default is None:
                return _EMPTY
            text = self._default
        index = self._known.get(text)
        if index is not None:
            return index
        if code_fault(text) is not None:
            return _BAD
        if self._grows is None:
            return _UNKNOWN
        self._grows.append(text)
        self._known[text] = len(self._grows) - 1
        return self._known[text]


class UsageReader:
    """Reads `usage.csv` once. After the last chunk `accepted` and `rejected` count its rows."""

    def __init__(self, file: UsageFile, codes: UsageCodes, *, block_bytes: int = BLOCK_BYTES) -> None:
        self._path = file.path
        self._block_bytes = block_bytes
        self._header = list(file.header)
        self._month = file.month.isoformat()[:7]
        self._max_rejected_rows = file.max_rejected_rows
        self._most = max(LISTED_PER_CODE, file.max_rejected_rows * _COLUMNS_PER_ROW)
        self._screen = Screen(len(file.header), most=self._most)
        default = _USAGE.column("resource_group").default
        self.codes = codes
        self._coders = {
            "cluster": _Coder(codes.places, grows=None, default=None),
            "service": _Coder(codes.services, grows=None, default=None),
            "account": _Coder(codes.accounts, grows=None, default=None),
            "resource_group": _Coder(codes.groups, grows=codes.groups, default=str(default)),
        }
        self.accepted = 0
        self.rejected = 0

    def indices(self, column: str, texts: Sequence[str]) -> npt.NDArray[np.int32]:
        """Return the numbers of sound codes of a column, for rows of other tables; new resource groups are added."""
        return self._coders[column].encode(pa.chunked_array([pa.array(texts, type=pa.string())]))

    def chunks(self, findings: Findings) -> Iterator[pa.RecordBatch]:
        """Yield the accepted rows: int32 `cluster`, `service`, `account`, `resource_group`, string `quantity`.

        The integers index into `codes`. Rejected rows go to `findings`; after the last chunk so does
        TOO_MANY_REJECTED, or ROWS_REJECTED if the package can be stored.
        """
        for lines in self._blocks():
            batch = self._check(lines, findings)
            if batch.num_rows:
                self.accepted += batch.num_rows
                yield batch
        if self.rejected > self._max_rejected_rows:
            message = f"{self.rejected} rows are rejected, at most {self._max_rejected_rows} may be"
            findings.reject("TOO_MANY_REJECTED", _FILE, message)
        elif self.rejected:
            findings.flag("ROWS_REJECTED", _FILE, f"{self.rejected} rows are left out: the month is incomplete")

    def _blocks(self) -> Iterator[Block]:
        number = 2
        empty = range(0)  # lines that are malformed if another one follows
        with self._path.open("rb") as file:
            file.readline()
            rest = b""
            while block := file.read(self._block_bytes):
                end = block.rfind(b"\n") + 1
                if not end:
                    rest = _cut(rest + block)
                    continue
                lines = self._screen.block(rest + block[:end], number)
                number += lines.count
                rest = _cut(block[end:])
                if lines.tail == lines.count:
                    empty = range(number - lines.count - len(empty), number)
                    continue
                yield lines.after(empty, self._most)
                empty = range(number - lines.tail, number)
            if rest.removesuffix(b"\r"):
                yield self._screen.block(rest + b"\n", number).after(empty, self._most)

    def _check(self, lines: Block, findings: Findings) -> pa.RecordBatch:
        table = _parse(lines.content, self._header)
        if table.num_rows != len(lines.numbers):
            raise ValueError(f"{_FILE}: {len(lines.numbers)} lines were read as {table.num_rows} rows")
        faults = _Faults(lines.numbers, findings, self._most)
        faults.refuse_lines(lines.refused, lines.bad)
        coded = {}
        texts = {name: table.column(name) for name in self._header}
        if "resource_group" not in texts:
            texts["resource_group"] = pa.chunked_array([pa.repeat("", table.num_rows)])
        for name in _CODED:
            coded[name] = self._coders[name].encode(texts[name])
            faults.refuse(coded[name] == _EMPTY, "MISSING_VALUE", name, texts[name])
            faults.refuse(coded[name] == _BAD, "BAD_CODE", name, texts[name])
        quantity = texts["quantity"]
        empty = _mask(pc.equal(quantity, ""))
        faults.refuse(empty, "MISSING_VALUE", "quantity", quantity)
        faults.refuse(~empty & ~_mask(pc.match_substring_regex(quantity, _NUMBER)), "BAD_NUMBER", "quantity", quantity)
        readable = ~faults.rows  # rows with a bad cell are not looked up
        for name, unknown in _CODED.items():
            faults.refuse(readable & (coded[name] == _UNKNOWN), unknown, name, texts[name])
        if "month" in texts:
            other = ~_mask(pc.is_in(texts["month"], value_set=pa.array(["", self._month])))
            faults.refuse(readable & other, "MONTH_MISMATCH", "month", texts["month"])
        self.rejected += faults.report()
        columns = [pa.array(coded[name], type=pa.int32()) for name in _CODED] + [quantity.combine_chunks()]
        batch = pa.RecordBatch.from_arrays(columns, names=[*_CODED, "quantity"])
        return batch.filter(pa.array(~faults.rows)) if faults.rows.any() else batch


class _Faults:
    """Rejected rows of one block, reported in the order of their lines."""

    _MESSAGES: Final[Mapping[str, str]] = {
        "MISSING_VALUE": "a value is required here",
        "BAD_CODE": "not a code of 1-128 characters without |, control characters and outer spaces",
        "BAD_NUMBER": "not a number -?digits[.digits] of at most 18 digits before and 12 after the point",
        "MONTH_MISMATCH": "not the month of the package",
    }

    def __init__(self, numbers: npt.NDArray[np.int64], findings: Findings, most: int) -> None:
        self.rows = np.zeros(len(numbers), dtype=np.bool_)
        self._numbers = numbers
        self._findings = findings
        self._most = most
        self._found: list[Finding] = []
        self._unlisted: list[tuple[Finding, int]] = []
        self._lines = 0

    def refuse_lines(self, refused: tuple[tuple[int, str], ...], bad: int) -> None:
        """Reject `bad` malformed lines, the first of which are `refused`."""
        self._lines += bad
        self._found += [Finding("BAD_ROW", "row", _FILE, number, message) for number, message in refused]
        if bad > len(refused):
            self._unlisted.append((self._found[-1], bad - len(refused)))

    def refuse(self, mask: npt.NDArray[np.bool_], code: str, column: str, texts: pa.ChunkedArray) -> None:
        """Reject the rows of `mask`; list the first of them."""
        if not mask.any():
            return
        self.rows |= mask
        places = np.flatnonzero(mask)
        why = self._MESSAGES.get(code, f"not among the codes of {column}s")
        for place in places[: self._most].tolist():
            message = f"{column} {shown(texts[place].as_py())}: {why}"
            self._found.append(Finding(code, "row", _FILE, int(self._numbers[place]), message, column))
        if len(places) > self._most:
            self._unlisted.append((self._found[-1], len(places) - self._most))

    def report(self) -> int:
        """Hand the findings on; return the number of rejected rows."""
        for finding in sorted(self._found, key=lambda found: found.row or 0):
            self._findings.add(finding, most=self._most)
        for finding, further in self._unlisted:
            self._findings.count(finding, further)
        return self._lines + int(np.count_nonzero(self.rows))


def read_usage_header(path: Path, findings: Findings) -> list[str] | None:
    """Return the columns of `usage.csv`; `None`, with BAD_HEADER, if they are not the contract's."""
    with path.open("rb") as file:
        line = file.readline(LONGEST_LINE_BYTES).removeprefix(_BYTE_ORDER_MARK)
    text = line.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
    return read_header(_USAGE, text, findings)


def _cut(line: bytes) -> bytes:
    """Return the beginning of a line, cut at a character if it is longer than any sound line."""
    if len(line) <= LONGEST_LINE_BYTES:
        return line
    return line[:LONGEST_LINE_BYTES].decode("utf-8", "ignore").encode()


def _mask(values: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    mask: npt.NDArray[np.bool_] = values.to_numpy(zero_copy_only=False)
    return mask


def _parse(content: bytes, header: list[str]) -> pa.Table:
    """Parse screened lines: every value a string, empty ones included."""
    types = {name: pa.string() for name in header}
    if not content:
        return pa.table({name: pa.array([], type=pa.string()) for name in header})
    if content.startswith(_BYTE_ORDER_MARK):
        content = b"\n" + content  # in the middle of a file it is part of a value; Arrow would drop it
    return arrow_csv.read_csv(
        pa.BufferReader(content),
        read_options=arrow_csv.ReadOptions(column_names=header, block_size=BLOCK_BYTES),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=False),
        convert_options=arrow_csv.ConvertOptions(
            column_types=types, null_values=[], strings_can_be_null=False, check_utf8=False
        ),
    )
