"""How the admin reads partitioned tables: one partition at a time, as its rows lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList

from accounts.models import Account
from allocation.admin.reading import BoundedPaginator, Reading
from allocation.models import PROVED, AllocationRun, Package, Publication

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet
    from django.http import HttpRequest

_OFFERED = 50


class NewestPartition(admin.SimpleListFilter):
    """A choice of one partition; the newest unless another is chosen."""

    def keys(self) -> QuerySet[Any]:
        """Return what can be chosen, newest first."""
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ANN401, ARG002 Django's
        """Offer the newest ones; any other can be named in the address."""
        return [(str(row.pk), str(row)) for row in self.keys().order_by("-pk")[:_OFFERED]]

    def has_output(self) -> bool:
        """Show the filter even with one choice."""
        return True

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Without a choice of all of them, and with the newest marked until another is chosen."""
        for index, (value, title) in enumerate(self.lookup_choices):
            yield {
                "selected": self.value() == str(value) or (not self.value() and index == 0),
                "query_string": changelist.get_query_string({str(self.parameter_name): value}),
                "display": title,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 Django's
        """Keep the rows of the chosen partition."""
        value = self.value()
        key = int(value) if value and value.isdecimal() else self.keys().order_by("-pk").values_list("pk").first()
        if isinstance(key, tuple):
            key = key[0]
        return queryset.none() if key is None else queryset.filter(**{str(self.parameter_name): key})


class RunFilter(NewestPartition):
    """By run."""

    title = "run"
    parameter_name = "run_id"

    def keys(self) -> QuerySet[Any]:
        """Return the runs that have a ledger."""
        return AllocationRun.objects.filter(state__in=PROVED).select_related("provider")


class PublicationFilter(NewestPartition):
    """By publication."""

    title = "publication"
    parameter_name = "publication_id"

    def keys(self) -> QuerySet[Any]:
        """Return all publications."""
        return Publication.objects.select_related("provider")


class PackageFilter(NewestPartition):
    """By package."""

    title = "package"
    parameter_name = "package_id"

    def keys(self) -> QuerySet[Any]:
        """Return all packages."""
        return Package.objects.select_related("provider")


class Unsorted(ChangeList):
    """Rows as they lie: a partition was written in order, and sorting it would read it whole."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:  # noqa: ARG002 Django's
        """No order."""
        return []


class UnsortedPaginator(BoundedPaginator):
    """Pages of rows as they lie."""

    def _check_object_list_is_ordered(self) -> None:
        """Do not warn: rows of an attached partition neither move nor change."""


class PartitionReading(Reading):
    """Rows of partitioned tables."""

    paginator = UnsortedPaginator

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ANN401, ARG002 Django's
        """Do not sort."""
        return Unsorted

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 Django's
        queryset: QuerySet[Any],
        search_term: str,
    ) -> tuple[QuerySet[Any], bool]:
        """Find the rows of an account by its external id or its name, through the index on accounts."""
        term = search_term.strip()
        if not term:
            return queryset, False
        found = Account.objects.filter(external_id=term) | Account.objects.filter(name=term)
        return queryset.filter(account_id__in=list(found.values_list("pk", flat=True)[:1000])), False
