"""Django's ASGI handler, without a change of thread for hooks that have no reason to leave the event loop.

Around an asynchronous view Django runs every hook of its own middleware in a thread: fourteen changes of thread for one
request, which cost more than all the rest of a short answer (docs/performance.md). None of these hooks touches the
database for a request to the API: the session and its user are loaded lazily, by the view.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from asgiref.sync import SyncToAsync, sync_to_async
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.asgi import ASGIHandler
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware
from django.urls import NoReverseMatch, get_script_prefix, get_urlconf, reverse

from carbon.host_check import HostCheckMiddleware

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

_WITHOUT_DATABASE: Final = (
    AuthenticationMiddleware,
    CsrfViewMiddleware,
    HostCheckMiddleware,
    MessageMiddleware,
    SecurityMiddleware,
    SessionMiddleware,
    XFrameOptionsMiddleware,
)


def _asks_the_api(request: HttpRequest) -> bool:
    return request.path == _address_of_the_api(get_urlconf(), get_script_prefix())


@cache
def _address_of_the_api(urlconf: str | None, _script_prefix: str) -> str | None:
    """The path of the API, looked up once: every layer asks for it in every request."""
    try:
        return reverse("graphql", urlconf)
    except NoReverseMatch:  # the addresses of another project around our handler
        return None


class Handler(ASGIHandler):
    """Answers requests to the API in the event loop, all others as Django does."""

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: FBT001, FBT002 Django's signature
        """Build Django's chain, then shorten the way through those of its layers that need no thread."""
        super().load_middleware(is_async)
        layer: Any = self._middleware_chain  # type: ignore[attr-defined] # Django's own attribute, untyped
        while layer is not None:
            middleware = getattr(layer, "__wrapped__", layer)
            if type(middleware) in _WITHOUT_DATABASE:
                middleware.__acall__ = _in_loop(middleware, middleware.__acall__)
            layer = getattr(middleware, "get_response", None)
        hooks: list[Any] = self._view_middleware  # type: ignore[has-type] # Django's own attribute, untyped
        self._view_middleware = [_looked_at_in_loop(hook) for hook in hooks]


def _in_loop(
    middleware: Any,  # noqa: ANN401 Django's mixin may be asynchronous or not, which its types do not tell
    in_thread: Callable[[HttpRequest], Awaitable[HttpResponseBase]],
) -> Callable[[HttpRequest], Awaitable[HttpResponseBase]]:
    """Return what the layer does with a request, for the API without a thread."""
    before = getattr(middleware, "process_request", None)
    after = getattr(middleware, "process_response", None)

    async def answer(request: HttpRequest) -> Any:  # noqa: ANN401 whatever the hooks answer
        if not _asks_the_api(request):
            return await in_thread(request)
        response = before(request) if before else None
        if response is None:
            response = await middleware.get_response(request)
        if after is None:
            return response
        if getattr(request, "session", None) is not None and request.session.modified:  # it is saved now
            return await sync_to_async(after, thread_sensitive=True)(request, response)
        return after(request, response)

    return answer


def _looked_at_in_loop(hook: Any) -> Any:  # noqa: ANN401 Django keeps them as it made them
    """Return a `process_view` hook that runs in the event loop, if it is one of those that need no thread."""
    function: Any = hook.func if isinstance(hook, SyncToAsync) else None
    if type(getattr(function, "__self__", None)) not in _WITHOUT_DATABASE:
        return hook

    async def look(request: HttpRequest, *args: Any) -> Any:  # noqa: ANN401 as above
        return function(request, *args) if _asks_the_api(request) else await hook(request, *args)

    return look
