"""What a token may do: nothing that its scopes do not say, whatever its user may."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from oauth2_provider.settings import oauth2_settings

from graphql_api.scalars import global_id
from tests.graphql_api.ask import post
from tests.graphql_api.samples import Samples, quoted
from tests.graphql_api.test_http import NAME, code_of, token

if TYPE_CHECKING:
    from tests.read_model.world import World

READ = "emissions:read"
SCOPES: set[str] = set(oauth2_settings.SCOPES)
# What somebody hides from their own lists is no change that others see.
ONLY_READING = {"dismissRecommendation"}
MUTATIONS = dict(Samples({"": quoted(global_id("AllocationRun", 1))}).mutations())


def asked(world: World, mutation: str, scopes: set[str]) -> list[dict[str, Any]]:
    """Ask with a token of these scopes; the extensions of the errors."""
    bearer = f"Bearer {token(world, 'operator', ' '.join(sorted({READ, *scopes})))}"
    answer = json.loads(post(Client(), {"query": MUTATIONS[mutation]}, authorization=bearer).content)
    return [error["extensions"] for error in answer.get("errors", [])]


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_every_mutation_takes_a_scope_and_no_other_will_do(world: World, mutation: str) -> None:
    refused = asked(world, mutation, set())
    if mutation in ONLY_READING:
        assert "INSUFFICIENT_SCOPE" not in [each["code"] for each in refused]
        return
    (extensions,) = refused
    assert extensions["code"] == "INSUFFICIENT_SCOPE"
    needed = extensions["scope"]
    assert needed in SCOPES - {READ}
    assert asked(world, mutation, SCOPES - {needed}) == [extensions]
    assert "INSUFFICIENT_SCOPE" not in [each["code"] for each in asked(world, mutation, {needed})]


@pytest.mark.parametrize("scopes", [SCOPES - {READ}, {"operations"}, set()])
def test_nothing_can_be_read_without_the_scope_for_reading(world: World, scopes: set[str]) -> None:
    response = post(Client(), NAME, authorization=f"Bearer {token(world, 'operator', ' '.join(sorted(scopes)))}")
    assert (response.status_code, code_of(response)) == (403, "INSUFFICIENT_SCOPE")
    assert json.loads(response.content)["errors"][0]["extensions"]["scope"] == READ


def test_a_scope_brings_no_right(world: World) -> None:
    bearer = f"Bearer {token(world, 'viewer-a', ' '.join(sorted(SCOPES)))}"
    query = 'mutation { requestAllocation(input: {provider: "p", month: "2025-01"}) { __typename } }'
    answer = json.loads(post(Client(), {"query": query}, authorization=bearer).content)
    assert answer["data"]["requestAllocation"]["__typename"] in {"PermissionDenied", "NotFound"}
