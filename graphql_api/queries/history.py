"""Root fields about what was computed and published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import strawberry

from accounts.services.refusal import NotFound
from allocation.selectors import coverage as coverage_selector
from allocation.selectors import factors as factors_selector
from allocation.selectors import methodologies as methodologies_selector
from allocation.selectors import restatements as restatements_selector
from allocation.selectors import runs as runs_selector
from allocation.services import explanation
from graphql_api.context import Context
from graphql_api.errors import Code, RefusedError
from graphql_api.pagination import Cursors, Page, page_of, page_size
from graphql_api.types.arguments import After, First, PeriodInput
from graphql_api.types.coverage import Coverage, ProviderCoverage
from graphql_api.types.explanation import Explanation, InExplain
from graphql_api.types.factors import EmissionFactor, EmissionFactorConnection, EmissionFactorEdge
from graphql_api.types.methodologies import MethodologyVersion, MethodologyVersionConnection, MethodologyVersionEdge
from graphql_api.types.proposals import RestatementProposal, RestatementProposalConnection, RestatementProposalEdge
from graphql_api.types.restatements import Restatement, RestatementConnection, RestatementEdge
from graphql_api.types.runs import AllocationRun, AllocationRunConnection, AllocationRunEdge

Info = strawberry.Info[Context, None]
OfProvider = Annotated[str | None, strawberry.argument(description="Only this provider, by its code.")]
OfPeriod = Annotated[PeriodInput | None, strawberry.argument(description="Only these months.")]


@strawberry.input(description="Which months and providers.")
class CoverageInput:
    """A question about coverage."""

    period: PeriodInput = strawberry.field(description="The months to answer for.")
    providers: list[str] | None = strawberry.field(
        default=None, description="Only these providers, by code; all of the viewer's if it is not given."
    )


@strawberry.type
class HistoryQuery:
    """Root fields."""

    @strawberry.field(description="What the viewer's providers report: published months, calendar, services.")
    async def coverage(
        self, info: Info, input: Annotated[CoverageInput, strawberry.argument(description="The question.")]
    ) -> Coverage:
        """Coverage."""
        found = await info.context.call(
            coverage_selector.coverage,
            viewer=info.context.viewer,
            published=info.context.published,
            period=input.period.period(),
            providers=input.providers,
        )
        return Coverage(providers=[ProviderCoverage.of(row) for row in found])

    @strawberry.field(description="Versions of allocation methods that months were published with, oldest first.")
    async def methodologies(self, info: Info, first: First = None, after: After = None) -> MethodologyVersionConnection:
        """Methodologies."""
        size, cursors = page_size(first), Cursors(("methodologies",), (int,))
        key = cursors.read(after)
        rows = await info.context.call(
            methodologies_selector.methodologies,
            viewer=info.context.viewer,
            published=info.context.published,
            limit=size + 1,
            after=_id(key),
        )
        page = page_of(rows, size=size, key=lambda row: (row.id,), cursors=cursors, after=key)
        edges = [MethodologyVersionEdge(cursor=cursor, node=MethodologyVersion.of(row)) for cursor, row in page.rows]
        return MethodologyVersionConnection(edges=edges, page_info=page.info)

    @strawberry.field(description="Allocation runs, newest first: all for operators, the published ones for customers.")
    async def allocation_runs(
        self,
        info: Info,
        provider: OfProvider = None,
        period: OfPeriod = None,
        first: First = None,
        after: After = None,
    ) -> AllocationRunConnection:
        """Runs."""
        months = None if period is None else period.period()
        page = await _newest(info, runs_selector.runs, first, after, provider=provider, period=months)
        edges = [AllocationRunEdge(cursor=cursor, node=AllocationRun.of(row)) for cursor, row in page.rows]
        return AllocationRunConnection(edges=edges, page_info=page.info)

    @strawberry.field(description="Months that were published again, newest first, with cause, reason and change.")
    async def restatements(
        self,
        info: Info,
        provider: OfProvider = None,
        period: OfPeriod = None,
        first: First = None,
        after: After = None,
    ) -> RestatementConnection:
        """Restatements."""
        months = None if period is None else period.period()
        page = await _newest(info, restatements_selector.restatements, first, after, provider=provider, period=months)
        edges = [RestatementEdge(cursor=cursor, node=Restatement.of(row)) for cursor, row in page.rows]
        return RestatementConnection(edges=edges, page_info=page.info)

    @strawberry.field(
        description="Restatements that were asked for, newest first, with who has to approve them: for operators, null"
        " for everybody else."
    )
    async def restatement_proposals(
        self,
        info: Info,
        waiting: Annotated[
            bool | None, strawberry.argument(description="Only those that wait for a second operator.")
        ] = None,
        first: First = None,
        after: After = None,
    ) -> RestatementProposalConnection | None:
        """Proposals."""
        if not info.context.viewer.is_operator:
            return None
        page = await _newest(info, restatements_selector.proposals, first, after, waiting=bool(waiting))
        edges = [RestatementProposalEdge(cursor=cursor, node=RestatementProposal.of(row)) for cursor, row in page.rows]
        return RestatementProposalConnection(edges=edges, page_info=page.info)

    @strawberry.field(description="Why a published figure is what it is, step by step from source to resource group.")
    async def explain(self, info: Info, input: InExplain) -> Explanation:
        """Explanation."""
        question = input.question()
        published = await info.context.loaders.published(input.moment(info.context.now))
        try:
            given = await info.context.call(
                explanation.explain, viewer=info.context.viewer, published=published, question=question
            )
        except NotFound as refusal:
            raise RefusedError(str(refusal), Code.NOT_FOUND, field=refusal.field) from None
        return Explanation(given=given)

    @strawberry.field(description="Factors that published months were computed with, of the viewer's providers.")
    async def emission_factors(
        self,
        info: Info,
        provider: OfProvider = None,
        period: OfPeriod = None,
        first: First = None,
        after: After = None,
    ) -> EmissionFactorConnection:
        """Factors."""
        months = None if period is None else period.period()
        size = page_size(first)
        cursors = Cursors(("factors", provider, months), (int, str, str, str, str, str))
        key = cursors.read(after)
        rows = await info.context.call(
            factors_selector.factors,
            viewer=info.context.viewer,
            published=info.context.published,
            limit=size + 1,
            provider=provider,
            period=months,
            after=None if key is None else factors_selector.FactorKey(int(key[0]), *map(str, key[1:])),
        )
        page = page_of(rows, size=size, key=lambda row: tuple(row.key), cursors=cursors, after=key)
        edges = [EmissionFactorEdge(cursor=cursor, node=EmissionFactor(row=row)) for cursor, row in page.rows]
        return EmissionFactorConnection(edges=edges, page_info=page.info)


async def _newest(
    info: Info, selector: Callable[..., list[Any]], first: int | None, after: str | None, **given: object
) -> Page[Any]:
    """One page of rows with an id, newest first, of what is given."""
    size, cursors = page_size(first), Cursors((selector.__qualname__, *given.values()), (int,))
    key = cursors.read(after)
    rows = await info.context.call(selector, viewer=info.context.viewer, limit=size + 1, before=_id(key), **given)
    return page_of(rows, size=size, key=lambda row: (row.id,), cursors=cursors, after=key)


def _id(key: tuple[str | int, ...] | None) -> int | None:
    return None if key is None else int(key[0])
