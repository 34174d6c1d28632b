"""What one request knows: who asks, what is published, what time it is. Pinned once, the same for every field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async

from accounts.web_role import as_owner, as_web
from graphql_api.errors import Code, RefusedError
from graphql_api.limits import CHANGE_TIMEOUT_MS, STATEMENT_TIMEOUT_MS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from django.http import HttpRequest

    from accounts.models import User
    from accounts.policies import Viewer
    from allocation.selectors.publications import Published
    from graphql_api.loaders import Loaders

P = ParamSpec("P")
T = TypeVar("T")


def in_short_transaction(
    user_id: int | None, now: datetime, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
) -> T:
    """Call a selector inside a transaction of its own, as the web role, for this viewer at this instant.

    The transaction ends by itself, and all settings end with it: a pooled connection carries none to the next request.
    """
    with as_web(viewer_id=user_id, now=now, timeout_ms=STATEMENT_TIMEOUT_MS, plan_once=True):
        return function(*args, **kwargs)


def in_changing_transaction(viewer: Viewer, service: Callable[[], T]) -> T:
    """Call a service inside a transaction that may take longer.

    Operators publish, which makes partitions: their services have the rights of the login, everybody else's have those
    of the web role.
    """
    with as_web(viewer_id=viewer.user_id, now=viewer.now, timeout_ms=CHANGE_TIMEOUT_MS):
        if not viewer.is_operator:
            return service()
        with as_owner():
            return service()


@dataclass(slots=True)
class Context:
    """The context of one request.

    `published` is resolved once, so that no answer mixes two publications of a month; `now` is the only clock.
    `role_kinds` only spares the planner work (`allocation.policies.Question`).
    `scopes` is None for a browser session, which may do whatever its user may.
    """

    request: HttpRequest
    user: User
    viewer: Viewer
    published: Published
    role_kinds: frozenset[str]
    now: datetime
    correlation_id: str
    scopes: frozenset[str] | None
    loaders: Loaders = field(init=False)
    remembered: dict[Any, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from graphql_api.loaders import Loaders  # noqa: PLC0415 loaders are made for a context

        self.loaders = Loaders(self)

    async def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Cross from the event loop into synchronous code, once per selector."""
        return await sync_to_async(in_short_transaction, thread_sensitive=True)(
            self.viewer.user_id, self.now, function, *args, **kwargs
        )

    async def change(self, service: Callable[[], T]) -> T:
        """Cross into a service: its transaction may take longer, and what it refuses is rolled back."""
        return await sync_to_async(in_changing_transaction, thread_sensitive=True)(self.viewer, service)

    def require_scope(self, scope: str) -> None:
        """Refuse a token that was not given for this; INSUFFICIENT_SCOPE."""
        if self.scopes is not None and scope not in self.scopes:
            raise RefusedError(f"The token lacks the scope {scope}.", Code.INSUFFICIENT_SCOPE, scope=scope)
