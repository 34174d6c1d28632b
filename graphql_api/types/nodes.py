"""The hierarchy: nodes of six kinds behind one interface."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple

import strawberry
from strawberry.dataloader import DataLoader

from accounts.months import Period
from allocation.policies import NodeKey
from allocation.selectors.child_page import ChildPage
from allocation.selectors.children import Child
from allocation.selectors.filters import FilterCodes
from allocation.selectors.nodes import Node as DomainNode
from graphql_api.context import Context
from graphql_api.errors import bad_input
from graphql_api.loaders import Asked, CountKey, ListKey
from graphql_api.pagination import Cursors, PageInfo, page_of, page_size
from graphql_api.scalars import Month, global_id, read_global_id
from graphql_api.types.administration import AuditConnection, GrantConnection, audit_of, grants_of
from graphql_api.types.arguments import After, First, InPeriod, WithFilter, WithMethod
from graphql_api.types.emissions import Emissions
from graphql_api.types.enums import Access, ChildOrder, Kind, Method, Status, View
from graphql_api.types.summary import EmissionsSummary

if TYPE_CHECKING:
    from graphql_api.types.targets import Target

Info = strawberry.Info[Context, None]


@strawberry.interface(description="Something with an id that is unique over all types (Relay).")
class Node:
    """Relay's Node."""

    id: strawberry.ID = strawberry.field(description="Global id: opaque, stable, unique over all types.")


@strawberry.type(description="A node on the way from the top down to another: its name, no numbers.")
class PathEntry:
    """A step of a path."""

    id: strawberry.ID = strawberry.field(description="Global id of the node.")
    kind: Kind = strawberry.field(description="Its kind.")
    name: str = strawberry.field(description="Its name.")
    has_role: bool = strawberry.field(description="Whether a role of the viewer reaches it.")


class _Wanted(NamedTuple):
    """Which children: of which months, sorted how, which page."""

    period: Period
    order: ChildOrder
    method: Method
    first: int | None
    after: str | None


async def _page(
    loader: DataLoader[ListKey, list[Child]], name: str, parent: NodeKey, wanted: _Wanted
) -> tuple[list[ChildEdge], PageInfo]:
    size, order = page_size(wanted.first), wanted.order
    shape: tuple[type, ...] = (str if order is ChildOrder.NAME_ASC else int, int, int)
    cursors = Cursors((name, *parent, wanted.period, order.name, wanted.method.name), shape)
    key = cursors.read(wanted.after)
    rows = await loader.load(ListKey(parent, wanted.period, ChildPage(size + 1, order, wanted.method, key)))
    cut = page_of(rows, size=size, key=lambda row: _child_key(row, order), cursors=cursors, after=key)
    edges = [
        ChildEdge(cursor=cursor, node=node_type(row.node), emissions=Emissions(figure=row.figure))
        for cursor, row in cut.rows
    ]
    return edges, cut.info


async def _children(
    self: HierarchyNode,
    info: Info,
    period: InPeriod,
    order_by: Annotated[ChildOrder, strawberry.argument(description="How children are sorted.")] = (
        ChildOrder.EMISSIONS_DESC
    ),
    method: WithMethod = Method.LOCATION_BASED,
    first: First = None,
    after: After = None,
) -> ChildConnection:
    wanted = _Wanted(period.period(), order_by, method, first, after)
    edges, page_info = await _page(info.context.loaders.children_by_key, "children", self.row.key, wanted)
    return ChildConnection(edges=edges, page_info=page_info, counted=CountKey(self.row.key, wanted.period))


@strawberry.interface(description="A node of the hierarchy, at any level.")
class HierarchyNode(Node):
    """Everything that nodes of all kinds have."""

    row: strawberry.Private[DomainNode]

    @strawberry.field(description="Its kind.")
    def kind(self) -> Kind:
        """Kind."""
        return self.row.key.kind

    @strawberry.field(description="Its name; for accounts without one, the provider's id.")
    def name(self) -> str:
        """Name."""
        return self.row.name

    @strawberry.field(description="The provider's id of it; null for Miscellaneous.")
    def external_id(self) -> str | None:
        """External id."""
        return self.row.external_id

    @strawberry.field(description="Code of its provider; null for enterprises, which may have several.")
    def provider(self) -> str | None:
        """Provider."""
        return self.row.provider_code

    @strawberry.field(description="Whether it is in use today.")
    def status(self) -> Status:
        """Status."""
        return self.row.status

    @strawberry.field(description="How the viewer may know it.")
    def access(self) -> Access:
        """Access."""
        return self.row.access

    @strawberry.field(
        description="The way from the top down to this node, itself last, in the last month that the viewer sees it in."
    )
    async def path(self, info: Info) -> list[PathEntry]:
        """Path."""
        steps = await info.context.loaders.path_by_key.load(self.row.key)
        return [
            PathEntry(id=strawberry.ID(id_of(step.key)), kind=step.key.kind, name=step.name, has_role=step.has_role)
            for step in steps
        ]

    @strawberry.field(description="What it emitted in a period, as far as the viewer may see it.")
    def emissions(
        self,
        info: Info,
        period: InPeriod,
        filter: WithFilter = None,
        view: Annotated[View, strawberry.argument(description="By which tree months are rolled up.")] = View.AS_WAS,
        as_of: Annotated[
            datetime | None,
            strawberry.argument(description="What was published at this moment, whatever was restated since."),
        ] = None,
    ) -> EmissionsSummary:
        """Summary."""
        codes = FilterCodes() if filter is None else filter.codes()
        return EmissionsSummary(
            node_key=self.row.key,
            asked=Asked(period.period(), codes, checked_moment(as_of, info.context.now), view),
        )

    children: ChildConnection = strawberry.field(
        resolver=_children,
        description="What stands directly below it in the period, subgroups and accounts in one list, each with what it"
        " emitted in the months in which it stood there. Names without numbers where only something below is visible.",
    )

    @strawberry.field(
        description="All accounts below it in the period, at any depth, that the viewer may see, each with what it"
        " emitted in the months in which it stood below."
    )
    async def accounts(
        self,
        info: Info,
        period: InPeriod,
        order_by: Annotated[ChildOrder, strawberry.argument(description="How accounts are sorted.")] = (
            ChildOrder.NAME_ASC
        ),
        method: WithMethod = Method.LOCATION_BASED,
        first: First = None,
        after: After = None,
    ) -> AccountConnection:
        """Accounts."""
        wanted = _Wanted(period.period(), order_by, method, first, after)
        edges, page_info = await _page(info.context.loaders.accounts_by_key, "accounts", self.row.key, wanted)
        return AccountConnection(edges=edges, page_info=page_info)

    @strawberry.field(description="Targets of the node itself with their progress, by name, at most 10.")
    async def targets(self, info: Info) -> list[Annotated[Target, strawberry.lazy("graphql_api.types.targets")]]:
        """Targets."""
        from graphql_api.types.targets import Target as Made  # noqa: PLC0415 targets are nodes, nodes have targets

        return [Made.of(one) for one in await info.context.loaders.targets_by_key.load(self.row.key)]

    @strawberry.field(
        description="Grants on the node itself, oldest first, expired ones included; null unless the viewer administers"
        " it now."
    )
    async def grants(self, info: Info, first: First = None, after: After = None) -> GrantConnection | None:
        """Grants."""
        return await grants_of(info, self.row.key, first, after)

    @strawberry.field(description="What happened to the node, newest first; null unless the viewer administers it now.")
    async def audit(self, info: Info, first: First = None, after: After = None) -> AuditConnection | None:
        """Audit."""
        return await audit_of(info, self.row.key, first, after)


@strawberry.type(description="A company; owns directories at one or more providers.")
class EnterpriseParent(HierarchyNode):
    """An enterprise."""


@strawberry.type(description="One organisation at one provider.")
class ResourceDirectory(HierarchyNode):
    """A directory."""

    @strawberry.field(
        description="Whether roles on the directory and above it show the numbers of its accounts. Off: only roles on"
        " accounts and resource groups do."
    )
    def multi_account_management(self) -> bool:
        """The switch."""
        return bool(self.row.multi_account_management)


@strawberry.type(description="A folder, organizational unit or account group.")
class AccountGroup(HierarchyNode):
    """A group."""


@strawberry.type(description="Stands for the accounts of a directory that are in no group.")
class Miscellaneous(HierarchyNode):
    """The accounts in no group."""


@strawberry.type(description="A cloud account.")
class Account(HierarchyNode):
    """An account."""

    @strawberry.field(description="First month in which the account is closed; null while it is open.")
    def closed_from(self) -> Month | None:
        """Closing month."""
        return None if self.row.closed_from is None else Month(self.row.closed_from)

    resource_groups: ChildConnection = strawberry.field(
        resolver=_children,
        description="Its resource groups, each with what it emitted; the same list as `children`, which accounts share"
        " with nodes of other kinds.",
    )

    @strawberry.field(description="Whether the account belongs to the provider's own teams.")
    def internal(self) -> bool:
        """Internal."""
        return self.row.account_kind == "internal"


@strawberry.type(description="A resource group, tag or project inside an account.")
class ResourceGroup(HierarchyNode):
    """A resource group."""


@strawberry.type(description="A child with its emissions in the months in which it stood below its parent.")
class ChildEdge:
    """Relay edge with a figure."""

    cursor: str = strawberry.field(description="Place of the child in the list, for `after`.")
    node: HierarchyNode = strawberry.field(description="The child.")
    emissions: Emissions = strawberry.field(
        description="What it emitted in the months of the period in which it stood directly below its parent."
    )


@strawberry.type(description="Children of a node, one page of them.")
class ChildConnection:
    """Relay connection."""

    edges: list[ChildEdge] = strawberry.field(description="The children of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")
    counted: strawberry.Private[CountKey]

    @strawberry.field(description="How many children the viewer may know; counted only if it is asked for.")
    async def total_count(self, info: Info) -> int:
        """Count."""
        return await info.context.loaders.child_count_by_key.load(self.counted)


@strawberry.type(description="A node in a list.")
class HierarchyNodeEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place of the node in the list, for `after`.")
    node: HierarchyNode = strawberry.field(description="The node.")


@strawberry.type(description="Nodes, one page of them.")
class HierarchyNodeConnection:
    """Relay connection."""

    edges: list[HierarchyNodeEdge] = strawberry.field(description="The nodes of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.type(description="Accounts below a node, one page of them.")
class AccountConnection:
    """Relay connection."""

    edges: list[ChildEdge] = strawberry.field(description="The accounts of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


_TYPES: dict[Kind, type[HierarchyNode]] = {
    Kind.ENTERPRISE_PARENT: EnterpriseParent,
    Kind.RESOURCE_DIRECTORY: ResourceDirectory,
    Kind.ACCOUNT_GROUP: AccountGroup,
    Kind.MISCELLANEOUS: Miscellaneous,
    Kind.ACCOUNT: Account,
    Kind.RESOURCE_GROUP: ResourceGroup,
}
_KINDS = {made.__name__: kind for kind, made in _TYPES.items()}
NODE_TYPES = tuple(_TYPES.values())


def id_of(key: NodeKey) -> str:
    """The global id of a node."""
    return global_id(_TYPES[key.kind].__name__, key.id)


def node_type(row: DomainNode) -> HierarchyNode:
    """The GraphQL object of a node."""
    return _TYPES[row.key.kind](id=strawberry.ID(id_of(row.key)), row=row)


def key_of(text: str) -> NodeKey | None:
    """The node that a global id names; None for an id of something else."""
    found = read_global_id(text)
    return NodeKey(_KINDS[found[0]], found[1]) if found and found[0] in _KINDS else None


def checked_moment(moment: datetime | None, now: datetime) -> datetime | None:
    """Check the moment of an as-of view: with a time zone, not in the future."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise bad_input("asOf needs a time zone, for example 2025-07-01T00:00:00Z.", field="asOf")
    return min(moment, now)


def _child_key(row: Child, order: ChildOrder) -> tuple[str | int, ...]:
    return (row.node.name if order is ChildOrder.NAME_ASC else row.total_ug, row.kind_rank, row.node.key.id)
