"""B6: how long after a change of structure or permission a query shows it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.utils import timezone

from accounts.models import AccountGroup, NodeKind, NodeRef, Role, User
from accounts.months import format_month, shift
from accounts.policies import viewer_of
from accounts.services.directories import set_multi_account_management
from accounts.services.grants import grant_role
from accounts.services.groups import move_group
from tests.benchmarks.client import Client, token_of
from tests.benchmarks.enterprise import CODE, FIRST_MONTH, group_near, operator_user
from tests.benchmarks.figure import Figure
from tests.benchmarks.stopwatch import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.enterprise import LargeEnterprise

ACCOUNTS_MOVED = 400
PATIENCE_SECONDS = 60


class NotShownError(RuntimeError):
    """No query showed the change in time."""


def change_figures(client: Client, url: str, large: LargeEnterprise) -> Iterator[Figure]:
    """Move a group, grant a role and switch multi-account management, each once, through the services."""
    operator = operator_user()
    yield from _move(client, large, operator)
    yield from _grant(url, large, operator)
    yield from _switch(client, large, operator)


def _shown_after(work: str, change: Callable[[], object], shows: Callable[[], bool]) -> Iterator[Figure]:
    """Make a change, then ask until it is shown."""
    if shows():
        raise NotShownError(f"{work}: was shown before it was done")
    say(f"  {work} …")
    begin = time.perf_counter()
    change()
    changed = time.perf_counter()
    while not shows():
        if time.perf_counter() - begin > PATIENCE_SECONDS:
            raise NotShownError(work)
    shown = time.perf_counter()
    yield Figure("B6", work, "the change itself", (changed - begin) * 1000, "ms")
    yield Figure("B6", work, "until a query shows it", (shown - begin) * 1000, "ms", "goal ≤ 1000")


def _move(client: Client, large: LargeEnterprise, operator: User) -> Iterator[Figure]:
    """From the month after the last published one on, so that nothing published is to be restated."""
    group, account_count = group_near(large.directory_id, ACCOUNTS_MOVED)
    inside = AccountGroup.objects.filter(closure_above__ancestor=group).values("pk")
    goal = AccountGroup.objects.filter(directory=large.directory_id).exclude(pk__in=inside).order_by("-pk")[0]
    month = shift(FIRST_MONTH, len(large.publications))
    period = f'{{from: "{format_month(month)}", until: "{format_month(shift(month, 1))}"}}'
    query = (
        f'{{ hierarchyNode(by: {{kind: ACCOUNT_GROUP, externalId: "{goal.external_id}", provider: "{CODE}",'
        f' within: "{CODE}"}}) {{ children(period: {period}, first: 100) {{ edges {{ node {{ externalId }} }} }} }} }}'
    )

    def shows() -> bool:
        edges = client.ask(query)["hierarchyNode"]["children"]["edges"]
        return any(edge["node"]["externalId"] == group.external_id for edge in edges)

    def change() -> None:
        viewer = viewer_of(operator, now=timezone.now())
        move_group(viewer=viewer, group_id=group.pk, parent_id=goal.pk, month=month, frozen_months=())

    yield from _shown_after(f"move a group with {account_count} accounts", change, shows)


def _grant(url: str, large: LargeEnterprise, operator: User) -> Iterator[Figure]:
    user = User.objects.create(username="bench-newcomer")
    client = Client(url, token_of(user, timezone.now()))
    node = NodeRef(NodeKind.RESOURCE_DIRECTORY, large.directory_id)
    query = f'{{ hierarchyNode(by: {{kind: RESOURCE_DIRECTORY, externalId: "{CODE}", provider: "{CODE}"}}) {{ id }} }}'

    def change() -> None:
        grant_role(viewer=viewer_of(operator, now=timezone.now()), node=node, role=Role.VIEWER, user_id=user.pk)

    yield from _shown_after("grant a role", change, lambda: client.ask(query)["hierarchyNode"] is not None)


def _switch(client: Client, large: LargeEnterprise, operator: User) -> Iterator[Figure]:
    last = shift(FIRST_MONTH, len(large.publications) - 1)
    period = f'{{from: "{format_month(last)}", until: "{format_month(shift(last, 1))}"}}'
    query = (
        f'{{ hierarchyNode(by: {{kind: RESOURCE_DIRECTORY, externalId: "{CODE}", provider: "{CODE}"}})'
        f" {{ emissions(period: {period}) {{ total {{ kgCO2e }} }} }} }}"
    )

    def hidden() -> bool:
        return client.ask(query)["hierarchyNode"]["emissions"]["total"]["kgCO2e"] is None

    def change() -> None:
        viewer = viewer_of(operator, now=timezone.now())
        set_multi_account_management(viewer=viewer, directory_id=large.directory_id, enabled=False)

    yield from _shown_after("switch multi-account management off", change, hidden)
