"""How a mutation answers: with its result or with a typed error, once for each `clientMutationId`."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from typing import Any, TypeVar

import strawberry

from accounts.services.idempotency import once
from accounts.services.quotas import QuotaExceeded as QuotaRefusal
from accounts.services.refusal import Invalid, Refusal
from accounts.services.refusal import NotFound as NotFoundRefusal
from accounts.services.refusal import PermissionDenied as DeniedRefusal
from graphql_api.context import Context
from graphql_api.errors import bad_input, shortened

MAX_KEY_CHARACTERS = 128
Row = TypeVar("Row")


@strawberry.interface(name="MutationError", description="Why a mutation was not carried out; nothing was written.")
class MutationRefusal:
    """What all typed errors have."""

    message: str = strawberry.field(description="A sentence for developers; may change.")
    code: str = strawberry.field(description="Stable code of the reason.")
    field: str | None = strawberry.field(description="The input field at fault, where there is one.")


@strawberry.type(description="The node may be seen, but the viewer may not do this to it.")
class PermissionDenied(MutationRefusal):
    """Refused by the policy."""


@strawberry.type(description="There is no such thing, or it is hidden from the viewer: both look the same.")
class NotFound(MutationRefusal):
    """Unknown."""


@strawberry.type(description="A value of the input makes no sense by itself.")
class ValidationFailed(MutationRefusal):
    """Bad input."""


@strawberry.type(description="The state of things does not allow it; `code` says why.")
class Conflict(MutationRefusal):
    """Refused by the state."""


@strawberry.type(description="A quota of the directory is used up.")
class QuotaExceeded(MutationRefusal):
    """Refused by a quota."""


Refused = PermissionDenied | NotFound | Conflict
"""What any mutation of something that exists may answer."""

_TYPES: tuple[tuple[type[Refusal], type[MutationRefusal]], ...] = (
    (DeniedRefusal, PermissionDenied),
    (NotFoundRefusal, NotFound),
    (Invalid, ValidationFailed),
    (QuotaRefusal, QuotaExceeded),
    (Refusal, Conflict),
)


def told(refusal: Refusal) -> MutationRefusal:
    """The typed error of a refusal."""
    made = next(made for kind, made in _TYPES if isinstance(refusal, kind))
    return made(message=shortened(str(refusal)), code=refusal.code, field=refusal.field)


async def carried_out(
    info: strawberry.Info[Context, None], *, scope: str, given: object, act: Callable[[], dict[str, Any]]
) -> dict[str, Any] | MutationRefusal:
    """Carry a mutation out and return the ids of its result, or the typed error that refused it.

    Args:
        info: of the mutation's field.
        scope: what a bearer token has to be good for.
        given: the input; its `client_mutation_id`, if there is one, makes repetitions have one effect.
        act: calls the service, in the transaction of the request, and returns JSON.
    """
    context = info.context
    context.require_scope(scope)
    key = getattr(given, "client_mutation_id", None)
    if key is not None and not 1 <= len(key) <= MAX_KEY_CHARACTERS:
        raise bad_input(f"clientMutationId has 1 to {MAX_KEY_CHARACTERS} characters.", field="clientMutationId")

    def service() -> dict[str, Any]:
        if key is None:
            return act()
        arguments = {name: value for name, value in plain(given).items() if name != "client_mutation_id"}
        answer = once(
            viewer=context.viewer,
            mutation=info.field_name,
            client_mutation_id=key,
            arguments=arguments,
            carry_out=act,
        )
        return dict(answer)

    try:
        answer = await context.change(service)
    except Refusal as refusal:
        return told(refusal)
    context.loaders.forget()
    return answer


async def read_after(
    info: strawberry.Info[Context, None],
    *,
    scope: str,
    given: object,
    act: Callable[[], dict[str, Any]],
    read: Callable[[int], Awaitable[Row | None]],
    gone: str,
) -> Row | MutationRefusal:
    """Carry a mutation out and read what it changed, the `id` that `act` returns; NotFound(`gone`) if it is hidden."""
    done = await carried_out(info, scope=scope, given=given, act=act)
    if isinstance(done, MutationRefusal):
        return done
    row = await read(int(done["id"]))
    return NotFound(message=gone, code="NOT_FOUND", field=None) if row is None else row


def plain(value: Any) -> Any:  # noqa: ANN401 inputs hold anything that JSON can
    """Write an input as JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, enum.Enum):
        return value.name
    return value.isoformat() if isinstance(value, date | datetime) else value
