"""POST /graphql/: GraphQL over HTTP for sessions and bearer tokens."""

from __future__ import annotations

import math
import uuid
from typing import TYPE_CHECKING, Any, Final

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import OperationalError
from django.http import HttpResponse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from graphql import GraphQLError
from strawberry.django.views import AsyncGraphQLView
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from accounts import policies
from accounts.services import allowances
from accounts.web_role import tell_viewer
from allocation.selectors import publications
from graphql_api import credentials, requests
from graphql_api.context import Context, in_short_transaction
from graphql_api.errors import Code, RefusedError, code_of, formatted
from graphql_api.media_types import PLAIN_JSON, RESPONSE_JSON, answer_type, is_json

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase
    from strawberry.types import ExecutionResult

    from graphql_api.requests import Parameters

STATUS: Final = {
    Code.BAD_REQUEST: 400,
    Code.BATCHING_DISABLED: 400,
    Code.OPERATION_RESOLUTION_FAILURE: 400,
    Code.UNAUTHENTICATED: 401,
    Code.CSRF_FAILED: 403,
    Code.INSUFFICIENT_SCOPE: 403,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.NOT_ACCEPTABLE: 406,
    Code.LENGTH_REQUIRED: 411,
    Code.BODY_TOO_LARGE: 413,
    Code.UNSUPPORTED_MEDIA_TYPE: 415,
    Code.THROTTLED: 429,
    Code.TIMEOUT: 503,
}
READ_SCOPE: Final = "emissions:read"


class GraphQLView(AsyncGraphQLView[Context, None]):
    """Strawberry's view with our own way in: who asks is known before a byte of the question is looked at."""

    async def dispatch(  # type: ignore[override] # Django's own signature is that of a sync view
        self, request: HttpRequest, *_args: object, **_kwargs: object
    ) -> HttpResponseBase:
        """Answer one request; whatever goes wrong becomes a coded error, never an exception."""
        # Set by the installation's middleware, if it has one; else the id is ours.
        correlation_id = str(request.META.get("canopy.correlation_id") or uuid.uuid4().hex)
        if self._wants_ide(request):
            return await self.render_graphql_ide(request)
        media_type = answer_type(request)
        try:
            response = await self._answer(request, media_type, correlation_id)
        except RefusedError as refusal:
            code = Code(refusal.extensions["code"])  # type: ignore[index] # RefusedError always has extensions
            errors = {"errors": formatted([refusal], correlation_id=correlation_id)}
            response = self._write(errors, media_type or PLAIN_JSON, STATUS.get(code, 400))
            if code is Code.UNAUTHENTICATED:
                response["WWW-Authenticate"] = 'Bearer realm="canopy"'
            elif code is Code.METHOD_NOT_ALLOWED:
                response["Allow"] = "POST"
            elif code is Code.THROTTLED:
                response["Retry-After"] = str(refusal.extensions["retryAfterSeconds"])  # type: ignore[index] # as above
        except OperationalError as error:
            # Before the document: whoever asks is looked up by statements that may take as long as those of an answer.
            found = GraphQLError("", original_error=error)
            if code_of(found) is not Code.TIMEOUT:
                raise
            errors = {"errors": formatted([found], correlation_id=correlation_id)}
            response = self._write(errors, media_type or PLAIN_JSON, STATUS[Code.TIMEOUT])
        response["X-Correlation-Id"] = correlation_id
        response["Cache-Control"] = "private, no-store"
        patch_vary_headers(response, ("Accept", "Authorization", "Cookie"))
        return response

    def _wants_ide(self, request: HttpRequest) -> bool:
        return (
            settings.DEBUG
            and request.method == "GET"
            and "query" not in request.GET
            and "text/html" in request.headers.get("Accept", "")
        )

    async def _answer(self, request: HttpRequest, media_type: str | None, correlation_id: str) -> HttpResponse:
        if media_type is None:
            raise RefusedError(f"Accept {RESPONSE_JSON} or {PLAIN_JSON}.", Code.NOT_ACCEPTABLE)
        if request.method not in {"GET", "POST"} or (request.method == "GET" and not credentials.has_token(request)):
            raise RefusedError("Send a POST request.", Code.METHOD_NOT_ALLOWED)
        if request.method == "POST":
            if not is_json(request):
                raise RefusedError(f"Send {PLAIN_JSON} in UTF-8.", Code.UNSUPPORTED_MEDIA_TYPE)
            requests.check_length(request)
        context = await sync_to_async(_open, thread_sensitive=True)(request, timezone.now(), correlation_id)
        if request.method == "GET":
            return await self._execute(requests.from_query_string(request.GET), context, media_type, read_only=True)
        return await self._execute(requests.from_body(request.body), context, media_type, read_only=False)

    async def _execute(
        self, parameters: Parameters, context: Context, media_type: str, *, read_only: bool
    ) -> HttpResponse:
        allowed = {OperationType.QUERY} if read_only else {OperationType.QUERY, OperationType.MUTATION}
        try:
            result = await self.schema.execute(
                parameters.query,
                variable_values=parameters.variables,
                context_value=context,
                operation_name=parameters.operation_name,
                allowed_operation_types=allowed,
            )
        except (CannotGetOperationTypeError, MissingQueryError):
            raise RefusedError(
                "Name one operation of the document in operationName.", Code.OPERATION_RESOLUTION_FAILURE
            ) from None
        except InvalidOperationTypeError:
            raise RefusedError("GET requests may only read.", Code.METHOD_NOT_ALLOWED) from None
        return self._result(result, context, media_type)

    def _result(self, result: ExecutionResult, context: Context, media_type: str) -> HttpResponse:
        errors = result.errors or []
        answer: dict[str, Any] = {}
        if errors:
            answer["errors"] = formatted(errors, correlation_id=context.correlation_id)
        # Before execution has begun there is no `data`, not even null, and the newer media type says so by its status.
        failed_early = result.data is None and all(error.path is None for error in errors)
        if not failed_early:
            answer["data"] = result.data
        return self._write(answer, media_type, 400 if failed_early and media_type == RESPONSE_JSON else 200)

    def _write(self, answer: dict[str, Any], media_type: str, status: int) -> HttpResponse:
        return HttpResponse(self.encode_json(answer), content_type=f"{media_type}; charset=utf-8", status=status)


def _open(request: HttpRequest, now: datetime, correlation_id: str) -> Context:
    """Find out who asks and pin what is published; everything of a request that happens before its document."""
    return in_short_transaction(None, now, _recognise, request, now, correlation_id)


def _wait_of(found: credentials.Credentials) -> timedelta | None:
    """Count the request; how long to wait if it was one too many."""
    if settings.GRAPHQL_REQUESTS_PER_MINUTE == 0:
        return None
    return allowances.take(asker=found.asker, per_minute=settings.GRAPHQL_REQUESTS_PER_MINUTE)


def _recognise(request: HttpRequest, now: datetime, correlation_id: str) -> Context:
    found = credentials.credentials_of(request)
    if found is None:
        raise RefusedError("Sign in, or send a valid bearer token.", Code.UNAUTHENTICATED)
    wait = _wait_of(found)
    if wait is not None:
        seconds = math.ceil(wait.total_seconds()) or 1
        raise RefusedError("Too many requests: slow down.", Code.THROTTLED, retryAfterSeconds=seconds)
    if found.scopes is None and request.method == "POST" and credentials.is_forged(request):
        raise RefusedError("The CSRF token is missing or wrong.", Code.CSRF_FAILED)
    if found.scopes is not None and READ_SCOPE not in found.scopes:
        raise RefusedError(f"The token lacks the scope {READ_SCOPE}.", Code.INSUFFICIENT_SCOPE, scope=READ_SCOPE)
    tell_viewer(found.user.pk)
    viewer = policies.viewer_of(user=found.user, now=now)
    published, role_kinds = publications.opening(viewer=viewer)
    return Context(
        request=request,
        user=found.user,
        viewer=viewer,
        published=published,
        role_kinds=role_kinds,
        now=now,
        correlation_id=correlation_id,
        scopes=found.scopes,
    )
