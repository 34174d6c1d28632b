"""Cloud providers and the enterprises that buy from them."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import RegexValidator
from django.db import models


class NodeStatus(models.TextChoices):
    """Whether a node is in use. Closed nodes keep their name and their history."""

    ACTIVE = "active", "active"
    CLOSED = "closed", "closed"


class Provider(models.Model):
    """A provider of data-centre services; its months are its own reporting labels in its own time zone."""

    code = models.CharField(max_length=64, unique=True, validators=[RegexValidator(r"^[a-z0-9][a-z0-9_-]*\Z")])
    name = models.CharField(max_length=200, blank=True)
    time_zone = models.CharField(max_length=64, help_text="IANA zone in which the reporting month begins and ends.")
    release_lag_months = models.PositiveSmallIntegerField(
        default=2, help_text="Whole months between the end of a month and its scheduled publication."
    )
    release_day = models.PositiveSmallIntegerField(
        default=15, help_text="Day of that month on which ready runs are published."
    )

    class Meta:
        ordering: ClassVar = ["code"]
        permissions: ClassVar = [("operate", "Load, allocate, publish and restate; see every node")]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(release_day__gte=1, release_day__lte=28), name="provider_release_day"
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.code


class EnterpriseParent(models.Model):
    """A company: owns one directory or more, at one provider or several."""

    external_id = models.CharField(max_length=128, unique=True)
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=8, choices=NodeStatus, default=NodeStatus.ACTIVE)

    class Meta:
        ordering: ClassVar = ["name", "id"]
        permissions: ClassVar = [("viewer", "See emissions"), ("administrator", "Administer")]

    def __str__(self) -> str:
        return self.name
