"""Carrying a request out once, however often it is sent."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction

from accounts.models import IdempotencyKey
from accounts.services.refusal import PermissionDenied, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from accounts.policies import Viewer


class KeyReused(Refusal):
    """The same key was sent before with another input."""

    code = "IDEMPOTENCY_KEY_REUSED"


def digest_of(arguments: Mapping[str, Any]) -> str:
    """SHA-256 of the input as sorted JSON; dates and the like by their text."""
    text = json.dumps(arguments, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@transaction.atomic
def once(
    *,
    viewer: Viewer,
    mutation: str,
    client_mutation_id: str,
    arguments: Mapping[str, Any],
    carry_out: Callable[[], Any],
) -> Any:  # noqa: ANN401 whatever JSON the action answers
    """Run `carry_out` the first time and remember its JSON answer; answer the same again afterwards.

    Two at once: the second waits for the first to commit, then reads its answer. A refusal rolls the key back too, so
    that the request can be repeated. Answers should be ids, read again under the policy: rights may have ended since.
    """
    if viewer.user_id is None:
        raise PermissionDenied("sign in first")
    digest = digest_of(arguments)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_idempotencykey"
            " (user_id, mutation, client_mutation_id, input_digest, result, created_at)"
            " VALUES (%s, %s, %s, %s, NULL, %s)"
            " ON CONFLICT (user_id, mutation, client_mutation_id) DO NOTHING RETURNING id",
            [viewer.user_id, mutation, client_mutation_id, digest, viewer.now],
        )
        inserted = cursor.fetchone()
    if inserted is not None:
        answer = carry_out()
        IdempotencyKey.objects.filter(id=inserted[0]).update(result=answer)
        return answer
    known = IdempotencyKey.objects.get(user_id=viewer.user_id, mutation=mutation, client_mutation_id=client_mutation_id)
    if known.input_digest != digest:
        raise KeyReused(f"{client_mutation_id!r} was used for another {mutation}", field="clientMutationId")
    return known.result
