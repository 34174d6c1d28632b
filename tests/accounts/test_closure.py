"""The closure equals a recursive walk of the edges in every month."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import closure
from accounts.models import AccountGroup, GroupClosure, GroupEdge, ResourceDirectory
from accounts.months import BEGINNING, Period, shift
from tests.factories import hierarchy as make
from tests.factories.worlds import thrown_away

if TYPE_CHECKING:
    from datetime import date

pytestmark = pytest.mark.django_db

START = make.month("2025-01")
WINDOW = [BEGINNING, *(shift(START, number) for number in range(-1, 30)), make.month("2090-01")]

# For each group its stays: (index of the parent or None, months until the next stay, gap before it). A parent always
# has a smaller index in a month's order, which rotates by month, so that parents and children swap over time.
STAYS = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(0, 7)), st.integers(1, 5), st.integers(0, 2)), min_size=1, max_size=4
)
TREES = st.lists(STAYS, min_size=1, max_size=8)


def _write(tree: list[list[tuple[int | None, int, int]]], inside: ResourceDirectory) -> list[AccountGroup]:
    """Groups with the drawn stays, leaving out every edge that would close a cycle in one of its months."""
    groups = [make.bare_group(f"g{number}", inside) for number in range(len(tree))]
    taken: dict[date, dict[int, int | None]] = {month: {} for month in WINDOW}
    for number, stays in enumerate(tree):
        start = START
        for drawn, length, gap in stays:
            months = Period(shift(start, gap), shift(start, gap + length))
            parent = None if drawn is None or drawn >= len(tree) else drawn
            if any(_reaches(taken[month], parent, number) for month in WINDOW if month in months):
                parent = None
            for month in WINDOW:
                if month in months:
                    taken[month][number] = parent
            end = months.end.strftime("%Y-%m") if months.end else None
            make.edge(groups[number], None if parent is None else groups[parent], f"{months.start:%Y-%m}", end)
            start = months.bound
    return groups


def _reaches(parents: dict[int, int | None], node: int | None, target: int) -> bool:
    while node is not None:
        if node == target:
            return True
        node = parents.get(node)
    return False


def _walked(month: date) -> set[tuple[int, int, int]]:
    """(ancestor, descendant, depth) in a month, by walking up from every group that exists."""
    edges = {
        edge.group_id: edge.parent_id
        for edge in GroupEdge.objects.filter(superseded_by=None)
        if month in Period(edge.valid_from, edge.valid_to)
    }
    pairs = set()
    for node in edges:
        above: int | None = node
        depth = 0
        while above is not None:
            pairs.add((above, node, depth))
            above = edges.get(above)
            depth += 1
    return pairs


def _stored(month: date) -> set[tuple[int, int, int]]:
    rows = [row for row in GroupClosure.objects.all() if month in Period(row.valid_from, row.valid_to)]
    pairs = {(row.ancestor_id, row.descendant_id, row.depth) for row in rows}
    assert len(pairs) == len(rows), "a pair stands twice in one month"
    return pairs


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES)
def test_the_closure_equals_a_walk_in_every_month(tree: list[list[tuple[int | None, int, int]]]) -> None:
    with thrown_away():
        inside = make.directory()
        _write(tree, inside)
        closure.rebuild(directory_ids=[inside.pk])
        for month in WINDOW:
            assert _stored(month) == _walked(month)
        assert closure.verify(directory_ids=[inside.pk]) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES, moved=st.integers(0, 7))
def test_refreshing_a_subtree_equals_rebuilding(tree: list[list[tuple[int | None, int, int]]], moved: int) -> None:
    with thrown_away():
        inside = make.directory()
        groups = _write(tree, inside)
        closure.rebuild(directory_ids=[inside.pk])
        group = groups[moved % len(groups)]
        later = make.version(inside)
        ended = GroupEdge.objects.filter(group=group, superseded_by=None).order_by("valid_from").first()
        assert ended is not None
        GroupEdge.objects.filter(pk=ended.pk).update(superseded_by=later)
        make.edge(group, None, f"{ended.valid_from:%Y-%m}", f"{ended.valid_to:%Y-%m}" if ended.valid_to else None)
        closure.refresh(directory_id=inside.pk, group_ids=[group.pk])
        assert closure.verify(directory_ids=[inside.pk]) == []


def test_going_and_coming_back_keeps_three_intervals() -> None:
    root = make.directory()
    a, b = make.group("a", root), make.group("b", root)
    child = make.group("child", root, [(a, "2025-01", "2025-03"), (b, "2025-03", "2025-06"), (a, "2025-06", None)])
    rows = GroupClosure.objects.filter(descendant=child, depth=1).values_list("ancestor_id", "valid_from", "valid_to")
    assert sorted(rows, key=lambda row: row[1]) == [
        (a.pk, make.month("2025-01"), make.month("2025-03")),
        (b.pk, make.month("2025-03"), make.month("2025-06")),
        (a.pk, make.month("2025-06"), None),
    ]


def test_directories_are_rebuilt_apart() -> None:
    first, second = make.directory(), make.directory()
    make.group("a", first)
    kept = make.group("b", second)
    GroupClosure.objects.filter(directory=second).update(valid_to=make.month("2025-02"))
    closure.rebuild(directory_ids=[first.pk])
    faults = closure.verify(directory_ids=[first.pk, second.pk])
    assert [(fault.problem, fault.descendant_id) for fault in faults] == [("missing", kept.pk), ("surplus", kept.pk)]


def test_check_closure_finds_and_repairs(capsys: pytest.CaptureFixture[str]) -> None:
    root = make.directory()
    parent = make.group("parent", root)
    make.group("child", root, [(parent, "2025-01", None)])
    call_command("check_closure")
    GroupClosure.objects.filter(depth=1).delete()
    with pytest.raises(CommandError, match="run with --repair"):
        call_command("check_closure")
    assert '"problem": "missing"' in capsys.readouterr().out
    call_command("check_closure", "--repair")
    assert closure.verify(directory_ids=[root.pk]) == []
    with pytest.raises(CommandError, match="no such directory"):
        call_command("check_closure", "--directory", "999999")
