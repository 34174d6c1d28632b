"""How often somebody may ask, and what they are told when it is too often."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from django.db import connection
from django.test import Client
from oauth2_provider.models import AccessToken

from accounts.models import RequestAllowance
from accounts.services import allowances
from tests.graphql_api.ask import post, signed_in
from tests.graphql_api.test_http import NAME, code_of, token

if TYPE_CHECKING:
    from django.conf import LazySettings

    from tests.read_model.world import World

PER_MINUTE = 3


def wind(seconds: float) -> None:
    """Let time pass."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_requestallowance SET full_at = full_at - make_interval(secs => %s)", [seconds])


def test_a_token_asks_as_often_as_allowed_and_is_told_when_to_come_back(world: World, settings: LazySettings) -> None:
    settings.GRAPHQL_REQUESTS_PER_MINUTE = PER_MINUTE
    headers = {"authorization": f"Bearer {token(world, 'owner')}"}
    assert [post(Client(), NAME, **headers).status_code for _ in range(PER_MINUTE)] == [200] * PER_MINUTE
    refused = post(Client(), NAME, **headers)
    assert (refused.status_code, code_of(refused)) == (429, "THROTTLED")
    assert 18 <= int(refused["Retry-After"]) <= 20
    error = json.loads(refused.content)["errors"][0]
    assert error["extensions"]["retryAfterSeconds"] == int(refused["Retry-After"])
    assert Client().get("/graphql/", {"query": "{ viewer { username } }"}, headers=headers).status_code == 429
    # A third of a minute later there is one more, and only one; a refused request costs nothing.
    wind(20)
    assert [post(Client(), NAME, **headers).status_code for _ in range(2)] == [200, 429]
    wind(60)
    assert [post(Client(), NAME, **headers).status_code for _ in range(PER_MINUTE + 1)] == [200] * PER_MINUTE + [429]


def test_a_new_token_of_the_same_application_brings_no_new_allowance(world: World, settings: LazySettings) -> None:
    settings.GRAPHQL_REQUESTS_PER_MINUTE = 1
    first = token(world, "owner")

    made = AccessToken.objects.get(token=first)
    made.pk, made.token = None, "another-token"
    made.save()
    codes = [post(Client(), NAME, authorization=f"Bearer {each}").status_code for each in (first, "another-token")]
    assert codes == [200, 429]


def test_everybody_has_an_allowance_of_their_own(world: World, settings: LazySettings) -> None:
    settings.GRAPHQL_REQUESTS_PER_MINUTE = 1
    session, other = signed_in(world, "owner"), signed_in(world, "viewer-a")
    bearer = f"Bearer {token(world, 'owner')}"
    asked = [post(session, NAME), post(other, NAME), post(Client(), NAME, authorization=bearer), post(session, NAME)]
    assert [answer.status_code for answer in asked] == [200, 200, 200, 429]
    # Whoever is not known is refused for that, and nothing is kept of them.
    assert post(Client(), NAME).status_code == 401
    assert RequestAllowance.objects.count() == 3


def test_nothing_is_counted_where_it_is_switched_off(world: World, settings: LazySettings) -> None:
    settings.GRAPHQL_REQUESTS_PER_MINUTE = 0
    assert post(signed_in(world, "owner"), NAME).status_code == 200
    assert not RequestAllowance.objects.exists()


def test_whole_allowances_are_forgotten(world: World, settings: LazySettings) -> None:
    settings.GRAPHQL_REQUESTS_PER_MINUTE = 1
    post(signed_in(world, "owner"), NAME)
    assert allowances.forget_whole() == 0
    wind(61)
    assert allowances.forget_whole() == 1
