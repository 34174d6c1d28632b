"""Ledger rows and totals: one run or publication at a time, so that only one partition is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin

from allocation.admin.partitioned import PartitionReading, PublicationFilter, RunFilter
from allocation.exchange.write import LINE_CODES, run_of_ledger_id
from allocation.models import AccountTotal, ContainerTotal, LedgerRow

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest


class LineFilter(admin.SimpleListFilter):
    """By line, from the list of lines: asking the table for its values would read it whole."""

    title = "line"
    parameter_name = "line"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ANN401, ARG002 Django's
        """Offer all lines."""
        return [(str(number), code) for number, code in enumerate(LINE_CODES)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 Django's
        """Keep the rows of the chosen line."""
        value = self.value()
        return queryset.filter(line=int(value)) if value and value.isdecimal() else queryset


@admin.register(LedgerRow)
class LedgerRowAdmin(PartitionReading):
    """Leaves of one run."""

    list_display = [
        "id", "cluster", "service", "account", "resource_group", "special", "line_code", "ug", "quality",
        "estimated_ppm",
    ]  # fmt: skip
    list_filter = [RunFilter, LineFilter, "special"]
    search_fields = ["account__external_id"]
    search_help_text = "external id or name of an account"
    list_select_related = ["cluster", "service", "account", "resource_group"]
    exclude = ["line"]
    readonly_fields = ["line_code"]

    @admin.display(description="Line")
    def line_code(self, row: LedgerRow) -> str:
        """The line by its code; the table holds its number."""
        return LINE_CODES[row.line]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> LedgerRow | None:  # noqa: ARG002 Django's
        """Find a row in its partition: the id begins with the run."""
        if not object_id.isdecimal():
            return None
        return LedgerRow.objects.filter(pk=int(object_id), run_id=run_of_ledger_id(int(object_id))).first()


@admin.register(AccountTotal)
class AccountTotalAdmin(PartitionReading):
    """Totals by account of one run."""

    list_display = ["account", "grain", "service", "cluster", "scope1_ug", "scope2_lbm_ug", "scope2_mbm_ug"]
    list_filter = [RunFilter, "grain"]
    search_fields = ["account__external_id"]
    search_help_text = "external id or name of an account"
    list_select_related = ["account", "service", "cluster"]


@admin.register(ContainerTotal)
class ContainerTotalAdmin(PartitionReading):
    """Totals by container of one publication."""

    list_display = [
        "directory", "group", "miscellaneous", "grain", "service", "cluster", "accounts", "scope1_ug", "scope2_lbm_ug",
        "scope2_mbm_ug",
    ]  # fmt: skip
    list_filter = [PublicationFilter, "grain", "miscellaneous"]
    search_fields = ["group__external_id"]
    search_help_text = "external id or name of a group or directory"
    list_select_related = ["directory", "group", "service", "cluster"]

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 Django's
        queryset: QuerySet[Any],
        search_term: str,
    ) -> tuple[QuerySet[Any], bool]:
        """Find the totals of a group or a directory by its external id or its name."""
        term = search_term.strip()
        if not term:
            return queryset, False
        found = queryset.none()
        for node in ("group", "directory"):
            for field in ("external_id", "name"):
                found = found | queryset.filter(**{f"{node}__{field}": term})
        return found, False
