"""Rows of the small tables."""

from __future__ import annotations

from collections import namedtuple
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd


def rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield the rows of a table as named tuples: values by column name, and `row`, the line number in the file.

    `DataFrame.itertuples` does the same, but its overhead of milliseconds a table would be most of the time that a
    small month takes to prepare.
    """
    kind = _kind(tuple(frame.columns))
    yield from map(kind._make, zip(*(frame[name].tolist() for name in frame.columns), strict=True))


@cache
def _kind(names: tuple[str, ...]) -> Any:  # noqa: ANN401 # a named tuple made at run time has no static type
    return namedtuple("Row", names)  # noqa: PYI024 # the columns are known at run time only
