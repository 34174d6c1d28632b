"""The parameters of a GraphQL request, read from a body or a query string that may hold anything."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphql_api.documents import is_writable
from graphql_api.errors import Code, RefusedError
from graphql_api.limits import MAX_BODY_BYTES, MAX_JSON_DEPTH, MAX_NUMBER_CHARACTERS

if TYPE_CHECKING:
    from django.http import HttpRequest, QueryDict


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the client asks: the document, its variables, and which of its operations."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None


def check_length(request: HttpRequest) -> None:
    """Refuse a body whose length is not told or above `MAX_BODY_BYTES`, before it is read."""
    length = request.META.get("CONTENT_LENGTH") or ""
    if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower() or not (
        length.isascii() and length.isdigit()
    ):
        raise RefusedError("Send a Content-Length; chunked bodies are refused.", Code.LENGTH_REQUIRED)
    if len(length) > 9 or int(length) > MAX_BODY_BYTES:  # noqa: PLR2004 no integer of a thousand digits
        raise RefusedError(f"The body may have {MAX_BODY_BYTES} bytes.", Code.BODY_TOO_LARGE)


def from_body(body: bytes) -> Parameters:
    """Read a JSON body."""
    if len(body) > MAX_BODY_BYTES:
        raise RefusedError(f"The body may have {MAX_BODY_BYTES} bytes.", Code.BODY_TOO_LARGE)
    try:
        text = body.decode("utf-8", errors="strict")
    except UnicodeDecodeError:
        raise RefusedError("The body is not UTF-8.", Code.BAD_REQUEST) from None
    found = _json(text, "body")
    if isinstance(found, list):
        raise RefusedError("Send one operation per request.", Code.BATCHING_DISABLED)
    if not isinstance(found, dict):
        raise RefusedError("The body must be a JSON object.", Code.BAD_REQUEST)
    return _parameters(found)


def from_query_string(values: QueryDict) -> Parameters:
    """Read the parameters of a GET request; `variables` and `extensions` are JSON texts there."""
    found: dict[str, Any] = {"query": values.get("query"), "operationName": values.get("operationName") or None}
    for name in ("variables", "extensions"):
        text = values.get(name)
        found[name] = _json(text, name) if text else None
    if sum(len(value) for value in values.values() if isinstance(value, str)) > MAX_BODY_BYTES:
        raise RefusedError(f"The query string may have {MAX_BODY_BYTES} bytes.", Code.BODY_TOO_LARGE)
    return _parameters(found)


def _parameters(found: dict[str, Any]) -> Parameters:
    query, variables, name = found.get("query"), found.get("variables"), found.get("operationName")
    if not isinstance(query, str) or not query.strip():
        raise RefusedError("query must be a text that is not empty.", Code.BAD_REQUEST)
    if not isinstance(variables, dict | None):
        raise RefusedError("variables must be an object or null.", Code.BAD_REQUEST)
    if not isinstance(name, str | None):
        raise RefusedError("operationName must be a text or null.", Code.BAD_REQUEST)
    if not isinstance(found.get("extensions"), dict | None):
        raise RefusedError("extensions must be an object or null.", Code.BAD_REQUEST)
    return Parameters(query, variables, name)


def _json(text: str, name: str) -> object:
    try:
        found = json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise RefusedError(f"{name} is not valid JSON.", Code.BAD_REQUEST) from None
    _check(found, name)
    return found


def _integer(digits: str) -> int:
    if len(digits) > MAX_NUMBER_CHARACTERS:
        raise ValueError(digits[:MAX_NUMBER_CHARACTERS])
    return int(digits)


def _number(digits: str) -> float:
    number = float(digits) if len(digits) <= MAX_NUMBER_CHARACTERS else float("inf")
    if number in {float("inf"), float("-inf")}:
        raise ValueError(digits[:MAX_NUMBER_CHARACTERS])
    return number


def _refuse(constant: str) -> float:
    """Refuse NaN and Infinity, which are not JSON."""
    raise ValueError(constant)


def _check(found: object, name: str) -> None:
    """Refuse deep nesting and texts that cannot be stored; without recursion, the input chooses the depth."""
    level: list[object] = [found]
    for _ in range(MAX_JSON_DEPTH + 1):
        below: list[object] = []
        for value in level:
            if isinstance(value, str):
                if not is_writable(value):
                    raise RefusedError(f"{name} holds U+0000 or half a surrogate pair.", Code.BAD_REQUEST)
            elif isinstance(value, dict):
                below.extend(value)
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
        level = below
        if not level:
            return
    raise RefusedError(f"{name} is nested more than {MAX_JSON_DEPTH} levels deep.", Code.BAD_REQUEST)
