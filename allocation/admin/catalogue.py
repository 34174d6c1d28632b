"""Clusters, regions, services and methodology versions."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin

from allocation.admin.reading import Reading
from allocation.models import Cluster, MethodologyVersion, Region, Service


@admin.register(Cluster, Region)
class PlaceAdmin(Reading):
    """Reporting locations."""

    list_display: ClassVar = ["code", "provider"]
    list_filter: ClassVar = ["provider"]
    search_fields: ClassVar = ["code"]


@admin.register(Service)
class ServiceAdmin(Reading):
    """Services of providers."""

    list_display: ClassVar = ["code", "name", "category", "provider"]
    list_filter: ClassVar = ["provider"]
    search_fields: ClassVar = ["code", "name"]


@admin.register(MethodologyVersion)
class MethodologyVersionAdmin(Reading):
    """Versions of allocation methods; `bound_at` says since when one binds."""

    list_display: ClassVar = ["__str__", "provider", "preset", "created_at", "bound_at"]
    list_filter: ClassVar = ["provider", "preset"]
    search_fields: ClassVar = ["name", "version"]
