"""The lineage of an account's leaves of one service in one cluster, line by line."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from allocation.engine.clusters import plan_cluster
from allocation.engine.findings import Findings
from allocation.engine.lineage.hardware import RackRows, add_hardware
from allocation.engine.lineage.leaves import (
    Asked,
    add_account,
    add_resource_groups,
    machines_of,
    units_driver,
    usage_by_group,
)
from allocation.engine.lineage.origins import postings
from allocation.engine.lineage.services import add_services, flow_rows
from allocation.engine.lineage.steps import Graph, InputRow, Place, PlaceKind, behind, brought_together
from allocation.engine.peaks import read_peaks
from allocation.engine.plan import Plan, survey
from allocation.engine.reach import reach_of
from allocation.engine.recipients import resolve_cluster
from allocation.engine.rows import rows
from allocation.engine.units import exact_sum

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from allocation.engine.frames import Activity, Usage
    from allocation.engine.lineage.leaves import Target
    from allocation.engine.lineage.origins import Posting
    from allocation.engine.lineage.steps import Step
    from allocation.engine.plan import Survey
    from allocation.engine.recipients import Resolution


EXTERNAL_REST: Final = "(rest)"
INTERNAL_REST: Final = "(internal rest)"
"""Accounts under which the usage of all other accounts may be brought together."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """One line of the target, in µg (Wh on the energy line).

    `posted` is the exact sum of the postings that go to the cluster, `x_ug` the integer that it is rounded to (half to
    even), `source_ug` = x + the postings of racks what is conserved. `steps` lead from there to `exact` by resource
    group; each group's integer is its floor or one more.
    """

    line: str
    postings: tuple[Posting, ...]
    posted: Fraction
    x_ug: int
    source_ug: int
    steps: tuple[Step, ...]
    exact: dict[str, Fraction]

    @property
    def total(self) -> Fraction:
        """The account's exact amount."""
        return exact_sum(self.exact.values())


def _nowhere(cluster: str) -> Usage:
    """Return the usage of a cluster that is fed from the target's: there should be none."""
    raise LookupError(f"the services of cluster {cluster} are fed by those of the target: their usage is needed")


def trace(  # noqa: PLR0913 what settle takes, and what is asked
    activity: Activity,
    target: Target,
    usage: Usage,
    history: Sequence[Usage] = (),
    elsewhere: Callable[[str], Usage] = _nowhere,
    *,
    lines: Sequence[str] | None = None,
    racks_apart: int = 50,
) -> list[Lineage]:
    """Explain the leaves of an account: every step with its exact share.

    Args:
        activity: the month.
        target: cluster, service and account.
        usage: the usage of the cluster; leaves other than the target's may be brought together, service by service,
            under `EXTERNAL_REST` and `INTERNAL_REST`, as long as their net usage (never below 0) adds up to the same;
            those of peak-weighted services may not.
        history: as for `settle`.
        elsewhere: the same for any other cluster; asked for those that the services of this one serve.
        lines: only these; every line of the cluster if None.
        racks_apart: racks shown one by one on a line; the others are brought together.

    Raises:
        PackageRejectedError: CLOSED_CLASS, if the options call it an error.
        ArithmeticError: the steps do not multiply back to what the engine computes.
    """
    findings = Findings()
    found = survey(activity, findings)
    findings.raise_if_rejected()
    options = activity.header.options
    core = frozenset(str(row.service) for row in rows(activity.tables["services"]) if row.kind == "core")
    own_teams = (str(row.account) for row in rows(activity.tables["accounts"]) if row.internal)
    internal = frozenset({INTERNAL_REST, *own_teams})
    reached = reach_of(found.clusters, target.cluster).clusters
    plans = {
        code: plan_cluster(found.clusters[code], found.contents, options, findings)
        for code in (target.cluster, *reached)
    }
    peaks = read_peaks(activity.tables, core, Fraction(options.closure_tolerance), findings)
    plan = Plan(options, core, internal, plans, found.places.regions, (), found.sites, peaks)
    served = {code: elsewhere(code) for code in reached}
    resolution = resolve_cluster(plan, target.cluster, usage, history, served, findings)
    traced = _Traced(activity, found, plan, resolution, target)
    known = plans[target.cluster].lines
    chosen = known if lines is None else [line for line in known if line in lines]
    return [traced.line(line, racks_apart) for line in chosen]


@dataclass(frozen=True, slots=True)
class _Traced:
    """A cluster whose leaves are explained."""

    activity: Activity
    survey: Survey
    plan: Plan
    resolution: Resolution
    target: Target

    def line(self, line: str, racks_apart: int) -> Lineage:
        target, options = self.target, self.plan.options
        index = self.plan.clusters[target.cluster].lines.index(line)
        here = self.survey.clusters[target.cluster]
        origins = postings(self.activity, self.survey, target.cluster, line)
        graph = Graph()
        read = RackRows.read(self.activity)
        add_hardware(graph, here, self.survey.contents, options=options, origins=origins, read=read, line=line)
        by_flow = flow_rows(self.activity, self.survey.places, target.cluster, self.plan.clusters)
        gross = add_services(graph, self.resolution, options, index, by_flow)
        add_account(graph, self.resolution, self.plan, gross, Asked(target, index, self._period_rows()))
        exact, account = self._exact(index), Place(PlaceKind.ACCOUNT, target.account)
        if graph.at(account) != exact_sum(exact.values()):
            raise ArithmeticError(f"the steps to {target} on {line} do not multiply back to its amount")
        add_resource_groups(graph, account, exact, self._usage(exact), units_driver(self.plan, target.service))
        steps = behind(graph.steps, account)
        for kind in (PlaceKind.RACK, PlaceKind.SOURCE):
            steps = brought_together(steps, kind, racks_apart)
        last = [step for step in graph.steps if step.source == account]
        source = here.sources[line]
        return Lineage(
            line=line,
            postings=tuple(origins),
            posted=exact_sum(source.shared),
            x_ug=source.x_ug,
            source_ug=source.total_ug,
            steps=(*steps, *last),
            exact=exact,
        )

    def _exact(self, index: int) -> dict[str, Fraction]:
        """Return the exact amount of each of the target's leaves that exist on a line."""
        settlement = self.resolution.settlement
        leaves, quantities = settlement.leaves()
        found: dict[str, Fraction] = {}
        for position, number in enumerate(quantities.block.tolist()):
            service, account, group = leaves.key(position)
            block = settlement.blocks[number]
            if (service, account) == (self.target.service, self.target.account) and (
                block.lines is None or index in block.lines
            ):
                found[group] = quantities.whole(position) * block.columns[index]
        return found

    def _usage(self, exact: dict[str, Fraction]) -> dict[str, Fraction]:
        """Return the usage of these groups if nothing else brings anything to them; nothing if something does."""
        target = self.target
        if machines_of(self.plan, target) or target.service in self.resolution.fallbacks.previous:
            return {}
        used = [by_group for part in self.resolution.sold if (by_group := usage_by_group(part.netted, target))]
        return {group: own for group, own in used[0].items() if group in exact} if len(used) == 1 else {}

    def _period_rows(self) -> dict[str, list[InputRow]]:
        """Return the rows of usage_periods.csv of the account and service by cluster, if its key is weighed by them."""
        found: dict[str, list[InputRow]] = {}
        for row in rows(self.activity.tables["usage_periods"]):
            if (row.service, row.account) == (self.target.service, self.target.account):
                found.setdefault(str(row.cluster), []).append(InputRow("usage_periods.csv", int(row.row)))
        return found if self.target.service in self.plan.peaks.services else {}
