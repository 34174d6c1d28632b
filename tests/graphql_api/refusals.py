"""One way into every refusal of every mutation: who asks for what, after what was brought about."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from accounts.models import ResourceDirectory
from accounts.policies import viewer_of
from accounts.services.delegations import delegate_administrator
from allocation.models import Cause, Export, ExportSchedule, ExportState
from allocation.services.exports import MAX_OPEN, MAX_SCHEDULES
from allocation.services.publication import lock_month, publish_run
from allocation.services.restatement import reject_restatement, restate_month
from allocation.services.targets import MAX_TARGETS
from graphql_api.scalars import global_id
from tests.allocation.test_restatement import changed, published
from tests.allocation.test_verification import tamper
from tests.factories.hierarchy import month
from tests.factories.months import MONTH, OPERATOR
from tests.factories.months import month as loaded
from tests.graphql_api.ask import signed_in
from tests.graphql_api.test_exports import REQUEST
from tests.graphql_api.test_mutations import CLOSE, CREATE, done
from tests.graphql_api.test_reading import node_id
from tests.graphql_api.test_targets import SET as SET_TARGET

if TYPE_CHECKING:
    from accounts.policies import Viewer
    from allocation.models import AllocationRun, Restatement
    from tests.read_model.world import World

Given = dict[str, Any]
Way = Callable[["World"], tuple[str, Given]]
BOSS = "administrator"
SOON, LATER = "2031-01", "2031-03"
ABSENT = 10**9


def _as(who: str, **given: Any) -> Way:  # noqa: ANN401 an input is JSON
    """Ask with this input; pairs of kind and code stand for the id of a node."""
    return lambda world: (who, {name: _spelled(world, value) for name, value in given.items()})


def _after(prepare: Callable[[World], object], way: Way) -> Way:
    def both(world: World) -> tuple[str, Given]:
        prepare(world)
        return way(world)

    return both


def _spelled(world: World, value: Any) -> Any:  # noqa: ANN401 JSON
    if isinstance(value, list):
        return [_spelled(world, one) for one in value]
    return node_id(world, *value) if isinstance(value, tuple) else value


def _quota(**limits: int) -> Callable[[World], object]:
    return lambda world: ResourceDirectory.objects.filter(pk=world.made["north"].pk).update(**limits)


def _closed_group(world: World) -> None:
    """A group that exists until `SOON` is over."""
    north = node_id(world, "resource_directory", "north")
    made = done(signed_in(world, BOSS), CREATE, parentId=north, externalId="gone", name="Gone", month=SOON)
    done(signed_in(world, BOSS), CLOSE, groupId=made["group"]["id"], month="2031-02")
    world.made["gone"] = world.made["north"].groups.get(external_id="gone")


def _managed(world: World) -> None:
    ResourceDirectory.objects.filter(pk=world.made["north"].pk).update(management_account=world.made["boss"])


def _operator(world: World) -> Viewer:
    return viewer_of(world.made["operator"], now=timezone.now())


GRANT: Given = {"nodeId": ("account", "still"), "role": "VIEWER", "username": "owner"}
DELEGATE: Given = {
    "directoryId": ("resource_directory", "north"),
    "accountId": ("account", "mover"),
    "groupId": ("account_group", "b"),
}
SWITCH: Given = {"directoryId": ("resource_directory", "north"), "enabled": False}
GROUP: Given = {"parentId": ("resource_directory", "north"), "externalId": "new", "name": "New", "month": SOON}
MOVE_GROUP: Given = {"groupId": ("account_group", "a1"), "parentId": ("account_group", "b"), "month": SOON}
MOVE: Given = {"accountIds": [("account", "still")], "parentId": ("account_group", "a"), "month": SOON}
TARGET: Given = {"nodeId": ("account_group", "b"), "name": "Half", "baseYear": 2025, "targetYear": 2030}
TARGET |= {"reductionPercent": 50}


STATEMENT: Given = {
    "provider": "p",
    "period": {"from": "2025-01", "until": "2025-02"},
    "verifier": "Verifier",
    "standard": "ISO 14064-3:2019",
    "level": "LIMITED",
    "scope": "all",
    "documentUrl": "https://verifier.example/1.pdf",
    "issuedOn": "2025-12-01",
}
EXPORT: Given = {"period": {"from": "2025-01", "until": "2025-02"}}
DISMISS: Given = {"nodeId": ("account_group", "b"), "key": "k"}


def _delegation(who: str) -> Way:
    def way(world: World) -> tuple[str, Given]:
        _managed(world)
        made = delegate_administrator(
            viewer=_operator(world),
            directory_id=world.made["north"].pk,
            account_id=world.made["mover"].pk,
            group_id=None,
            ends_at=None,
        )
        return who, {"delegationId": global_id("Delegation", made.pk)}

    return way


def _target(world: World) -> tuple[str, Given]:
    made = done(signed_in(world, BOSS), SET_TARGET, **_as(BOSS, **TARGET)(world)[1])
    return "viewer-b", {"targetId": made["target"]["id"]}


def _many_targets(world: World) -> None:
    for number in range(MAX_TARGETS):
        done(signed_in(world, BOSS), SET_TARGET, **_as(BOSS, **(TARGET | {"name": f"{number}"}))(world)[1])


def _orders(world: World) -> None:
    for _ in range(MAX_OPEN):
        done(signed_in(world, "owner"), REQUEST, **EXPORT)


def _schedules(world: World) -> None:
    ExportSchedule.objects.bulk_create(
        ExportSchedule(owner=world.made["owner"], created_at=timezone.now()) for _ in range(MAX_SCHEDULES)
    )


def _ended_export(world: World) -> tuple[str, Given]:
    made = done(signed_in(world, "owner"), REQUEST, **EXPORT)
    Export.objects.update(state=ExportState.FAILED)
    return "owner", {"exportId": made["export"]["id"]}


def _of_run(bring: Callable[[World], AllocationRun], **given: Any) -> Way:  # noqa: ANN401 an input is JSON
    """An operator asks about a run that is brought about."""
    return lambda world: ("operator", {"runId": global_id("AllocationRun", bring(world).pk)} | given)


def _queued(_world: World) -> AllocationRun:
    return loaded().request()


def _ready(_world: World) -> AllocationRun:
    return loaded().run()


def _second(_world: World) -> AllocationRun:
    june = loaded()
    publish_run(viewer=OPERATOR, run_id=june.run().pk)
    return loaded(june.provider, seed=1).run()


def _second_with_other_options(_world: World) -> AllocationRun:
    june = loaded()
    publish_run(viewer=OPERATOR, run_id=june.run().pk)
    return loaded(june.provider, seed=1, options={"pool_driver": "equal"}).run()


def _second_tampered(world: World) -> AllocationRun:
    run = _second(world)
    tamper(run, "ug = ug - 1, estimated_ug = 0")
    return run


def _second_under_way(_world: World) -> AllocationRun:
    june = loaded()
    publish_run(viewer=OPERATOR, run_id=june.run().pk)
    return loaded(june.provider, seed=1).request()


def _with_other_options(_world: World) -> AllocationRun:
    june = loaded()
    july = loaded(june.provider, when=dt.date(2025, 7, 1), options={"pool_driver": "equal"})
    publish_run(viewer=OPERATOR, run_id=june.run().pk)
    return july.run()


def _tampered(_world: World) -> AllocationRun:
    run = loaded().run()
    tamper(run, "ug = ug - 1, estimated_ug = 0")
    return run


def _locked(_world: World) -> AllocationRun:
    june = loaded()
    run = june.run()
    publish_run(viewer=OPERATOR, run_id=run.pk)
    lock_month(viewer=OPERATOR, provider_id=june.provider.pk, month=MONTH)
    return run


def _under_way(_world: World) -> tuple[str, Given]:
    june = loaded()
    june.request()
    loaded(june.provider, seed=1)
    return "operator", {"provider": june.provider.code, "month": "2025-06"}


def _proposed(world: World, author: str = "operator") -> Restatement:
    """A proposal of this operator that waits, for the month is locked."""
    june = published()
    lock_month(viewer=OPERATOR, provider_id=june.provider.pk, month=MONTH)
    viewer = viewer_of(world.made[author], now=timezone.now())
    run = changed(june, percent=1).run()
    return restate_month(viewer=viewer, run_id=run.pk, cause=Cause.DATA, reason="late data")


def _proposal(**given: Any) -> Way:  # noqa: ANN401 an input is JSON
    def way(world: World) -> tuple[str, Given]:
        return "operator", {"proposalId": global_id("RestatementProposal", _proposed(world).pk)} | given

    return way


def _decided(**given: Any) -> Way:  # noqa: ANN401 an input is JSON
    def way(world: World) -> tuple[str, Given]:
        found = _proposed(world)
        reject_restatement(viewer=_operator(world), restatement_id=found.pk, reason="not yet")
        return "operator", {"proposalId": global_id("RestatementProposal", found.pk)} | given

    return way


def _open(world: World) -> tuple[str, Given]:
    found = _proposed(world)
    return "operator", {"runId": global_id("AllocationRun", found.run_id)} | RESTATE


RESTATE: Given = {"cause": "DATA", "reason": "late data"}
RUN: Given = {"runId": global_id("AllocationRun", ABSENT)}
PROPOSAL: Given = {"proposalId": global_id("RestatementProposal", ABSENT)}

WAYS: dict[str, dict[str, Way]] = {
    "grantRole": {
        "NOT_FOUND": _as("nobody", **GRANT),
        "PERMISSION_DENIED": _as("viewer-b", **GRANT),
        "INVALID": _as(BOSS, **(GRANT | {"username": "unheard of"})),
        "GRANT_EXISTS": _after(
            lambda world: world.grant("nobody", "still"), _as(BOSS, **(GRANT | {"username": "nobody"}))
        ),
    },
    "revokeRole": {
        "NOT_FOUND": _as("nobody", **GRANT),
        "PERMISSION_DENIED": _as("viewer-b", **GRANT),
        "INVALID": _as(BOSS, **(GRANT | {"username": None})),
        "GRANT_NOT_FOUND": _as(BOSS, **GRANT),
    },
    "delegateAdministrator": {
        "NOT_FOUND": _as("nobody", **DELEGATE),
        "PERMISSION_DENIED": _after(_managed, _as("northerner", **DELEGATE)),
        "INVALID": _after(_managed, _as(BOSS, **DELEGATE, endsAt="2020-01-01T00:00:00Z")),
        "NOT_A_MEMBER": _after(_managed, _as("operator", **(DELEGATE | {"accountId": ("account", "alone")}))),
        "UNSUITABLE_ACCOUNT": _after(_managed, _as(BOSS, **(DELEGATE | {"accountId": ("account", "boss")}))),
        "ALREADY_DELEGATED": _after(
            _delegation(BOSS), _as(BOSS, directoryId=DELEGATE["directoryId"], accountId=DELEGATE["accountId"])
        ),
        "QUOTA_EXCEEDED": _after(_managed, _after(_quota(max_delegated_administrators=0), _as(BOSS, **DELEGATE))),
    },
    "revokeDelegation": {
        "NOT_FOUND": _delegation("nobody"),
        "PERMISSION_DENIED": _delegation("northerner"),
    },
    "setMultiAccountManagement": {
        "NOT_FOUND": _as("nobody", **SWITCH),
        "PERMISSION_DENIED": _after(_managed, _as("northerner", **SWITCH)),
    },
    "createAccountGroup": {
        "NOT_FOUND": _as("nobody", **GROUP),
        "PERMISSION_DENIED": _as("northerner", **GROUP),
        "INVALID": _as(BOSS, **(GROUP | {"name": " "})),
        "GROUP_EXISTS": _as(BOSS, **(GROUP | {"externalId": "a"})),
        "OUTSIDE_LIFETIME": _after(
            _closed_group, _as(BOSS, **(GROUP | {"parentId": ("account_group", "gone"), "month": LATER}))
        ),
        "MONTH_PUBLISHED": _as(BOSS, **(GROUP | {"month": "2025-04"})),
        "QUOTA_EXCEEDED": _after(_quota(max_groups=1), _as(BOSS, **GROUP)),
    },
    "renameAccountGroup": {
        "NOT_FOUND": _as("nobody", groupId=("account_group", "a"), name="A"),
        "PERMISSION_DENIED": _as("viewer-a", groupId=("account_group", "a"), name="A"),
        "INVALID": _as(BOSS, groupId=("account_group", "a"), name=" "),
    },
    "closeAccountGroup": {
        "NOT_FOUND": _as("nobody", groupId=("account_group", "a"), month=SOON),
        "PERMISSION_DENIED": _as("viewer-a", groupId=("account_group", "a"), month=SOON),
        "NOT_EMPTY": _as(BOSS, groupId=("account_group", "a"), month=SOON),
        "OUTSIDE_LIFETIME": _after(_closed_group, _as(BOSS, groupId=("account_group", "gone"), month="2030-12")),
        "MONTH_PUBLISHED": _after(
            lambda world: world.group("empty", directory="north"),
            _as(BOSS, groupId=("account_group", "empty"), month="2025-04"),
        ),
    },
    "moveAccountGroup": {
        "NOT_FOUND": _as("nobody", **MOVE_GROUP),
        "PERMISSION_DENIED": _as("northerner", **MOVE_GROUP),
        "INVALID": _as(BOSS, **MOVE_GROUP, until=SOON),
        "CYCLE": _as(BOSS, **(MOVE_GROUP | {"groupId": ("account_group", "a"), "parentId": ("account_group", "a1")})),
        "OUTSIDE_LIFETIME": _after(
            _closed_group, _as(BOSS, **(MOVE_GROUP | {"parentId": ("account_group", "gone"), "month": LATER}))
        ),
        "MONTH_PUBLISHED": _as(BOSS, **(MOVE_GROUP | {"month": "2025-04"})),
        "QUOTA_EXCEEDED": _after(_quota(max_depth=1), _as(BOSS, **MOVE_GROUP)),
    },
    "moveAccounts": {
        "NOT_FOUND": _as("nobody", **MOVE),
        "PERMISSION_DENIED": _as("northerner", **MOVE),
        "INVALID": _as(BOSS, **MOVE, until=SOON),
        "OTHER_PROVIDER": _as("operator", **(MOVE | {"accountIds": [("account", "southern")]})),
        "CLOSED": _after(
            lambda world: world.account("shut", provider="p", closed_from=month("2030-01"), status="closed"),
            _as("operator", **(MOVE | {"accountIds": [("account", "shut")]})),
        ),
        "BOUND_TO_DIRECTORY": _after(
            _managed,
            _after(
                lambda world: world.directory("second", provider="p", enterprise="acme"),
                _as(
                    "operator",
                    **(MOVE | {"accountIds": [("account", "boss")], "parentId": ("resource_directory", "second")}),
                ),
            ),
        ),
        "OUTSIDE_LIFETIME": _after(
            _closed_group, _as(BOSS, **(MOVE | {"parentId": ("account_group", "gone"), "month": LATER}))
        ),
        "MONTH_PUBLISHED": _as(BOSS, **(MOVE | {"month": "2025-04"})),
        "QUOTA_EXCEEDED": _after(
            _quota(max_accounts=1), _as("operator", **(MOVE | {"accountIds": [("account", "alone")]}))
        ),
    },
    "requestAllocation": {
        "PERMISSION_DENIED": _as("owner", provider="p", month="2025-04"),
        "NO_PACKAGE": _as("operator", provider="p", month=SOON),
        "RUN_IN_PROGRESS": _under_way,
    },
    "publishRun": {
        "PERMISSION_DENIED": _as("owner", **RUN),
        "NOT_FOUND": _as("operator", **RUN),
        "RUN_NOT_READY": _of_run(_queued),
        "ALREADY_PUBLISHED": _of_run(_second),
        "VERSION_CONFLICT": _of_run(_with_other_options),
        "PROOF_FAILED": _of_run(_tampered),
    },
    "cancelRun": {
        "PERMISSION_DENIED": _as("owner", **RUN),
        "NOT_FOUND": _as("operator", **RUN),
        "RUN_NOT_RUNNING": _of_run(_ready),
    },
    "withdrawRun": {
        "PERMISSION_DENIED": _as("owner", **RUN, reason="wrong"),
        "NOT_FOUND": _as("operator", **RUN, reason="wrong"),
        "INVALID": _of_run(_ready, reason=" "),
        "RUN_NOT_READY": _of_run(_queued, reason="wrong"),
        "MONTH_LOCKED": _of_run(_locked, reason="wrong"),
    },
    "lockMonth": {
        "PERMISSION_DENIED": _as("owner", provider="p", month="2025-04"),
        "NOT_FOUND": _as("operator", provider="x", month="2025-04"),
        "NOT_PUBLISHED": _as("operator", provider="p", month=SOON),
    },
    "restateMonth": {
        "PERMISSION_DENIED": _as("owner", **RUN, **RESTATE),
        "NOT_FOUND": _as("operator", **RUN, **RESTATE),
        "INVALID": _as("operator", **RUN, cause="DATA", reason=" "),
        "NOT_PUBLISHED": _of_run(_ready, **RESTATE),
        "RUN_NOT_READY": _of_run(_second_under_way, **RESTATE),
        "RESTATEMENT_OPEN": _open,
        "VERSION_CONFLICT": _of_run(_second_with_other_options, **RESTATE),
        "PROOF_FAILED": _of_run(_second_tampered, **RESTATE),
    },
    "approveRestatement": {
        "PERMISSION_DENIED": _proposal(),
        "NOT_FOUND": _as("operator", **PROPOSAL),
        "RESTATEMENT_DECIDED": _decided(),
    },
    "rejectRestatement": {
        "PERMISSION_DENIED": _as("owner", **PROPOSAL, reason="no"),
        "NOT_FOUND": _as("operator", **PROPOSAL, reason="no"),
        "INVALID": _proposal(reason=" "),
        "RESTATEMENT_DECIDED": _decided(reason="no"),
    },
    "recordVerificationStatement": {
        "PERMISSION_DENIED": _as("owner", **STATEMENT),
        "NOT_FOUND": _as("operator", **(STATEMENT | {"provider": "x"})),
        "INVALID": _as("operator", **(STATEMENT | {"verifier": " "})),
    },
    "requestExport": {
        "NOT_FOUND": _as("nobody", **EXPORT, nodeId=("account_group", "b")),
        "NOTHING_TO_EXPORT": _as("owner", period={"from": SOON, "until": LATER}),
        "QUOTA_EXCEEDED": _after(_orders, _as("owner", **EXPORT)),
    },
    "scheduleExport": {
        "NOT_FOUND": _as("nobody", nodeId=("account_group", "b")),
        "INVALID": _as("owner", **{"from": "2999-01"}),
        "QUOTA_EXCEEDED": _after(_schedules, _as("owner")),
    },
    "cancelExport": {
        "NOT_FOUND": _as("owner", exportId=global_id("Export", ABSENT)),
        "EXPORT_ENDED": _ended_export,
    },
    "setTarget": {
        "NOT_FOUND": _as("nobody", **TARGET),
        "PERMISSION_DENIED": _as("viewer-b", **TARGET),
        "INVALID": _as(BOSS, **(TARGET | {"targetYear": 2025})),
        "QUOTA_EXCEEDED": _after(_many_targets, _as(BOSS, **TARGET)),
    },
    "endTarget": {
        "NOT_FOUND": _as(BOSS, targetId=global_id("Target", ABSENT)),
        "PERMISSION_DENIED": _target,
    },
    "dismissRecommendation": {
        "NOT_FOUND": _as("nobody", **DISMISS),
        "INVALID": _as("owner", **(DISMISS | {"key": ""})),
    },
}
"""For each mutation one way into each of its codes, besides IDEMPOTENCY_KEY_REUSED, which all of them have."""
