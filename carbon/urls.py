"""The addresses of the installation."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from carbon import health
from graphql_api.downloads import download

admin.site.site_header = admin.site.site_title = "Canopy"
admin.site.index_title = "Operations"
admin.site.site_url = None  # there is no page at the root: front ends live elsewhere

SIGN_IN = {"site_title": "Canopy", "site_header": "Canopy", "title": "Sign in"}

urlpatterns = [
    path("admin/", admin.site.urls),
    # Readers are not staff: they sign in here, also on the way through OAuth's authorization page.
    path("login/", LoginView.as_view(template_name="admin/login.html", extra_context=SIGN_IN), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("graphql/", include("graphql_api.urls")),
    path("exports/<str:token>", download, name="export-download"),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
]
