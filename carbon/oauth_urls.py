"""What the OAuth 2 server offers: tokens, their revocation, and the list of those that somebody handed out.

Applications are registered by operators (`manage.py createapplication`, or the admin). The library's own pages for that
are left out: with them, everybody who can sign in could register an application under a name that others trust.
"""

from __future__ import annotations

from django.urls import path
from oauth2_provider import views
from oauth2_provider.urls import metadata_urlpatterns

app_name = "oauth2_provider"

urlpatterns = [
    *metadata_urlpatterns,
    path("authorize/", views.AuthorizationView.as_view(), name="authorize"),
    path("token/", views.TokenView.as_view(), name="token"),
    path("revoke_token/", views.RevokeTokenView.as_view(), name="revoke-token"),
    path("introspect/", views.IntrospectTokenView.as_view(), name="introspect"),
    path("authorized_tokens/", views.AuthorizedTokensListView.as_view(), name="authorized-token-list"),
    path(
        "authorized_tokens/<slug:pk>/delete/", views.AuthorizedTokenDeleteView.as_view(), name="authorized-token-delete"
    ),
]
