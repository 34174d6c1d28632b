"""GET /exports/TOKEN: the file that a signed link leads to, streamed, the owner's rights asked again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from asgiref.sync import sync_to_async
from django.http import HttpResponse, StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET

from accounts.services.refusal import NotFound, PermissionDenied
from allocation.services import downloads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

_CHUNK_BYTES: Final = 1 << 18


@require_GET
async def download(request: HttpRequest, token: str) -> HttpResponseBase:  # noqa: ARG001 the link says it all
    """Answer with the file; 404, 403 or 410 with a stable code."""
    try:
        found = await sync_to_async(downloads.open_file, thread_sensitive=True)(token)
    except NotFound as refusal:
        return _refused(404, refusal.code, str(refusal))
    except PermissionDenied as refusal:
        return _refused(403, refusal.code, str(refusal))
    except downloads.LinkExpired as refusal:
        return _refused(410, refusal.code, str(refusal))
    response = StreamingHttpResponse(_read(found), content_type=found.media_type)
    response["Content-Length"] = str(found.size_bytes)
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=found.name) or ""
    response["Cache-Control"] = "private, no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response


async def _read(found: downloads.Download) -> AsyncIterator[bytes]:
    # Not the thread that all requests share for the database: a slow reader would hold it.
    read = sync_to_async(found.stream.read, thread_sensitive=False)
    try:
        while chunk := await read(_CHUNK_BYTES):
            yield chunk
    finally:
        await sync_to_async(found.stream.close, thread_sensitive=False)()


def _refused(status: int, code: str, message: str) -> HttpResponse:
    body = json.dumps({"errors": [{"message": message, "extensions": {"code": code}}]})
    answer = HttpResponse(body, content_type="application/json", status=status)
    answer["Cache-Control"] = "private, no-store"
    return answer
