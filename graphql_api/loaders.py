"""One statement for all nodes of a page that ask the same question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from strawberry.dataloader import DataLoader

from accounts.selectors import audit, roles
from allocation.policies import NodeKey, Question, View
from allocation.selectors import (
    assurance,
    children,
    cube,
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
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from accounts.months import Period
    from accounts.policies import NodeRef
    from accounts.selectors.audit import AuditRow
    from accounts.selectors.roles import GrantRow
    from allocation.selectors.assurance import VerificationStatement
    from allocation.selectors.child_page import ChildPage
    from allocation.selectors.children import Child
    from allocation.selectors.cube import CubePage, CubeRow
    from allocation.selectors.dimensions import Dimension
    from allocation.selectors.emissions import Series
    from allocation.selectors.facts import EmissionsFilter
    from allocation.selectors.methodologies import Methodology
    from allocation.selectors.nodes import Node, Step
    from allocation.selectors.publications import Published
    from allocation.selectors.restatements import Changed, LeafDifference, LeafKey, TooManyLeaves
    from allocation.selectors.statuses import Figure
    from allocation.selectors.targets import Progress
    from graphql_api.context import Context


Value = TypeVar("Value")


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


class BreakdownKey(NamedTuple):
    """One page of a node's emissions by one dimension."""

    node: NodeKey
    asked: Asked
    dimension: Dimension
    page: CubePage


class ListKey(NamedTuple):
    """One page of what stands below a node in a period."""

    parent: NodeKey
    period: Period
    page: ChildPage


class CountKey(NamedTuple):
    """How much stands directly below a node in a period."""

    parent: NodeKey
    period: Period


class LeavesKey(NamedTuple):
    """One page of the leaves that a restatement changed below a node."""

    changed: Changed
    limit: int
    after: LeafKey | None


class GrantsKey(NamedTuple):
    """One page of the grants on a node: at most so many, after one of them."""

    node: NodeRef
    first: int
    after: GrantRow | None


class AuditKey(NamedTuple):
    """One page of the audit log of a node: at most so many, before an id."""

    node: NodeRef
    first: int
    before: int | None


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
        self.children_by_key: DataLoader[ListKey, list[Child]] = DataLoader(self._children)
        self.accounts_by_key: DataLoader[ListKey, list[Child]] = DataLoader(self._accounts)
        self.child_count_by_key: DataLoader[CountKey, int] = DataLoader(self._child_counts)
        self.series_by_key: DataLoader[SeriesKey, Series] = DataLoader(self._series)
        self.breakdown_by_key: DataLoader[BreakdownKey, list[CubeRow]] = DataLoader(self._breakdowns)
        self.methods_by_series: DataLoader[SeriesKey, list[Methodology]] = DataLoader(self._methods)
        self.statements_by_series: DataLoader[SeriesKey, list[VerificationStatement]] = DataLoader(self._statements)
        self.statements_by_method: DataLoader[int, list[VerificationStatement]] = DataLoader(self._of_methods)
        self.question_by_asked: DataLoader[Asked, tuple[Question, EmissionsFilter]] = DataLoader(self._questions)
        self.figures_by_restatement: DataLoader[Changed, tuple[Figure, Figure]] = DataLoader(self._changes)
        self.leaves_by_key: DataLoader[LeavesKey, list[LeafDifference]] = DataLoader(self._leaves)
        self.targets_by_key: DataLoader[NodeKey, list[Progress]] = DataLoader(self._targets)
        self.grants_by_key: DataLoader[GrantsKey, list[GrantRow] | None] = DataLoader(self._grants)
        self.audit_by_key: DataLoader[AuditKey, list[AuditRow] | None] = DataLoader(self._audit)
        self.latest_export_by_schedule: DataLoader[int, Any] = DataLoader(self._latest_exports)
        self.files_by_export: DataLoader[FilesKey, list[Any]] = DataLoader(self._files)

    def forget(self) -> None:
        """Forget what was read: something was changed."""
        for loader in (
            self.node_by_key,
            self.path_by_key,
            self.children_by_key,
            self.accounts_by_key,
            self.child_count_by_key,
            self.series_by_key,
            self.breakdown_by_key,
            self.methods_by_series,
            self.statements_by_series,
            self.statements_by_method,
            self.figures_by_restatement,
            self.leaves_by_key,
            self.targets_by_key,
            self.grants_by_key,
            self.audit_by_key,
            self.files_by_export,
            self.latest_export_by_schedule,
        ):
            loader.clear_all()

    async def _runs(self, nodes: list[NodeKey], asked: Asked) -> dict[NodeKey, list[int]]:
        """The runs behind what each node shows."""
        series = await self.series_by_key.load_many([SeriesKey(node, asked) for node in nodes])
        question, _ = await self.question_by_asked.load(asked)
        return {node: emissions.runs_behind(one, question.published) for node, one in zip(nodes, series, strict=True)}

    async def _methods(self, keys: list[SeriesKey]) -> Sequence[list[Methodology]]:
        async def read(nodes: list[NodeKey], asked: Asked) -> dict[NodeKey, list[Methodology]]:
            runs = await self._runs(nodes, asked)
            question, _ = await self.question_by_asked.load(asked)
            by_run = await self.context.call(
                methodologies.of_runs,
                viewer=self.context.viewer,
                published=question.published,
                run_ids=sorted({run for some in runs.values() for run in some}),
            )
            found = {}
            for node, some in runs.items():
                versions = {by_run[run].id: by_run[run] for run in some if run in by_run}
                found[node] = [versions[ident] for ident in sorted(versions)]
            return found

        return await _together(keys, read)

    async def _statements(self, keys: list[SeriesKey]) -> Sequence[list[VerificationStatement]]:
        async def read(nodes: list[NodeKey], asked: Asked) -> dict[NodeKey, list[VerificationStatement]]:
            runs = await self._runs(nodes, asked)
            question, _ = await self.question_by_asked.load(asked)
            return await self.context.call(
                assurance.behind,
                viewer=self.context.viewer,
                published=question.published,
                run_ids=runs,
                period=asked.period,
            )

        return await _together(keys, read)

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

    async def _grants(self, keys: list[GrantsKey]) -> Sequence[list[GrantRow] | None]:
        async def read(
            nodes: list[NodeRef], first: int, after: GrantRow | None
        ) -> dict[NodeRef, list[GrantRow] | None]:
            found = await self.context.call(
                roles.grants_on, viewer=self.context.viewer, nodes=nodes, first=first, after=after
            )
            return {node: found.get(node) for node in nodes}

        return await _together(keys, read)

    async def _audit(self, keys: list[AuditKey]) -> Sequence[list[AuditRow] | None]:
        async def read(nodes: list[NodeRef], first: int, before: int | None) -> dict[NodeRef, list[AuditRow] | None]:
            found = await self.context.call(
                audit.audit_of, viewer=self.context.viewer, nodes=nodes, first=first, before=before
            )
            return {node: found.get(node) for node in nodes}

        return await _together(keys, read)

    async def _latest_exports(self, keys: list[int]) -> Sequence[Any]:
        found = await self.context.call(exports.latest_of, viewer=self.context.viewer, schedule_ids=keys)
        return [found.get(key) for key in keys]

    async def _files(self, keys: list[FilesKey]) -> Sequence[list[Any]]:
        async def read(ids: list[int], limit: int, after: int | None) -> dict[int, list[Any]]:
            return await self.context.call(
                exports.files_of, viewer=self.context.viewer, export_ids=ids, limit=limit, after=after
            )

        return await _together(keys, read)

    async def _changes(self, keys: list[Changed]) -> Sequence[tuple[Figure, Figure]]:
        found = await self.context.call(restatements.changes, viewer=self.context.viewer, asked=keys)
        return [found[key] for key in keys]

    async def _leaves(self, keys: list[LeavesKey]) -> Sequence[list[LeafDifference] | TooManyLeaves]:
        async def read(
            asked: list[Changed], limit: int, after: LeafKey | None
        ) -> dict[Changed, list[LeafDifference] | TooManyLeaves]:
            return await self.context.call(
                restatements.leaf_differences, viewer=self.context.viewer, asked=asked, limit=limit, after=after
            )

        return await _together(keys, read)

    async def _nodes(self, keys: list[NodeKey]) -> Sequence[Node | None]:
        found = await self.context.call(nodes.by_key, viewer=self.context.viewer, keys=keys)
        return [found.get(key) for key in keys]

    async def _paths(self, keys: list[NodeKey]) -> Sequence[list[Step]]:
        found = await self.context.call(nodes.paths, viewer=self.context.viewer, keys=keys)
        return [found.get(key, []) for key in keys]

    async def _children(self, keys: list[ListKey]) -> Sequence[list[Child]]:
        return await self._lists(keys, children.children)

    async def _accounts(self, keys: list[ListKey]) -> Sequence[list[Child]]:
        return await self._lists(keys, children.accounts_below)

    async def _lists(
        self, keys: list[ListKey], selector: Callable[..., dict[NodeKey, list[Child]]]
    ) -> Sequence[list[Child]]:
        async def read(parents: list[NodeKey], period: Period, page: ChildPage) -> dict[NodeKey, list[Child]]:
            question, _ = await self.question_by_asked.load(Asked(period))
            return await self.context.call(selector, question=question, parents=parents, page=page)

        return await _together(keys, read)

    async def _child_counts(self, keys: list[CountKey]) -> Sequence[int]:
        async def read(parents: list[NodeKey], period: Period) -> dict[NodeKey, int]:
            question, _ = await self.question_by_asked.load(Asked(period))
            return await self.context.call(children.count, question=question, parents=parents)

        return await _together(keys, read)

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
        async def read(nodes: list[NodeKey], asked: Asked) -> dict[NodeKey, Series]:
            question, restricted = await self.question_by_asked.load(asked)
            return await self.context.call(emissions.by_month, question=question, nodes=nodes, restricted=restricted)

        return await _together(keys, read)

    async def _breakdowns(self, keys: list[BreakdownKey]) -> Sequence[list[CubeRow] | cube.TooManyAccounts]:
        async def read(
            nodes: list[NodeKey], asked: Asked, dimension: Dimension, page: CubePage
        ) -> dict[NodeKey, list[CubeRow] | cube.TooManyAccounts]:
            series = await self.series_by_key.load_many([SeriesKey(node, asked) for node in nodes])
            question, restricted = await self.question_by_asked.load(asked)
            given = await self.context.call(
                cube.cube,
                question=question,
                nodes=nodes,
                grouping=cube.Grouping((dimension,)),
                page=page,
                restricted=restricted,
                series=dict(zip(nodes, series, strict=True)),
            )
            rows: dict[NodeKey, list[CubeRow]] = {node: [] for node in nodes}
            for row in given.rows:
                rows[row.node].append(row)
            return rows | {node: cube.TooManyAccounts(cube.MAX_LEDGER_ACCOUNTS) for node in given.refused}

        return await _together(keys, read)


async def _together(
    keys: Sequence[tuple[Any, ...]], read: Callable[..., Awaitable[Mapping[Any, Value]]]
) -> list[Value]:
    """What each key asks for, read at once for all keys that differ by nothing but their first part, the subject."""
    found: dict[tuple[Any, ...], Value] = {}
    for asked in dict.fromkeys(key[1:] for key in keys):
        values = await read([key[0] for key in keys if key[1:] == asked], *asked)
        found |= {(subject, *asked): value for subject, value in values.items()}
    return [found[key] for key in keys]
