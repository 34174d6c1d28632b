"""One statement for all nodes of a page that ask the same question."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from strawberry.dataloader import DataLoader

from allocation.policies import NodeKey, Question, View
from allocation.selectors import (
    assurance,
    emissions,
    exports,
    filters,
    methodologies,
    nodes,
    publications,
    restatements,
    targets,
)
from allocation.selectors.facts import NO_FILTER
from allocation.selectors.filters import FilterCodes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from accounts.months import Period
    from allocation.selectors.assurance import VerificationStatement
    from allocation.selectors.emissions import Series
    from allocation.selectors.facts import EmissionsFilter
    from allocation.selectors.methodologies import Methodology
    from allocation.selectors.nodes import Node, Step
    from allocation.selectors.publications import Published
    from allocation.selectors.restatements import Changed
    from allocation.selectors.statuses import Figure
    from allocation.selectors.targets import Progress
    from graphql_api.context import Context


class Asked(NamedTuple):
    """What a summary is about, apart from its node. `moment` is that of an as-of view."""

    period: Period
    codes: FilterCodes = FilterCodes()
    moment: datetime | None = None
    view: View = View.AS_WAS


class SeriesKey(NamedTuple):
    """A node and what is asked of it."""

    node: NodeKey
    asked: Asked


class FilesKey(NamedTuple):
    """One page of the files of an export: at most so many, after an id."""

    export_id: int
    limit: int
    after: int | None


@dataclass
class Loaders:
    """The loaders of one request; they already know the viewer."""

    context: Context

    def __post_init__(self) -> None:
        self.node_by_key: DataLoader[NodeKey, Node | None] = DataLoader(self._nodes)
        self.path_by_key: DataLoader[NodeKey, list[Step]] = DataLoader(self._paths)
        self.series_by_key: DataLoader[SeriesKey, Series] = DataLoader(self._series)
        self.methods_by_series: DataLoader[SeriesKey, list[Methodology]] = DataLoader(self._methods)
        self.statements_by_series: DataLoader[SeriesKey, list[VerificationStatement]] = DataLoader(self._statements)
        self.statements_by_method: DataLoader[int, list[VerificationStatement]] = DataLoader(self._of_methods)
        self.question_by_asked: DataLoader[Asked, tuple[Question, EmissionsFilter]] = DataLoader(self._questions)
        self.figures_by_restatement: DataLoader[Changed, tuple[Figure, Figure]] = DataLoader(self._changes)
        self.targets_by_key: DataLoader[NodeKey, list[Progress]] = DataLoader(self._targets)
        self.latest_export_by_schedule: DataLoader[int, Any] = DataLoader(self._latest_exports)
        self.files_by_export: DataLoader[FilesKey, list[Any]] = DataLoader(self._files)

    def forget(self) -> None:
        """Forget what was read: something was changed."""
        for loader in (
            self.node_by_key,
            self.path_by_key,
            self.series_by_key,
            self.methods_by_series,
            self.statements_by_series,
            self.statements_by_method,
            self.figures_by_restatement,
            self.targets_by_key,
            self.files_by_export,
            self.latest_export_by_schedule,
        ):
            loader.clear_all()

    async def _runs(self, keys: Sequence[SeriesKey]) -> dict[SeriesKey, list[int]]:
        """The runs behind what each node shows; all keys ask the same but for their nodes."""
        series = await self.series_by_key.load_many(keys)
        question, _ = await self.question_by_asked.load(keys[0].asked)
        return {key: emissions.runs_behind(one, question.published) for key, one in zip(keys, series, strict=True)}

    async def _methods(self, keys: list[SeriesKey]) -> Sequence[list[Methodology]]:
        found: dict[SeriesKey, list[Methodology]] = {}
        for asked in dict.fromkeys(key.asked for key in keys):
            runs = await self._runs([key for key in keys if key.asked == asked])
            question, _ = await self.question_by_asked.load(asked)
            by_run = await self.context.call(
                methodologies.of_runs,
                viewer=self.context.viewer,
                published=question.published,
                run_ids=sorted({run for some in runs.values() for run in some}),
            )
            for key, some in runs.items():
                versions = {by_run[run].id: by_run[run] for run in some if run in by_run}
                found[key] = [versions[ident] for ident in sorted(versions)]
        return [found[key] for key in keys]

    async def _statements(self, keys: list[SeriesKey]) -> Sequence[list[VerificationStatement]]:
        found: dict[SeriesKey, list[VerificationStatement]] = {}
        for asked in dict.fromkeys(key.asked for key in keys):
            runs = await self._runs([key for key in keys if key.asked == asked])
            question, _ = await self.question_by_asked.load(asked)
            behind = await self.context.call(
                assurance.behind,
                viewer=self.context.viewer,
                published=question.published,
                run_ids=runs,
                period=asked.period,
            )
            found |= behind
        return [found[key] for key in keys]

    async def _of_methods(self, keys: list[int]) -> Sequence[list[VerificationStatement]]:
        rows = await self.context.call(
            assurance.statements, viewer=self.context.viewer, published=self.context.published, version_ids=keys
        )
        return [[row for row in rows if row.methodology_version_id == key] for key in keys]

    async def _targets(self, keys: list[NodeKey]) -> Sequence[list[Progress]]:
        context = self.context
        found = await context.call(
            targets.progress,
            viewer=context.viewer,
            question=lambda period: Question(context.viewer, context.published, period, context.role_kinds),
            nodes=keys,
        )
        return [found[key] for key in keys]

    async def _latest_exports(self, keys: list[int]) -> Sequence[Any]:
        found = await self.context.call(exports.latest_of, viewer=self.context.viewer, schedule_ids=keys)
        return [found.get(key) for key in keys]

    async def _files(self, keys: list[FilesKey]) -> Sequence[list[Any]]:
        found: dict[FilesKey, list[Any]] = {}
        # One page of all exports of a list; more only where a document asks for several.
        for limit, after in dict.fromkeys((key.limit, key.after) for key in keys):
            ids = [key.export_id for key in keys if (key.limit, key.after) == (limit, after)]
            rows = await self.context.call(
                exports.files_of, viewer=self.context.viewer, export_ids=ids, limit=limit, after=after
            )
            found |= {FilesKey(export_id, limit, after): files for export_id, files in rows.items()}
        return [found[key] for key in keys]

    async def _changes(self, keys: list[Changed]) -> Sequence[tuple[Figure, Figure]]:
        found = await self.context.call(restatements.changes, viewer=self.context.viewer, asked=keys)
        return [found[key] for key in keys]

    async def _nodes(self, keys: list[NodeKey]) -> Sequence[Node | None]:
        found = await self.context.call(nodes.by_key, viewer=self.context.viewer, keys=keys)
        return [found.get(key) for key in keys]

    async def _paths(self, keys: list[NodeKey]) -> Sequence[list[Step]]:
        found = await self.context.call(nodes.paths, viewer=self.context.viewer, keys=keys)
        return [found.get(key, []) for key in keys]

    async def _questions(self, keys: list[Asked]) -> Sequence[tuple[Question, EmissionsFilter]]:
        return [await self._question(key) for key in keys]

    async def _question(self, asked: Asked) -> tuple[Question, EmissionsFilter]:
        published = await self.published(asked.moment)
        question = Question(self.context.viewer, published, asked.period, self.context.role_kinds, asked.view)
        if asked.codes == FilterCodes():
            return question, NO_FILTER
        restricted = await self.context.call(
            filters.resolve, codes=asked.codes, published=published, period=asked.period
        )
        return question, restricted

    async def published(self, moment: datetime | None) -> Published:
        """Return what is published now, or what was at a moment; the same for the whole request."""
        if moment is None:
            return self.context.published
        if moment not in self.context.remembered:
            self.context.remembered[moment] = await self.context.call(publications.as_of, moment=moment)
        return self.context.remembered[moment]  # type: ignore[no-any-return] # only publications are kept by moment

    async def _series(self, keys: list[SeriesKey]) -> Sequence[Series]:
        groups: dict[Asked, list[NodeKey]] = defaultdict(list)
        for key in keys:
            groups[key.asked].append(key.node)
        found: dict[SeriesKey, Series] = {}
        for asked, members in groups.items():
            question, restricted = await self.question_by_asked.load(asked)
            series = await self.context.call(
                emissions.by_month, question=question, nodes=members, restricted=restricted
            )
            found |= {SeriesKey(node, asked): one for node, one in series.items()}
        return [found[key] for key in keys]
