"""Settings of the identity provider: those of Canopy, with OpenID Connect instead of everything else."""

from __future__ import annotations

from typing import Any

from jwcrypto.jwk import JWK

import carbon.settings

globals().update({name: value for name, value in vars(carbon.settings).items() if name.isupper()})

ROOT_URLCONF = "tests.identity_provider.urls"
# Browsers do not tell ports apart when they send cookies.
SESSION_COOKIE_NAME = "provider_session"
CSRF_COOKIE_NAME = "provider_csrf"
OAUTH2_PROVIDER: dict[str, Any] = {
    "OIDC_ENABLED": True,
    "OIDC_RSA_PRIVATE_KEY": JWK.generate(kty="RSA", size=2048).export_to_pem(private_key=True, password=None).decode(),
    "OAUTH2_VALIDATOR_CLASS": "tests.identity_provider.claims.Claims",
    "SCOPES": {"openid": "Who you are", "profile": "Your name", "email": "Your address"},
    "PKCE_REQUIRED": True,
}
