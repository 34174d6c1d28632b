"""The installation itself as the one who asks: its clock publishes, sweeps and verifies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.policies import Viewer

if TYPE_CHECKING:
    import datetime as dt


def system(now: dt.datetime) -> Viewer:
    """Return a viewer who is nobody and may do what an operator may; for schedules and commands, never for requests."""
    return Viewer(user_id=None, is_active=True, is_operator=True, now=now)
