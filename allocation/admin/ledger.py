"""Ledger rows and totals: one run or publication at a time, so that only one partition is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import Http404
from django.shortcuts import render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html

from accounts.policies import viewer_of
from accounts.services.refusal import NotFound
from allocation.admin.partitioned import PartitionReading, PublicationFilter, RunFilter
from allocation.exchange.write import LINE_CODES, run_of_ledger_id
from allocation.models import AccountTotal, ContainerTotal, LedgerRow, Publication
from allocation.policies import Kind, NodeKey
from allocation.selectors.publications import Pin, Published
from allocation.services.explanation import Question, explain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

    from accounts.policies import Viewer
    from allocation.services.explanation import ExplainedLine


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
        "estimated_ppm", "why",
    ]  # fmt: skip
    list_filter = [RunFilter, LineFilter, "special"]
    search_fields = ["account__external_id"]
    search_help_text = "external id or name of an account"
    list_select_related = ["cluster", "service", "account", "resource_group"]
    exclude = ["line"]
    readonly_fields = ["line_code", "why"]

    @admin.display(description="Line")
    def line_code(self, row: LedgerRow) -> str:
        """The line by its code; the table holds its number."""
        return LINE_CODES[row.line]

    @admin.display(description="Why")
    def why(self, row: LedgerRow) -> str:
        """A link to the steps that lead to the row; what nobody used is nobody's leaf."""
        if row.account_id is None:
            return ""
        return format_html('<a href="{}">steps</a>', reverse("admin:allocation_ledgerrow_explanation", args=[row.pk]))

    def get_urls(self) -> list[URLPattern]:
        """Also the page that explains a row."""
        page = self.admin_site.admin_view(self.explanation)
        return [path("<path:object_id>/why/", page, name="allocation_ledgerrow_explanation"), *super().get_urls()]

    def explanation(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show where a row comes from, or why that is not told.

        Raises:
            Http404: there is no such row, or the person may not see it.
        """
        row = self.get_object(request, object_id)
        if row is None or row.account_id is None or not self.has_view_permission(request, row):
            raise Http404
        context = {**self.admin_site.each_context(request), "title": "Why", "row": row}
        try:
            context["lines"] = _lines(viewer_of(request.user, now=timezone.now()), row)
        except NotFound as refusal:
            context["refusal"] = str(refusal)
        return render(request, "admin/allocation/ledgerrow/explanation.html", context)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> LedgerRow | None:  # noqa: ARG002 Django's
        """Find a row in its partition: the id begins with the run."""
        if not object_id.isdecimal():
            return None
        return LedgerRow.objects.filter(pk=int(object_id), run_id=run_of_ledger_id(int(object_id))).first()


def _lines(viewer: Viewer, row: LedgerRow) -> Sequence[ExplainedLine]:
    """Explain a row by the last publication of its run.

    Raises:
        NotFound: the run was never published, or the figure is not the viewer's.
    """
    shown = Publication.objects.filter(run=row.run_id).order_by("-pk").first()
    if shown is None or row.account_id is None:
        raise NotFound("only what was published is explained", field="run")
    node = NodeKey(Kind.ACCOUNT, row.account_id)
    if row.resource_group_id is not None:
        node = NodeKey(Kind.RESOURCE_GROUP, row.resource_group_id)
    pin = Pin(shown.pk, row.run_id, shown.provider_id, shown.month, shown.tree_version_id)
    question = Question(node, shown.month, row.service.code, row.cluster.code, (LINE_CODES[row.line],))
    found = explain(viewer=viewer, published=Published((pin,)), question=question)
    if not found.full:
        raise NotFound("only operators are shown where a figure comes from", field="row")
    return found.lines


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
