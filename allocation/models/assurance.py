"""What third parties verified: statements about a method, or about published months."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from accounts.models import Provider
from allocation.models.methodology import MethodologyVersion
from allocation.models.publication import Publication


class AssuranceLevel(models.TextChoices):
    """How sure the verifier is (ISO 14064-3, ISAE 3410)."""

    LIMITED = "limited", "limited"
    REASONABLE = "reasonable", "reasonable"


class VerificationStatement(models.Model):
    """A verifier's statement about a methodology version, or about months as they were published when it was recorded.

    Statements are never changed; one that is wrong is withdrawn with a reason. A restated month leaves behind the
    statements about what was published of it before.
    """

    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="verification_statements")
    verifier = models.CharField(max_length=200, help_text="Who verified.")
    standard = models.CharField(max_length=200, help_text="By which standard, for example ISO 14064-3:2019.")
    level = models.CharField(max_length=12, choices=AssuranceLevel)
    scope = models.TextField(help_text="What was verified, in the verifier's words.")
    period_from = models.DateField(null=True, blank=True, help_text="First month verified; none for a method.")
    period_until = models.DateField(null=True, blank=True, help_text="Month after the last one verified.")
    document_url = models.URLField(max_length=500, help_text="Where the statement can be read.")
    document_sha256 = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the document, in hexadecimal.")
    issued_on = models.DateField()
    methodology_version = models.ForeignKey(
        MethodologyVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="verification_statements"
    )
    publications = models.ManyToManyField(
        Publication, through="VerifiedPublication", related_name="verification_statements"
    )
    recorded_at = models.DateTimeField()
    recorded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_because = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(methodology_version__isnull=False, period_from__isnull=True, period_until__isnull=True)
                | Q(methodology_version__isnull=True, period_from__isnull=False, period_until__gt=F("period_from")),
                name="verification_subject",
            ),
            models.CheckConstraint(
                condition=(Q(period_from__isnull=True) | Q(period_from__day=1))
                & (Q(period_until__isnull=True) | Q(period_until__day=1)),
                name="verification_months",
            ),
            models.CheckConstraint(condition=Q(level__in=AssuranceLevel.values), name="verification_level"),
            models.CheckConstraint(
                condition=Q(withdrawn_at__isnull=True, withdrawn_because="")
                | (Q(withdrawn_at__isnull=False) & ~Q(withdrawn_because="")),
                name="verification_withdrawal",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verifier}, {self.standard} ({self.level})"


class VerifiedPublication(models.Model):
    """A publication that a statement is about."""

    statement = models.ForeignKey(VerificationStatement, on_delete=models.CASCADE, related_name="verified")
    publication = models.ForeignKey(Publication, on_delete=models.PROTECT, related_name="verified")

    class Meta:
        ordering: ClassVar = ["statement", "publication"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["statement", "publication"], name="verified_publication")
        ]

    def __str__(self) -> str:
        return f"{self.statement_id}/{self.publication_id}"
