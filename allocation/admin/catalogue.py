"""Clusters, regions, services and methodology versions."""

from __future__ import annotations

from django.contrib import admin

from allocation.admin.reading import Reading
from allocation.models import Cluster, MethodologyVersion, Region, Service


@admin.register(Cluster, Region)
class PlaceAdmin(Reading):
    """Reporting locations."""

    list_display = ["code", "provider"]
    list_filter = ["provider"]
    search_fields = ["code"]


@admin.register(Service)
class ServiceAdmin(Reading):
    """Services of providers."""

    list_display = ["code", "name", "category", "provider"]
    list_filter = ["provider"]
    search_fields = ["code", "name"]


@admin.register(MethodologyVersion)
class MethodologyVersionAdmin(Reading):
    """Versions of allocation methods; `bound_at` says since when one binds."""

    list_display = ["__str__", "provider", "preset", "created_at", "bound_at"]
    list_filter = ["provider", "preset"]
    search_fields = ["name", "version"]
