"""Pages of a node with very many groups, whose front runners are found without the rest, against plain Python."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import closure
from accounts.models import Account, AccountGroup, AccountMembership, GroupEdge, ResourceGroup, User
from accounts.months import Period, shift
from accounts.policies import viewer_of
from accounts.web_role import as_web
from allocation.exchange.write import LINE_CODES
from allocation.models import Cluster, ContainerTotal, Grain, Service
from allocation.policies import Kind, NodeKey, Question
from allocation.selectors import children, publications
from allocation.selectors.candidates import FEW
from allocation.selectors.child_page import ChildOrder, ChildPage
from tests.factories import hierarchy, people
from tests.factories.publications import Row, ready_run, show, write_rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

FIRST = hierarchy.month("2025-01")
MONTHS = [shift(FIRST, number) for number in range(3)]
GROUPS = FEW + 60
# So many groups are first in each month, others in every month: more than are looked at one after the other.
LEADERS = 160
# Stood elsewhere before the second month.
LATE = range(7, GROUPS, 7)
SCOPE_1 = LINE_CODES.index("scope1")


class Wide(NamedTuple):
    """A group with very many groups below it, and what each of these emitted in the months in which it stood there."""

    parent: AccountGroup
    groups: list[AccountGroup]
    ug: Mapping[str, Mapping[int, int]]

    def ordered(self, order: ChildOrder, known: set[str]) -> list[tuple[str, int]]:
        totals = {name: sum(self.ug[name].values()) if self.ug[name] else -1 for name in known}
        ids = {group.name: group.pk for group in self.groups}
        keys = {
            ChildOrder.EMISSIONS_DESC: lambda name: (-totals[name], ids[name]),
            ChildOrder.EMISSIONS_ASC: lambda name: (totals[name] < 0, totals[name], ids[name]),
            ChildOrder.NAME_ASC: lambda name: (name, ids[name]),
        }
        return [(name, totals[name]) for name in sorted(known, key=keys[order])]


def amounts(rng: random.Random) -> dict[int, dict[int, int]]:
    """By group and month: other leaders in each month, one that leads in none and in all together, ties, nothing."""
    found: dict[int, dict[int, int]] = {number: {} for number in range(GROUPS)}
    for month in range(len(MONTHS)):
        leading = set(rng.sample(range(10, GROUPS), LEADERS))
        for number in range(10, GROUPS):
            if number in leading:
                found[number][month] = 1_000_000 + rng.randrange(50)
            elif number % 11:
                found[number][month] = rng.randrange(2_000)
        found[0][month] = 999_999
        found[1][month] = 0
    return found


@pytest.fixture
def wide(db: None) -> Wide:  # noqa: ARG001 the database is needed
    directory = hierarchy.directory()
    recorded = hierarchy.version(directory)
    parent, other = (hierarchy.bare_group(name, directory) for name in ("wide", "other"))
    made = AccountGroup.objects.bulk_create(
        AccountGroup(directory=directory, external_id=f"w{number}", name=f"g{number:03}") for number in range(GROUPS)
    )
    stays: list[tuple[AccountGroup, AccountGroup | None, date, date | None]] = [
        (parent, None, FIRST, None),
        (other, None, FIRST, None),
    ]
    for number, group in enumerate(made):
        stays += [(group, other, FIRST, MONTHS[1])] if number in LATE else []
        stays.append((group, parent, MONTHS[1] if number in LATE else FIRST, None))
    GroupEdge.objects.bulk_create(
        GroupEdge(directory=directory, group=group, parent=above, valid_from=start, valid_to=end, recorded_by=recorded)
        for group, above, start, end in stays
    )
    closure.rebuild(directory_ids=[directory.pk])
    accounts = Account.objects.bulk_create(
        Account(provider=directory.provider, external_id=f"a{number}") for number in range(GROUPS)
    )
    parts = ResourceGroup.objects.bulk_create(ResourceGroup(account=account, code="default") for account in accounts)
    AccountMembership.objects.bulk_create(
        AccountMembership(account=account, directory=directory, group=group, valid_from=FIRST, recorded_by=recorded)
        for account, group in zip(accounts, made, strict=True)
    )
    told = amounts(random.Random(7))  # noqa: S311 seeded data
    cluster = Cluster.objects.create(provider=directory.provider, code="c")
    service = Service.objects.create(provider=directory.provider, code="s", name="S")
    for index, month in enumerate(MONTHS):
        run = ready_run(directory.provider, month, at=hierarchy.NOW)
        write_rows(
            run,
            [
                Row(cluster.pk, service.pk, accounts[number].pk, parts[number].pk, SCOPE_1, by_month[index], 0)
                for number, by_month in told.items()
                if index in by_month
            ],
        )
        show(run, at=hierarchy.NOW)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    below = {
        group.name: {index: ug for index, ug in told[number].items() if index > 0 or number not in LATE}
        for number, group in enumerate(made)
    }
    return Wide(parent, made, below)


def pages(wide: Wide, user: User, order: ChildOrder, *, limit: int, most: int) -> list[tuple[str, int]]:
    """The first pages of the children as the web role reads them, one after the other."""
    viewer, parent = viewer_of(user, now=hierarchy.NOW), NodeKey(Kind.ACCOUNT_GROUP, wide.parent.pk)
    found: list[tuple[str, int]] = []
    after: tuple[str | int, ...] | None = None
    with as_web(viewer_id=user.pk, now=hierarchy.NOW):
        opening = publications.opening(viewer=viewer)
        question = Question(viewer, opening.published, Period(FIRST, shift(FIRST, 3)), opening.role_kinds)
        for _ in range(most):
            page = ChildPage(limit, order, after=after)
            rows = children.children(question=question, parents=[parent], page=page)[parent]
            found += [(row.node.name, row.total_ug) for row in rows]
            if len(rows) < limit:
                break
            last = rows[-1]
            value = last.node.name if order is ChildOrder.NAME_ASC else last.total_ug
            after = (value, last.kind_rank, last.node.key.id)
    return found


def everybody(wide: Wide) -> set[str]:
    return {group.name for group in wide.groups}


@pytest.mark.parametrize("order", ChildOrder)
def test_all_pages_together_are_all_children_in_order(wide: Wide, order: ChildOrder) -> None:
    viewer = people.person()
    people.give(viewer, wide.parent)
    assert pages(wide, viewer, order, limit=95, most=7) == wide.ordered(order, everybody(wide))


@pytest.mark.parametrize("limit", [1, 2, 11])
def test_the_first_in_all_months_together_is_found_though_it_is_first_in_none(wide: Wide, limit: int) -> None:
    operator = people.operator()
    found = pages(wide, operator, ChildOrder.EMISSIONS_DESC, limit=limit, most=2)
    assert found == wide.ordered(ChildOrder.EMISSIONS_DESC, everybody(wide))[: 2 * limit]
    leading = [max(wide.ug, key=lambda name: wide.ug[name].get(month, -1)) for month in range(3)]
    assert found[0][0] not in leading or limit > 1


@pytest.mark.parametrize("order", ChildOrder)
def test_of_very_many_children_a_viewer_lists_those_of_their_own(wide: Wide, order: ChildOrder) -> None:
    viewer = people.person()
    own = wide.groups[:: GROUPS // 9]
    for group in own:
        people.give(viewer, group)
    known = {group.name for group in own}
    assert pages(wide, viewer, order, limit=4, most=9) == wide.ordered(order, known)
    assert not pages(wide, people.person(), order, limit=4, most=1)


def test_front_runners_are_read_from_the_order_that_is_kept(wide: Wide) -> None:
    """Of groups of a steady order four statements find a page, and none of them reads them all."""
    operator = people.operator()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE allocation_containertotal DISABLE TRIGGER USER")
        cursor.execute(
            "UPDATE allocation_containertotal SET scope1_ug = group_id * publication_id WHERE group_id IS NOT NULL"
        )
        cursor.execute("ALTER TABLE allocation_containertotal ENABLE TRIGGER USER")
    with CaptureQueriesContext(connection) as captured:
        found = pages(wide, operator, ChildOrder.EMISSIONS_DESC, limit=5, most=1)
    assert [name for name, _ in found] == [group.name for group in wide.groups[:-6:-1]]
    leaders = [query["sql"] for query in captured if "leader AS MATERIALIZED" in query["sql"]]
    assert len(leaders) == 1
    assert not any("AS chosen" in query["sql"] for query in captured)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN (GENERIC_PLAN) {leaders[0]}")
        assert any("container_total_by_location" in line for (line,) in cursor.fetchall())


def test_totals_name_the_group_above_in_their_month(wide: Wide) -> None:
    rows = ContainerTotal.objects.filter(grain=Grain.TOTAL, group__in=wide.groups)
    found = {(row.group_id, row.publication.month): row.parent_id for row in rows.select_related("publication")}
    assert len(found) > GROUPS
    other = AccountGroup.objects.get(name="other")
    late = {wide.groups[number].pk for number in LATE}
    for (group_id, month), parent_id in found.items():
        assert parent_id == (other.pk if group_id in late and month == FIRST else wide.parent.pk)
