"""What the inputs of mutations have in common: a key against repetitions, and global ids of one type."""

from __future__ import annotations

import strawberry

from graphql_api.errors import bad_input
from graphql_api.scalars import read_global_id


@strawberry.input(description="What every mutation takes.")
class MutationInput:
    """Never a type of its own in the schema."""

    client_mutation_id: str | None = strawberry.field(
        default=None,
        description="Repeating a mutation with the same key and input has one effect; the answer is the same.",
    )


def checked_id(text: strawberry.ID, *types: str, field: str) -> tuple[str, int]:
    """Read a global id of one of some types: type and number; BAD_USER_INPUT for anything else."""
    found = read_global_id(text)
    if found is None or found[0] not in types:
        raise bad_input(f"{field} is not the id of {' or '.join(types)}.", field=field)
    return found
