"""The append-only record of who changed what, and of requests already answered."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models


class AuditEntry(models.Model):
    """One grant, revocation, delegation, switch or move. The database refuses to change or delete it."""

    at = models.DateTimeField()
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    acting_account = models.ForeignKey(
        "accounts.Account", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    action = models.CharField(max_length=64)
    node_kind = models.CharField(max_length=32)
    node_id = models.BigIntegerField()
    details = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["-at", "-id"]
        verbose_name_plural = "audit entries"
        indexes: ClassVar = [models.Index(fields=["node_kind", "node_id", "-at"], name="audit_node")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.action}"


class IdempotencyKey(models.Model):
    """A mutation already carried out for this user under this `clientMutationId`, with what it answered."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    mutation = models.CharField(max_length=64)
    client_mutation_id = models.CharField(max_length=128)
    input_digest = models.CharField(max_length=64)
    result = models.JSONField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "mutation", "client_mutation_id"], name="idempotency_key"),
        ]

    def __str__(self) -> str:
        return f"{self.mutation} {self.client_mutation_id}"
