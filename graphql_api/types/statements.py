"""What third parties verified."""

from __future__ import annotations

from datetime import date

import strawberry

from allocation.selectors.assurance import VerificationStatement as DomainStatement
from graphql_api.scalars import Month, global_id
from graphql_api.types.nodes import Node


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
