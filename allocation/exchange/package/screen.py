"""Screening of a block of CSV lines by numpy: which of them are rows of the right width (RFC 4180)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from allocation.exchange.package.lines import EMPTY_LINE, split_fields

if TYPE_CHECKING:
    import numpy.typing as npt

LONGEST_LINE_BYTES: Final = 1 << 16
"""Longer lines are refused: with few columns, one of their fields is longer than any code or number."""

_LINE_FEED, _RETURN, _QUOTE, _COMMA = b'\n\r",'


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of one block, all of which end with a line feed.

    `content` and `numbers` (line numbers) are those of the well-formed lines; `refused` holds (number, message) of the
    first malformed ones, of which there are `bad`. `tail` counts the empty lines that the block ends with, which are in
    neither: they are malformed unless the file ends with them. `count` counts all lines.
    """

    content: bytes
    numbers: npt.NDArray[np.int64]
    refused: tuple[tuple[int, str], ...]
    bad: int
    tail: int
    count: int

    def after(self, empty: range, most: int) -> Block:
        """Return the block with the empty lines before it, which are malformed; at most `most` are in `refused`."""
        refused = [(number, EMPTY_LINE) for number in empty[:most]]
        return replace(self, refused=(*refused, *self.refused)[:most], bad=self.bad + len(empty))


class Screen:
    """Separates the lines of blocks that have `columns` fields from malformed ones."""

    def __init__(self, columns: int, *, most: int) -> None:
        one = rb'(?:"[^"\r]*(?:""[^"\r]*)*"|[^",\r]*)'
        self._columns = columns
        self._most = most
        self._row = re.compile(one + (rb"," + one) * (columns - 1))

    def block(self, content: bytes, first: int) -> Block:
        """Screen `content`, whole lines of which the first has the number `first`. At most `most` are in `refused`."""
        data = np.frombuffer(content, dtype=np.uint8)
        feeds = np.flatnonzero(data == _LINE_FEED)
        starts = np.concatenate(([0], feeds[:-1] + 1))
        crlf = (feeds > starts) & (data[feeds - 1] == _RETURN)
        ends = feeds - crlf
        filled = np.flatnonzero(ends > starts)
        stop = int(filled[-1]) + 1 if len(filled) else 0
        commas, doubtful = self._widths(data, feeds, starts, crlf)
        good = (ends > starts) & (commas == self._columns - 1)
        for line in np.flatnonzero(doubtful).tolist():
            good[line] = self._row.fullmatch(content[starts[line] : ends[line]]) is not None
        good &= feeds - starts <= LONGEST_LINE_BYTES
        bad = np.flatnonzero(~good[:stop])
        refused = tuple(
            (first + line, self._fault(content[starts[line] : ends[line]])) for line in bad[: self._most].tolist()
        )
        if not good.all():
            content = data[np.repeat(good, feeds + 1 - starts)].tobytes()
        return Block(content, np.flatnonzero(good) + first, refused, len(bad), len(feeds) - stop, len(feeds))

    @staticmethod
    def _widths(
        data: npt.NDArray[np.uint8],
        feeds: npt.NDArray[np.int64],
        starts: npt.NDArray[np.int64],
        crlf: npt.NDArray[np.bool_],
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return for each line its commas outside quotes and whether only a closer look can judge it.

        A line is plain if each of its quotes opens a field after a separator or closes one before a separator. Doubled
        quotes, quotes inside a field and stray carriage returns make it doubtful.
        """
        commas = np.flatnonzero(data == _COMMA)
        returns = data == _RETURN
        returns[feeds[crlf] - 1] = False
        quotes = np.flatnonzero(data == _QUOTE)
        doubtful = np.zeros(len(feeds), dtype=np.bool_)
        doubtful[np.searchsorted(feeds, np.flatnonzero(returns))] = True
        if len(quotes):
            before_line = np.searchsorted(quotes, starts)
            line = np.searchsorted(feeds, quotes)
            opens = (np.arange(len(quotes)) - before_line[line]) % 2 == 0
            before, after = data[quotes - 1], data[quotes + 1]  # the byte before the first is the last: a line feed
            opens_well = (before == _COMMA) | (before == _LINE_FEED)
            closes_well = (after == _COMMA) | (after == _LINE_FEED) | (after == _RETURN)
            doubtful[line[~np.where(opens, opens_well, closes_well)]] = True
            doubtful |= np.diff(before_line, append=len(quotes)) % 2 == 1
            inside = (np.searchsorted(quotes, commas) - before_line[np.searchsorted(feeds, commas)]) % 2 == 1
            commas = commas[~inside]
        return np.diff(np.searchsorted(commas, starts), append=len(commas)), doubtful

    def _fault(self, line: bytes) -> str:
        if not line:
            return EMPTY_LINE
        if len(line) > LONGEST_LINE_BYTES:
            return "the row is too long"
        fields = split_fields(line.decode("utf-8", "replace"))
        if fields is None:
            return "the row is not readable as CSV"
        return f"the row has {len(fields)} fields, the header {self._columns}"
