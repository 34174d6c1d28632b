"""The ledger: integer micrograms at the leaves."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from accounts.models import Account, ResourceGroup
from allocation.models.catalog import Cluster, Service
from allocation.models.runs import AllocationRun


class SpecialAccount(models.IntegerChoices):
    """Accounts of the engine that are never nodes of the hierarchy."""

    NONE = 0, "none"
    UNALLOCATED = 1, "(unallocated)"
    PROVIDER = 2, "(provider)"


class Withheld(models.IntegerChoices):
    """Why a row is proved and kept, but not told to readers (docs/package-format.md, coverage.csv)."""

    BELOW_THRESHOLD = 1, "below threshold"
    NOT_COVERED = 2, "not covered"


class LedgerRow(models.Model):
    """One leaf on one line of one run. The table is partitioned by run.

    `id` is computed, not drawn from a sequence: 20 bits of run, 12 of chunk, 31 of the row's place in its chunk. So it
    is the same whatever the order in which chunks were written, and grows in the order of the export.

    `line` and `quality` are indexes into the engine's `LINES` (energy is `len(LINES)`) and `QUALITIES`. `account` and
    `resource_group` are null for special accounts. `estimated_ppm` is the exact estimated share in 10⁻⁶, rounded half
    to even; `estimated_ug` the estimated micrograms, which can be added up. `withheld` is the same for all rows of an
    account and service: no figure of any reader holds them.
    """

    id = models.BigIntegerField(primary_key=True)
    run = models.ForeignKey(AllocationRun, on_delete=models.DO_NOTHING, related_name="+", db_index=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.DO_NOTHING, related_name="+", db_index=False)
    service = models.ForeignKey(Service, on_delete=models.DO_NOTHING, related_name="+", db_index=False)
    account = models.ForeignKey(Account, on_delete=models.DO_NOTHING, null=True, related_name="+")
    resource_group = models.ForeignKey(
        ResourceGroup, on_delete=models.DO_NOTHING, null=True, related_name="+", db_index=False
    )
    special = models.SmallIntegerField(choices=SpecialAccount, default=SpecialAccount.NONE)
    line = models.SmallIntegerField()
    quality = models.SmallIntegerField()
    ug = models.BigIntegerField()
    estimated_ug = models.BigIntegerField()
    estimated_ppm = models.IntegerField()
    withheld = models.SmallIntegerField(choices=Withheld, null=True)

    class Meta:
        # Partitioned tables are beyond Django's schema editor: migration 0002 writes the SQL.
        managed = False
        db_table = "allocation_ledgerrow"
        ordering: ClassVar = ["run", "id"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(ug__gte=0), name="ledger_ug"),
            models.CheckConstraint(
                condition=Q(estimated_ug__gte=0) & Q(estimated_ug__lte=F("ug")), name="ledger_estimated_ug"
            ),
            models.CheckConstraint(
                condition=Q(estimated_ppm__gte=0, estimated_ppm__lte=1_000_000), name="ledger_estimated_ppm"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}#{self.pk}"
