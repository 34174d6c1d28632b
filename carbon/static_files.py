"""Static files under ASGI as under WSGI, without a thread for requests that want none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase


class StaticFilesMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc] # it has no types
    """WhiteNoise, also between async layers.

    The original is sync only: around an async view it costs two changes of thread per request,
    and Django warns about its streamed files.
    """

    async_capable = True
    sync_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]) -> None:
        super().__init__(get_response)
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:  # noqa: ANN401 a response or an awaitable
        """Serve a static file, or let the next layer answer."""
        if self.is_async:
            return self._answer(request)
        return super().__call__(request)

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        find = self.find_file if self.autorefresh else self.files.get
        static_file = find(request.path_info)
        if static_file is None:
            response: HttpResponseBase = await self.get_response(request)
            return response
        streamed = self.serve(static_file, request)
        # Styles and scripts are small: read at once, so that nothing is streamed from a thread.
        whole = HttpResponse(b"".join(streamed.streaming_content), status=streamed.status_code)
        streamed.close()
        whole.headers = streamed.headers
        return whole
