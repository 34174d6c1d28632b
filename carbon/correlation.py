"""One id from a request to everything that follows from it: log lines, traces, tasks on other machines."""

from __future__ import annotations

import logging
import re
import uuid
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from asgiref.sync import iscoroutinefunction
from celery import signals
from django.utils.decorators import sync_and_async_middleware

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Token

    from celery import Task
    from django.http import HttpRequest, HttpResponse

HEADER: Final = "X-Correlation-Id"
MESSAGE_HEADER: Final = "canopy_correlation_id"
META_KEY: Final = "canopy.correlation_id"
"""Where a view finds it in `request.META`; no header of a client can have this name."""
NONE: Final = "-"
# Anything else that a client sends is replaced: it would end up in our log.
_ACCEPTED: Final = re.compile(r"[A-Za-z0-9_-]{8,64}\Z", re.ASCII)

current: ContextVar[str] = ContextVar("correlation_id", default=NONE)


class CorrelationFilter(logging.Filter):
    """Gives every record the id under which it was made."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add it."""
        record.correlation_id = current.get()
        return True


def id_of(request: HttpRequest) -> str:
    """Return the id that a proxy or client sent, or a new one."""
    given = request.headers.get(HEADER, "")
    return given if _ACCEPTED.match(given) else uuid.uuid4().hex


def _begin(request: HttpRequest) -> Token[str]:
    chosen = id_of(request)
    request.META[META_KEY] = chosen
    return current.set(chosen)


@sync_and_async_middleware
def correlation_middleware(
    get_response: Callable[[HttpRequest], Any],
) -> Callable[[HttpRequest], HttpResponse | Awaitable[HttpResponse]]:
    """Set the id for the request and tell it in the answer."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponse:
            token = _begin(request)
            try:
                response: HttpResponse = await get_response(request)
                response.headers.setdefault(HEADER, current.get())
                return response
            finally:
                current.reset(token)

        answer_async.get_response = get_response  # type: ignore[attr-defined] # for carbon.handler
        return answer_async

    def answer(request: HttpRequest) -> HttpResponse:
        token = _begin(request)
        try:
            response: HttpResponse = get_response(request)
            response.headers.setdefault(HEADER, current.get())
            return response
        finally:
            current.reset(token)

    return answer


@signals.before_task_publish.connect
def send_along(headers: dict[str, Any] | None = None, **_kwargs: Any) -> None:  # noqa: ANN401 Celery's signature
    """Put the id into a message that is about to be sent."""
    if headers is not None and current.get() != NONE:
        headers.setdefault(MESSAGE_HEADER, current.get())


@signals.task_prerun.connect
def take_on(task_id: str = "", task: Task[..., Any] | None = None, **_kwargs: Any) -> None:  # noqa: ANN401 Celery's signature
    """Work under the id of the message; a task that nobody asked for has that of its own."""
    current.set((task.request.get(MESSAGE_HEADER) if task is not None else None) or task_id or NONE)


@signals.task_postrun.connect
def put_down(**_kwargs: Any) -> None:  # noqa: ANN401 Celery's signature
    """Work under no id again."""
    current.set(NONE)
