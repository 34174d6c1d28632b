"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from accounts.months import month_of
from accounts.statements import rows_of

if TYPE_CHECKING:
    from datetime import date, datetime

    from django.contrib.auth.models import AnonymousUser

    from accounts.models import User


@dataclass(frozen=True, slots=True)
class Viewer:
    """The person asking, pinned with the instant of the question for one request.

    Only `user_id` and `now` reach SQL, where activity and grants are read again by every statement; the two flags
    choose between statements and never widen one that SQL would refuse. An anonymous viewer has no user id.
    """

    user_id: int | None
    is_active: bool
    is_operator: bool
    now: datetime

    @property
    def month(self) -> date:
        """The month of the question: structure is administered as it stands in this month."""
        return month_of(self.now)


def viewer_of(user: User | AnonymousUser, *, now: datetime) -> Viewer:
    """The viewer for a signed-in user (or nobody). ValueError if `now` has no time zone."""
    if now.tzinfo is None:
        raise ValueError("now needs a time zone")
    if user.pk is None or not user.is_active:
        return Viewer(user_id=user.pk, is_active=False, is_operator=False, now=now)
    ((is_operator,),) = rows_of("SELECT accounts_is_operator(%s)", [user.pk])
    return Viewer(user_id=user.pk, is_active=True, is_operator=is_operator, now=now)
