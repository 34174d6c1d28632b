"""Account groups: creating, renaming, moving and closing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from accounts import closure
from accounts.models import (
    AccountGroup,
    AccountMembership,
    GroupClosure,
    GroupEdge,
    NodeKind,
    NodeRef,
    NodeStatus,
    ResourceDirectory,
)
from accounts.months import END, Period, check_month, merge
from accounts.policies import Action, Viewer
from accounts.services import audit, quotas
from accounts.services.refusal import Invalid, NotFound, Refusal, require, require_known, require_throughout
from accounts.services.timeline import (
    Place,
    Stay,
    changed_months,
    new_version,
    overwrite,
    places_in,
    require_unpublished,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date


class GroupExists(Refusal):
    """Another group of the directory has this external id."""

    code = "GROUP_EXISTS"


class Cycle(Refusal):
    """The group would stand below itself."""

    code = "CYCLE"


class OutsideLifetime(Refusal):
    """The group, or its parent, does not exist in all of these months."""

    code = "OUTSIDE_LIFETIME"


class NotEmpty(Refusal):
    """Something still stands in the group in the month in which it is to be closed, or later."""

    code = "NOT_EMPTY"


def _directory(viewer: Viewer, directory_id: int) -> ResourceDirectory:
    require_known(viewer, NodeRef(NodeKind.RESOURCE_DIRECTORY, directory_id), field="directory")
    directory = ResourceDirectory.objects.filter(id=directory_id).first()
    if directory is None:
        raise NotFound(f"there is no resource directory {directory_id}", field="directory")
    return directory


def known_group(viewer: Viewer, group_id: int, *, field: str = "group") -> AccountGroup:
    """The group; NotFound if it does not exist or the viewer may not know it."""
    require_known(viewer, NodeRef(NodeKind.ACCOUNT_GROUP, group_id), field=field)
    group = AccountGroup.objects.select_related("directory").filter(id=group_id).first()
    if group is None:
        raise NotFound(f"there is no account group {group_id}", field=field)
    return group


def lifetime(group_id: int) -> list[Period]:
    """The months in which the group exists."""
    edges = GroupEdge.objects.filter(group_id=group_id, superseded_by__isnull=True)
    return merge(Period(edge.valid_from, edge.valid_to) for edge in edges)


def require_alive(group_id: int, months: Period, *, field: str) -> None:
    """OutsideLifetime unless the group exists in all of these months."""
    if any(piece.start <= months.start and months.bound <= piece.bound for piece in lifetime(group_id)):
        return
    raise OutsideLifetime(f"account group {group_id} does not exist in all of {months}", field=field)


def require_destination(viewer: Viewer, *, directory_id: int, parent_id: int | None, months: Period) -> None:
    """Refuse unless the viewer administers the new place in all of these months, and it exists in them."""
    if parent_id is None:
        whole = {directory_id: [months]}
        require_throughout(viewer, NodeKind.RESOURCE_DIRECTORY, whole, field="directory")
        return
    parent = known_group(viewer, parent_id, field="parent")
    if parent.directory_id != directory_id:
        raise Invalid("the parent belongs to another directory", field="parent")
    require_throughout(viewer, NodeKind.ACCOUNT_GROUP, {parent_id: [months]}, field="parent")
    require_alive(parent_id, months, field="parent")


def _stays(group_id: int) -> list[Stay]:
    edges = GroupEdge.objects.filter(group_id=group_id, superseded_by__isnull=True).order_by("valid_from")
    return [Stay(Period(edge.valid_from, edge.valid_to), Place(edge.directory_id, edge.parent_id)) for edge in edges]


def _rewrite(viewer: Viewer, group: AccountGroup, stays: list[Stay], *, reason: str) -> None:
    """Record the stays as the group's edges: end the rows that no longer hold, add the new ones."""
    version = new_version(viewer, directory_id=group.directory_id, reason=reason)
    wanted = set(stays)
    rows = GroupEdge.objects.filter(group=group, superseded_by__isnull=True)
    held = {Stay(Period(row.valid_from, row.valid_to), Place(row.directory_id, row.parent_id)): row.pk for row in rows}
    ended = [pk for stay, pk in held.items() if stay not in wanted]
    GroupEdge.objects.filter(pk__in=ended).update(superseded_by=version)
    GroupEdge.objects.bulk_create(
        GroupEdge(
            directory_id=stay.place.directory_id,
            group=group,
            parent_id=stay.place.group_id,
            valid_from=stay.months.start,
            valid_to=stay.months.end,
            recorded_by=version,
        )
        for stay in stays
        if stay not in held
    )
    closure.refresh(directory_id=group.directory_id, group_ids=[group.pk])


@transaction.atomic
def create_group(  # noqa: PLR0913 each argument is a field of the form
    *,
    viewer: Viewer,
    directory_id: int,
    parent_id: int | None,
    external_id: str,
    name: str,
    month: date,
    frozen_months: Collection[date],
) -> AccountGroup:
    """Create a group that exists from this month on, under a group or directly under the directory."""
    closure.lock(directory_ids=[directory_id])
    months = Period(check_month(month))
    place = Place(directory_id, parent_id)
    directory = _directory(viewer, directory_id)
    require_destination(viewer, directory_id=directory_id, parent_id=parent_id, months=months)
    require_unpublished([months], frozen_months)
    if not external_id.strip() or not name.strip():
        raise Invalid("a group needs an external id and a name", field="name" if external_id.strip() else "externalId")
    if AccountGroup.objects.filter(directory=directory, external_id=external_id).exists():
        raise GroupExists(f"{external_id!r} already exists in this directory", field="externalId")
    group = AccountGroup.objects.create(directory=directory, external_id=external_id, name=name)
    _rewrite(viewer, group, [Stay(months, place)], reason="create group")
    quotas.require_room(directory=directory, month=month)
    audit.record(
        viewer=viewer,
        action="create_group",
        node=NodeRef(NodeKind.ACCOUNT_GROUP, group.pk),
        details={"to": place.node.key, "month": str(months), "name": name},
    )
    return group


@transaction.atomic
def rename_group(*, viewer: Viewer, group_id: int, name: str) -> AccountGroup:
    """Give the group another name; its history keeps its identity."""
    require(viewer, Action.ADMINISTER, NodeRef(NodeKind.ACCOUNT_GROUP, group_id), field="group")
    group = AccountGroup.objects.select_for_update().filter(id=group_id).first()
    if group is None:
        raise NotFound(f"there is no account group {group_id}", field="group")
    if not name.strip():
        raise Invalid("a group needs a name", field="name")
    before, group.name = group.name, name
    if before != name:
        group.save(update_fields=["name"])
        audit.record(
            viewer=viewer,
            action="rename_group",
            node=NodeRef(NodeKind.ACCOUNT_GROUP, group_id),
            details={"before": before, "after": name},
        )
    return group


@transaction.atomic
def move_group(  # noqa: PLR0913 each argument is a field of the form
    *,
    viewer: Viewer,
    group_id: int,
    parent_id: int | None,
    month: date,
    frozen_months: Collection[date],
    until: date | None = None,
) -> AccountGroup:
    """From this month on (to `until`, exclusive) the group stands under another parent of its directory.

    The viewer must administer the group and its new parent in all of these months. Moving it to where it already is
    changes nothing.
    """
    months = Period(check_month(month), until)
    group = known_group(viewer, group_id)
    closure.lock(directory_ids=[group.directory_id])
    require_throughout(viewer, NodeKind.ACCOUNT_GROUP, {group_id: [months]}, field="group")
    require_destination(viewer, directory_id=group.directory_id, parent_id=parent_id, months=months)
    require_alive(group_id, months, field="group")
    place = Place(group.directory_id, parent_id)
    before = _stays(group_id)
    changed = changed_months(before, months, place)
    if not changed:
        return group
    require_unpublished(changed, frozen_months)
    if parent_id is not None:
        _require_no_cycle(group_id, parent_id, months)
    _rewrite(viewer, group, overwrite(before, months, place), reason="move group")
    quotas.require_room(directory=group.directory, month=month)
    audit.record(
        viewer=viewer,
        action="move_group",
        node=NodeRef(NodeKind.ACCOUNT_GROUP, group_id),
        details={"from": places_in(before, months), "to": place.node.key, "months": str(months)},
    )
    return group


def _require_no_cycle(group_id: int, parent_id: int, months: Period) -> None:
    """The closure is right under the lock: the new parent must not stand below the group in any of these months."""
    below = GroupClosure.objects.filter(ancestor_id=group_id, descendant_id=parent_id, valid_from__lt=months.bound)
    if any(row.valid_to is None or row.valid_to > months.start for row in below):
        raise Cycle(f"account group {parent_id} stands below {group_id}", field="parent")


@transaction.atomic
def close_group(*, viewer: Viewer, group_id: int, month: date, frozen_months: Collection[date]) -> AccountGroup:
    """From this month on the group does not exist; its name and history stay. It must be empty from then on."""
    months = Period(check_month(month))
    group = known_group(viewer, group_id)
    closure.lock(directory_ids=[group.directory_id])
    require_throughout(viewer, NodeKind.ACCOUNT_GROUP, {group_id: [months]}, field="group")
    before = _stays(group_id)
    if not before or before[0].months.start >= month or before[-1].months.bound < month:
        raise OutsideLifetime("the group does not exist before this month", field="month")
    if group.closed_from == month:
        return group
    require_unpublished(changed_months(before, months, None), frozen_months)
    _require_empty(group_id, month)
    _rewrite(viewer, group, overwrite(before, months, None), reason="close group")
    group.status, group.closed_from = NodeStatus.CLOSED, month
    group.save(update_fields=["status", "closed_from"])
    audit.record(
        viewer=viewer,
        action="close_group",
        node=NodeRef(NodeKind.ACCOUNT_GROUP, group_id),
        details={"months": str(months)},
    )
    return group


def _require_empty(group_id: int, month: date) -> None:
    children = GroupEdge.objects.filter(parent_id=group_id, superseded_by__isnull=True)
    members = AccountMembership.objects.filter(group_id=group_id, superseded_by__isnull=True)
    ends = [*children.values_list("valid_to", flat=True), *members.values_list("valid_to", flat=True)]
    if any((end or END) > month for end in ends):
        raise NotEmpty("move or close what stands in the group first", field="group")
