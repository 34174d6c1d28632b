"""The tree: groups, dated edges, dated memberships, and the closure derived from them.

Time is twofold. *Valid time* is whole months, half-open: `valid_from` inclusive, `valid_to` exclusive (`None` = open),
both the first day of a month. *Recorded time* is a `TreeVersion` number: a change never alters an edge, it ends the row
(`superseded_by`) and writes new ones, so that the tree of any earlier publication can still be read. Rows with
`superseded_by IS NULL` are the tree as known now; only these are constrained and only these make the closure.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import BigIntegerRangeField, DateRangeField, RangeOperators
from django.db import models
from django.db.models import F, Func, Q, Value

from accounts.models.account import Account
from accounts.models.directory import ResourceDirectory
from accounts.models.enterprise import NodeStatus

CURRENT = Q(superseded_by__isnull=True)


class MonthRange(Func):
    """`daterange(valid_from, valid_to, '[)')` in SQL."""

    function = "DATERANGE"
    output_field = DateRangeField()

    def __init__(self) -> None:
        super().__init__("valid_from", "valid_to", Value("[)"))


class OnlyId(Func):
    """`int8range(id, id, '[]')` in SQL, for exclusion constraints.

    With the id itself the planner would take their GiST index to find rows by it, which a b-tree does far faster.
    """

    function = "INT8RANGE"
    output_field = BigIntegerRangeField()

    def __init__(self, name: str) -> None:
        super().__init__(name, name, Value("[]"))


def _whole_months(name: str) -> models.CheckConstraint:
    return models.CheckConstraint(
        condition=Q(valid_from__day=1)
        & (Q(valid_to__isnull=True) | (Q(valid_to__day=1) & Q(valid_to__gt=F("valid_from")))),
        name=name,
    )


class TreeVersion(models.Model):
    """One recorded change of structure: who, when, why. Numbers grow over all directories."""

    directory = models.ForeignKey(ResourceDirectory, on_delete=models.PROTECT, null=True, blank=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True)
    recorded_at = models.DateTimeField()
    reason = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"tree version {self.pk}"


class AccountGroup(models.Model):
    """A folder, organizational unit or account group of one directory."""

    directory = models.ForeignKey(ResourceDirectory, on_delete=models.PROTECT, related_name="groups")
    external_id = models.CharField(max_length=128)
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=8, choices=NodeStatus, default=NodeStatus.ACTIVE)
    closed_from = models.DateField(null=True, blank=True, help_text="First month in which the group is closed.")

    class Meta:
        ordering: ClassVar = ["name", "id"]
        permissions: ClassVar = [("viewer", "See emissions"), ("administrator", "Administer")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["directory", "external_id"], name="group_external_id"),
            # Target of the composite foreign keys that keep edges and memberships inside one directory.
            models.UniqueConstraint(fields=["id", "directory"], name="group_of_directory"),
            models.CheckConstraint(
                condition=Q(closed_from__isnull=True) | Q(closed_from__day=1), name="group_closed_month"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class GroupEdge(models.Model):
    """From `valid_from` to `valid_to` the group stands under `parent`, or directly under its directory if `None`."""

    directory = models.ForeignKey(ResourceDirectory, on_delete=models.PROTECT, related_name="+")
    group = models.ForeignKey(AccountGroup, on_delete=models.PROTECT, related_name="edges")
    parent = models.ForeignKey(
        AccountGroup, on_delete=models.PROTECT, null=True, blank=True, related_name="child_edges"
    )
    valid_from = models.DateField()
    valid_to = models.DateField(null=True, blank=True)
    recorded_by = models.ForeignKey(TreeVersion, on_delete=models.PROTECT, related_name="+")
    superseded_by = models.ForeignKey(TreeVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        ordering: ClassVar = ["group_id", "valid_from"]
        constraints: ClassVar = [
            ExclusionConstraint(
                name="group_edge_one_parent",
                expressions=[(OnlyId("group"), RangeOperators.OVERLAPS), (MonthRange(), RangeOperators.OVERLAPS)],
                condition=CURRENT,
            ),
            models.CheckConstraint(
                condition=Q(parent__isnull=True) | ~Q(parent=F("group")), name="group_edge_not_itself"
            ),
            _whole_months("group_edge_months"),
        ]
        indexes: ClassVar = [models.Index(fields=["parent", "valid_from"], name="group_edge_parent")]

    def __str__(self) -> str:
        return f"{self.group_id} under {self.parent_id} from {self.valid_from:%Y-%m}"


class GroupClosure(models.Model):
    """Every (ancestor, descendant) pair of groups with the months in which it holds; depth 0 is the group itself.

    Derived from the current edges by `accounts.closure` alone. A pair has several rows where the depth or the months
    differ; their months never overlap.
    """

    directory = models.ForeignKey(ResourceDirectory, on_delete=models.CASCADE, related_name="+")
    ancestor = models.ForeignKey(AccountGroup, on_delete=models.CASCADE, related_name="closure_below")
    descendant = models.ForeignKey(AccountGroup, on_delete=models.CASCADE, related_name="closure_above")
    depth = models.PositiveIntegerField()
    valid_from = models.DateField()
    valid_to = models.DateField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["ancestor_id", "depth", "descendant_id", "valid_from"]
        constraints: ClassVar = [
            # Not an exclusion constraint: the planner would take its GiST index for walks that a b-tree does many
            # times faster. That months never overlap follows from the edges, which do have one; `verify` checks it.
            models.UniqueConstraint(fields=["ancestor", "descendant", "valid_from"], name="closure_path_begins_once"),
            # A cycle would make a group its own ancestor at a depth above zero.
            models.CheckConstraint(condition=Q(depth=0) | ~Q(ancestor=F("descendant")), name="closure_no_cycle"),
            _whole_months("closure_months"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["descendant", "ancestor", "valid_from"], name="closure_up"),
        ]

    def __str__(self) -> str:
        return f"{self.descendant_id} below {self.ancestor_id} by {self.depth}"


class AccountMembership(models.Model):
    """From `valid_from` to `valid_to` the account belongs to the directory, in `group` or directly if `None`."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="memberships")
    # Directory and group begin indexes below. One of each by itself seems cheaper to the planner than those who find
    # the few rows that are meant, and reads all.
    directory = models.ForeignKey(
        ResourceDirectory, on_delete=models.PROTECT, related_name="memberships", db_index=False
    )
    group = models.ForeignKey(
        AccountGroup, on_delete=models.PROTECT, null=True, blank=True, related_name="memberships", db_index=False
    )
    valid_from = models.DateField()
    valid_to = models.DateField(null=True, blank=True)
    recorded_by = models.ForeignKey(TreeVersion, on_delete=models.PROTECT, related_name="+")
    superseded_by = models.ForeignKey(TreeVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        ordering: ClassVar = ["account_id", "valid_from"]
        constraints: ClassVar = [
            ExclusionConstraint(
                name="membership_one_place",
                expressions=[(OnlyId("account"), RangeOperators.OVERLAPS), (MonthRange(), RangeOperators.OVERLAPS)],
                condition=CURRENT,
            ),
            _whole_months("membership_months"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["group", "account"], name="membership_group"),
            # Where an account is known to stand now, without a visit to the table.
            models.Index(
                fields=["account", "valid_from"],
                include=["directory", "group", "valid_to"],
                condition=CURRENT,
                name="membership_current",
            ),
            models.Index(fields=["directory", "account"], name="membership_directory"),
            # The few that joined or left: where an account stands today says nothing else of them.
            models.Index(fields=["directory", "valid_from"], condition=CURRENT, name="membership_began"),
            models.Index(
                fields=["directory", "valid_to"],
                condition=CURRENT & models.Q(valid_to__isnull=False),
                name="membership_ended",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} in {self.group_id or self.directory_id} from {self.valid_from:%Y-%m}"
