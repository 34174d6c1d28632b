"""The addresses of the identity provider."""

from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.urls import include, path

from carbon import health

urlpatterns = [
    path("admin/", admin.site.urls),  # the sign-in page is a template of the admin
    path("login/", LoginView.as_view(template_name="admin/login.html"), name="login"),
    path("health/live", health.live),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
]
