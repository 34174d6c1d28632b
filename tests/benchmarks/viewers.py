"""B4: the questions of B2, asked with a thousand grants all over the tree, and by a delegated administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.models import Permission
from django.utils import timezone

from accounts.models import Account, AccountGroup, DelegatedAdministrator, NodeKind, NodeRef, Role, User
from accounts.models.grants import NODE_MODELS, USER_GRANTS
from accounts.services.grants import grant_role
from allocation.services.system import system
from tests.benchmarks.client import Client, token_of
from tests.benchmarks.figure import Figure
from tests.benchmarks.question import questions
from tests.benchmarks.stopwatch import repeat, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.enterprise import LargeEnterprise

GRANTS = 1_000


def viewer_figures(url: str, large: LargeEnterprise, times: int) -> Iterator[Figure]:
    """Ask as the enterprise's viewer and as the two others in turn, each question by itself."""
    root = Client(url, token_of(large.viewer, timezone.now()))
    others = {
        f"viewer with {GRANTS:,} grants": Client(url, token_of(scattered(large), timezone.now())),
        "delegated administrator": Client(url, token_of(delegated(large), timezone.now())),
    }
    for question in questions(large):
        say(f"  B4 {question.name} …")
        floor = repeat(lambda query=question.query: root.ask(query), times=times)  # type: ignore[misc] # bound now
        for who, client in others.items():
            taken = repeat(lambda query=question.query, client=client: client.ask(query), times=times)  # type: ignore[misc] # bound now
            note = f"p95 {taken.p95_ms:,.0f} ms; goal ≤ 100; {taken.processor}"
            yield Figure("B4", large.work, f"{question.name}, {who}: p50", taken.p50_ms, "ms", note)
            note = f"{floor.p50_ms:,.0f} ms; goal ≤ 3"
            yield Figure(
                "B4", large.work, "… ratio to the viewer of the enterprise", taken.p50_ms / floor.p50_ms, "×", note
            )


def scattered(large: LargeEnterprise) -> User:
    """A viewer of every so many-th group and account, a thousand in all or as many as there are."""
    user, made = User.objects.get_or_create(username=f"{large.code}-scattered")
    if not made:
        return user
    groups = AccountGroup.objects.filter(directory_id=large.directory_id)
    accounts = Account.objects.filter(provider__code=large.code)
    for kind, nodes in ((NodeKind.ACCOUNT_GROUP, groups), (NodeKind.ACCOUNT, accounts)):
        # The last groups stand lowest: few of the grants stand inside others.
        ids = list(nodes.order_by("-pk").values_list("pk", flat=True))
        chosen = ids[:: max(1, len(ids) // (GRANTS // 2))][: GRANTS // 2]
        permission = Permission.objects.get(
            codename=Role.VIEWER,
            content_type__app_label="accounts",
            content_type__model=NODE_MODELS[kind]._meta.model_name,  # noqa: SLF001 Django's name
        )
        model = USER_GRANTS[kind]
        model._default_manager.bulk_create(  # noqa: SLF001 Django's name
            model(user=user, permission=permission, content_object_id=node_id, granted_at=timezone.now())  # type: ignore[misc] # each of the models has it
            for node_id in chosen
        )
    return user


def delegated(large: LargeEnterprise) -> User:
    """A viewer of an account that is delegated administrator of the whole directory."""
    user = User.objects.create(username=f"{large.code}-delegated")
    account = Account.objects.filter(provider__code=large.code).order_by("pk")[0]
    DelegatedAdministrator.objects.create(
        directory_id=large.directory_id, account=account, registered_at=timezone.now()
    )
    node = NodeRef(NodeKind.ACCOUNT, account.pk)
    grant_role(viewer=system(timezone.now()), node=node, role=Role.ADMINISTRATOR, user_id=user.pk)
    return user
