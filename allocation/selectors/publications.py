"""What readers may see of each (provider, month): the publication that was current at one moment, resolved once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from accounts.statements import rows_of
from allocation.policies import ROLE_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from accounts.months import Period
    from accounts.policies import Viewer


_SETTLE_SECONDS = 4
_SETTLE_PAUSE_SECONDS = 0.001


class Pin(NamedTuple):
    """One month of one provider as it is shown: a run, rolled up over a version of the tree."""

    publication_id: int
    run_id: int
    provider_id: int
    month: date
    tree_version_id: int | None


@dataclass(frozen=True)
class Published:
    """Publications pinned for one answer: one for each (provider, month), but where publications are compared.

    `moment` is None for what is current, else the date of an *as-of* view.
    """

    pins: tuple[Pin, ...]
    moment: datetime | None = None

    @cached_property
    def by_month(self) -> dict[tuple[int, date], Pin]:
        """Find a pin by (provider, month)."""
        return {(pin.provider_id, pin.month): pin for pin in self.pins}

    @cached_property
    def first_months(self) -> dict[int, date]:
        """The first published month of each provider; earlier ones are not covered."""
        first: dict[int, date] = {}
        for pin in self.pins:
            first[pin.provider_id] = min(pin.month, first.get(pin.provider_id, pin.month))
        return first

    def within(self, period: Period) -> list[Pin]:
        """The pins of a period."""
        return [pin for pin in self.pins if pin.month in period]

    def arrays(self, period: Period) -> dict[str, str]:
        """The pins of a period as parameters of statements: arrays of the same length, as PostgreSQL writes them.

        Written once for all statements of an answer; value by value the driver takes ten times as long.
        """
        if period not in self._arrays:
            pins = self.within(period)
            self._arrays[period] = {
                "publications": _array(pin.publication_id for pin in pins),
                "runs": _array(pin.run_id for pin in pins),
                "providers": _array(pin.provider_id for pin in pins),
                "months": _array(pin.month for pin in pins),
            }
        return self._arrays[period]

    @cached_property
    def _arrays(self) -> dict[Period, dict[str, str]]:
        return {}


def _array(values: Iterable[int | date]) -> str:
    return f"{{{','.join(map(str, values))}}}"


# A commit shows its rows a moment before it tells other connections of the table that it attached, and gives its locks
# back after that. Who reads in between sees the pointer but not the totals that it points to; the publication settles.
_UNFINISHED = """(
    SELECT transactionid FROM pg_locks WHERE locktype = 'transactionid' AND granted AND pid <> pg_backend_pid()
)"""
_CURRENT = f"""
WITH unfinished AS MATERIALIZED {_UNFINISHED}
SELECT publication.xmin IN (SELECT transactionid FROM unfinished) AS settling,
       publication.id, publication.run_id, publication.provider_id, publication.month, publication.tree_version_id
FROM allocation_publishedmonth pointer
JOIN allocation_publication publication ON publication.id = pointer.publication_id
ORDER BY publication.provider_id, publication.month
"""  # noqa: S608 fixed texts
_AS_OF = f"""
WITH unfinished AS MATERIALIZED {_UNFINISHED}
SELECT latest.xmin IN (SELECT transactionid FROM unfinished),
       latest.id, latest.run_id, latest.provider_id, latest.month, latest.tree_version_id
FROM (SELECT DISTINCT ON (provider_id, month) *, xmin FROM allocation_publication WHERE published_at <= %(moment)s
      ORDER BY provider_id, month, published_at DESC, id DESC) AS latest
WHERE NOT EXISTS (SELECT FROM allocation_withdrawal withdrawal
                  WHERE withdrawal.publication_id = latest.id AND withdrawal.at <= %(moment)s)
ORDER BY latest.provider_id, latest.month
"""  # noqa: S608 fixed texts


class Opening(NamedTuple):
    """What a request has to know before its first question: what is published, and `Question.role_kinds`."""

    published: Published
    role_kinds: frozenset[str]


_OPENING = f"""
SELECT pinned.*, ARRAY({ROLE_KINDS})
FROM (SELECT true) AS always LEFT JOIN ({_CURRENT}) AS pinned ON true ORDER BY pinned.provider_id, pinned.month
"""  # noqa: S608 fixed texts


def opening(*, viewer: Viewer) -> Opening:
    """Pin what is published now and find out where the viewer's roles stand; one statement."""
    rows = _settled(_OPENING, {"viewer": viewer.user_id, "now": viewer.now})
    pins = tuple(Pin(*pin) for _, *pin, _ in rows if pin[0] is not None)
    return Opening(Published(pins), frozenset() if viewer.is_operator else frozenset(rows[0][-1]))


def current() -> Published:
    """Pin what is published now; one statement, so that all pointers are read at one moment."""
    return Published(tuple(Pin(*pin) for _, *pin in _settled(_CURRENT, {})))


def as_of(*, moment: datetime) -> Published:
    """Pin what was published at a moment, whatever was restated since."""
    return Published(tuple(Pin(*pin) for _, *pin in _settled(_AS_OF, {"moment": moment})), moment)


def _settled(statement: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Read rows of pins, again until none of them is settling: a matter of microseconds, as a rule of none.

    Raises:
        TimeoutError: somebody's commit does not come to its end.
    """
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        rows = rows_of(statement, params)
        if not any(settling for settling, *_ in rows):
            return rows
        if time.monotonic() > deadline:
            raise TimeoutError("a publication is being committed, and does not come to its end")
        time.sleep(_SETTLE_PAUSE_SECONDS)
