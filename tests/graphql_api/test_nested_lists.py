"""Lists in lists: what is asked for in the rows of a list costs the same number of statements for any number of them.

One document for each type that has fields which read from the database, made from the schema, is answered with pages of
one row and with longer ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection

from accounts.models import Account, AccountMembership, AuditEntry, ResourceGroup
from allocation.models import Export, ExportState, MethodologyVersion, VerificationStatement
from allocation.services import exporting
from tests.factories.effort import Effort, effort_of
from tests.factories.hierarchy import month
from tests.graphql_api.ask import ask, signed_in
from tests.graphql_api.nested import NestedSamples, reading_fields, rows_of
from tests.graphql_api.test_exports import REQUEST, SCHEDULE
from tests.graphql_api.test_mutations import done
from tests.graphql_api.test_reading import node_id
from tests.graphql_api.test_targets import HALF
from tests.graphql_api.test_targets import SET as SET_TARGET
from tests.read_model.world import ENERGY_LINE, KINDS_OF_MODELS, LONG_AGO, Leaf, World

if TYPE_CHECKING:
    from pathlib import Path

    from django.test import Client
    from pytest_django.fixtures import Settings

MONTHS = ("2025-01", "2025-02", "2025-03")
PERIOD = {"from": "2025-01", "until": "2025-04"}
COPIES = range(1, 4)
KINDS = {
    "EnterpriseParent": "enterprise_parent",
    "ResourceDirectory": "resource_directory",
    "AccountGroup": "account_group",
    "Account": "account",
    "ResourceGroup": "resource_group",
}
# These are refused for nodes with more than 500 accounts.
OF_FEW = frozenset({"byResourceGroup", "leaves"})
# What grows with the accounts: the planner is told, as it is by the database itself in time.
GROWN = (
    "accounts_account",
    "accounts_accountmembership",
    "accounts_resourcegroup",
    "allocation_accounttotal",
    "allocation_containertotal",
    "allocation_ledgerrow",
)
_FOUND = 'search(text: "twin", kinds: [%s], first: $first) { edges { node { %%s } } }'
# The way to rows of each type that has none of its own; the rows of one way are as alike as twins.
_CHILDREN = "... on ResourceDirectory { children(period: $period, first: 10) { edges { node { %s } } } }"
STARTS = {name: _FOUND % kind.upper() % f"... on {name} {{ %s }}" for name, kind in KINDS.items()} | {
    "Miscellaneous": _FOUND % "RESOURCE_DIRECTORY" % _CHILDREN % "... on Miscellaneous { %s }",
    # The shortest way leads to the one version behind a figure.
    "MethodologyVersion": "methodologies(first: $first) { edges { node { %s } } }",
}


def _twin(world: World, number: int) -> None:
    """An enterprise with a directory, groups, accounts and resource groups, everything a few times."""
    code = f"twin-{number}"
    world.enterprise(f"{code}-e")
    world.directory(f"{code}-d", provider="p", enterprise=f"{code}-e")
    world.grant("chief", f"{code}-e", role="administrator")
    for group, parent in (("g", None), ("h", None), ("gg", f"{code}-g"), ("gh", f"{code}-g")):
        world.group(f"{code}-{group}", directory=f"{code}-d", parent=parent)
        world.grant("nobody", f"{code}-{group}")
    for place in (None, None, "g", "g", "gg", "gh"):
        account = f"{code}-{sum(one.startswith(code) for one in _accounts(world))}"
        world.account(account, provider="p")
        world.member(account, directory=f"{code}-d", group=None if place is None else f"{code}-{place}")
        for part in ("twin-x", "twin-y"):
            world.resource_group(account, part)
            world.grant("nobody", f"{account}/{part}")
        world.grant("nobody", account)
    world.grant("nobody", f"{code}-d")


def _accounts(world: World) -> list[str]:
    return [account for account, *_ in world.places]


def _leaves(world: World, on: str, factor: int) -> list[Leaf]:
    places = [(a, s, g) for a in _accounts(world) for s in ("p-compute", "p-storage") for g in ("twin-x", "twin-y")]
    return [
        Leaf("p", month(on), "p-east", service, account, group, line, factor * (1_000 + number), factor)
        for number, (account, service, group) in enumerate(place for place in places if place[0].startswith("twin"))
        for line in (0, 1, 2, ENERGY_LINE)
    ]


@pytest.fixture
def twins(world: World, settings: Settings, tmp_path: Path) -> World:
    """A world in which there are several of everything that there can be several of."""
    settings.MEDIA_ROOT = tmp_path
    settings.ALLOCATION_LEASE_SECONDS = 100_000
    world.user("chief")
    for number in COPIES:
        _twin(world, number)
    world.close_tree()
    for number, on in enumerate((*MONTHS, "2025-01", "2025-01"), start=2):
        _publish(world, on, _leaves(world, on, number), number)
    _said_of_nodes(world)
    _methods(world)
    _exports(world)
    return world


def _publish(world: World, on: str, leaves: list[Leaf], number: int) -> None:
    east = {"name": "East", "kind": "region", "region": "r-east", "country": "DE"}
    world.publish("p", month(on), leaves, locations={"p-east": east}, number=number)


def _said_of_nodes(world: World) -> None:
    boss = signed_in(world, "operator")
    for code in [code for code in world.made if code.startswith("twin")]:
        kind = KINDS_OF_MODELS[type(world.made[code])]
        done(boss, SET_TARGET, nodeId=node_id(world, kind, code), **HALF)
        for _ in COPIES:
            AuditEntry.objects.create(
                at=LONG_AGO, action="grant_role", node_kind=kind, node_id=world.made[code].pk, details={"user": 7}
            )


def _methods(world: World) -> None:
    for number in COPIES:
        version = MethodologyVersion.objects.create(
            provider=world.made["p"],
            name="twin",
            version=str(number),
            preset="custom",
            gwp_set="AR6",
            options={},
            options_digest=str(number),
            created_at=LONG_AGO,
            bound_at=LONG_AGO,
        )
        VerificationStatement.objects.create(
            provider=world.made["p"],
            methodology_version=version,
            verifier="Verifier",
            standard="ISO 14064-3:2019",
            level="limited",
            scope="all",
            document_url="https://verifier.example/1.pdf",
            issued_on=LONG_AGO,
            recorded_at=LONG_AGO,
        )


def _exports(world: World) -> None:
    client = signed_in(world, "chief")
    for number in COPIES:
        given = {"nodeId": node_id(world, "resource_directory", f"twin-{number}-d")}
        done(client, REQUEST, period=PERIOD, **given)
        done(client, SCHEDULE, **given)
    for export in Export.objects.filter(state=ExportState.QUEUED):
        exporting.execute_export(export_id=export.pk, worker="here")


def _samples(world: World, without: frozenset[str] = frozenset()) -> NestedSamples:
    return NestedSamples({"": f'"{node_id(world, "enterprise_parent", "twin-1-e")}"'}, STARTS, without)


def _asked(client: Client, text: str, first: int) -> tuple[Effort, dict[str, Any]]:
    answers = []
    effort = effort_of(lambda: answers.append(ask(client, text, first=first, period=PERIOD)))
    return effort, answers[0]


def test_every_field_costs_the_same_for_any_number_of_rows_around_it(twins: World) -> None:
    client, samples = signed_in(twins, "chief"), _samples(twins)
    documents = list(samples.nested())
    reading = reading_fields()
    assert {document.kind for document in documents} == set(reading) - {"Query", "Viewer", "HierarchyNode"}
    grown, alone = {}, {}
    for document in documents:
        few, some = _asked(client, document.text, 1)
        many, more = _asked(client, document.text, len(COPIES))
        rows = rows_of(some, document.kind), rows_of(more, document.kind)
        if not 0 < rows[0] < rows[1]:
            alone[document.kind] = rows
        if many.statements != few.statements:
            grown[document.kind] = (few, many)
    assert alone == {}
    assert grown == {}


def test_nothing_is_done_in_python_for_each_account(twins: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With thirty accounts and with three thousand the same rows are read and the same functions called for a page.

    How coroutines and threads meet takes up to forty calls of twelve thousand more or less; something done for each
    account takes three thousand more.
    """
    # How long the database takes on a busy machine is not the question here.
    monkeypatch.setattr("graphql_api.context.STATEMENT_TIMEOUT_MS", 60_000)
    client, samples = signed_in(twins, "chief"), _samples(twins, OF_FEW)
    documents = [*samples.nested(), *samples.roots()]
    for document in documents:
        _asked(client, document.text, 2)  # what is worked out once for a process is no part of an answer
    before = {document: _asked(client, document.text, 2)[0] for document in documents}
    came = 3_000 - len(_accounts(twins))
    _crowd(twins, came)
    after = {document: _asked(client, document.text, 2)[0] for document in documents}
    grown = {
        document.kind: (few, many)
        for document, few in before.items()
        if (many := after[document]).statements > few.statements
        or many.rows > few.rows
        or many.calls > few.calls + came // 10
    }
    assert grown == {}


def _crowd(world: World, count: int) -> None:
    """So many more accounts, with a little emissions each, so that they stand last in every list."""
    accounts = Account.objects.bulk_create(
        Account(provider=world.made["p"], external_id=f"zz-{number}") for number in range(count)
    )
    AccountMembership.objects.bulk_create(
        AccountMembership(
            account=account,
            directory=world.made["twin-1-d"],
            group=world.made["twin-1-g"],
            valid_from=month(MONTHS[0]),
            recorded_by=world.versions["twin-1-d"],
        )
        for account in accounts
    )
    parts = ResourceGroup.objects.bulk_create(ResourceGroup(account=account, code="only") for account in accounts)
    for account, part in zip(accounts, parts, strict=True):
        world.made |= {account.external_id: account, f"{account.external_id}/only": part}
    few = [
        Leaf("p", month(MONTHS[0]), "p-east", "p-compute", account.external_id, "only", line, 1, 0)
        for account in accounts
        for line in (0, ENERGY_LINE)
    ]
    _publish(world, MONTHS[0], [*_leaves(world, MONTHS[0], 6), *few], number=9)
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {', '.join(GROWN)}")
