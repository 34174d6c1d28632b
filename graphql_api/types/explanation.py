"""Why a figure is what it is: steps with exact shares, factors, input rows; what is not told says why."""

from __future__ import annotations

import decimal
from datetime import datetime
from fractions import Fraction
from typing import Annotated

import strawberry

from allocation.policies import Kind, NodeKey
from allocation.selectors.statuses import Presence
from allocation.services.explanation import ExplainedLine, ExplainedPosting, ExplainedStep, Question
from allocation.services.explanation import Explanation as DomainExplanation
from graphql_api.context import Context
from graphql_api.errors import bad_input
from graphql_api.scalars import BigInt, Month, global_id
from graphql_api.types.enums import DataStatus, Driver, PlaceKind, Redaction, Stage
from graphql_api.types.factors import EmissionFactor
from graphql_api.types.nodes import checked_moment, id_of, key_of

Info = strawberry.Info[Context, None]
MAX_CODE_CHARACTERS = 128
EXACT_BITS = 10_000
_DIGITS = decimal.Context(prec=30)


@strawberry.type(description="An option of the method.")
class ExplanationOption:
    """An option."""

    name: str = strawberry.field(description="Its name in the package format.")
    value: str = strawberry.field(description="Its value; lists are separated by commas.")

    @classmethod
    def of(cls, name: str, value: object) -> ExplanationOption:
        """Convert."""
        return cls(name=name, value=", ".join(map(str, value)) if isinstance(value, list) else str(value))


def text_of(value: Fraction | None) -> str | None:
    """Write an exact number: digits, or numerator/denominator in lowest terms.

    Sums over the hours of a month can have denominators of many pages: these are rounded to 30 digits after a `~`.
    """
    if value is None:
        return None
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > EXACT_BITS:
        return f"~{_DIGITS.divide(decimal.Decimal(value.numerator), decimal.Decimal(value.denominator))}"
    return str(value)


@strawberry.input(description="Which figure to explain.")
class ExplainInput:
    """A question."""

    node_id: strawberry.ID = strawberry.field(description="Global id of an account or a resource group.")
    month: Month = strawberry.field(description="The month.")
    service: str = strawberry.field(description="The provider's code of the service, as `byService` shows it.")
    cluster: str = strawberry.field(description="The provider's code of the cluster, as `byLocation` shows it.")
    lines: list[str] | None = strawberry.field(
        default=None, description="Only these lines, by their codes in the package format; all if it is not given."
    )
    as_of: datetime | None = strawberry.field(
        default=None, description="What was published at this moment, whatever was restated since."
    )

    def question(self) -> Question:
        """Check and convert."""
        key: NodeKey | None = key_of(self.node_id)
        if key is None or key.kind not in {Kind.ACCOUNT, Kind.RESOURCE_GROUP}:
            message = "nodeId is not the id of an account or a resource group; what stands above is the sum of those."
            raise bad_input(message, field="nodeId")
        for name, code in (("service", self.service), ("cluster", self.cluster)):
            if not 1 <= len(code) <= MAX_CODE_CHARACTERS:
                raise bad_input(f"{name} has 1 to {MAX_CODE_CHARACTERS} characters.", field=name)
        lines = None if self.lines is None else tuple(sorted(set(self.lines)))
        return Question(key, self.month, self.service, self.cluster, lines)

    def moment(self, now: datetime) -> datetime | None:
        """Check the moment of an as-of view."""
        return checked_moment(self.as_of, now)


@strawberry.type(description="Where an amount stands between two steps.")
class ExplainedPlace:
    """A place."""

    kind: PlaceKind = strawberry.field(description="What it is.")
    code: str | None = strawberry.field(description="The provider's code of it; null where it is not told.")


@strawberry.type(description="A row of the provider's package.")
class InputRow:
    """A row."""

    file: str = strawberry.field(description="The file.")
    row: int | None = strawberry.field(description="Line in the file, the header being 1; null where it is not told.")


@strawberry.type(
    description="One proportional division: `amountOut` = `share` x `amountIn`, `share` = `weight` / `total`, exactly."
    " Amounts in micrograms CO2e, in watt-hours on the line energy_wh. Exact numbers are digits, or a fraction in"
    " lowest terms."
)
class ExplanationStep:
    """A step."""

    step: strawberry.Private[ExplainedStep]

    @strawberry.field(description="Which step of the chain it is.")
    def stage(self) -> Stage:
        """Stage."""
        return Stage(self.step.stage)

    @strawberry.field(name="from", description="Where the amount comes from.")
    def source(self) -> ExplainedPlace:
        """Source."""
        return ExplainedPlace(kind=PlaceKind(self.step.source[0]), code=self.step.source[1])

    @strawberry.field(name="to", description="Where the amount goes.")
    def target(self) -> ExplainedPlace:
        """Target."""
        return ExplainedPlace(kind=PlaceKind(self.step.target[0]), code=self.step.target[1])

    @strawberry.field(description="By what the amount is divided.")
    def driver(self) -> Driver:
        """Driver."""
        return Driver(self.step.driver)

    @strawberry.field(description="Unit of weight and total.")
    def unit(self) -> str:
        """Unit."""
        return self.step.unit

    @strawberry.field(description="The part of the driver that goes this way, exact; null where it is not told.")
    def weight(self) -> str | None:
        """Weight."""
        return text_of(self.step.weight)

    @strawberry.field(description="The whole of the driver, exact; null where it is not told.")
    def total(self) -> str | None:
        """Total."""
        return text_of(self.step.total)

    @strawberry.field(description="Weight / total as a fraction in lowest terms; null where it is not told.")
    def share(self) -> str | None:
        """Share."""
        return text_of(self.step.share)

    @strawberry.field(description="All that stands at `from`, exact; null where it is not told.")
    def amount_in(self) -> str | None:
        """Amount before."""
        return text_of(self.step.amount_in)

    @strawberry.field(description="What arrives at `to` by this step, exact; null where it is not told.")
    def amount_out(self) -> str | None:
        """Amount after."""
        return text_of(self.step.amount_out)

    @strawberry.field(description="Rows of the package behind the weight.")
    def rows(self) -> list[InputRow]:
        """Rows."""
        return [InputRow(file=row.file, row=row.row) for row in self.step.rows]

    @strawberry.field(description="How many steps were brought together in this one; then weights are amounts.")
    def members(self) -> int:
        """Members."""
        return self.step.members

    @strawberry.field(description="Why something of this step is not told; null if all of it is.")
    def redacted(self) -> Redaction | None:
        """Redaction."""
        return self.step.redacted


@strawberry.type(description="A row of the package that posts to the cluster: quantity x factor x share = amount.")
class ExplanationPosting:
    """A posting."""

    posting: strawberry.Private[ExplainedPosting]

    @strawberry.field(description="What posts: a site, a gas, an asset, a shared pool.")
    def code(self) -> str:
        """Code."""
        return self.posting.code

    @strawberry.field(description="Exact quantity, in `unit`.")
    def quantity(self) -> str:
        """Quantity."""
        return text_of(self.posting.quantity) or ""

    @strawberry.field(description="Unit of the quantity.")
    def unit(self) -> str:
        """Unit."""
        return self.posting.unit

    @strawberry.field(description="Name of the factor; null where the quantity is posted as it is.")
    def factor(self) -> str | None:
        """Factor."""
        return self.posting.factor

    @strawberry.field(description="Exact value of the factor, in `factorUnit`.")
    def factor_value(self) -> str | None:
        """Value."""
        return text_of(self.posting.factor_value)

    @strawberry.field(description="Unit of the factor.")
    def factor_unit(self) -> str | None:
        """Unit of the factor."""
        return self.posting.factor_unit

    @strawberry.field(description="Month, or set of warming potentials, that the factor belongs to.")
    def vintage(self) -> str | None:
        """Vintage."""
        return self.posting.vintage

    @strawberry.field(description="This cluster's part of what belongs to several, exact.")
    def share(self) -> str:
        """Share."""
        return str(self.posting.share)

    @strawberry.field(description="Exact amount, in the unit of the line.")
    def amount(self) -> str:
        """Amount."""
        return text_of(self.posting.amount) or ""

    @strawberry.field(description="Quality of the row.")
    def quality(self) -> str:
        """Quality."""
        return self.posting.quality

    @strawberry.field(description="The rack that it goes to; null for the whole cluster.")
    def rack(self) -> str | None:
        """Rack."""
        return self.posting.rack

    @strawberry.field(description="Rows of the package behind it.")
    def rows(self) -> list[InputRow]:
        """Rows."""
        return [InputRow(file=row.file, row=row.row) for row in self.posting.rows]


@strawberry.type(description="A resource group's part of the line.")
class ExplanationLeaf:
    """A leaf."""

    resource_group: str = strawberry.field(description="Code of the resource group.")
    amount: BigInt = strawberry.field(description="The published integer, in the unit of the line.")
    exact: str | None = strawberry.field(description="The exact amount before rounding; null where it is not told.")
    extra_unit: int | None = strawberry.field(
        description="1 if it got one of the units that rounding down leaves over (largest remainders), else 0:"
        " `amount` = floor of `exact` + this. Null where it is not told."
    )


@strawberry.type(description="One line of the figure, from source to leaf.")
class ExplanationLine:
    """A line."""

    explained: strawberry.Private[ExplainedLine]

    @strawberry.field(description="Code of the line in the package format; energy_wh is electricity.")
    def line(self) -> str:
        """Line."""
        return self.explained.line

    @strawberry.field(description="Unit of the integers: ug CO2e or Wh.")
    def unit(self) -> str:
        """Unit."""
        return self.explained.unit

    @strawberry.field(description="The published integer: the sum of its resource groups.")
    def amount(self) -> BigInt:
        """Amount."""
        return BigInt(self.explained.amount)

    @strawberry.field(description="The part of it that rests on estimates.")
    def estimated(self) -> BigInt:
        """Estimated."""
        return BigInt(self.explained.estimated)

    @strawberry.field(description="The weakest quality of the data behind it.")
    def quality(self) -> str:
        """Quality."""
        return self.explained.quality

    @strawberry.field(description="Exact amount of the node before rounding; null where it is not told.")
    def exact(self) -> str | None:
        """Exact amount."""
        return text_of(self.explained.exact)

    @strawberry.field(description="The integer of the whole cluster that is divided; null where it is not told.")
    def source(self) -> BigInt | None:
        """Source."""
        return None if self.explained.source is None else BigInt(self.explained.source)

    @strawberry.field(
        description="Exact sum of what posts to the cluster as a whole, before it is rounded half to even; null where"
        " it is not told."
    )
    def posted(self) -> str | None:
        """Posted."""
        return text_of(self.explained.posted)

    @strawberry.field(description="Rows that post to the cluster: for operators, empty for everybody else.")
    def postings(self) -> list[ExplanationPosting]:
        """Postings."""
        return [ExplanationPosting(posting=posting) for posting in self.explained.postings]

    @strawberry.field(
        description="The steps, in the order of the chain. What the steps to a place bring adds up to what the steps"
        " from it divide. More than fifty racks are brought together in one."
    )
    def steps(self) -> list[ExplanationStep]:
        """Steps."""
        return [ExplanationStep(step=step) for step in self.explained.steps]

    @strawberry.field(description="Factors behind the line.")
    def factors(self) -> list[EmissionFactor]:
        """Factors."""
        return [EmissionFactor(row=factor) for factor in self.explained.factors]

    @strawberry.field(description="Its resource groups by code, at most 100.")
    def leaves(self) -> list[ExplanationLeaf]:
        """Leaves."""
        return [
            ExplanationLeaf(
                resource_group=leaf.resource_group,
                amount=BigInt(leaf.amount),
                exact=text_of(leaf.exact),
                extra_unit=leaf.extra_unit,
            )
            for leaf in self.explained.leaves
        ]

    @strawberry.field(description="How many more resource groups there are.")
    def leaves_left_out(self) -> int:
        """Leaves left out."""
        return self.explained.leaves_left_out


@strawberry.type(description="A row of the package that is the account's own.")
class OwnInput:
    """A row."""

    file: str = strawberry.field(description="usage.csv or machines.csv.")
    row: int | None = strawberry.field(description="Line in the file, the header being 1; null where it is not told.")
    resource_group: str = strawberry.field(description="Code of the resource group that it names.")
    quantity: str = strawberry.field(description="The exact quantity; of a machine its electricity.")
    unit: str = strawberry.field(description="Its unit; (region) where the row names the cluster's region.")


@strawberry.type(description="Something that is not told, and why.")
class ExplanationRedaction:
    """A redaction."""

    field: str = strawberry.field(description="Name of the field, at any depth.")
    reason: Redaction = strawberry.field(description="Why.")


@strawberry.type(
    description="Why a figure is what it is. Operators see all of it; customers the methodology, the factors, their own"
    " inputs, shares and result."
)
class Explanation:
    """An answer."""

    given: strawberry.Private[DomainExplanation]

    @strawberry.field(description="Global id of the node.")
    def node_id(self) -> strawberry.ID:
        """Node."""
        return strawberry.ID(id_of(self.given.question.node))

    @strawberry.field(description="REPORTED if there is something to explain, else why there is not.")
    def status(self) -> DataStatus:
        """Status."""
        presence = self.given.about.presence
        return DataStatus.REPORTED if presence is Presence.WHOLE else DataStatus(presence.value)

    @strawberry.field(description="Code of the provider.")
    def provider(self) -> str:
        """Provider."""
        return self.given.about.provider_code

    @strawberry.field(description="Whether everything is told: to operators.")
    def full(self) -> bool:
        """Full."""
        return self.given.full

    @strawberry.field(description="Global id of the run that computed it; null without a figure.")
    def run_id(self) -> strawberry.ID | None:
        """Run."""
        found = self.given.found
        return None if found is None else strawberry.ID(global_id("AllocationRun", found.run_id))

    @strawberry.field(description="When it was published; null without a figure.")
    def published_at(self) -> datetime | None:
        """Publication."""
        return None if self.given.found is None else self.given.found.published_at

    @strawberry.field(description="Global id of the version of the method; null without a figure.")
    def methodology_id(self) -> strawberry.ID | None:
        """Methodology."""
        found = self.given.found
        if found is None:
            return None
        return strawberry.ID(global_id("MethodologyVersion", found.methodology_version_id))

    @strawberry.field(description="Options of the method that decide the drivers.")
    def options(self) -> list[ExplanationOption]:
        """Options."""
        found = self.given.found
        return [] if found is None else [ExplanationOption.of(*one) for one in sorted(found.options.items())]

    @strawberry.field(description="The lines, in the order of the package format.")
    def lines(self) -> list[ExplanationLine]:
        """Lines."""
        return [ExplanationLine(explained=line) for line in self.given.lines]

    @strawberry.field(description="The account's own rows of the package, at most 100.")
    def inputs(self) -> list[OwnInput]:
        """Inputs."""
        listed = [] if self.given.inputs is None else self.given.inputs.listed
        return [
            OwnInput(
                file=one.file,
                row=one.row,
                resource_group=one.resource_group,
                quantity=format(one.quantity.normalize(), "f"),
                unit=one.unit,
            )
            for one in listed
        ]

    @strawberry.field(description="How many more rows there are.")
    def inputs_left_out(self) -> int:
        """Inputs left out."""
        found = self.given.inputs
        return 0 if found is None else found.count - len(found.listed)

    @strawberry.field(description="What is not told, and why; empty for operators.")
    def redactions(self) -> list[ExplanationRedaction]:
        """Redactions."""
        return [ExplanationRedaction(field=name, reason=reason) for name, reason in self.given.redactions.items()]


InExplain = Annotated[ExplainInput, strawberry.argument(description="The question.")]
