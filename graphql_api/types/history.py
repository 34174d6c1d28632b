"""What was computed and published: methods, runs, restatements, coverage."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import strawberry

from allocation.policies import NodeKey
from allocation.selectors import restatements as restatements_selector
from allocation.selectors.assurance import VerificationStatement as DomainStatement
from allocation.selectors.coverage import Coverage as DomainCoverage
from allocation.selectors.coverage import CoveredMonth as DomainCoveredMonth
from allocation.selectors.coverage import ReportedService
from allocation.selectors.methodologies import Methodology
from allocation.selectors.restatements import Changed, LeafDifference, LeafKey, Proposal, RestatedMonth
from allocation.selectors.runs import Run, Transition
from allocation.selectors.statuses import Presence
from graphql_api.context import Context
from graphql_api.errors import bad_input
from graphql_api.loaders import LeavesKey
from graphql_api.pagination import Cursors, PageInfo, page_of, page_size
from graphql_api.scalars import BigInt, Month, global_id
from graphql_api.types.arguments import After, First
from graphql_api.types.emissions import Emissions
from graphql_api.types.enums import DataStatus
from graphql_api.types.nodes import Node, key_of

Info = strawberry.Info[Context, None]
_PERCENT = 100
_PPM_PER_PERCENT = 10_000


@strawberry.type(description="A version of a provider's allocation method; binds for ever once a month is published.")
class MethodologyVersion(Node):
    """A version."""

    row: strawberry.Private[Methodology]

    @strawberry.field(description="Code of the provider.")
    def provider(self) -> str:
        """Provider."""
        return self.row.provider_code

    @strawberry.field(description="Name of the method.")
    def name(self) -> str:
        """Name."""
        return self.row.name

    @strawberry.field(description="Its version.")
    def version(self) -> str:
        """Version."""
        return self.row.version

    @strawberry.field(description="Style of the method: aws-v2, alibaba, ibm or custom.")
    def preset(self) -> str:
        """Preset."""
        return self.row.preset

    @strawberry.field(description="Set of global warming potentials, for example AR6.")
    def gwp_set(self) -> str:
        """GWP set."""
        return self.row.gwp_set

    @strawberry.field(description="Effective options, as in the package format.")
    def options(self) -> list[MethodologyOption]:
        """Options."""
        return [MethodologyOption(name=name, value=_text(value)) for name, value in sorted(self.row.options.items())]

    @strawberry.field(description="When a month was first published with it.")
    def bound_at(self) -> datetime | None:
        """Binding."""
        return self.row.bound_at

    @strawberry.field(description="Months that are published with it now, in order.")
    def months(self) -> list[Month]:
        """Months."""
        return [Month(month) for month in self.row.months]

    @strawberry.field(description="What third parties stated about this version, newest first.")
    async def verification_statements(self, info: Info) -> list[VerificationStatement]:
        """Statements."""
        rows = await info.context.loaders.statements_by_method.load(self.row.id)
        return [VerificationStatement.of(row) for row in rows]

    @classmethod
    def of(cls, row: Methodology) -> MethodologyVersion:
        """Convert."""
        return cls(id=strawberry.ID(global_id("MethodologyVersion", row.id)), row=row)


@strawberry.type(description="A third party's statement about a method, or about months as they were published then.")
class VerificationStatement(Node):
    """A statement."""

    provider: str = strawberry.field(description="Code of the provider.")
    verifier: str = strawberry.field(description="Who verified.")
    standard: str = strawberry.field(description="By which standard.")
    level: str = strawberry.field(description="Level of assurance: limited or reasonable.")
    scope: str = strawberry.field(description="What was verified, in the verifier's words.")
    period_from: Month | None = strawberry.field(description="First month verified; null for a method.")
    period_until: Month | None = strawberry.field(description="Month after the last one verified; null for a method.")
    document_url: str = strawberry.field(description="Where the statement can be read.")
    document_sha256: str | None = strawberry.field(
        name="documentSha256", description="SHA-256 of the document in hexadecimal; null if it was not recorded."
    )
    issued_on: date = strawberry.field(description="Date of the statement.")
    about_method: bool = strawberry.field(description="Whether it is about a method, not about months.")
    months: list[Month] = strawberry.field(
        description="Months that it covers as they are shown here, in order; empty for a method."
    )
    left_behind: list[Month] = strawberry.field(
        description="Months that were published again after it was made: what is shown of them, it does not cover."
    )

    @classmethod
    def of(cls, row: DomainStatement) -> VerificationStatement:
        """Convert."""
        return cls(
            id=strawberry.ID(global_id("VerificationStatement", row.id)),
            provider=row.provider_code,
            verifier=row.verifier,
            standard=row.standard,
            level=row.level,
            scope=row.scope,
            period_from=None if row.period_from is None else Month(row.period_from),
            period_until=None if row.period_until is None else Month(row.period_until),
            document_url=row.document_url,
            document_sha256=row.document_sha256 or None,
            issued_on=row.issued_on,
            about_method=row.methodology_version_id is not None,
            months=[Month(month) for month in row.months],
            left_behind=[Month(month) for month in row.left_behind],
        )


@strawberry.type(description="An option of a method.")
class MethodologyOption:
    """An option."""

    name: str = strawberry.field(description="Its name in the package format.")
    value: str = strawberry.field(description="Its value; lists are separated by commas.")


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@strawberry.type(description="How far a run is, and what came of it: for operators.")
class RunDetails:
    """The provider's own business."""

    package_number: int = strawberry.field(description="Number of the month's package, counting from 1.")
    requested_by: str | None = strawberry.field(description="User name of who asked for it; null for the system.")
    attempt: int = strawberry.field(description="How often a worker has taken it up.")
    percent: int = strawberry.field(description="Clusters written, in percent of all; 0 until they are laid out.")
    ledger_rows: BigInt | None = strawberry.field(description="Rows of the ledger; null until it is complete.")
    findings: int = strawberry.field(description="How many findings were stored.")
    failure_code: str | None = strawberry.field(description="Stable code of why it failed; null while all is well.")
    failure_reason: str | None = strawberry.field(description="A sentence about it.")
    transitions: list[RunTransition] = strawberry.field(description="Its changes of state, oldest first.")


@strawberry.type(description="A change of a run's state.")
class RunTransition:
    """A step of a run's history."""

    from_state: str | None = strawberry.field(description="The state before; null for the first.")
    to_state: str = strawberry.field(description="The state after.")
    at: datetime = strawberry.field(description="When, by the database's clock.")
    actor: str | None = strawberry.field(description="User name of the person behind it; null where none was.")
    worker: str | None = strawberry.field(description="The worker behind it; null where none was.")
    attempt: int = strawberry.field(description="Which attempt it belongs to.")
    duration_ms: BigInt | None = strawberry.field(description="Milliseconds since the change before it.")
    rows: BigInt | None = strawberry.field(description="Ledger rows written by then.")
    reason: str | None = strawberry.field(description="Why, in a sentence; null where it goes without saying.")

    @classmethod
    def of(cls, step: Transition) -> RunTransition:
        """Convert."""
        return cls(
            from_state=step.from_state or None,
            to_state=step.to_state,
            at=step.at,
            actor=step.actor,
            worker=step.worker or None,
            attempt=step.attempt,
            duration_ms=None if step.duration_ms is None else BigInt(step.duration_ms),
            rows=None if step.rows is None else BigInt(step.rows),
            reason=step.reason or None,
        )


@strawberry.type(description="One allocation of a month. Customers see the published ones.")
class AllocationRun(Node):
    """A run."""

    row: strawberry.Private[Run]

    @strawberry.field(description="Code of the provider.")
    def provider(self) -> str:
        """Provider."""
        return self.row.provider_code

    @strawberry.field(description="The month.")
    def month(self) -> Month:
        """Month."""
        return Month(self.row.month)

    @strawberry.field(
        description="queued, reading, allocating, writing, proving, ready, published, superseded, failed or withdrawn."
    )
    def state(self) -> str:
        """State."""
        return self.row.state

    @strawberry.field(description="The method, as name@version.")
    def methodology(self) -> str:
        """Methodology."""
        return self.row.methodology

    @strawberry.field(description="When it was asked for.")
    def requested_at(self) -> datetime:
        """Request."""
        return self.row.requested_at

    @strawberry.field(description="When it ended; null while it is under way.")
    def finished_at(self) -> datetime | None:
        """End."""
        return self.row.finished_at

    @strawberry.field(description="When it was first published; null if it never was.")
    def published_at(self) -> datetime | None:
        """Publication."""
        return self.row.published_at

    @strawberry.field(description="Progress and outcome; null for everybody but operators.")
    def details(self) -> RunDetails | None:
        """Details."""
        found = self.row.details
        if found is None:
            return None
        return RunDetails(
            package_number=found.package_number,
            requested_by=found.requested_by,
            attempt=found.attempt,
            percent=_PERCENT * found.chunks_written // found.chunks if found.chunks else 0,
            ledger_rows=None if found.ledger_rows is None else BigInt(found.ledger_rows),
            findings=found.findings,
            failure_code=found.failure_code or None,
            failure_reason=found.failure_reason or None,
            transitions=[RunTransition.of(step) for step in found.transitions],
        )

    @classmethod
    def of(cls, row: Run) -> AllocationRun:
        """Convert."""
        return cls(id=strawberry.ID(global_id("AllocationRun", row.id)), row=row)


@strawberry.type(description="By how much a node's total of the month changed.")
class RestatementChange:
    """Before and after."""

    before: Emissions = strawberry.field(description="As it was published before.")
    after: Emissions = strawberry.field(description="As it was published then.")


@strawberry.type(description="What a line of a leaf was and is.")
class LineDifference:
    """A line."""

    line: str = strawberry.field(description="Code of the line in the package format; energy_wh is electricity.")
    unit: str = strawberry.field(description="Unit of the integers: ug CO2e or Wh.")
    before: BigInt | None = strawberry.field(description="As it was published before; null where it did not exist.")
    after: BigInt | None = strawberry.field(description="As it was published then; null where it does not exist.")
    difference: BigInt = strawberry.field(description="After - before.")


@strawberry.type(description="A leaf that a restatement changed.")
class LeafChange:
    """A leaf."""

    account: str = strawberry.field(description="The provider's id of the account.")
    resource_group: str = strawberry.field(description="Code of the resource group.")
    service: str = strawberry.field(description="Code of the service.")
    cluster: str = strawberry.field(description="Code of the cluster.")
    lines: list[LineDifference] = strawberry.field(description="Lines that changed.")

    @classmethod
    def of(cls, row: LeafDifference) -> LeafChange:
        """Convert."""
        return cls(
            account=row.key.account,
            resource_group=row.key.resource_group,
            service=row.key.service,
            cluster=row.key.cluster,
            lines=[
                LineDifference(
                    line=one.line,
                    unit="Wh" if one.line == "energy_wh" else "ug CO2e",
                    before=None if one.before is None else BigInt(one.before),
                    after=None if one.after is None else BigInt(one.after),
                    difference=BigInt((one.after or 0) - (one.before or 0)),
                )
                for one in row.lines
            ],
        )


@strawberry.type(description="A leaf in a list.")
class LeafChangeEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place in the list, for `after`.")
    node: LeafChange = strawberry.field(description="The leaf.")


@strawberry.type(description="Leaves that a restatement changed, one page of them, by their codes.")
class LeafChangeConnection:
    """Relay connection."""

    edges: list[LeafChangeEdge] = strawberry.field(description="The leaves of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.type(description="A month that was published again.")
class Restatement(Node):
    """A restatement."""

    row: strawberry.Private[RestatedMonth]

    @strawberry.field(description="Code of the provider.")
    def provider(self) -> str:
        """Provider."""
        return self.row.provider_code

    @strawberry.field(description="The month.")
    def month(self) -> Month:
        """Month."""
        return Month(self.row.month)

    @strawberry.field(description="data, factor, method, hierarchy or error.")
    def cause(self) -> str:
        """Cause."""
        return self.row.cause

    @strawberry.field(description="The provider's reason.")
    def reason(self) -> str:
        """Reason."""
        return self.row.reason

    @strawberry.field(description="When it was published.")
    def published_at(self) -> datetime:
        """Publication."""
        return self.row.published_at

    @strawberry.field(description="The method, as name@version.")
    def methodology(self) -> str:
        """Methodology."""
        return self.row.methodology

    @strawberry.field(description="The method before, as name@version.")
    def previous_methodology(self) -> str:
        """Methodology before."""
        return self.row.previous_methodology

    @strawberry.field(description="User name of who asked for it; null for the system, and for all but operators.")
    def author(self) -> str | None:
        """Author."""
        return self.row.author

    @strawberry.field(
        description="User name of the second operator; null if none was needed, and for all but operators."
    )
    def approver(self) -> str | None:
        """Approver."""
        return self.row.approver

    @strawberry.field(
        description="The leaves below a node that changed, with the integers before and after, as far as the viewer may"
        " see them. Of a node with more than 500 accounts ask one further down. A restatement with the cause hierarchy"
        " changes no leaf."
    )
    async def leaves(
        self,
        info: Info,
        node_id: Annotated[strawberry.ID, strawberry.argument(description="Global id of the node.")],
        first: First = None,
        after: After = None,
    ) -> LeafChangeConnection:
        """Leaves."""
        node: NodeKey | None = key_of(node_id)
        if node is None:
            raise bad_input("nodeId is not the id of a node of the hierarchy.", field="nodeId")
        size = page_size(first)
        cursors = Cursors(("restated leaves", self.row.id, node), (str, str, str, str))
        key = cursors.read(after)
        after_key = None if key is None else LeafKey(*map(str, key))
        try:
            rows = await info.context.loaders.leaves_by_key.load(
                LeavesKey(Changed(node, self.row), size + 1, after_key)
            )
        except restatements_selector.TooManyLeaves:
            most = restatements_selector.MAX_LEAF_ACCOUNTS
            raise bad_input(f"Leaves are listed for at most {most} accounts.", field="nodeId", limit=most) from None
        page = page_of(rows, size=size, key=lambda row: tuple(row.key), cursors=cursors, after=key)
        edges = [LeafChangeEdge(cursor=cursor, node=LeafChange.of(row)) for cursor, row in page.rows]
        return LeafChangeConnection(edges=edges, page_info=page.info)

    @strawberry.field(description="By how much the total of a node changed, as far as the viewer may see it.")
    async def change(
        self, info: Info, node_id: Annotated[strawberry.ID, strawberry.argument(description="Global id of the node.")]
    ) -> RestatementChange:
        """Change."""
        key: NodeKey | None = key_of(node_id)
        if key is None:
            raise bad_input("nodeId is not the id of a node of the hierarchy.", field="nodeId")
        before, after = await info.context.loaders.figures_by_restatement.load(Changed(key, self.row))
        return RestatementChange(before=Emissions(figure=before), after=Emissions(figure=after))

    @classmethod
    def of(cls, row: RestatedMonth) -> Restatement:
        """Convert."""
        return cls(id=strawberry.ID(global_id("Restatement", row.id)), row=row)


@strawberry.type(
    description="A restatement that was asked for: published at once, waiting for a second operator, or decided."
)
class RestatementProposal(Node):
    """A proposal."""

    row: strawberry.Private[Proposal]

    @strawberry.field(description="Code of the provider.")
    def provider(self) -> str:
        """Provider."""
        return self.row.provider_code

    @strawberry.field(description="The month.")
    def month(self) -> Month:
        """Month."""
        return Month(self.row.month)

    @strawberry.field(description="Global id of the run that it publishes.")
    def run_id(self) -> strawberry.ID:
        """Run."""
        return strawberry.ID(global_id("AllocationRun", self.row.run_id))

    @strawberry.field(description="data, factor, method, hierarchy or error.")
    def cause(self) -> str:
        """Cause."""
        return self.row.cause

    @strawberry.field(description="The reason, for the readers.")
    def reason(self) -> str:
        """Reason."""
        return self.row.reason

    @strawberry.field(description="User name of who asked for it; null for the system.")
    def author(self) -> str | None:
        """Author."""
        return self.row.author

    @strawberry.field(description="When it was asked for.")
    def proposed_at(self) -> datetime:
        """Proposal."""
        return self.row.proposed_at

    @strawberry.field(
        description="Largest relative difference of any node's total, in percent rounded down to 0.0001; null where"
        " zero became positive."
    )
    def largest_difference_percent(self) -> float | None:
        """Difference."""
        found = self.row.largest_difference_ppm
        return None if found is None else found / _PPM_PER_PERCENT

    @strawberry.field(description="Why a second operator has to approve; null if none has to.")
    def approval_because(self) -> str | None:
        """Reason of the approval."""
        return self.row.approval_because or None

    @strawberry.field(description="User name of the second operator; null while it waits, and if none was needed.")
    def approver(self) -> str | None:
        """Approver."""
        return self.row.approver

    @strawberry.field(description="When it was published or rejected; null while it waits.")
    def decided_at(self) -> datetime | None:
        """Decision."""
        return self.row.decided_at

    @strawberry.field(description="Why it was rejected; null if it was not.")
    def rejected_because(self) -> str | None:
        """Rejection."""
        return self.row.rejected_because or None

    @strawberry.field(description="Global id of the restatement that came of it; null while there is none.")
    def restatement_id(self) -> strawberry.ID | None:
        """Restatement."""
        found = self.row.publication_id
        return None if found is None else strawberry.ID(global_id("Restatement", found))

    @classmethod
    def of(cls, row: Proposal) -> RestatementProposal:
        """Convert."""
        return cls(id=strawberry.ID(global_id("RestatementProposal", row.id)), row=row)


@strawberry.type(description="A proposal in a list.")
class RestatementProposalEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place in the list, for `after`.")
    node: RestatementProposal = strawberry.field(description="The proposal.")


@strawberry.type(description="Restatements that were asked for, one page of them, newest first.")
class RestatementProposalConnection:
    """Relay connection."""

    edges: list[RestatementProposalEdge] = strawberry.field(description="The proposals of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.type(description="What a provider reports of one month.")
class CoveredMonth:
    """A month."""

    month: Month = strawberry.field(description="The month.")
    published: bool = strawberry.field(description="Whether it is published.")
    status: DataStatus | None = strawberry.field(
        description="Why it is not: NOT_YET_PUBLISHED or NOT_COVERED; null if it is published."
    )
    published_at: datetime | None = strawberry.field(description="When it was published as it is now.")
    due_on: date = strawberry.field(description="The day on which the provider's calendar has it published.")
    methodology: str | None = strawberry.field(description="The method, as name@version.")
    restated: bool = strawberry.field(description="Whether it was published more than once.")
    incomplete: bool = strawberry.field(description="Whether usage was left out because it could not be read.")

    @classmethod
    def of(cls, row: DomainCoveredMonth) -> CoveredMonth:
        """Convert."""
        there = row.presence is Presence.WHOLE
        return cls(
            month=Month(row.month),
            published=there,
            status=None if there else DataStatus(row.presence.value),
            published_at=row.published_at,
            due_on=row.due_on,
            methodology=row.methodology,
            restated=row.restated,
            incomplete=row.incomplete,
        )


@strawberry.type(description="A service that a provider reports.")
class CoveredService:
    """A service."""

    code: str = strawberry.field(description="The provider's code of the service.")
    name: str = strawberry.field(description="Display name.")
    category: str | None = strawberry.field(description="The provider's category; null where it gives none.")
    not_covered_in: list[Month] = strawberry.field(
        description="Published months of the period in which the provider does not measure it: NOT_COVERED."
    )
    threshold_kg: float = strawberry.field(
        description="Kilograms CO2e, the highest of the period's months: what an account causes with the service in a"
        " month is told from there on, and BELOW_THRESHOLD below it; 0 = everything is told."
    )

    @classmethod
    def of(cls, row: ReportedService) -> CoveredService:
        """Convert."""
        return cls(
            code=row.code,
            name=row.name,
            category=row.category or None,
            not_covered_in=[Month(month) for month in row.not_covered_in],
            threshold_kg=float(row.threshold_kg),
        )


@strawberry.type(description="What one provider reports in a period.")
class ProviderCoverage:
    """A provider."""

    provider: str = strawberry.field(description="Code of the provider.")
    name: str = strawberry.field(description="Display name.")
    time_zone: str = strawberry.field(description="IANA zone in which its months begin and end.")
    release_lag_months: int = strawberry.field(description="Months between a month and its publication.")
    release_day: int = strawberry.field(description="Day of the month on which it publishes.")
    months: list[CoveredMonth] = strawberry.field(description="Every month of the period, in order.")
    services: list[CoveredService] = strawberry.field(
        description="Services in the published months of the period, those that are not covered included."
    )

    @classmethod
    def of(cls, row: DomainCoverage) -> ProviderCoverage:
        """Convert."""
        return cls(
            provider=row.provider_code,
            name=row.provider_name,
            time_zone=row.time_zone,
            release_lag_months=row.release_lag_months,
            release_day=row.release_day,
            months=[CoveredMonth.of(month) for month in row.months],
            services=[CoveredService.of(one) for one in row.services],
        )


@strawberry.type(description="What the viewer's providers report in a period.")
class Coverage:
    """All providers."""

    providers: list[ProviderCoverage] = strawberry.field(description="By code.")


@strawberry.type(description="A version of a method in a list.")
class MethodologyVersionEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place in the list, for `after`.")
    node: MethodologyVersion = strawberry.field(description="The version.")


@strawberry.type(description="Versions of methods, one page of them, oldest first.")
class MethodologyVersionConnection:
    """Relay connection."""

    edges: list[MethodologyVersionEdge] = strawberry.field(description="The versions of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.type(description="A run in a list.")
class AllocationRunEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place in the list, for `after`.")
    node: AllocationRun = strawberry.field(description="The run.")


@strawberry.type(description="Runs, one page of them, newest first.")
class AllocationRunConnection:
    """Relay connection."""

    edges: list[AllocationRunEdge] = strawberry.field(description="The runs of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.type(description="A restatement in a list.")
class RestatementEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place in the list, for `after`.")
    node: Restatement = strawberry.field(description="The restatement.")


@strawberry.type(description="Restatements, one page of them, newest first.")
class RestatementConnection:
    """Relay connection."""

    edges: list[RestatementEdge] = strawberry.field(description="The restatements of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")
