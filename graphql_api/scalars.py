"""Scalars: exact integers as strings, months, and ids that name a type."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import date
from typing import NewType

import strawberry
from graphql import GraphQLError

from accounts.months import format_month, parse_month

BigInt = NewType("BigInt", int)
Month = NewType("Month", date)

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,37})\Z", re.ASCII)
_GLOBAL_ID = re.compile(r"([A-Z][A-Za-z]{1,40}):([1-9][0-9]{0,17})\Z", re.ASCII)
MAX_ID_CHARACTERS = 128


def _integer(value: object) -> BigInt:
    if not isinstance(value, str) or not _INTEGER.match(value):
        raise GraphQLError("BigInt is a string of at most 38 decimal digits.")
    return BigInt(int(value))


def _month(value: object) -> Month:
    try:
        return Month(parse_month(value if isinstance(value, str) else ""))
    except ValueError:
        raise GraphQLError("Month is written YYYY-MM.") from None


BIG_INT = strawberry.scalar(
    name="BigInt",
    description="A whole number of any size, as a string of decimal digits.",
    serialize=lambda value: str(int(value)),
    parse_value=_integer,
)
MONTH = strawberry.scalar(
    name="Month",
    description="A reporting month of a provider, written YYYY-MM; never converted between time zones.",
    serialize=format_month,
    parse_value=_month,
)


def global_id(type_name: str, pk: int) -> str:
    """Write the id of a node: opaque to clients, unique over all types."""
    return base64.urlsafe_b64encode(f"{type_name}:{pk}".encode()).decode().rstrip("=")


def read_global_id(text: str) -> tuple[str, int] | None:
    """Read what `global_id` wrote; None for anything else, also for another spelling of the same bytes."""
    if len(text) > MAX_ID_CHARACTERS:
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except (ValueError, binascii.Error):
        return None
    match = _GLOBAL_ID.match(raw)
    if match is None or global_id(match[1], int(match[2])) != text:
        return None
    return match[1], int(match[2])
