"""How the admin reads tables of any size."""

from __future__ import annotations

import datetime as dt
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

if TYPE_CHECKING:
    from django.contrib import admin
    from django.core import paginator
    from django.db.models import Model, QuerySet
    from django.http import HttpRequest

    # Generic for the type checker only.
    Paginator = paginator.Paginator[Any]
    ModelAdmin = admin.ModelAdmin[Any]
    SimpleListFilter = admin.SimpleListFilter
    TabularInline = admin.TabularInline[Any, Any]
else:
    from django.contrib.admin import ModelAdmin, SimpleListFilter, TabularInline
    from django.core.paginator import Paginator

COUNTED_AT_MOST = 10_000


class MonthFilter(SimpleListFilter):
    """By month: those that there are, newest first. Django's own filter offers today and the past week."""

    title = "month"
    parameter_name = "month"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ANN401 Django's
        """Offer the months of the rows."""
        months = model_admin.get_queryset(request).order_by("-month").values_list("month", flat=True).distinct()
        return [(f"{month:%Y-%m}", f"{month:%Y-%m}") for month in months]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 Django's
        """Keep the rows of the chosen month."""
        if not self.value():
            return queryset
        try:
            return queryset.filter(month=dt.date.fromisoformat(f"{self.value()}-01"))
        except ValueError:
            return queryset.none()


class BoundedPaginator(Paginator):
    """Counts no further than a person would turn pages; a filter or a search finds what lies beyond."""

    @cached_property
    def count(self) -> int:
        """The number of rows, or the bound."""
        rows = cast("QuerySet[Any]", self.object_list)
        return rows[:COUNTED_AT_MOST].count()


class Reading(ModelAdmin):
    """An admin that shows and never writes: rows are written by services."""

    show_full_result_count = False
    paginator = BoundedPaginator
    list_per_page = 50
    list_select_related: ClassVar[bool | list[str] | tuple[str, ...]] = True

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 Django's
        """Nobody adds rows by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 Django's
        """Nobody changes rows by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 Django's
        """Nobody deletes rows by hand."""
        return False


class ReadingInline(TabularInline):
    """Rows that belong to another, shown with it."""

    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 Django's
        """Nobody adds rows by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 Django's
        """Nobody changes rows by hand."""
        return False
