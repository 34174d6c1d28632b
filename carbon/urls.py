"""The addresses of the installation."""

from allauth.socialaccount.providers.openid_connect import views as openid_connect
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from django.views.decorators.http import require_POST

from carbon import health
from carbon.metrics import metrics
from graphql_api.downloads import download

admin.site.site_header = admin.site.site_title = "Canopy"
admin.site.index_title = "Operations"
admin.site.site_url = None  # there is no page at the root: front ends live elsewhere

SIGN_IN = {
    "site_title": "Canopy",
    "site_header": "Canopy",
    "title": "Sign in",
    "identity_providers": settings.IDENTITY_PROVIDERS,
}

urlpatterns = [
    path("admin/", admin.site.urls),
    # Readers are not staff: they sign in here, also on the way through OAuth's authorization page.
    path("login/", LoginView.as_view(template_name="sign_in.html", extra_context=SIGN_IN), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    # Whoever follows a link from elsewhere is not signed in by it: only the sign-in page's own form starts that.
    path("sso/<slug:provider_id>/login/", require_POST(openid_connect.login), name="openid_connect_login"),
    path("sso/<slug:provider_id>/callback/", openid_connect.callback, name="openid_connect_callback"),
    path("graphql/", include("graphql_api.urls")),
    path("exports/<str:token>", download, name="export-download"),
    path("o/", include("carbon.oauth_urls", namespace="oauth2_provider")),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("metrics", metrics, name="metrics"),
]
