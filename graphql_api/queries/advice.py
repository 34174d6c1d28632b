"""Root fields that compare places and advise."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Annotated

import strawberry

from accounts.months import format_month, parse_month
from allocation.selectors import locations as locations_selector
from allocation.selectors import recommendations as recommendations_selector
from allocation.selectors import what_if as what_if_selector
from allocation.selectors.locations import IntensityKey, Places
from allocation.selectors.what_if import MAX_CHANGES, PPM, Move
from graphql_api.context import Context
from graphql_api.errors import bad_input
from graphql_api.loaders import Asked
from graphql_api.pagination import Cursors, page_of, page_size
from graphql_api.types.advice import Recommendation, RecommendationsInput, WhatIf, WhatIfInput
from graphql_api.types.arguments import MAX_FILTER_CODES, After, First
from graphql_api.types.locations import (
    LocationComparison,
    LocationComparisonConnection,
    LocationComparisonEdge,
    LocationsInput,
    ServiceIntensitiesInput,
    ServiceIntensity,
    ServiceIntensityConnection,
    ServiceIntensityEdge,
)
from graphql_api.types.nodes import key_of

Info = strawberry.Info[Context, None]


@strawberry.type
class AdviceQuery:
    """Root fields."""

    @strawberry.field(
        description="Places of the viewer's providers with carbon intensity, PUE, clean share and zero-emission flag by"
        " month, also those that the viewer does not use."
    )
    async def locations(
        self,
        info: Info,
        input: Annotated[LocationsInput, strawberry.argument(description="The question.")],
        first: First = None,
        after: After = None,
    ) -> LocationComparisonConnection:
        """Places."""
        places = Places(_codes(input.providers), _codes(input.countries), _codes(input.regions))
        period, size = input.period.period(), page_size(first)
        cursors = Cursors(("locations", places, period), (str, str))
        key = cursors.read(after)
        rows = await info.context.call(
            locations_selector.profiles,
            viewer=info.context.viewer,
            published=info.context.published,
            period=period,
            places=places,
            limit=size + 1,
            after=None if key is None else (str(key[0]), str(key[1])),
        )
        page = page_of(rows, size=size, key=lambda row: row.key, cursors=cursors, after=key)
        edges = [LocationComparisonEdge(cursor=cursor, node=LocationComparison.of(row)) for cursor, row in page.rows]
        return LocationComparisonConnection(edges=edges, page_info=page.info)

    @strawberry.field(
        description="What a unit of each service emits in each region by month, also where the viewer does not use it."
    )
    async def service_intensities(
        self,
        info: Info,
        input: Annotated[ServiceIntensitiesInput, strawberry.argument(description="The question.")],
        first: First = None,
        after: After = None,
    ) -> ServiceIntensityConnection:
        """Services."""
        providers, services, regions = _codes(input.providers), _codes(input.services), _codes(input.regions)
        period, size = input.period.period(), page_size(first)
        cursors = Cursors(("intensities", providers, services, regions, period), (str, str, str, str))
        key = cursors.read(after)
        rows = await info.context.call(
            locations_selector.intensities,
            viewer=info.context.viewer,
            published=info.context.published,
            period=period,
            limit=size + 1,
            providers=providers,
            services=services,
            regions=regions,
            after=None if key is None else IntensityKey(str(key[0]), str(key[1]), str(key[2]), _month(str(key[3]))),
        )
        page = page_of(
            rows, size=size, key=lambda row: (*row.key[:3], format_month(row.key.month)), cursors=cursors, after=key
        )
        edges = [ServiceIntensityEdge(cursor=cursor, node=ServiceIntensity(row=row)) for cursor, row in page.rows]
        return ServiceIntensityConnection(edges=edges, page_info=page.info)

    @strawberry.field(
        description="What a node would have emitted had part of a service been used in another region, by both methods;"
        " null for a node that is hidden or absent."
    )
    async def what_if(
        self, info: Info, input: Annotated[WhatIfInput, strawberry.argument(description="The question.")]
    ) -> WhatIf | None:
        """What if."""
        moves = _moves(input)
        key = key_of(input.node)
        if key is None:
            raise bad_input("node is not the id of a node of the hierarchy.", field="node")
        if await info.context.loaders.node_by_key.load(key) is None:
            return None
        question, _ = await info.context.loaders.question_by_asked.load(Asked(input.period.period()))
        answer = await info.context.call(what_if_selector.what_if, question=question, node=key, moves=moves)
        return WhatIf(answer=answer)

    @strawberry.field(
        description="What a node could do, weightiest first: cleaner regions for the same service, services with"
        " growing intensity, estimated data worth metering. Null for a node that is hidden or absent."
    )
    async def recommendations(
        self, info: Info, input: Annotated[RecommendationsInput, strawberry.argument(description="The question.")]
    ) -> list[Recommendation] | None:
        """Recommendations."""
        key = key_of(input.node)
        if key is None:
            raise bad_input("node is not the id of a node of the hierarchy.", field="node")
        if await info.context.loaders.node_by_key.load(key) is None:
            return None
        question, _ = await info.context.loaders.question_by_asked.load(Asked(input.period.period()))
        rows = await info.context.call(
            recommendations_selector.recommendations,
            question=question,
            node=key,
            method=input.method,
            limit=page_size(input.first),
            with_dismissed=input.with_dismissed,
        )
        return [Recommendation(row=row) for row in rows]


def _codes(codes: list[str] | None) -> tuple[str, ...] | None:
    if codes is None:
        return None
    if len(codes) > MAX_FILTER_CODES:
        raise bad_input(f"A list may name {MAX_FILTER_CODES} codes.", field="input", limit=MAX_FILTER_CODES)
    return tuple(sorted(set(codes)))


def _month(text: str) -> date:
    try:
        return parse_month(text)
    except ValueError:
        raise bad_input("after is not a cursor of this list.", field="after") from None


def _moves(given: WhatIfInput) -> list[Move]:
    if not 1 <= len(given.changes) <= MAX_CHANGES:
        raise bad_input(f"changes takes 1 to {MAX_CHANGES} of them.", field="changes", limit=MAX_CHANGES)
    moves, shares = [], Counter[tuple[str, str, str]]()
    for change in given.changes:
        if not 0 < change.share <= 1:
            raise bad_input("share lies above 0 and at most at 1.", field="changes")
        if not change.from_location or not change.to_location:
            raise bad_input("Regions are named by code; edge locations cannot be moved.", field="changes")
        ppm = round(change.share * PPM)
        moves.append(Move(change.provider, change.service, change.from_location, change.to_location, ppm))
        shares[change.provider, change.service, change.from_location] += ppm
    if any(share > PPM for share in shares.values()):
        raise bad_input("The shares of one service in one region are more than 1 in all.", field="changes")
    return moves
