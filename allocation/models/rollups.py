"""The read model: totals by account and by container, written with a run or a publication, never changed afterwards.

GraphQL reads these and never sums the ledger of a large node. Rows are wide: one column per emission line, so that a
total by scope or method is a sum of columns. `NULL` means that the line does not exist there, `0` that it does.

Four grains stand side by side in each table: total (`service` and `cluster` null), by service, by cluster, by both.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from accounts.models import Account, AccountGroup, ResourceDirectory
from allocation.models.catalog import Cluster, Service
from allocation.models.publication import Publication
from allocation.models.runs import AllocationRun


class Grain(models.IntegerChoices):
    """Which dimensions a roll-up row keeps."""

    TOTAL = 0, "total"
    SERVICE = 1, "by service"
    CLUSTER = 2, "by cluster"
    SERVICE_CLUSTER = 3, "by service and cluster"


def amount() -> models.DecimalField[int | None, int | None]:
    """Return a column of whole micrograms CO2e (watt-hours for energy) without a 64-bit bound."""
    return models.DecimalField(max_digits=38, decimal_places=0, null=True)


class LineAmounts(models.Model):
    """Micrograms by line, then the estimated part of each; facility energy in watt-hours.

    What is withheld is in none of them: `below_threshold` and `not_covered` count such amounts of an account, service
    and cluster; null = none.
    """

    scope1_ug = amount()
    scope2_lbm_ug = amount()
    scope2_mbm_ug = amount()
    scope2_heat_lbm_ug = amount()
    scope2_heat_mbm_ug = amount()
    scope3_fera_lbm_ug = amount()
    scope3_fera_mbm_ug = amount()
    scope3_leased_lbm_ug = amount()
    scope3_leased_mbm_ug = amount()
    scope3_embodied_ug = amount()
    scope3_other_ug = amount()
    energy_wh = amount()
    scope1_estimated_ug = amount()
    scope2_lbm_estimated_ug = amount()
    scope2_mbm_estimated_ug = amount()
    scope2_heat_lbm_estimated_ug = amount()
    scope2_heat_mbm_estimated_ug = amount()
    scope3_fera_lbm_estimated_ug = amount()
    scope3_fera_mbm_estimated_ug = amount()
    scope3_leased_lbm_estimated_ug = amount()
    scope3_leased_mbm_estimated_ug = amount()
    scope3_embodied_estimated_ug = amount()
    scope3_other_estimated_ug = amount()
    energy_estimated_wh = amount()
    below_threshold = models.BigIntegerField(null=True)
    not_covered = models.BigIntegerField(null=True)

    class Meta:
        abstract = True


class AccountTotal(LineAmounts):
    """Totals of one account in one run; partitioned by run."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(AllocationRun, on_delete=models.DO_NOTHING, related_name="+", db_index=False)
    account = models.ForeignKey(Account, on_delete=models.DO_NOTHING, related_name="+", db_index=False)
    grain = models.SmallIntegerField(choices=Grain)
    service = models.ForeignKey(Service, on_delete=models.DO_NOTHING, null=True, related_name="+", db_index=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.DO_NOTHING, null=True, related_name="+", db_index=False)

    class Meta:
        managed = False
        db_table = "allocation_accounttotal"
        ordering: ClassVar = ["run", "account", "grain"]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.account_id}"


class ContainerTotal(LineAmounts):
    """Totals of one container in one publication, everything below it included.

    A container is a group (`group` set), a directory (`group` null, not `miscellaneous`), or the accounts that stand
    directly under a directory (`miscellaneous`). `accounts` counts the accounts with ledger rows below it. `parent` is
    the group directly above a group in the month: children are kept in the order of their totals (migration 0018).
    """

    id = models.BigAutoField(primary_key=True)
    publication = models.ForeignKey(Publication, on_delete=models.DO_NOTHING, related_name="+", db_index=False)
    directory = models.ForeignKey(ResourceDirectory, on_delete=models.DO_NOTHING, related_name="+", db_index=False)
    group = models.ForeignKey(AccountGroup, on_delete=models.DO_NOTHING, null=True, related_name="+", db_index=False)
    parent = models.ForeignKey(AccountGroup, on_delete=models.DO_NOTHING, null=True, related_name="+", db_index=False)
    miscellaneous = models.BooleanField(default=False)
    grain = models.SmallIntegerField(choices=Grain)
    service = models.ForeignKey(Service, on_delete=models.DO_NOTHING, null=True, related_name="+", db_index=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.DO_NOTHING, null=True, related_name="+", db_index=False)
    accounts = models.IntegerField()

    class Meta:
        managed = False
        db_table = "allocation_containertotal"
        ordering: ClassVar = ["publication", "directory", "group", "grain"]

    def __str__(self) -> str:
        return f"{self.publication_id}/{self.directory_id}/{self.group_id}"
