"""Recording what third parties verified."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Final

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import Provider
from accounts.services.refusal import Invalid, NotFound, Refusal, require_operator
from allocation.models import (
    AssuranceLevel,
    MethodologyVersion,
    PublishedMonth,
    VerificationStatement,
    VerifiedPublication,
)

if TYPE_CHECKING:
    import datetime as dt

    from accounts.months import Period
    from accounts.policies import Viewer

_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)


class StatementWithdrawn(Refusal):
    """The statement was withdrawn already."""

    code = "STATEMENT_WITHDRAWN"


@dataclasses.dataclass(frozen=True, slots=True)
class Statement:
    """What a verifier stated. `document_sha256` may be empty: then nobody can prove which text was meant."""

    verifier: str
    standard: str
    level: AssuranceLevel
    scope: str
    document_url: str
    issued_on: dt.date
    document_sha256: str = ""


def verify_months(*, viewer: Viewer, provider_code: str, period: Period, statement: Statement) -> VerificationStatement:
    """Attach a statement to a provider's months as they are published now.

    Raises:
        PermissionDenied: the viewer is not an operator.
        NotFound: there is no such provider.
        Invalid: something is missing or malformed, the period is open, or a month of it is not published.
    """
    require_operator(viewer)
    provider = Provider.objects.filter(code=provider_code).first()
    if provider is None:
        raise NotFound(f"there is no provider {provider_code}", field="provider")
    if period.end is None:
        raise Invalid("a verified period has an end", field="period")
    with transaction.atomic():
        pointers = PublishedMonth.objects.select_for_update(of=("self",)).filter(
            provider=provider, month__gte=period.start, month__lt=period.end
        )
        found = {pointer.month: pointer.publication_id for pointer in pointers}
        missing = [f"{month:%Y-%m}" for month in period.months() if month not in found]
        if missing:
            raise Invalid(f"not published: {', '.join(missing)}", field="period")
        made = _record(viewer, provider, statement, period_from=period.start, period_until=period.end)
        VerifiedPublication.objects.bulk_create(
            VerifiedPublication(statement=made, publication_id=publication_id) for publication_id in found.values()
        )
        return made


def verify_method(*, viewer: Viewer, methodology_version_id: int, statement: Statement) -> VerificationStatement:
    """Attach a statement to a methodology version.

    Raises:
        PermissionDenied: the viewer is not an operator.
        NotFound: there is no such version that a month was published with.
        Invalid: something is missing or malformed.
    """
    require_operator(viewer)
    version = MethodologyVersion.objects.filter(pk=methodology_version_id, bound_at__isnull=False).first()
    if version is None:
        raise NotFound("no month was published with such a version", field="methodology_version")
    return _record(viewer, version.provider, statement, methodology_version=version)


def withdraw_statement(*, viewer: Viewer, statement_id: int, reason: str) -> VerificationStatement:
    """Stop showing a statement with the figures; it stays on record.

    Raises:
        PermissionDenied: the viewer is not an operator.
        NotFound: there is no such statement.
        Invalid: there is no reason.
        StatementWithdrawn: it was withdrawn before.
    """
    require_operator(viewer)
    if not reason.strip():
        raise Invalid("a withdrawal needs a reason", field="reason")
    with transaction.atomic():
        statement = VerificationStatement.objects.select_for_update().filter(pk=statement_id).first()
        if statement is None:
            raise NotFound(f"there is no statement {statement_id}", field="statement")
        if statement.withdrawn_at is not None:
            raise StatementWithdrawn(f"{statement} was withdrawn at {statement.withdrawn_at}")
        statement.withdrawn_at, statement.withdrawn_because = viewer.now, reason
        statement.save(update_fields=["withdrawn_at", "withdrawn_because"])
        return statement


def _record(viewer: Viewer, provider: Provider, statement: Statement, **subject: object) -> VerificationStatement:
    for name in ("verifier", "standard", "scope", "document_url"):
        if not getattr(statement, name).strip():
            raise Invalid(f"a statement needs its {name}", field=name)
    if statement.document_sha256 and not _SHA256.match(statement.document_sha256):
        raise Invalid("SHA-256 has 64 hexadecimal digits in lower case", field="document_sha256")
    if statement.issued_on > viewer.now.date():
        raise Invalid("a statement is not issued in the future", field="issued_on")
    made = VerificationStatement(
        provider=provider,
        **dataclasses.asdict(statement),
        recorded_at=viewer.now,
        recorded_by_id=viewer.user_id,
        **subject,
    )
    try:
        made.clean_fields()
    except ValidationError as error:
        name, messages = next(iter(error.message_dict.items()))
        raise Invalid(messages[0], field=name) from error
    made.save()
    return made
