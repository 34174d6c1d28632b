"""What a client is told when something is wrong: a stable code, a short sentence, never an inner text.

Clients branch on `extensions.code`. What we did not expect is masked and logged under a correlation id, which the
answer carries so that an operator can find it.
"""

from __future__ import annotations

import enum
import logging
import re
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import OperationalError
from graphql import GraphQLError, GraphQLSyntaxError
from psycopg.errors import QueryCanceled

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = logging.getLogger(__name__)

MAX_ERRORS = 5
MAX_MESSAGE_CHARACTERS = 300
_SUGGESTION = re.compile(r"\s*Did you mean .*\Z", re.DOTALL)


class Code(enum.StrEnum):
    """Values of `extensions.code`; they are part of the API and never change their meaning."""

    BAD_REQUEST = "BAD_REQUEST"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    LENGTH_REQUIRED = "LENGTH_REQUIRED"
    BATCHING_DISABLED = "BATCHING_DISABLED"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    NOT_ACCEPTABLE = "NOT_ACCEPTABLE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    CSRF_FAILED = "CSRF_FAILED"
    THROTTLED = "THROTTLED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    INSUFFICIENT_SCOPE = "INSUFFICIENT_SCOPE"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    NOT_FOUND = "NOT_FOUND"
    BAD_USER_INPUT = "BAD_USER_INPUT"
    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
    OPERATION_RESOLUTION_FAILURE = "OPERATION_RESOLUTION_FAILURE"
    INTROSPECTION_DISABLED = "INTROSPECTION_DISABLED"
    TOKEN_LIMIT_EXCEEDED = "TOKEN_LIMIT_EXCEEDED"  # noqa: S105 lexical tokens, no secret
    DEPTH_LIMIT_EXCEEDED = "DEPTH_LIMIT_EXCEEDED"
    ALIAS_LIMIT_EXCEEDED = "ALIAS_LIMIT_EXCEEDED"
    DIRECTIVE_LIMIT_EXCEEDED = "DIRECTIVE_LIMIT_EXCEEDED"
    FRAGMENT_LIMIT_EXCEEDED = "FRAGMENT_LIMIT_EXCEEDED"
    DUPLICATE_FIELD_LIMIT_EXCEEDED = "DUPLICATE_FIELD_LIMIT_EXCEEDED"
    FRAGMENT_CYCLE = "FRAGMENT_CYCLE"
    COST_LIMIT_EXCEEDED = "COST_LIMIT_EXCEEDED"
    TIMEOUT = "TIMEOUT"
    INTERNAL_ERROR = "INTERNAL_ERROR"


class RefusedError(GraphQLError):
    """An error that the client caused or may know of: `message` and `code` reach it as they are."""

    def __init__(self, message: str, code: Code, **extensions: object) -> None:
        super().__init__(message, extensions={"code": code.value, **extensions})


def bad_input(message: str, **extensions: object) -> RefusedError:
    """Say that an argument has a value that cannot be answered; `field=` names the argument."""
    return RefusedError(message, Code.BAD_USER_INPUT, **extensions)


def shortened(message: str) -> str:
    """Cut a message to `MAX_MESSAGE_CHARACTERS`, without suggestions outside debug."""
    if not settings.DEBUG:
        message = _SUGGESTION.sub("", message)
    return message if len(message) <= MAX_MESSAGE_CHARACTERS else message[: MAX_MESSAGE_CHARACTERS - 1] + "…"


def formatted(errors: Iterable[GraphQLError], *, correlation_id: str) -> list[dict[str, Any]]:
    """Write the first `MAX_ERRORS` errors as the answer shows them; log what was not expected."""
    return [_formatted(error, correlation_id) for _, error in zip(range(MAX_ERRORS), errors, strict=False)]


def _formatted(error: GraphQLError, correlation_id: str) -> dict[str, Any]:
    code = code_of(error)
    answer: dict[str, Any] = {"message": shortened(error.message), "extensions": {"code": code.value}}
    if error.locations:
        answer["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path:
        answer["path"] = error.path
    if code is Code.TIMEOUT:
        answer["message"] = "The answer took too long. Ask for fewer nodes, months or dimensions."
    elif code is Code.INTERNAL_ERROR:
        logger.error("unexpected error, correlation id %s", correlation_id, exc_info=error.original_error or error)
        answer["message"] = "Something went wrong on our side."
        answer["extensions"]["correlationId"] = correlation_id
    else:
        answer["extensions"] |= error.extensions or {}
    return answer


def code_of(error: GraphQLError) -> Code:
    """Classify an error of parsing, validating or executing a document."""
    if error.extensions and "code" in error.extensions:
        return Code(error.extensions["code"])
    original = error.original_error
    if isinstance(original, GraphQLError):
        return code_of(original)
    if original is None:
        return _code_of_library(error)
    if isinstance(original, OperationalError) and isinstance(original.__cause__, QueryCanceled):
        return Code.TIMEOUT
    return Code.INTERNAL_ERROR


def _code_of_library(error: GraphQLError) -> Code:
    if isinstance(error, GraphQLSyntaxError):
        return Code.GRAPHQL_PARSE_FAILED
    # The library coerces variables before it executes and arguments while it does; validation is coded by us.
    return Code.BAD_USER_INPUT
