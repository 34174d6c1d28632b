"""Trees drawn at random: groups that moved, accounts that moved, directly under a directory, or nowhere."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from dataclasses import dataclass, field

from accounts import closure
from accounts.models import (
    Account,
    AccountGroup,
    AccountMembership,
    EnterpriseParent,
    GroupEdge,
    Provider,
    ResourceDirectory,
    TreeVersion,
)
from tests.factories.months import NOW

_numbers = itertools.count(1)
# Boundaries of dated edges, around the month that is asked for.
_FROM = (dt.date(2025, 1, 1), dt.date(2025, 6, 1), dt.date(2025, 7, 1))


@dataclass
class Tree:
    """Directories of one provider, and who stands where in a month, kept beside the database to compare with."""

    directories: list[ResourceDirectory] = field(default_factory=list)
    parent_of: dict[int, int | None] = field(default_factory=dict)
    place_of: dict[int, tuple[int, int | None]] = field(default_factory=dict)

    def holds(self, account_id: int) -> tuple[int | None, set[int]]:
        """Return the account's directory in the month, and every group above it."""
        directory_id, group_id = self.place_of.get(account_id, (None, None))
        above: set[int] = set()
        while group_id is not None:
            above.add(group_id)
            group_id = self.parent_of[group_id]
        return directory_id, above


def tree(owner: Provider, accounts: list[Account], *, month: dt.date, seed: int) -> Tree:
    """Draw directories, groups of any depth and memberships, and write them with their closure."""
    draw = random.Random(seed)  # noqa: S311 no secret, a reproducible draw
    result = Tree()
    for _ in range(2):
        number = next(_numbers)
        enterprise = EnterpriseParent.objects.create(external_id=f"e{number}", name=f"e{number}")
        directory = ResourceDirectory.objects.create(
            provider=owner, enterprise=enterprise, external_id=f"d{number}", name=f"d{number}"
        )
        result.directories.append(directory)
        version = TreeVersion.objects.create(directory=directory, recorded_at=NOW)
        _groups(result, directory, version, draw, month)
    for account in accounts:
        _membership(result, account, draw, month)
    closure.rebuild(directory_ids=[d.pk for d in result.directories])
    return result


def _intervals(draw: random.Random) -> list[tuple[dt.date, dt.date | None]]:
    starts = sorted(draw.sample(_FROM, draw.randint(1, len(_FROM))))
    return list(zip(starts, [*starts[1:], None], strict=True))


def _covers(start: dt.date, end: dt.date | None, month: dt.date) -> bool:
    return start <= month and (end is None or month < end)


def _groups(
    result: Tree, directory: ResourceDirectory, version: TreeVersion, draw: random.Random, month: dt.date
) -> None:
    groups: list[AccountGroup] = []
    for i in range(draw.randint(0, 6)):
        group = AccountGroup.objects.create(directory=directory, external_id=f"g{i}", name=f"g{i}")
        starts = sorted({_FROM[0], *draw.sample(_FROM, draw.randint(0, 2))})
        for start, end in zip(starts, [*starts[1:], None], strict=True):
            # Only older groups can be parents: no cycle in any month.
            parent = draw.choice([None, *groups])
            GroupEdge.objects.create(
                directory=directory, group=group, parent=parent, valid_from=start, valid_to=end, recorded_by=version
            )
            if _covers(start, end, month):
                result.parent_of[group.pk] = parent.pk if parent else None
        groups.append(group)


def _membership(result: Tree, account: Account, draw: random.Random, month: dt.date) -> None:
    for start, end in _intervals(draw):
        directory = draw.choice(result.directories)
        group = draw.choice([None, *directory.groups.order_by("pk")])
        version = TreeVersion.objects.create(directory=directory, recorded_at=NOW)
        AccountMembership.objects.create(
            account=account, directory=directory, group=group, valid_from=start, valid_to=end, recorded_by=version
        )
        if _covers(start, end, month):
            result.place_of[account.pk] = (directory.pk, group.pk if group else None)
