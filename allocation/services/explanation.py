"""Why a published figure is what it is: all of it for operators, for customers what is theirs to know.

Nothing is stored for this. An operator's answer is computed from the stored inputs by the engine and compared with the
ledger; a customer's is made of the published figure, the factors, the account's own rows and its own shares. What the
provider or other customers would have to be asked for is redacted, and said to be.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from accounts.services.refusal import NotFound
from allocation.engine.frames import QUALITIES
from allocation.engine.lineage.leaves import Target
from allocation.engine.lineage.steps import Driver, InputRow, PlaceKind, Stage
from allocation.engine.lineage.trace import trace
from allocation.engine.usage import empty_usage
from allocation.exchange.read import read_activity, read_usage_beside
from allocation.models import Package, RunInput, Withheld
from allocation.selectors import explanations, factors
from allocation.selectors.explanations import Redaction
from allocation.selectors.publications import Published
from allocation.selectors.statuses import Presence

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from accounts.policies import Viewer
    from allocation.engine.frames import Usage
    from allocation.engine.lineage.steps import Place, Step
    from allocation.engine.lineage.trace import Lineage
    from allocation.policies import NodeKey
    from allocation.selectors.explanations import Context, Inputs, Leaf, Subject
    from allocation.selectors.factors import Factor

__all__ = [
    "Driver",
    "ExplainedLeaf",
    "ExplainedLine",
    "ExplainedPosting",
    "ExplainedStep",
    "Explanation",
    "PlaceKind",
    "Question",
    "Stage",
    "explain",
]

FACTORS_LISTED: Final = 500
LEAVES_LISTED: Final = 100
ENERGY_LINE: Final = "energy_wh"


@dataclass(frozen=True, slots=True)
class Question:
    """Which figure: a node (account or resource group), month, and service and cluster by code; lines, or all."""

    node: NodeKey
    month: dt.date
    service: str
    cluster: str
    lines: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ExplainedStep:
    """A step as it may be told. What is None is not told, for the reason in `redacted`.

    Amounts in µg (Wh on the energy line), exact; `source` and `target` are (kind, code).
    """

    stage: str
    driver: str
    unit: str
    source: tuple[str, str | None]
    target: tuple[str, str | None]
    weight: Fraction | None = None
    total: Fraction | None = None
    share: Fraction | None = None
    amount_in: Fraction | None = None
    amount_out: Fraction | None = None
    rows: tuple[InputRow, ...] = ()
    members: int = 1
    redacted: Redaction | None = None


@dataclass(frozen=True, slots=True)
class ExplainedPosting:
    """A row of the package that posts to the cluster: for operators."""

    code: str
    quantity: Fraction
    unit: str
    factor: str | None
    factor_value: Fraction | None
    factor_unit: str | None
    vintage: str | None
    share: Fraction
    amount: Fraction
    quality: str
    rack: str | None
    rows: tuple[InputRow, ...]


@dataclass(frozen=True, slots=True)
class ExplainedLeaf:
    """A resource group: its integer and, for operators, the exact amount that it was rounded from.

    `extra_unit` is the unit that Hamilton's method gave it: amount = floor of the exact amount + this (0 or 1).
    """

    resource_group: str
    amount: int
    exact: Fraction | None
    extra_unit: int | None


@dataclass(frozen=True, slots=True)
class ExplainedLine:
    """One line of the figure, in µg (Wh for energy). `source` is the cluster's whole, `posted` before rounding."""

    line: str
    amount: int
    estimated: int
    quality: str
    leaves: Sequence[ExplainedLeaf]
    leaves_left_out: int
    steps: Sequence[ExplainedStep]
    factors: Sequence[Factor]
    source: int | None = None
    posted: Fraction | None = None
    exact: Fraction | None = None
    postings: Sequence[ExplainedPosting] = ()
    redacted: Redaction | None = None

    @property
    def unit(self) -> str:
        """Unit of the integers."""
        return "Wh" if self.line == ENERGY_LINE else "ug CO2e"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer. `found` is None, and there are no lines, unless the figure is published and permitted."""

    about: Subject
    question: Question
    found: Context | None = None
    inputs: Inputs | None = None
    lines: Sequence[ExplainedLine] = ()
    full: bool = False
    redactions: Mapping[str, Redaction] = field(default_factory=dict)


def explain(*, viewer: Viewer, published: Published, question: Question) -> Explanation:
    """Explain a published figure as far as the viewer may know.

    Raises:
        NotFound: the node is hidden or absent, or there is no such cluster, service or leaf in the month.
        ArithmeticError: the stored inputs do not lead to the stored figure.
    """
    try:
        about = explanations.subject(viewer=viewer, published=published, node=question.node, month=question.month)
    except explanations.NodeHiddenError as error:
        raise NotFound("there is no such node", field="nodeId") from error
    pin = published.by_month.get((about.provider_id, question.month))
    if about.presence is not Presence.WHOLE or pin is None:
        return Explanation(about, question)
    found = explanations.context(pin=pin, cluster=question.cluster, service=question.service)
    leaves = explanations.leaves(found=found, about=about)
    if not leaves:
        raise NotFound("the node has no figures of this service in this cluster and month", field="service")
    withheld = leaves[0].withheld
    if withheld is not None and not viewer.is_operator:
        absence = Presence.BELOW_THRESHOLD if withheld == Withheld.BELOW_THRESHOLD else Presence.NOT_COVERED
        return Explanation(replace(about, presence=absence), question)
    inputs = explanations.own_inputs(found=found, about=about, with_line_numbers=viewer.is_operator)
    chosen = [leaf for leaf in leaves if question.lines is None or leaf.line in question.lines]
    by_line: dict[str, list[Leaf]] = {}
    for leaf in chosen:
        by_line.setdefault(leaf.line, []).append(leaf)
    known = factors.factors(viewer=viewer, published=Published((pin,)), limit=FACTORS_LISTED, cluster=question.cluster)
    if viewer.is_operator:
        traced = {one.line: one for one in _traced(found, about, question, list(by_line))}
        own = {"": inputs} | {
            code: explanations.own_inputs(
                found=explanations.in_cluster(found=found, cluster=code), about=about, with_line_numbers=True
            )
            for code in _other_clusters(traced.values())
        }
        lines = [_in_full(line, mine, traced[line], own, known) for line, mine in by_line.items()]
        return Explanation(about, question, found, inputs, lines, full=True)
    lines = [_own(line, mine, found, about, inputs, known) for line, mine in by_line.items()]
    return Explanation(about, question, found, inputs, lines, redactions=_REDACTED)


_REDACTED: Final = {
    "source": Redaction.PROVIDERS_BUSINESS,
    "posted": Redaction.PROVIDERS_BUSINESS,
    "postings": Redaction.PROVIDERS_BUSINESS,
    "exact": Redaction.OTHERS_USAGE,
    "inputs.row": Redaction.OTHERS_USAGE,
}


def _traced(found: Context, about: Subject, question: Question, lines: list[str]) -> list[Lineage]:
    package = Package.objects.select_related("provider", "methodology_version").get(pk=found.package_id)
    target = Target(question.cluster, question.service, about.account)
    earlier = RunInput.objects.filter(run_id=found.run_id).select_related("package").order_by("-package__month")
    history = [read_usage_beside(pinned.package, target) for pinned in earlier]
    past = [one for one in history if one is not None]

    def usage_in(cluster: str) -> Usage:
        return read_usage_beside(package, replace(target, cluster=cluster)) or empty_usage()

    return trace(read_activity(package), target, usage_in(target.cluster), past, usage_in, lines=lines)


def _other_clusters(lineages: Iterable[Lineage]) -> list[str]:
    """Return the other clusters in which the account uses the service as it is fed from this one."""
    codes = {_cluster_of(step) for lineage in lineages for step in lineage.steps if step.stage in _OWN_FILES}
    return sorted(codes - {""})


def _cluster_of(step: Step) -> str:
    """Return the cluster of the node that a step starts at, if it is not the one in question: see `engine.reach`."""
    return step.source.code.rpartition("|")[0]


def _in_full(
    line: str, mine: Sequence[Leaf], lineage: Lineage, own: Mapping[str, Inputs], known: Sequence[Factor]
) -> ExplainedLine:
    leaves = []
    for leaf in mine:
        exact = lineage.exact[leaf.resource_group]
        extra = leaf.ug - int(exact)
        if extra not in {0, 1}:
            raise ArithmeticError(f"{leaf}: the inputs lead to {exact}")
        leaves.append(ExplainedLeaf(leaf.resource_group, leaf.ug, exact, extra))
    asked = {leaf.resource_group for leaf in mine}
    steps = [
        _step(step, own)
        for step in lineage.steps
        if step.target.kind is not PlaceKind.RESOURCE_GROUP or step.target.code in asked
    ]
    return ExplainedLine(
        **_figure(line, mine),
        leaves=leaves[:LEAVES_LISTED],
        leaves_left_out=max(0, len(leaves) - LEAVES_LISTED),
        steps=steps,
        factors=_of_line(line, known),
        source=lineage.source_ug,
        posted=lineage.posted,
        exact=sum((leaf.exact for leaf in leaves if leaf.exact is not None), Fraction()),
        postings=[
            ExplainedPosting(
                posting.code,
                posting.quantity,
                posting.unit,
                posting.factor.name if posting.factor else None,
                posting.factor.value if posting.factor else None,
                posting.factor.unit if posting.factor else None,
                posting.factor.vintage if posting.factor else None,
                posting.share,
                posting.amount,
                posting.quality,
                posting.rack,
                posting.rows,
            )
            for posting in lineage.postings
        ],
    )


_UNITS: Final = {
    Driver.WHOLE: "1",
    Driver.POSTING_UG: "ug",
    Driver.IT_KWH: "kWh",
    Driver.FACILITY_KWH: "kWh",
    Driver.UTILISATION: "1",
    Driver.USED_KWH: "kWh",
    Driver.USED_EMISSIONS_UG: "ug",
    Driver.SERVICE_UNITS: "unit of the service",
    Driver.PEAK_WEIGHTED_UNITS: "unit of the service, weighed",
    Driver.ROUND: "ug",
    Driver.EARLIER_UNITS: "unit of the service",
    Driver.EMISSIONS_UG: "ug",
}


_OWN_FILES: Final = {Stage.SERVICE_TO_ACCOUNT: "usage.csv", Stage.MACHINES_TO_ACCOUNT: "machines.csv"}


def _step(step: Step, own: Mapping[str, Inputs]) -> ExplainedStep:
    rows, file = step.rows, _OWN_FILES.get(step.stage)
    if file:
        listed = own[_cluster_of(step)].listed
        rows = (*(InputRow(one.file, one.row) for one in listed if one.file == file), *rows)
    return ExplainedStep(
        stage=step.stage.value,
        driver=step.driver.value,
        unit=_UNITS[step.driver],
        source=_told(step.source),
        target=_told(step.target),
        weight=step.weight,
        total=step.total,
        share=step.share,
        amount_in=step.amount_in,
        amount_out=step.amount_out,
        rows=rows,
        members=step.members,
    )


def _told(place: Place) -> tuple[str, str | None]:
    return place.kind.value, place.code


def _own(  # noqa: PLR0913, PLR0917 what a customer may know comes from as many places
    line: str, mine: Sequence[Leaf], found: Context, about: Subject, inputs: Inputs, known: Sequence[Factor]
) -> ExplainedLine:
    """Tell a line to a customer: the stages by the methodology, own usage and own shares, nothing of anybody else."""
    return ExplainedLine(
        **_figure(line, mine),
        leaves=[ExplainedLeaf(leaf.resource_group, leaf.ug, None, None) for leaf in mine[:LEAVES_LISTED]],
        leaves_left_out=max(0, len(mine) - LEAVES_LISTED),
        steps=[*_stages(found), *_own_steps(found, about, inputs, {leaf.resource_group for leaf in mine})],
        factors=_of_line(line, known),
        redacted=Redaction.PROVIDERS_BUSINESS,
    )


def _stages(found: Context) -> list[ExplainedStep]:
    """Return the stages before the account as the methodology has them: which driver, no numbers, no codes."""
    by_weight = Driver.FACILITY_KWH if found.options.get("rack_weight") == "facility_kwh" else Driver.IT_KWH
    provider, others = Redaction.PROVIDERS_BUSINESS, Redaction.OTHERS_USAGE
    listed = [
        (Stage.SOURCE_TO_CLUSTER, Driver.WHOLE, PlaceKind.SOURCE, PlaceKind.CLUSTER, provider),
        (Stage.CLUSTER_TO_RACK, by_weight, PlaceKind.CLUSTER, PlaceKind.RACK, provider),
        (Stage.RACK_TO_SERVICE, Driver.UTILISATION, PlaceKind.RACK, PlaceKind.SERVICE, provider),
    ]
    if found.options.get("dependencies") != "direct":
        listed.append((Stage.SERVICE_TO_SERVICE, Driver.SERVICE_UNITS, PlaceKind.SERVICE, PlaceKind.SERVICE, others))
    return [
        ExplainedStep(
            stage.value, driver.value, _UNITS[driver], (source.value, None), (target.value, None), redacted=redacted
        )
        for stage, driver, source, target, redacted in listed
    ]


def _own_steps(found: Context, about: Subject, inputs: Inputs, asked: Collection[str]) -> list[ExplainedStep]:
    """Return the last two steps: the account's usage without the total of all, and its own shares of that."""
    net = {group: max(quantity, Fraction()) for group, quantity in inputs.net.items()}
    total = sum(net.values(), Fraction())
    account, driver = (PlaceKind.ACCOUNT.value, about.account), Driver.SERVICE_UNITS
    if found.peak_weighted:  # what a unit weighs depends on when others used theirs
        driver = Driver.PEAK_WEIGHTED_UNITS
    unit = found.unit or _UNITS[driver]
    to_account = ExplainedStep(
        Stage.SERVICE_TO_ACCOUNT.value,
        driver.value,
        unit,
        (PlaceKind.SERVICE.value, None),
        account,
        weight=total if about.whole_account and not found.peak_weighted else None,
        redacted=Redaction.OTHERS_USAGE if about.whole_account else Redaction.NOT_PERMITTED,
    )
    # A resource group's share of its account is known to whoever sees the account as a whole; by usage, if that is all.
    shared = about.whole_account and total and not found.peak_weighted and not inputs.machines
    unknown = Redaction.OTHERS_USAGE if about.whole_account else Redaction.NOT_PERMITTED
    groups = [
        ExplainedStep(
            Stage.ACCOUNT_TO_RESOURCE_GROUP.value,
            driver.value,
            unit,
            account,
            (PlaceKind.RESOURCE_GROUP.value, group),
            weight=quantity,
            total=total if shared else None,
            share=quantity / total if shared else None,
            redacted=None if shared else unknown,
        )
        for group, quantity in sorted(net.items())
        if group in asked
    ]
    return [to_account, *groups[:LEAVES_LISTED]]


def _figure(line: str, mine: Sequence[Leaf]) -> dict[str, Any]:
    """Return what is told of a line to everybody who sees the node: the sum of its integers and their quality."""
    return {
        "line": line,
        "amount": sum(leaf.ug for leaf in mine),
        "estimated": sum(leaf.estimated_ug for leaf in mine),
        "quality": QUALITIES[max(leaf.quality for leaf in mine)],
    }


def _of_line(line: str, known: Sequence[Factor]) -> list[Factor]:
    return [factor for factor in known if factor.kind in factors.LINES_OF.get(line, ())]
