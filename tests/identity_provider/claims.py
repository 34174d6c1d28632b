"""What the identity provider says of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oauth2_provider.oauth2_validators import OAuth2Validator

if TYPE_CHECKING:
    from oauthlib.common import Request


class Claims(OAuth2Validator):  # type: ignore[misc] # the library ships no types
    """Adds the name and the address."""

    oidc_claim_scope = None

    def get_additional_claims(self, request: Request) -> dict[str, Any]:
        """Name and address, as everybody may choose them there."""
        return {
            "preferred_username": request.user.first_name,
            "email": request.user.email,
            "email_verified": True,
        }
