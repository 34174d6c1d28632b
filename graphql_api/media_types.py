"""The media types of GraphQL over HTTP: which one an answer has, which ones a request may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http.request import MediaType
from django.utils.http import parse_header_parameters

if TYPE_CHECKING:
    from django.http import HttpRequest

RESPONSE_JSON: Final = "application/graphql-response+json"
PLAIN_JSON: Final = "application/json"


def answer_type(request: HttpRequest) -> str | None:
    """Choose the type of the answer; None if the client accepts neither.

    No header and `*/*` mean `application/json`, which older clients expect.
    """
    header = request.headers.get("Accept", "").strip()
    if not header:
        return PLAIN_JSON
    offers = [offer for offer in map(_offer, header.split(",")[:50]) if offer is not None]
    best: tuple[float, str] | None = None
    for name in (PLAIN_JSON, RESPONSE_JSON):
        weights = [weight for pattern, weight in offers if pattern.match(name)]
        exact = any(str(pattern).split(";")[0] == name for pattern, _ in offers)
        weight = max(weights, default=0.0)
        # Both equally welcome and both named: the newer one says more by its status codes.
        if weight > 0 and (best is None or weight > best[0] or (weight == best[0] and exact)):
            best = (weight, name)
    return best[1] if best else None


def _offer(text: str) -> tuple[MediaType, float] | None:
    name, parameters = parse_header_parameters(text)
    if "/" not in name:
        return None
    if parameters.get("charset", "utf-8").strip('"').lower() not in {"utf-8", "utf8"}:
        return None
    try:
        weight = float(parameters.get("q", "1"))
    except ValueError:
        return None
    return MediaType(name), weight if 0 <= weight <= 1 else 0.0


def is_json(request: HttpRequest) -> bool:
    """Tell whether the body claims to be JSON in UTF-8."""
    name, parameters = parse_header_parameters(request.headers.get("Content-Type", ""))
    return name == PLAIN_JSON and parameters.get("charset", "utf-8").strip('"').lower() in {"utf-8", "utf8"}
