"""The addresses of the installation."""

from django.contrib import admin
from django.urls import include, path

from carbon import health

admin.site.site_header = admin.site.site_title = "Canopy"
admin.site.index_title = "Operations"
admin.site.site_url = None  # there is no page at the root: front ends live elsewhere

urlpatterns = [
    path("admin/", admin.site.urls),
    path("graphql/", include("graphql_api.urls")),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
]
