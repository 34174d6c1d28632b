"""Exports: orders, their progress, their files with links that end."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import strawberry

from allocation.selectors import exports as exports_selector
from allocation.services import downloads
from graphql_api.context import Context
from graphql_api.loaders import FilesKey
from graphql_api.pagination import Cursors, PageInfo, page_of, page_size
from graphql_api.scalars import BigInt, Month, global_id
from graphql_api.types.arguments import After, First
from graphql_api.types.enums import ExportFormat, ExportLayout, ExportState
from graphql_api.types.nodes import HierarchyNode, Node, node_type

Info = strawberry.Info[Context, None]
SCOPE = "exports:write"
DOWNLOADS = "/exports/"


@strawberry.type(description="A link to a file.")
class ExportLink:
    """A link."""

    url: str = strawberry.field(description="Where the file can be fetched with GET, without a token.")
    ends_at: datetime = strawberry.field(description="The instant from which it no longer counts.")


@strawberry.type(description="One month of one provider, in one file.")
class ExportFile:
    """A file."""

    row: strawberry.Private[Any]

    @strawberry.field(description="Where it lies inside the export: model_version=…/usage_period=YYYY-MM/….")
    def path(self) -> str:
        """Path."""
        return str(self.row.path)

    @strawberry.field(description="The month.")
    def month(self) -> Month:
        """Month."""
        return Month(self.row.publication.month)

    @strawberry.field(description="Code of the provider.")
    def provider(self) -> str:
        """Provider."""
        return str(self.row.publication.provider.code)

    @strawberry.field(description="The method, as name@version.")
    def methodology(self) -> str:
        """Methodology."""
        return str(self.row.publication.run.methodology_version)

    @strawberry.field(description="Rows without the header; null until it is written.")
    def rows(self) -> BigInt | None:
        """Rows."""
        return None if self.row.rows is None else BigInt(self.row.rows)

    @strawberry.field(description="Size in bytes; null until it is written.")
    def size_bytes(self) -> BigInt | None:
        """Size."""
        return None if self.row.size_bytes is None else BigInt(self.row.size_bytes)

    @strawberry.field(description="SHA-256 of its bytes, in hexadecimal; null until it is written.")
    def sha256(self) -> str | None:
        """Digest."""
        return self.row.sha256 or None

    @strawberry.field(
        description="A link that anybody can use for a short time, signed for the owner, whose rights are asked again"
        " when it is used. Null until the export is ready, after it has expired, and for tokens without exports:write."
    )
    def link(self, info: Info) -> ExportLink | None:
        """Link."""
        row, context = self.row, info.context
        allowed = context.scopes is None or SCOPE in context.scopes
        if not allowed or not row.stored_as or row.export.state != ExportState.READY:
            return None
        path = DOWNLOADS + downloads.sign(row.pk, row.export.owner_id)
        return ExportLink(url=context.request.build_absolute_uri(path), ends_at=downloads.link_ends_at(context.now))


@strawberry.type(description="A file in a list.")
class ExportFileEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place in the list, for `after`.")
    node: ExportFile = strawberry.field(description="The file.")


@strawberry.type(description="Files of an export, one page of them.")
class ExportFileConnection:
    """Relay connection."""

    edges: list[ExportFileEdge] = strawberry.field(description="The files of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.type(description="What an order says of its files, whether they are written once or every month.")
class _Order(Node):
    """Common to exports and schedules; never a type of its own in the schema."""

    row: strawberry.Private[Any]

    @strawberry.field(description="Which columns the files have.")
    def layout(self) -> ExportLayout:
        """Layout."""
        return ExportLayout(self.row.layout)

    @strawberry.field(description="How the rows are written.")
    def format(self) -> ExportFormat:
        """Format."""
        return ExportFormat(self.row.format)

    @strawberry.field(description="The node whose rows are wanted; null = everything that the owner may see.")
    async def node(self, info: Info) -> HierarchyNode | None:
        """Node."""
        return await _node(info, self.row)


@strawberry.type(description="An order that is carried out after every publication.")
class ExportSchedule(_Order):
    """A schedule."""

    @strawberry.field(name="from", description="First month; null = all history.")
    def start(self) -> Month | None:
        """First month."""
        return None if self.row.start is None else Month(self.row.start)

    @strawberry.field(description="When it was made.")
    def created_at(self) -> datetime:
        """Creation."""
        return self.row.created_at  # type: ignore[no-any-return] # a row of the selector

    @strawberry.field(description="When it was ended; null while it goes on.")
    def ended_at(self) -> datetime | None:
        """End."""
        return self.row.ended_at  # type: ignore[no-any-return] # a row of the selector

    @strawberry.field(
        description="What it ordered last; null before the first publication. `exports` lists the others."
    )
    async def latest_export(self, info: Info) -> Annotated[Export, strawberry.lazy("graphql_api.types.exports")] | None:
        """Newest export."""
        found = await info.context.loaders.latest_export_by_schedule.load(self.row.pk)
        return None if found is None else Export.of(found)

    @classmethod
    def of(cls, row: Any) -> ExportSchedule:  # noqa: ANN401 a row of the selector; models are not named here
        """Convert."""
        return cls(id=strawberry.ID(global_id("ExportSchedule", row.pk)), row=row)


@strawberry.type(description="An order for files, and how far it is. It holds what its owner might see when written.")
class Export(_Order):
    """An export."""

    @strawberry.field(name="from", description="First month.")
    def start(self) -> Month:
        """First month."""
        return Month(self.row.start)

    @strawberry.field(description="Month after the last one, exclusive.")
    def until(self) -> Month:
        """Bound."""
        return Month(self.row.bound)

    @strawberry.field(description="Where it stands.")
    def state(self) -> ExportState:
        """State."""
        return ExportState(self.row.state)

    @strawberry.field(description="How far it is, in percent of the rows to be read; 100 when it is ready.")
    def percent(self) -> int:
        """Progress."""
        return exports_selector.percent_of(self.row)

    @strawberry.field(description="Files written.")
    def files_written(self) -> int:
        """Files so far."""
        return int(self.row.files_written)

    @strawberry.field(description="Files that it will have: one for each published month of each provider.")
    def files_all(self) -> int:
        """Files."""
        return int(self.row.files_all)

    @strawberry.field(description="Rows written so far, headers not counted.")
    def rows(self) -> BigInt:
        """Rows."""
        return BigInt(self.row.rows or 0)

    @strawberry.field(description="Bytes written so far.")
    def size_bytes(self) -> BigInt:
        """Size."""
        return BigInt(self.row.size_bytes or 0)

    @strawberry.field(description="When it was ordered.")
    def requested_at(self) -> datetime:
        """Request."""
        return self.row.requested_at  # type: ignore[no-any-return] # a row of the selector

    @strawberry.field(description="When it ended, well or not; null while it is under way.")
    def finished_at(self) -> datetime | None:
        """End."""
        return self.row.finished_at  # type: ignore[no-any-return] # a row of the selector

    @strawberry.field(description="When its files are deleted; null until it is ready.")
    def expires_at(self) -> datetime | None:
        """Expiry."""
        return self.row.expires_at  # type: ignore[no-any-return] # a row of the selector

    @strawberry.field(description="Stable code of why it failed; null while all is well.")
    def failure_code(self) -> str | None:
        """Failure."""
        return self.row.failure_code or None

    @strawberry.field(
        description="Its files in the order in which they are written: one for each published month of each provider."
    )
    async def files(self, info: Info, first: First = None, after: After = None) -> ExportFileConnection:
        """Files."""
        size, cursors = page_size(first), Cursors(("files", self.row.pk), (int,))
        place = cursors.read(after)
        key = FilesKey(self.row.pk, size + 1, None if place is None else int(place[0]))
        rows = await info.context.loaders.files_by_export.load(key)
        page = page_of(rows, size=size, key=lambda row: (row.pk,), cursors=cursors, after=place)
        edges = [ExportFileEdge(cursor=cursor, node=ExportFile(row=row)) for cursor, row in page.rows]
        return ExportFileConnection(edges=edges, page_info=page.info)

    @classmethod
    def of(cls, row: Any) -> Export:  # noqa: ANN401 a row of the selector; models are not named here
        """Convert."""
        return cls(id=strawberry.ID(global_id("Export", row.pk)), row=row)


@strawberry.type(description="An export in a list.")
class ExportEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place in the list, for `after`.")
    node: Export = strawberry.field(description="The export.")


@strawberry.type(description="The viewer's own exports, one page of them, newest first.")
class ExportConnection:
    """Relay connection."""

    edges: list[ExportEdge] = strawberry.field(description="The exports of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.type(description="A schedule in a list.")
class ExportScheduleEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place in the list, for `after`.")
    node: ExportSchedule = strawberry.field(description="The schedule.")


@strawberry.type(description="The viewer's own schedules, one page of them, newest first.")
class ExportScheduleConnection:
    """Relay connection."""

    edges: list[ExportScheduleEdge] = strawberry.field(description="The schedules of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


async def exports_page(
    info: Info, first: int | None, after: str | None, schedule_id: int | None = None
) -> ExportConnection:
    """One page of the viewer's exports."""
    size, cursors = page_size(first), Cursors(("exports", schedule_id), (int,))
    place = cursors.read(after)
    rows = await info.context.call(
        exports_selector.exports,
        viewer=info.context.viewer,
        limit=size + 1,
        before=None if place is None else int(place[0]),
        schedule_id=schedule_id,
    )
    page = page_of(rows, size=size, key=lambda row: (row.pk,), cursors=cursors, after=place)
    edges = [ExportEdge(cursor=cursor, node=Export.of(row)) for cursor, row in page.rows]
    return ExportConnection(edges=edges, page_info=page.info)


async def _node(info: Info, row: Any) -> HierarchyNode | None:  # noqa: ANN401 a row of the selector
    key = exports_selector.node_of(row)
    found = None if key is None else await info.context.loaders.node_by_key.load(key)
    return None if found is None else node_type(found)
