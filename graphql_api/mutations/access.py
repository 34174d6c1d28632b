"""Mutations of grants, delegation and the switch."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

import strawberry

from accounts.policies import Role
from accounts.selectors.people import user_group_id_of, user_id_of
from accounts.services import delegations, directories, grants
from accounts.services.refusal import Invalid
from allocation.policies import Kind, NodeKey
from graphql_api.context import Context
from graphql_api.errors import bad_input
from graphql_api.mutations.inputs import MutationInput, checked_id
from graphql_api.mutations.outcome import MutationRefusal, QuotaExceeded, Refused, ValidationFailed, carried_out
from graphql_api.scalars import global_id
from graphql_api.types.enums import described
from graphql_api.types.nodes import Account, HierarchyNode, ResourceDirectory, key_of, node_type

Info = strawberry.Info[Context, None]
SCOPE = "hierarchy:admin"
NOBODY = 0

described(
    Role,
    name="Role",
    description="Roles that can be granted on a node.",
    values={
        "VIEWER": "See emissions and export them.",
        "ADMINISTRATOR": "The same, and manage groups, moves, grants and delegation on and below the node.",
    },
)


@strawberry.input(description="Gives a user or a user group a role on a node.")
class GrantRoleInput(MutationInput):
    """Who gets which role where, until when."""

    node_id: strawberry.ID = strawberry.field(description="Global id of the node.")
    role: Role = strawberry.field(description="The role.")
    username: str | None = strawberry.field(default=None, description="The user; or give `userGroup`.")
    user_group: str | None = strawberry.field(default=None, description="The user group; or give `username`.")
    ends_at: datetime | None = strawberry.field(
        default=None, description="The instant from which it no longer counts; null = until it is revoked."
    )


@strawberry.type(description="The role was granted.")
class GrantRolePayload:
    """The result."""

    node: HierarchyNode = strawberry.field(description="The node.")
    role: Role = strawberry.field(description="The role.")
    ends_at: datetime | None = strawberry.field(description="The instant from which it no longer counts.")


GrantRoleResult = Annotated[
    GrantRolePayload | Refused | ValidationFailed,
    strawberry.union("GrantRoleResult", description="The grant, or why there is none."),
]


@strawberry.input(description="Takes a role back.")
class RevokeRoleInput(MutationInput):
    """Who loses which role where."""

    node_id: strawberry.ID = strawberry.field(description="Global id of the node.")
    role: Role = strawberry.field(description="The role.")
    username: str | None = strawberry.field(default=None, description="The user; or give `userGroup`.")
    user_group: str | None = strawberry.field(default=None, description="The user group; or give `username`.")


@strawberry.type(description="The role was taken back; it counts no longer from the next query on.")
class RevokeRolePayload:
    """The result."""

    node_id: strawberry.ID = strawberry.field(description="Global id of the node, which may be hidden now.")


RevokeRoleResult = Annotated[
    RevokeRolePayload | Refused | ValidationFailed,
    strawberry.union("RevokeRoleResult", description="The end of the grant, or why it stands."),
]


@strawberry.input(description="Makes an account a delegated administrator of a directory or a subtree of it.")
class DelegateAdministratorInput(MutationInput):
    """Which account, for what, until when."""

    directory_id: strawberry.ID = strawberry.field(description="Global id of the directory.")
    account_id: strawberry.ID = strawberry.field(description="Global id of the account, a member of the directory.")
    group_id: strawberry.ID | None = strawberry.field(
        default=None, description="Global id of the group on top of the subtree; null = the whole directory."
    )
    ends_at: datetime | None = strawberry.field(
        default=None, description="The instant from which it no longer counts; null = until it is revoked."
    )


@strawberry.type(description="The account was registered.")
class DelegateAdministratorPayload:
    """The result."""

    delegation_id: strawberry.ID = strawberry.field(description="Global id of the delegation, to revoke it by.")
    directory: ResourceDirectory = strawberry.field(description="The directory.")
    account: Account = strawberry.field(description="The account.")


DelegateAdministratorResult = Annotated[
    DelegateAdministratorPayload | Refused | ValidationFailed | QuotaExceeded,
    strawberry.union("DelegateAdministratorResult", description="The delegation, or why there is none."),
]


@strawberry.input(description="Ends a delegation.")
class RevokeDelegationInput(MutationInput):
    """Which one."""

    delegation_id: strawberry.ID = strawberry.field(description="Global id of the delegation.")


@strawberry.type(description="The delegation has ended.")
class RevokeDelegationPayload:
    """The result."""

    delegation_id: strawberry.ID = strawberry.field(description="Global id of the delegation.")


RevokeDelegationResult = Annotated[
    RevokeDelegationPayload | Refused,
    strawberry.union("RevokeDelegationResult", description="The end of the delegation, or why it stands."),
]


@strawberry.input(description="Switches multi-account management of a directory.")
class SetMultiAccountManagementInput(MutationInput):
    """Which directory, on or off."""

    directory_id: strawberry.ID = strawberry.field(description="Global id of the directory.")
    enabled: bool = strawberry.field(
        description="Off: only roles on accounts and resource groups show numbers, for all months, at once."
    )


@strawberry.type(description="The switch stands as asked.")
class SetMultiAccountManagementPayload:
    """The result."""

    directory: ResourceDirectory = strawberry.field(description="The directory.")


SetMultiAccountManagementResult = Annotated[
    SetMultiAccountManagementPayload | Refused,
    strawberry.union("SetMultiAccountManagementResult", description="The directory, or why it is as it was."),
]


@strawberry.type
class AccessMutation:
    """Mutations."""

    @strawberry.mutation(description="Gives a user or a user group a role on a node; granting again changes the end.")
    async def grant_role(
        self, info: Info, input: Annotated[GrantRoleInput, strawberry.argument(description="What to do.")]
    ) -> GrantRoleResult:
        """Grant."""
        key = node_key(input.node_id, "nodeId")

        def act() -> dict[str, Any]:
            grants.grant_role(
                viewer=info.context.viewer, node=key.ref, role=input.role, **_grantee(input), ends_at=input.ends_at
            )
            return {}

        done = await carried_out(info, scope=SCOPE, given=input, act=act)
        if isinstance(done, MutationRefusal):
            return _about_grantee(done, input)  # type: ignore[return-value] # one of the union
        return GrantRolePayload(node=await _node(info, key), role=input.role, ends_at=input.ends_at)

    @strawberry.mutation(description="Takes a role back: it counts no longer from the next query on.")
    async def revoke_role(
        self, info: Info, input: Annotated[RevokeRoleInput, strawberry.argument(description="What to do.")]
    ) -> RevokeRoleResult:
        """Revoke."""
        key = node_key(input.node_id, "nodeId")

        def act() -> dict[str, Any]:
            grants.revoke_role(viewer=info.context.viewer, node=key.ref, role=input.role, **_grantee(input))
            return {}

        done = await carried_out(info, scope=SCOPE, given=input, act=act)
        if isinstance(done, MutationRefusal):
            return _about_grantee(done, input)  # type: ignore[return-value] # one of the union
        return RevokeRolePayload(node_id=input.node_id)

    @strawberry.mutation(
        description="Makes an account a delegated administrator: users with a role on it see the directory or subtree."
    )
    async def delegate_administrator(
        self, info: Info, input: Annotated[DelegateAdministratorInput, strawberry.argument(description="What to do.")]
    ) -> DelegateAdministratorResult:
        """Delegate."""
        directory = node_key(input.directory_id, "directoryId", Kind.RESOURCE_DIRECTORY)
        account = node_key(input.account_id, "accountId", Kind.ACCOUNT)
        group = None if input.group_id is None else node_key(input.group_id, "groupId", Kind.ACCOUNT_GROUP)

        def act() -> dict[str, Any]:
            made = delegations.delegate_administrator(
                viewer=info.context.viewer,
                directory_id=directory.id,
                account_id=account.id,
                group_id=None if group is None else group.id,
                ends_at=input.ends_at,
            )
            return {"id": made.pk}

        done = await carried_out(info, scope=SCOPE, given=input, act=act)
        if isinstance(done, MutationRefusal):
            return done  # type: ignore[return-value] # one of the union
        return DelegateAdministratorPayload(
            delegation_id=strawberry.ID(global_id("Delegation", done["id"])),
            directory=await _node(info, directory),
            account=await _node(info, account),
        )

    @strawberry.mutation(description="Ends a delegation now; ending one that has ended changes nothing.")
    async def revoke_delegation(
        self, info: Info, input: Annotated[RevokeDelegationInput, strawberry.argument(description="What to do.")]
    ) -> RevokeDelegationResult:
        """End."""
        _, delegation_id = checked_id(input.delegation_id, "Delegation", field="delegationId")

        def act() -> dict[str, Any]:
            delegations.revoke_delegation(viewer=info.context.viewer, delegation_id=delegation_id)
            return {}

        done = await carried_out(info, scope=SCOPE, given=input, act=act)
        if isinstance(done, MutationRefusal):
            return done  # type: ignore[return-value] # one of the union
        return RevokeDelegationPayload(delegation_id=input.delegation_id)

    @strawberry.mutation(description="Switches multi-account management; it counts at once, for all months.")
    async def set_multi_account_management(
        self,
        info: Info,
        input: Annotated[SetMultiAccountManagementInput, strawberry.argument(description="What to do.")],
    ) -> SetMultiAccountManagementResult:
        """Switch."""
        key = node_key(input.directory_id, "directoryId", Kind.RESOURCE_DIRECTORY)

        def act() -> dict[str, Any]:
            directories.set_multi_account_management(
                viewer=info.context.viewer, directory_id=key.id, enabled=input.enabled
            )
            return {}

        done = await carried_out(info, scope=SCOPE, given=input, act=act)
        if isinstance(done, MutationRefusal):
            return done  # type: ignore[return-value] # one of the union
        return SetMultiAccountManagementPayload(directory=await _node(info, key))


def node_key(text: str, field: str, kind: Kind | None = None) -> NodeKey:
    """Read the id of a node on which roles can stand; BAD_USER_INPUT for anything else."""
    key = key_of(text)
    if key is None or key.kind is Kind.MISCELLANEOUS or (kind is not None and key.kind is not kind):
        wanted = "a node" if kind is None else kind.value.replace("_", " ")
        raise bad_input(f"{field} is not the id of {wanted}.", field=field)
    return key


async def _node(info: Info, key: NodeKey) -> Any:  # noqa: ANN401 the type that the key's kind has
    row = await info.context.loaders.node_by_key.load(key)
    if row is None:  # who administers a node sees it
        raise bad_input("The node is no longer visible.")
    return node_type(row)


def _about_grantee(refusal: MutationRefusal, given: GrantRoleInput | RevokeRoleInput) -> MutationRefusal:
    """Speak of the grantee by the name of the argument that named it."""
    if refusal.field != "grantee":
        return refusal
    field = "userGroup" if given.username is None else "username"
    return replace(refusal, message="there is no such user or user group", field=field)


def _grantee(given: GrantRoleInput | RevokeRoleInput) -> dict[str, int | None]:
    if (given.username is None) == (given.user_group is None):
        raise Invalid("name either a user or a user group", field="username")
    found = (
        user_id_of(username=given.username)
        if given.username is not None
        else user_group_id_of(name=given.user_group or "")
    )
    # An unknown name goes on as a number that nobody has: the service says so, but only to those who may grant there.
    chosen = NOBODY if found is None else found
    return {"user_id": chosen} if given.username is not None else {"user_group_id": chosen}
