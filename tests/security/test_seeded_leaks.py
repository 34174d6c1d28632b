"""Leaks put in on purpose: the comparison with the model must notice each of them.

Most are a text replaced in one of the SQL functions that decide. A comparison that sees leaks everywhere would be no
better than one that sees none, so the sound world is compared too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from django.db import connection, transaction

from accounts.models import AccountGroupUserPermission
from accounts.policies import months_of
from allocation.policies import needs
from allocation.selectors import children, cube, emissions
from tests.security import comparison
from tests.security.api import Api
from tests.security.comparison import Findings, compare_policies
from tests.security.defences import forgetful
from tests.security.exhibit import A, exhibit
from tests.security.publishing import publish
from tests.security.worlds import MONTHS, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import DjangoDbBlocker

pytestmark = pytest.mark.django_db


class SeededLeak(NamedTuple):
    """In `function`, `old` becomes `new` everywhere."""

    name: str
    function: str
    old: str
    new: str


LEAKS = [
    SeededLeak("inactive user", "accounts_held_roles", "AND person.is_active", ""),
    SeededLeak("expired grant", "accounts_held_roles", "(held.ends_at IS NULL OR held.ends_at > at)", "true"),
    SeededLeak("grant counts at its end", "accounts_held_roles", "held.ends_at > at", "held.ends_at >= at"),
    SeededLeak(
        "prefix path",
        "accounts_viewer_months",
        "root.node_kind = 'account_group' AND root.node_id = closure.ancestor_id",
        "root.node_kind = 'account_group' AND closure.ancestor_id::text LIKE root.node_id || '%'",
    ),
    SeededLeak(
        "moved subtree",
        "accounts_viewer_months",
        "place.months * daterange(closure.valid_from, closure.valid_to)",
        "place.months",
    ),
    SeededLeak(
        "moved subtree, set",
        "accounts_viewer_groups",
        "GREATEST(closure.valid_from, root.valid_from)",
        "root.valid_from",
    ),
    SeededLeak(
        "past member",
        "accounts_viewer_months",
        "root.months * place.months * daterange(closure.valid_from, closure.valid_to)",
        "root.months * daterange(closure.valid_from, closure.valid_to)",
    ),
    SeededLeak(
        "past member, set",
        "accounts_viewer_accounts",
        "GREATEST(member.valid_from, closure.valid_from, root.valid_from)",
        "root.valid_from",
    ),
    SeededLeak("what was once recorded wrongly", "accounts_viewer_months", "member.superseded_by_id IS NULL", "true"),
    SeededLeak(
        "self-granted history", "accounts_viewer_roots", "WHEN cardinality(each.authority) = 0 THEN", "WHEN true THEN"
    ),
    SeededLeak(
        "delegated subtree as the whole directory",
        "accounts_extended_roles",
        "CASE WHEN delegation.group_id IS NULL THEN 'resource_directory' ELSE 'account_group' END,\n"
        "                   COALESCE(delegation.group_id, delegation.directory_id)",
        "'resource_directory', delegation.directory_id",
    ),
    SeededLeak(
        "container of a delegated account",
        "accounts_extended_roles",
        "CASE WHEN delegation.group_id IS NULL THEN 'resource_directory' ELSE 'account_group' END,\n"
        "                   COALESCE(delegation.group_id, delegation.directory_id)",
        "'account_group', (SELECT member.group_id FROM accounts_accountmembership member"
        " WHERE member.account_id = delegation.account_id AND member.superseded_by_id IS NULL LIMIT 1)",
    ),
    SeededLeak(
        "delegation that has ended",
        "accounts_extended_roles",
        "(delegation.ends_at IS NULL OR delegation.ends_at > at)",
        "true",
    ),
    SeededLeak(
        "delegation revoked",
        "accounts_extended_roles",
        "(delegation.revoked_at IS NULL OR delegation.revoked_at > at)",
        "true",
    ),
    SeededLeak("delegation to come", "accounts_extended_roles", "delegation.registered_at <= at", "true"),
    SeededLeak(
        "deputies administer the directory",
        "accounts_viewer_roots",
        "IF purpose <> 'administer' THEN",
        "IF true THEN",
    ),
    SeededLeak("viewers administer", "accounts_held_roles", "WHEN administrators_only THEN", "WHEN false THEN"),
    SeededLeak("switch ignored", "accounts_viewer_roots", "IF purpose = 'numbers' THEN", "IF false THEN"),
    SeededLeak(
        "switch ignored below an enterprise",
        "accounts_viewer_months",
        "AND (purpose <> 'numbers' OR directory.multi_account_management)",
        "",
    ),
    SeededLeak(
        "type-confused id",
        "accounts_viewer_months",
        "root.node_id = leaf.account_id WHERE root.node_kind = 'account'",
        "root.node_id = leaf.account_id",
    ),
    SeededLeak("permission of another type", "accounts_held_roles", "AND role.model = 'account'", ""),
    SeededLeak("global permission", "accounts_is_operator", "person.is_staff AND EXISTS", "EXISTS"),
    SeededLeak("any staff", "accounts_is_operator", "person.is_superuser", "person.is_superuser OR person.is_staff"),
    SeededLeak(
        "names of what lies beside the way",
        "accounts_viewer_explorable",
        "closure.descendant_id = place.group_id",
        "closure.directory_id = place.directory_id",
    ),
]


@pytest.fixture(scope="module")
def _built(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:  # noqa: ARG001 the database is needed
    with django_db_blocker.unblock(), transaction.atomic():
        yield exhibit()
        transaction.set_rollback(True)


@pytest.fixture
def world(_built: World, db: None) -> World:  # noqa: ARG001 a savepoint for each test
    return _built


def sow(leak: SeededLeak) -> None:
    """Put the leak in; fails where the text is not there any more, so that no leak is forgotten silently."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_functiondef(%s::regproc)", [leak.function])
        sound = cursor.fetchone()[0]
        assert leak.old in sound, f"{leak.function} does not say {leak.old!r}"
        cursor.execute(sound.replace(leak.old, leak.new).replace("%", "%%"), [])


def test_the_sound_world_has_no_leak(world: World) -> None:
    findings = Findings()
    compare_policies(world, findings)
    assert (findings.leaks, findings.denials) == ([], [])


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.name)
def test_each_leak_is_noticed(world: World, leak: SeededLeak) -> None:
    sow(leak)
    findings = Findings()
    for person in world.everybody():
        compare_policies(world, findings, [person])
        if findings.leaks:
            return
    pytest.fail(f"nobody noticed: {leak.name}")


def test_a_cache_that_outlives_a_request_is_noticed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[object, Any] = {}

    def stale(viewer: Any, **asked: Any) -> Any:  # noqa: ANN401 as the policy
        key = (viewer.user_id, asked["kind"], tuple(asked["ids"]), asked["purpose"])
        return kept.setdefault(key, months_of(viewer, **asked))

    monkeypatch.setattr(comparison, "months_of", stale)
    before = Findings()
    compare_policies(world, before)
    assert before.leaks == []
    AccountGroupUserPermission.objects.filter(content_object_id=A).delete()
    remaining = [grant for grant in world.model.grants if grant.node != ("account_group", A)]
    monkeypatch.setattr(world.model, "grants", remaining)
    after = Findings()
    compare_policies(world, after)
    assert after.leaks


# --- Leaks above the policies: what the API says --------------------------------------------------------------


def asked_by_viewers(world: World, monkeypatch: pytest.MonkeyPatch) -> Findings:
    """What the API tells those people of the exhibit whose eyes differ most."""
    findings = Findings()
    with monkeypatch.context() as patched:
        patched.setattr("django.utils.timezone.now", lambda: world.now)
        for person in [pk for pk, one in world.model.people.items() if one.active][3:8]:
            Api(world, person, findings).compare()
    return findings


@pytest.fixture
def published(world: World) -> Iterator[World]:
    with transaction.atomic():
        for month in MONTHS[:-2]:
            publish(world, next(iter(world.model.accounts.values())), month)
    yield world
    world.model.publications.clear()


def test_the_sound_api_has_no_leak(published: World, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = asked_by_viewers(published, monkeypatch)
    assert (findings.leaks, findings.denials) == ([], [])


def test_a_count_of_hidden_children_is_noticed(published: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "count", forgetful(published, children.count))
    findings = asked_by_viewers(published, monkeypatch)
    assert any("number of children" in leak for leak in findings.leaks)


def test_a_list_of_hidden_children_is_noticed(published: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "children", forgetful(published, children.children))
    findings = asked_by_viewers(published, monkeypatch)
    assert any("children" in leak for leak in findings.leaks)


@pytest.mark.parametrize(
    ("piece", "leaky"),
    [
        ("OPEN", ", asked.months AS open"),
        (
            "KNOWN",
            "known_asked AS MATERIALIZED (SELECT key, '{(,)}'::datemultirange AS months FROM asked)",
        ),
    ],
    ids=["of a directory or group", "of an enterprise"],
)
def test_a_number_of_an_ancestor_known_by_name_is_noticed(
    published: World, monkeypatch: pytest.MonkeyPatch, piece: str, leaky: str
) -> None:
    monkeypatch.setattr(needs, piece, leaky)
    findings = asked_by_viewers(published, monkeypatch)
    assert any("known by name" in leak for leak in findings.leaks)


def test_a_forgotten_policy_yields_no_number_that_the_database_does_not_allow(
    published: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the policy off, row-level security alone keeps every total at what the viewer may see."""
    monkeypatch.setattr(emissions, "by_month", forgetful(published, emissions.by_month))
    monkeypatch.setattr(cube, "cube", forgetful(published, cube.cube))
    findings = asked_by_viewers(published, monkeypatch)
    blank = (" 0 instead of", "{'microgramsCO2e': '0'", "{'microgramsCO2e': None", "complete")
    assert [leak for leak in findings.leaks if not any(text in leak for text in blank)] == []


def test_without_row_level_security_the_same_forgotten_policy_is_noticed(
    published: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connection.cursor() as cursor:
        for table in ("allocation_containertotal", "allocation_accounttotal", "allocation_ledgerrow"):
            cursor.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    monkeypatch.setattr(emissions, "by_month", forgetful(published, emissions.by_month))
    findings = asked_by_viewers(published, monkeypatch)
    assert any("total" in leak for leak in findings.leaks)
