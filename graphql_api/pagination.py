"""Pages by key: a cursor holds the sort key of a row, so that page 1 000 costs what page 1 costs."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import strawberry

from graphql_api.documents import is_writable
from graphql_api.errors import bad_input
from graphql_api.limits import DEFAULT_PAGE, MAX_PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_CURSOR_CHARACTERS: Final = 1_024
MAX_KEY_CHARACTERS: Final = 256

Node = TypeVar("Node")
Row = TypeVar("Row")
Key = tuple[str | int, ...]


def page_size(first: int | None) -> int:
    """Check `first`: 1 to `MAX_PAGE`, `DEFAULT_PAGE` if it is not given."""
    if first is None:
        return DEFAULT_PAGE
    if not 1 <= first <= MAX_PAGE:
        raise bad_input(f"first must lie between 1 and {MAX_PAGE}.", field="first", limit=MAX_PAGE)
    return first


@dataclass(frozen=True, slots=True)
class Cursors:
    """Writes and reads the cursors of one list.

    `of` names the list and how it is sorted and filtered: a cursor of another list is refused. `shape` holds the types
    of the key's parts. A cursor is no secret and gives no right: what lies behind it is decided anew for each page.
    """

    of: tuple[object, ...]
    shape: tuple[type, ...]
    _mark: str = field(init=False)

    def __post_init__(self) -> None:
        # Once for a list: worked out for each row of a page it took a tenth of the page's time.
        object.__setattr__(self, "_mark", hashlib.sha256(repr(self.of).encode()).hexdigest()[:8])

    def write(self, key: Key) -> str:
        """Write the cursor of a row with this sort key."""
        # Integers as text: other readers of JSON lose what lies beyond 53 bits.
        parts = [str(part) if isinstance(part, int) else [part] for part in key]
        raw = json.dumps([self._mark, *parts], separators=(",", ":"), ensure_ascii=False)
        return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")

    def read(self, cursor: str | None) -> Key | None:
        """Read a cursor that `write` wrote for this list; BAD_USER_INPUT for any other."""
        if cursor is None:
            return None
        key = self._parts(cursor)
        if key is None or self.write(key) != cursor:
            raise bad_input("after is not a cursor of this list.", field="after")
        return key

    def _parts(self, cursor: str) -> Key | None:
        if len(cursor) > MAX_CURSOR_CHARACTERS:
            return None
        try:
            raw = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode())
        except (ValueError, binascii.Error, RecursionError):
            return None
        if not isinstance(raw, list) or len(raw) != len(self.shape) + 1 or raw[0] != self._mark:
            return None
        parts = [_part(part, kind) for part, kind in zip(raw[1:], self.shape, strict=True)]
        return None if None in parts else tuple(part for part in parts if part is not None)


def _part(part: object, kind: type) -> str | int | None:
    if kind is int:
        digits = part.removeprefix("-") if isinstance(part, str) else ""
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 40):  # noqa: PLR2004 numeric(38) with room
            return None
        return int(str(part))
    if not (isinstance(part, list) and len(part) == 1 and isinstance(part[0], str)):
        return None
    return part[0] if len(part[0]) <= MAX_KEY_CHARACTERS and is_writable(part[0]) else None


@strawberry.type(description="Where a page lies in its list (Relay).")
class PageInfo:
    """Relay's PageInfo; lists are walked forwards."""

    has_next_page: bool = strawberry.field(description="Whether there are rows after this page.")
    has_previous_page: bool = strawberry.field(description="Whether the page was reached by a cursor.")
    start_cursor: str | None = strawberry.field(description="Cursor of the first row; null on an empty page.")
    end_cursor: str | None = strawberry.field(description="Cursor of the last row, for `after`; null on an empty page.")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows of one page with their cursors."""

    rows: list[tuple[str, Row]]
    info: PageInfo


def page_of(
    rows: Sequence[Row], *, size: int, key: Callable[[Row], Key], cursors: Cursors, after: Key | None
) -> Page[Row]:
    """Cut `size` rows out of at most `size + 1` that a selector found after the key `after`."""
    shown = [(cursors.write(key(row)), row) for row in rows[:size]]
    return Page(
        shown,
        PageInfo(
            has_next_page=len(rows) > size,
            has_previous_page=after is not None,
            start_cursor=shown[0][0] if shown else None,
            end_cursor=shown[-1][0] if shown else None,
        ),
    )
