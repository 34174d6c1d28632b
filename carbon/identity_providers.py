"""The identity providers of enterprises: which there are, how people come in through them, what stops them.

Each speaks OpenID Connect; django-allauth does the protocol (discovery, state, PKCE, keys). A person is known by the
provider and its `sub`, never by name or e-mail address: those belong to whoever the provider says, and would open the
accounts of others.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.providers.base import AuthProcess
from django.http import HttpResponseRedirect
from django.urls import reverse

if TYPE_CHECKING:
    from allauth.socialaccount.models import SocialLogin
    from django.http import HttpRequest

logger = logging.getLogger(__name__)


class EnterpriseLogin(DefaultSocialAccountAdapter):  # type: ignore[misc] # the library ships no types
    """Lets in whom a configured provider vouches for; new people have no role and see nothing until one is granted."""

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Turn away people whom an operator has switched off, and everything but signing in."""
        if sociallogin.state.get("process") not in {None, AuthProcess.LOGIN}:
            raise _turned_away(request)
        if sociallogin.is_existing and not sociallogin.user.is_active:
            raise _turned_away(request)

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,  # noqa: ANN401 the library's own type or a name
        error: str | None = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 the library's signature
    ) -> None:
        """Go back to the sign-in page; what went wrong stands in the log."""
        logger.warning("sign-in through %s failed: %s", getattr(provider, "id", provider), error, exc_info=exception)
        raise _turned_away(request)


def _turned_away(_request: HttpRequest) -> Exception:
    answer: Exception = ImmediateHttpResponse(HttpResponseRedirect(f"{reverse('login')}?turned-away=1"))
    return answer
