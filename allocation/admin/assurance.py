"""Verification statements: recorded by a form, shown, withdrawn with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpResponseRedirect
from django.utils import timezone

from accounts.models import Provider
from accounts.months import Period
from accounts.policies import viewer_of
from accounts.services.refusal import Refusal
from allocation.admin.asking import ReasonForm, ask, reason_of
from allocation.admin.reading import Reading, ReadingInline
from allocation.models import AssuranceLevel, MethodologyVersion, VerificationStatement, VerifiedPublication
from allocation.services.assurance import Statement, verify_method, verify_months, withdraw_statement

if TYPE_CHECKING:
    import datetime as dt

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

    from accounts.policies import Viewer


class StatementForm(forms.ModelForm):  # type: ignore[type-arg] # generic for the type checker only
    """A statement about a version of a method, or about a provider's published months."""

    document_url = forms.URLField(assume_scheme="https", max_length=500)

    class Meta:
        model = VerificationStatement
        fields = (
            "provider", "methodology_version", "period_from", "period_until", "verifier", "standard", "level", "scope",
            "document_url", "document_sha256", "issued_on",
        )  # fmt: skip
        labels = {"period_until": "Period until (the month after the last)"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 Django's
        super().__init__(*args, **kwargs)
        self.fields["provider"].queryset = Provider.objects.order_by("code")  # type: ignore[attr-defined] # a choice of rows
        self.fields["methodology_version"].queryset = MethodologyVersion.objects.filter(bound_at__isnull=False)  # type: ignore[attr-defined] # a choice of rows

    def clean(self) -> dict[str, Any]:
        """Ask for either a version or a whole number of months."""
        given = super().clean() or {}
        start, until = given.get("period_from"), given.get("period_until")
        if (given.get("methodology_version") is None) == (start is None or until is None):
            raise forms.ValidationError("Name a methodology version, or the first month and the month after the last.")
        if start is not None and until is not None and not _are_months(start, until):
            raise forms.ValidationError("Months are written as their first days, and the period is not empty.")
        return given


def _are_months(start: dt.date, until: dt.date) -> bool:
    return start.day == until.day == 1 and start < until


class VerifiedInline(ReadingInline):
    """The publications that a statement is about."""

    model = VerifiedPublication


@admin.register(VerificationStatement)
class VerificationStatementAdmin(Reading):
    """Statements of third parties; shown to customers with the figures."""

    list_display = [
        "__str__", "provider", "methodology_version", "period_from", "period_until", "issued_on", "withdrawn_at",
    ]  # fmt: skip
    list_filter = ["provider", "level"]
    search_fields = ["verifier", "standard", "scope"]
    list_select_related = ["provider", "methodology_version"]
    inlines = [VerifiedInline]
    form = StatementForm
    actions = ["withdraw"]
    action_form = ReasonForm

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Operators record statements."""
        return viewer_of(request.user, now=timezone.now()).is_operator

    def save_model(self, request: HttpRequest, obj: VerificationStatement, form: Any, change: bool) -> None:  # noqa: ANN401, ARG002, FBT001 Django's
        """Record the statement through the service."""
        given = form.cleaned_data
        viewer = viewer_of(request.user, now=timezone.now())
        statement = Statement(
            level=AssuranceLevel(given["level"]),
            **{
                name: given[name]
                for name in ("verifier", "standard", "scope", "document_url", "document_sha256", "issued_on")
            },
        )
        version = given["methodology_version"]
        if version is not None:
            made = verify_method(viewer=viewer, methodology_version_id=version.pk, statement=statement)
        else:
            period = Period(given["period_from"], given["period_until"])
            made = verify_months(
                viewer=viewer, provider_code=given["provider"].code, period=period, statement=statement
            )
        obj.pk = made.pk

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: ANN401, FBT001 Django's
        """Leave the publications to the service."""

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:  # noqa: ANN401 Django's
        """Show what the service refuses beside the form."""
        try:
            return super().add_view(request, form_url, extra_context)
        except Refusal as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    @admin.action(description="Withdraw (with a reason)", permissions=["view"])
    def withdraw(self, request: HttpRequest, rows: QuerySet[VerificationStatement]) -> None:
        """Stop showing the chosen statements."""

        def withdraw_one(viewer: Viewer, row: VerificationStatement) -> str:
            made = withdraw_statement(viewer=viewer, statement_id=row.pk, reason=reason_of(request))
            return f"{made} is withdrawn"

        ask(self, request, rows, withdraw_one)


@admin.register(VerifiedPublication)
class VerifiedPublicationAdmin(Reading):
    """Publications and the statements about them."""

    list_display = ["statement", "publication"]
    search_fields = ["statement__verifier", "=publication__id"]
    list_select_related = ["statement", "publication__provider"]
