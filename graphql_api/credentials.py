"""Who sends a request: a browser with a session, or an app or machine with a bearer token."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from django.http import HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from oauth2_provider.oauth2_backends import get_oauthlib_core
from oauth2_provider.utils import parse_bearer_token

if TYPE_CHECKING:
    from django.http import HttpRequest

    from accounts.models import User


class Credentials(NamedTuple):
    """An active user and, for a token, what it may be used for (`None`: a session, not limited by scopes).

    `asker` is whose requests are counted together: a new token of the same application brings no new allowance.
    """

    user: User
    scopes: frozenset[str] | None
    asker: str


def has_token(request: HttpRequest) -> bool:
    """Tell whether the request names a bearer token, valid or not."""
    return parse_bearer_token(request.META.get("HTTP_AUTHORIZATION", "")) is not None


def credentials_of(request: HttpRequest) -> Credentials | None:
    """Find out who asks; None for nobody, an invalid or expired token, or an inactive user.

    A request with an Authorization header is judged by that alone, whatever cookies come with it.
    """
    if "HTTP_AUTHORIZATION" in request.META:
        return _by_token(request) if has_token(request) else None
    user = request.user
    if not user.is_authenticated or not user.is_active:
        return None
    return Credentials(user, None, f"sessions of {user.pk}")


def _by_token(request: HttpRequest) -> Credentials | None:
    valid, found = get_oauthlib_core().verify_request(request, scopes=[])
    if not valid:
        return None
    # A machine's token (client credentials) has no user of its own: it acts as the user its application belongs to.
    user = found.access_token.user or getattr(found.client, "user", None)
    if user is None or not user.is_active:
        return None
    asker = f"application {found.client.pk} for {user.pk}"
    return Credentials(user, frozenset(found.access_token.scope.split()), asker)


class _Forgery(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:  # noqa: ARG002 Django's signature
        return HttpResponse(reason, status=403)


def is_forged(request: HttpRequest) -> bool:
    """Tell whether a request with a session cookie lacks Django's CSRF token."""
    check = _Forgery(lambda _request: None)  # type: ignore[arg-type]
    check.process_request(request)
    return check.process_view(request, _unprotected, (), {}) is not None


def _unprotected(_request: HttpRequest) -> HttpResponse:
    """Stand for a view that is not exempt from the check."""
    return HttpResponse()
