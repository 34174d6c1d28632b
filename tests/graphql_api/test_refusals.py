"""Every code of every mutation, carried out; the page of error codes has the same table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import IdempotencyKey
from accounts.services.refusal import Refusal
from allocation.services import downloads
from tests.graphql_api.ask import signed_in
from tests.graphql_api.refusals import BOSS, WAYS
from tests.graphql_api.samples import Samples
from tests.graphql_api.test_error_page import ELSEWHERE, PAGE
from tests.graphql_api.test_mutations import ERRORS, done

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django.fixtures import Settings

    from tests.graphql_api.refusals import Given, Way
    from tests.read_model.world import World

REUSED = "IDEMPOTENCY_KEY_REUSED"
TYPES = {
    "NOT_FOUND": "NotFound",
    "PERMISSION_DENIED": "PermissionDenied",
    "INVALID": "ValidationFailed",
    "QUOTA_EXCEEDED": "QuotaExceeded",
}
ROW = re.compile(r"^\| `(\w+)` \| ((?:`[A-Z_]+`(?:, )?)+) \|$", re.MULTILINE)


@pytest.fixture
def boss(world: World, settings: Settings, tmp_path: Path) -> str:
    """An administrator of the directory `north`."""
    settings.MEDIA_ROOT = tmp_path
    settings.ALLOCATION_LEASE_SECONDS = 100_000
    world.user(BOSS)
    world.grant(BOSS, "north", role="administrator")
    return BOSS


def answered(world: World, mutation: str, who: str, given: Given) -> dict[str, Any]:
    kind = f"{mutation[0].upper()}{mutation[1:]}Input"
    query = f"mutation($input: {kind}!) {{ {mutation}(input: $input) {{ __typename {ERRORS} }} }}"
    return done(signed_in(world, who), query, **given)


def refused(world: World, mutation: str, way: Way) -> tuple[str, str | None]:
    """The type and code of the refusal; what was brought about for it is undone."""
    with transaction.atomic():
        who, given = way(world)
        answer = answered(world, mutation, who, given)
        transaction.set_rollback(True)
    return answer["__typename"], answer.get("code")


@pytest.mark.parametrize("mutation", WAYS)
def test_every_way_is_refused_with_its_code(world: World, boss: str, mutation: str) -> None:
    assert boss
    found = {code: refused(world, mutation, way) for code, way in WAYS[mutation].items()}
    assert found == {code: (TYPES.get(code, "Conflict"), code) for code in WAYS[mutation]}


@pytest.mark.parametrize("mutation", WAYS)
def test_a_key_that_was_used_for_something_else_is_refused(world: World, boss: str, mutation: str) -> None:
    assert boss
    ways = WAYS[mutation]
    # Hidden parents are looked for before anything is carried out.
    who, given = (ways.get("PERMISSION_DENIED") or ways["NOT_FOUND"])(world)
    IdempotencyKey.objects.create(
        user=world.made[who], mutation=mutation, client_mutation_id="k", input_digest="0", created_at=timezone.now()
    )
    answer = answered(world, mutation, who, given | {"clientMutationId": "k"})
    assert (answer["__typename"], answer["code"]) == ("Conflict", REUSED)


def test_every_mutation_and_every_code_has_its_way_and_its_row() -> None:
    assert WAYS.keys() == {name for name, _ in Samples({"": "x"}).mutations()}
    refusals = list(Refusal.__subclasses__())
    for found in refusals:
        refusals += found.__subclasses__()
    codes = {code for ways in WAYS.values() for code in ways}
    assert codes == {found.code for found in refusals} - ELSEWHERE - {REUSED, downloads.LinkExpired.code}
    told = {name: set(re.findall(r"[A-Z_]+", row)) for name, row in ROW.findall(PAGE.read_text("utf-8"))}
    assert told == {name: set(ways) for name, ways in WAYS.items()}
