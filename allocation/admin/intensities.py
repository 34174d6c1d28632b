"""Ratios of services by place, and what people dismissed."""

from __future__ import annotations

from django.contrib import admin

from allocation.admin.reading import Reading
from allocation.models import RecommendationDismissal, ServiceIntensity


@admin.register(ServiceIntensity)
class ServiceIntensityAdmin(Reading):
    """Emissions for each unit of a service at a place."""

    list_display = [
        "run", "service", "place", "unit", "tenants", "location_ug_per_unit", "market_ug_per_unit", "wh_per_unit",
    ]  # fmt: skip
    search_fields = ["=run__id", "service__code", "place"]
    list_select_related = ["run__provider", "service"]


@admin.register(RecommendationDismissal)
class RecommendationDismissalAdmin(Reading):
    """Recommendations that somebody does not want to see."""

    list_display = ["key", "user", "node_kind", "node_id", "dismissed_at", "reason"]
    search_fields = ["key", "user__username"]
    list_select_related = ["user"]
