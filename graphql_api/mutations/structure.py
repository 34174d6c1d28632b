"""Mutations of the tree: groups and where accounts stand. Months that are published stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import strawberry

from accounts.services import groups
from allocation.policies import Kind, NodeKey
from allocation.selectors.nodes import Node
from allocation.services import structure
from graphql_api.context import Context
from graphql_api.errors import bad_input
from graphql_api.mutations.access import SCOPE, node_key
from graphql_api.mutations.inputs import MutationInput
from graphql_api.mutations.outcome import (
    MutationRefusal,
    NotFound,
    QuotaExceeded,
    Refused,
    ValidationFailed,
    carried_out,
    read_after,
)
from graphql_api.scalars import Month
from graphql_api.types.nodes import Account, AccountGroup, node_type

Info = strawberry.Info[Context, None]
MAX_MOVED = 500
_PARENT = "Global id of the group or directory to stand under."


@strawberry.input(description="Creates a group.")
class CreateAccountGroupInput(MutationInput):
    """Which group, where, from when."""

    parent_id: strawberry.ID = strawberry.field(description=_PARENT)
    external_id: str = strawberry.field(description="Its id, unique in the directory.")
    name: str = strawberry.field(description="Its name.")
    month: Month = strawberry.field(description="First month in which it exists.")


@strawberry.input(description="Renames a group.")
class RenameAccountGroupInput(MutationInput):
    """Which group, how."""

    group_id: strawberry.ID = strawberry.field(description="Global id of the group.")
    name: str = strawberry.field(description="Its new name.")


@strawberry.input(description="Closes an empty group.")
class CloseAccountGroupInput(MutationInput):
    """Which group, from when."""

    group_id: strawberry.ID = strawberry.field(description="Global id of the group.")
    month: Month = strawberry.field(description="First month in which it no longer exists.")


@strawberry.input(description="Moves a group with everything below it.")
class MoveAccountGroupInput(MutationInput):
    """Which group, where to, when."""

    group_id: strawberry.ID = strawberry.field(description="Global id of the group.")
    parent_id: strawberry.ID = strawberry.field(description=_PARENT)
    month: Month = strawberry.field(description="First month in which it stands there.")
    until: Month | None = strawberry.field(
        default=None, description="Month from which it stands where it stood before, exclusive; null = for good."
    )


@strawberry.input(description="Moves accounts.")
class MoveAccountsInput(MutationInput):
    """Which accounts, where to, when."""

    account_ids: list[strawberry.ID] = strawberry.field(description="Global ids of 1 to 500 accounts.")
    parent_id: strawberry.ID = strawberry.field(description=_PARENT)
    month: Month = strawberry.field(description="First month in which they stand there.")
    until: Month | None = strawberry.field(
        default=None, description="Month from which they stand where they stood before, exclusive; null = for good."
    )


@strawberry.type(description="The group as it is now.")
class AccountGroupPayload:
    """The result."""

    group: AccountGroup = strawberry.field(description="The group.")


@strawberry.type(description="The accounts were moved.")
class MoveAccountsPayload:
    """The result."""

    accounts: list[Account] = strawberry.field(description="The accounts, in the order of the input.")


AccountGroupResult = Annotated[
    AccountGroupPayload | Refused | ValidationFailed | QuotaExceeded,
    strawberry.union("AccountGroupResult", description="The group, or why it is as it was."),
]
MoveAccountsResult = Annotated[
    MoveAccountsPayload | Refused | ValidationFailed | QuotaExceeded,
    strawberry.union("MoveAccountsResult", description="The accounts, or why they stand where they stood."),
]


@strawberry.type
class StructureMutation:
    """Mutations."""

    @strawberry.mutation(description="Creates a group that exists from a month on.")
    async def create_account_group(
        self,
        info: Info,
        input: Annotated[CreateAccountGroupInput, strawberry.argument(description="What to do.")],
    ) -> AccountGroupResult:
        """Create."""
        parent = await _parent(info, input.parent_id)
        if isinstance(parent, MutationRefusal):
            return parent  # type: ignore[return-value] # one of the union
        directory_id, group_id = parent

        def act() -> dict[str, Any]:
            made = structure.create_group(
                viewer=info.context.viewer,
                directory_id=directory_id,
                parent_id=group_id,
                external_id=input.external_id,
                name=input.name,
                month=input.month,
            )
            return {"id": made.pk}

        return await _group_after(info, input, act)

    @strawberry.mutation(description="Renames a group; its history keeps its identity.")
    async def rename_account_group(
        self,
        info: Info,
        input: Annotated[RenameAccountGroupInput, strawberry.argument(description="What to do.")],
    ) -> AccountGroupResult:
        """Rename."""
        key = node_key(input.group_id, "groupId", Kind.ACCOUNT_GROUP)

        def act() -> dict[str, Any]:
            return {"id": groups.rename_group(viewer=info.context.viewer, group_id=key.id, name=input.name).pk}

        return await _group_after(info, input, act)

    @strawberry.mutation(description="Closes a group from a month on; it must be empty then.")
    async def close_account_group(
        self,
        info: Info,
        input: Annotated[CloseAccountGroupInput, strawberry.argument(description="What to do.")],
    ) -> AccountGroupResult:
        """Close."""
        key = node_key(input.group_id, "groupId", Kind.ACCOUNT_GROUP)

        def act() -> dict[str, Any]:
            found = structure.close_group(viewer=info.context.viewer, group_id=key.id, month=input.month)
            return {"id": found.pk}

        return await _group_after(info, input, act)

    @strawberry.mutation(description="Moves a group with everything below it, from a month on.")
    async def move_account_group(
        self,
        info: Info,
        input: Annotated[MoveAccountGroupInput, strawberry.argument(description="What to do.")],
    ) -> AccountGroupResult:
        """Move a group."""
        key = node_key(input.group_id, "groupId", Kind.ACCOUNT_GROUP)
        parent = await _parent(info, input.parent_id)
        if isinstance(parent, MutationRefusal):
            return parent  # type: ignore[return-value] # one of the union
        group_id = parent[1]

        def act() -> dict[str, Any]:
            found = structure.move_group(
                viewer=info.context.viewer,
                group_id=key.id,
                parent_id=group_id,
                month=input.month,
                until=input.until,
            )
            return {"id": found.pk}

        return await _group_after(info, input, act)

    @strawberry.mutation(description="Moves accounts to a group or directly under a directory, from a month on.")
    async def move_accounts(
        self,
        info: Info,
        input: Annotated[MoveAccountsInput, strawberry.argument(description="What to do.")],
    ) -> MoveAccountsResult:
        """Move accounts."""
        if not 1 <= len(input.account_ids) <= MAX_MOVED or len(set(input.account_ids)) < len(input.account_ids):
            raise bad_input(f"accountIds takes 1 to {MAX_MOVED} ids, each once.", field="accountIds", limit=MAX_MOVED)
        keys = [node_key(one, "accountIds", Kind.ACCOUNT) for one in input.account_ids]
        parent = await _parent(info, input.parent_id)
        if isinstance(parent, MutationRefusal):
            return parent  # type: ignore[return-value] # one of the union
        directory_id, group_id = parent

        def act() -> dict[str, Any]:
            structure.move_accounts(
                viewer=info.context.viewer,
                account_ids=[key.id for key in keys],
                directory_id=directory_id,
                group_id=group_id,
                month=input.month,
                until=input.until,
            )
            return {}

        done = await carried_out(info, scope=SCOPE, given=input, act=act)
        if isinstance(done, MutationRefusal):
            return done  # type: ignore[return-value] # one of the union
        rows = await info.context.loaders.node_by_key.load_many(keys)
        return MoveAccountsPayload(accounts=[node_type(row) for row in rows if row is not None])  # type: ignore[misc] # accounts


async def _parent(info: Info, text: str) -> tuple[int, int | None] | MutationRefusal:
    """The directory and group that a parent names; NotFound if it is hidden or absent."""
    key = node_key(text, "parentId")
    if key.kind not in {Kind.RESOURCE_DIRECTORY, Kind.ACCOUNT_GROUP}:
        raise bad_input("parentId is not the id of a group or a directory.", field="parentId")
    row = await info.context.loaders.node_by_key.load(key)
    if row is None:
        return NotFound(message="there is no such group or directory", code="NOT_FOUND", field="parentId")
    if key.kind is Kind.RESOURCE_DIRECTORY:
        return key.id, None
    return int(row.directory_id or 0), key.id


async def _group_after(info: Info, given: object, act: Callable[[], dict[str, Any]]) -> AccountGroupResult:
    async def read(group_id: int) -> Node | None:
        return await info.context.loaders.node_by_key.load(NodeKey(Kind.ACCOUNT_GROUP, group_id))

    row = await read_after(info, scope=SCOPE, given=given, act=act, read=read, gone="the group is no longer visible")
    return row if isinstance(row, MutationRefusal) else AccountGroupPayload(group=node_type(row))  # type: ignore[return-value, arg-type] # one of the union; a group
