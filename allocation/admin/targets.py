"""Targets of nodes."""

from __future__ import annotations

from django.contrib import admin

from allocation.admin.reading import Reading
from allocation.models import Target


@admin.register(Target)
class TargetAdmin(Reading):
    """What somebody wants to reach; set and ended through the API."""

    list_display = [
        "name", "node_kind", "node_id", "kind", "method", "base_year", "target_year", "reduction_ppm", "set_at",
        "ended_at",
    ]  # fmt: skip
    list_filter = ["kind", "method", ("ended_at", admin.EmptyFieldListFilter)]
    search_fields = ["name", "=node_id"]
