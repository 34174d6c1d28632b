"""The matrix: every field that tells something, tried by everybody who might want to know.

A field that returns a node, a number, a list or a count and that no question of `questions.py` reaches fails the build.
"""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.storage import default_storage
from django.db import transaction
from django.test import Client
from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    is_composite_type,
    is_interface_type,
    is_list_type,
    is_object_type,
    parse,
    validate,
    visit,
)

from accounts.models import AuditEntry, NodeKind, NodeRef, ResourceDirectory, User
from accounts.months import Period, format_month, shift
from accounts.policies import viewer_of
from accounts.services.refusal import NotFound
from allocation.models import (
    AllocationRun,
    AssuranceLevel,
    Cause,
    Export,
    ExportFormat,
    ExportLayout,
    GlobalWarmingPotential,
    MethodologyVersion,
    Publication,
    Restatement,
    Service,
    Target,
    TargetKind,
    VerificationStatement,
)
from allocation.selectors.amounts import Method, Scope
from allocation.services import exporting, exports
from allocation.services.targets import Aim, set_target
from graphql_api.scalars import global_id
from graphql_api.schema import schema
from tests.security import questions
from tests.security.api import identity
from tests.security.exhibit import AFTER, BEFORE, DEPUTY, DIRECT, ELSEWHERE, INSIDE, MOVER, STAYER, A, B, exhibit, hold
from tests.security.model import ACCOUNT, DIRECTORY, ENTERPRISE, GROUP, RESOURCE_GROUP, Node
from tests.security.publishing import LONG_AGO, publish
from tests.security.worlds import MONTHS, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from graphql import DocumentNode, FieldNode
    from pytest_django import DjangoDbBlocker
    from pytest_django.fixtures import Settings

pytestmark = pytest.mark.django_db

GRAPHQL: GraphQLSchema = schema._schema  # noqa: SLF001 Strawberry's name for graphql-core's schema
NUMBERS = frozenset({"Int", "Float", "BigInt"})
# How a list is paged tells nothing; errors of mutations repeat what was sent.
SILENT = frozenset({"PageInfo"})
ASKED = [Node(ACCOUNT, MOVER), Node(GROUP, INSIDE), Node(DIRECTORY, 9301)]


# --- Every field has a row ------------------------------------------------------------------------------------


def tells_something(parent: GraphQLObjectType | GraphQLInterfaceType, name: str) -> bool:
    """Whether the field returns a node, a list, a number or anything with fields of its own."""
    kind = parent.fields[name].type
    bare = getattr(kind, "of_type", kind)
    named = get_named_type(kind)
    return named.name not in SILENT and (is_composite_type(named) or is_list_type(bare) or named.name in NUMBERS)


def telling_fields() -> set[str]:
    """`Type.field` of every field that needs a row. What an interface has is asked of the interface."""
    found = set()
    for kind in GRAPHQL.type_map.values():
        if kind.name.startswith("__") or not (is_object_type(kind) or is_interface_type(kind)):
            continue
        inherited = {name for above in getattr(kind, "interfaces", ()) for name in above.fields}
        # What a mutation answers is read again through the node's own type.
        if kind.name in SILENT or kind.name.endswith("Payload"):
            continue
        found |= {f"{kind.name}.{name}" for name in set(kind.fields) - inherited if tells_something(kind, name)}
    return found


class _Reached(Visitor):
    """Collects `Type.field` of everything that a document asks for."""

    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self.info = info
        self.fields: set[str] = set()

    def enter_field(self, node: FieldNode, *_: object) -> None:
        parent = self.info.get_parent_type()
        if parent is not None:
            self.fields.add(f"{parent.name}.{node.name.value}")


def documents() -> dict[str, DocumentNode]:
    """Every row as a whole document."""
    texts = {
        **{name: questions.of_nodes(selection, 1) for name, selection in questions.OF_A_NODE.items()},
        **questions.DOCUMENTS,
        **{name: questions.mutation(name) for name in questions.MUTATIONS},
    }
    return {name: parse(text) for name, text in texts.items()}


def test_every_field_that_tells_something_has_a_row() -> None:
    reached = set()
    for name, document in documents().items():
        assert validate(GRAPHQL, document) == [], name
        info = TypeInfo(GRAPHQL)
        visitor = _Reached(info)
        visit(document, TypeInfoVisitor(info, visitor))
        reached |= visitor.fields
    assert telling_fields() - reached == set()


# --- The people -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:  # noqa: ARG001 the database is needed
    with django_db_blocker.unblock(), transaction.atomic():
        world = exhibit()
        ResourceDirectory.objects.filter(pk=9301).update(name="Exhibit one")
        for month in MONTHS[:-2]:
            publish(world, next(iter(world.model.accounts.values())), month)
            vouched_for(month)
        asked_for_again(MONTHS[0])
        world.now += timedelta(hours=1)
        world.actors = actors(world)
        yield world
        transaction.set_rollback(True)


def vouched_for(month: date) -> None:
    """Give the published month a statement of a verifier and a factor, and its method its binding force."""
    publication = Publication.objects.get(current_for__month=month)
    package = publication.run.package
    MethodologyVersion.objects.filter(pk=package.methodology_version_id).update(bound_at=LONG_AGO)
    GlobalWarmingPotential.objects.create(package=package, row=1, gwp_set="AR6", gas="CH4", gwp=28)
    statement = VerificationStatement.objects.create(
        provider=publication.provider,
        verifier=f"Verifier of {month}",
        standard="ISO 14064-3:2019",
        level=AssuranceLevel.LIMITED,
        scope="all of it",
        period_from=month,
        period_until=shift(month, 1),
        document_url="https://verifier.example/",
        issued_on=month,
        recorded_at=LONG_AGO,
    )
    statement.verified.create(publication=publication)


def asked_for_again(month: date) -> None:
    """Let a restatement wait for a second operator."""
    publication = Publication.objects.get(current_for__month=month)
    Restatement.objects.create(
        provider=publication.provider,
        month=month,
        run=publication.run,
        replaces=publication,
        cause=Cause.DATA,
        reason="x",
        proposed_at=LONG_AGO,
        largest_difference_ppm=50_000,
        approval_because="x",
    )


@pytest.fixture
def world(built: World, db: None, monkeypatch: pytest.MonkeyPatch) -> World:  # noqa: ARG001 a savepoint for each test
    monkeypatch.setattr("django.utils.timezone.now", lambda: built.now)
    return built


def actors(world: World) -> dict[str, int]:
    """One person for each part that somebody can play; the exhibit's delegations make deputies of some accounts."""
    one = Node(DIRECTORY, 9301)
    parts: dict[str, tuple[Node, str] | None] = {
        "stranger": None,
        "sibling": (Node(GROUP, 90012), "viewer"),
        "former parent": (Node(GROUP, A), "viewer"),
        "new parent": (Node(GROUP, B), "viewer"),
        "parent": (Node(GROUP, INSIDE), "viewer"),
        "ancestor": (world.model.directories[one].enterprise, "viewer"),
        "account holder": (Node(ACCOUNT, MOVER), "viewer"),
        "resource group holder": (_part_of(world, MOVER), "viewer"),
        "delegated administrator": (Node(ACCOUNT, DEPUTY), "administrator"),
        "delegated administrator, expired": (Node(ACCOUNT, STAYER), "administrator"),
        "delegated administrator, revoked": (Node(ACCOUNT, DIRECT), "administrator"),
        "delegated administrator, switched off": (Node(ACCOUNT, ELSEWHERE), "administrator"),
        "administrator": (one, "administrator"),
    }
    people = {}
    for name, role in parts.items():
        people[name] = world.add_person()
        if role is not None:
            hold(world, people[name], role[0], role=role[1])
    return people | {"operator": world.operator}


def _part_of(world: World, account: int) -> Node:
    return next(part for part, owner in world.model.resource_groups.items() if owner.id == account)


# By hand, in the words of the hierarchy document: who sees the moved account's numbers before and after the move.
MOVED = {
    "stranger": (False, False),
    "sibling": (False, False),
    "former parent": (True, False),
    "new parent": (False, True),
    "parent": (False, False),
    "ancestor": (True, True),
    "account holder": (True, True),
    "resource group holder": (False, False),
    "delegated administrator": (True, False),  # of the subtree under A
    "delegated administrator, expired": (False, False),
    "delegated administrator, revoked": (False, False),
    "delegated administrator, switched off": (False, False),
    "administrator": (True, True),
    "operator": (True, True),
}


def test_the_model_agrees_with_the_document_about_everybody(world: World) -> None:
    assert set(MOVED) == set(world.actors)
    for name, (before, after) in MOVED.items():
        seen = world.model.numbers(world.actors[name], world.now)
        mover = Node(ACCOUNT, MOVER)
        assert ((mover, BEFORE[0]) in seen, (mover, AFTER[0]) in seen) == (before, after), name


def ask(world: World, actor: str, document: str, **variables: object) -> dict[str, Any]:
    """The whole answer, errors included."""
    client = Client()
    client.force_login(User.objects.get(pk=world.actors[actor]), backend="django.contrib.auth.backends.ModelBackend")
    body = {"query": document, "variables": variables}
    answer = json.loads(client.post("/graphql/", data=json.dumps(body), content_type="application/json").content)
    assert isinstance(answer, dict)
    return answer


def data(world: World, actor: str, document: str, **variables: object) -> Any:  # noqa: ANN401 JSON
    """The answer; fails on errors."""
    answer = ask(world, actor, document, **variables)
    assert "errors" not in answer, (actor, answer)
    return answer["data"]


def one_month(month: date) -> dict[str, str]:
    """A period of one month."""
    return {"from": format_month(month), "until": format_month(shift(month, 1))}


def figures(answer: object) -> list[object]:
    """Every number in an answer that is neither null nor zero."""
    if isinstance(answer, dict):
        return [figure for value in answer.values() for figure in figures(value)]
    if isinstance(answer, list):
        return [figure for value in answer for figure in figures(value)]
    if isinstance(answer, str):
        return [answer] if re.fullmatch(r"\d+", answer) and int(answer) else []
    return [answer] if isinstance(answer, int | float) and not isinstance(answer, bool) and answer else []


def ids(answer: object) -> set[str]:
    """Every global id in an answer."""
    if isinstance(answer, dict):
        own = {value for key, value in answer.items() if key in {"id", "nodeId"} and value is not None}
        return own | {each for value in answer.values() for each in ids(value)}
    return {each for value in answer for each in ids(value)} if isinstance(answer, list) else set()


def known(world: World, actor: str) -> set[str]:
    """Global ids of everything that the actor may know by name, Miscellaneous with its directory."""
    named = {node for node, _ in world.model.named(world.actors[actor], world.now)}
    if actor == "operator":
        named = set(world.model.nodes())
    rest = {identity(Node("miscellaneous", node.id)) for node in named if node.kind == DIRECTORY}
    return rest | {identity(node) for node in named}


# --- Questions about nodes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", questions.OF_A_NODE)
def test_of_a_node_everybody_is_told_what_the_operator_is_told_or_nothing(world: World, question: str) -> None:
    """In a single month a node is seen as a whole, as the operator sees it, or its numbers are not seen at all.

    What lies between (something below it is seen) is compared leaf by leaf in `test_oracle`.
    """
    document = questions.of_nodes(questions.OF_A_NODE[question], len(ASKED))
    given = {f"i{number}": identity(node) for number, node in enumerate(ASKED)}
    # Not the first month of either: a comparison with the month before stays on one side of the move, too.
    for month in (BEFORE[1], AFTER[1]):
        everything = data(world, "operator", document, **given, period=one_month(month))
        for actor, person in world.actors.items():
            answer = data(world, actor, document, **given, period=one_month(month))
            seen, names = world.model.numbers(person, world.now), known(world, actor)
            assert ids(answer) <= names, (actor, month)
            for number, node in enumerate(ASKED):
                told = answer[f"n{number}"]
                assert (told is not None) == (identity(node) in names), (actor, node)
                if (node, month) in seen or actor == "operator":
                    assert told == everything[f"n{number}"], (actor, node, month)
                elif not _sees_below(world, seen, node, month):
                    assert figures(told) == [], (actor, node, month)


def _sees_below(world: World, seen: set[Any], node: Node, month: date) -> bool:
    below = [one for one in world.model.nodes() if one.kind in {ACCOUNT, GROUP, RESOURCE_GROUP}]
    return any((one, month) in seen and node in world.model.path(one, month) for one in below)


def test_the_way_to_a_node_names_nothing_beside_it(world: World) -> None:
    for actor in world.actors:
        for node in ASKED:
            answer = data(world, actor, questions.WAY, id=identity(node), period=one_month(AFTER[0]))
            assert ids(answer) <= known(world, actor), (actor, node)


def test_grants_and_audit_are_read_by_administrators_alone(world: World) -> None:
    today = MONTHS[2]
    for actor, person in world.actors.items():
        administered = world.model.administered(person, world.now)
        for node in ASKED:
            told = data(world, actor, questions.ADMINISTRATION, id=identity(node))["hierarchyNode"]
            if (node, today) not in administered and told is not None:
                assert (told["grants"], told["audit"]) == (None, None), (actor, node)


# --- Questions about everything ---------------------------------------------------------------------------------


def test_nodes_are_found_by_those_who_may_know_them(world: World) -> None:
    for actor in world.actors:
        names = known(world, actor)
        assert ids(data(world, actor, questions.ME)) <= names, actor
        for text in ("9", "x-", "Exhibit", "default"):
            assert ids(data(world, actor, questions.FOUND, text=text)) <= names, (actor, text)
        for node in ASKED:
            by_id = data(world, actor, questions.BY_ID, id=identity(node))["node"]
            assert (by_id is not None) == (identity(node) in names), (actor, node)
        code = data(world, actor, questions.BY_CODE, kind="ACCOUNT", code=f"x-{MOVER}", provider="cloud")
        assert (code["hierarchyNode"] is not None) == (identity(Node(ACCOUNT, MOVER)) in names), actor


def test_the_cube_adds_up_to_what_may_be_seen(world: World) -> None:
    asked = {identity(node): node for node in ASKED}
    for actor, person in world.actors.items():
        for month in (BEFORE[0], AFTER[0]):
            answer = data(world, actor, questions.CUBE, ids=list(asked), period=one_month(month))["emissions"]
            told = dict.fromkeys(asked, 0)
            for row in answer["rows"]["edges"]:
                told[row["node"]["nodeId"]] += int(row["node"]["emissions"]["microgramsCO2e"] or 0)
                assert {one["nodeId"] for one in row["node"]["values"]} - {None} <= known(world, actor), actor
            totals = {one["nodeId"]: int(one["total"]["microgramsCO2e"] or 0) for one in answer["nodes"]}
            expected = {key: world.model.total_ug(person, node, [month], world.now) for key, node in asked.items()}
            assert totals == expected, (actor, month)
            # Numbers without a visible account (a resource group alone) may stand in no row, never in a wrong one.
            assert all(told[key] <= expected[key] for key in asked), (actor, month)


def test_values_of_a_dimension_are_those_that_may_be_known(world: World) -> None:
    for actor in world.actors:
        given = {"ids": [identity(node) for node in ASKED], "period": one_month(AFTER[0])}
        assert ids(data(world, actor, questions.VALUES, **given)) <= known(world, actor), actor


def test_runs_and_restatements_tell_customers_nothing_of_others(world: World) -> None:
    for actor, person in world.actors.items():
        runs = data(world, actor, questions.RUNS)["allocationRuns"]["edges"]
        assert actor == "operator" or all(run["node"]["details"] is None for run in runs), actor
        seen = world.model.numbers(person, world.now)
        for node in ASKED:
            answer = data(world, actor, questions.RESTATED, id=identity(node))
            if not any((node, month) in seen or _sees_below(world, seen, node, month) for month in MONTHS):
                told = [(edge["node"]["change"], edge["node"]["leaves"]) for edge in answer["restatements"]["edges"]]
                assert figures(list(map(list, told))) == [], actor
        proposals = data(world, actor, questions.PROPOSED)["restatementProposals"]
        assert (proposals and figures(proposals)) == ([5] if actor == "operator" else None), actor


def test_a_figure_is_explained_to_those_who_see_it(world: World) -> None:
    """The figure itself and nothing more; the operator's answer needs inputs, which these worlds have none of."""
    account = Node(ACCOUNT, MOVER)
    for month in (BEFORE[1], AFTER[1]):
        shown = world.model.shown(world.model.accounts[account], month)
        assert shown is not None
        told = {
            leaf.resource_group: ug
            for leaf, ug in shown.figures.items()
            if world.model.resource_groups[leaf.resource_group] == account
            and Service.objects.get(pk=leaf.service).code == "compute"
        }
        for actor, person in world.actors.items():
            seen, names = world.model.numbers(person, world.now), known(world, actor)
            for node in (account, _part_of(world, MOVER)):
                mine = {part: ug for part, ug in told.items() if node in {account, part}}
                answer = ask(world, actor, questions.EXPLAINED, id=identity(node), month=format_month(month))
                if actor == "operator":
                    continue
                if identity(node) not in names or ((node, month) in seen and not mine):
                    assert [error["extensions"]["code"] for error in answer["errors"]] == ["NOT_FOUND"], (actor, node)
                elif (node, month) in seen:
                    (line,) = answer["data"]["explain"]["lines"]
                    assert int(line["amount"]) == sum(mine.values()), (actor, node)
                    assert (line["source"], line["postings"]) == (None, [])
                else:
                    assert answer["data"]["explain"]["lines"] == [], (actor, node)


@pytest.mark.parametrize("question", ["methods", "factors", "coverage"])
def test_what_a_provider_tells_its_customers_is_the_same_for_all_of_them(world: World, question: str) -> None:
    """Whoever knows a node of the provider is told what the operator is told, and a stranger that there is nothing."""
    given = {"period": one_month(AFTER[0])} if question == "coverage" else {}
    everything = data(world, "operator", questions.DOCUMENTS[question], **given)
    assert all(listed(everything)), question
    for actor in world.actors:
        told = data(world, actor, questions.DOCUMENTS[question], **given)
        if actor == "stranger":
            assert not any(listed(told)), actor
        else:
            assert told == everything, actor


def listed(answer: dict[str, Any]) -> list[list[Any]]:
    """The lists of an answer."""
    (found,) = answer.values()
    return [found["edges"]] if "edges" in found else [found["providers"]]


def test_what_was_verified_is_told_with_the_figures_that_it_is_about(world: World) -> None:
    document = questions.of_nodes(questions.OF_A_NODE["what was verified"], len(ASKED))
    given = {f"i{number}": identity(node) for number, node in enumerate(ASKED)}
    for month in (BEFORE[1], AFTER[1]):
        for actor, person in world.actors.items():
            answer = data(world, actor, document, **given, period=one_month(month))
            seen = world.model.numbers(person, world.now)
            for number, node in enumerate(ASKED):
                told = answer[f"n{number}"]
                names = [] if told is None else [one["verifier"] for one in told["emissions"]["verificationStatements"]]
                part = world.model.total_ug(person, node, [month], world.now) > 0
                shown = actor == "operator" or (node, month) in seen or part
                assert names == ([f"Verifier of {month}"] if shown else []), (actor, node, month)


def aimed(world: World) -> Target:
    """A target of a group, as its administrator set it."""
    aim = Aim(TargetKind.ABSOLUTE, Method.LOCATION_BASED, tuple(Scope), 2025, 2030, 1, 500_000)
    viewer = viewer_of(User.objects.get(pk=world.operator), now=world.now)
    return set_target(viewer=viewer, node=NodeRef(NodeKind.ACCOUNT_GROUP, INSIDE), name="Half", aim=aim)


def ordered(world: World, actor: str, node: Node | None = None) -> Export:
    """An export that somebody ordered."""
    viewer = viewer_of(User.objects.get(pk=world.actors[actor]), now=world.now)
    reference = None if node is None else NodeRef(NodeKind(node.kind), node.id)
    wanted = exports.Order(reference, ExportLayout.CANOPY, ExportFormat.CSV)
    return exports.request_export(viewer=viewer, order=wanted, period=Period(MONTHS[0], MONTHS[-1]))


def test_exports_and_schedules_are_their_owners_alone(world: World) -> None:
    made = ordered(world, "operator", Node(ACCOUNT, MOVER))
    for actor in world.actors:
        answer = data(world, actor, questions.EXPORTS)
        by_id = data(world, actor, questions.EXPORT_BY_ID, id=global_id("Export", made.pk))["node"]
        assert (len(answer["exports"]["edges"]), by_id is not None) == (int(actor == "operator"),) * 2, actor
        assert answer["exportSchedules"]["edges"] == [], actor


@pytest.mark.parametrize("node", [Node(ACCOUNT, MOVER), Node(GROUP, INSIDE), Node(DIRECTORY, 9301), None])
def test_an_export_adds_up_to_what_its_owner_may_see(
    world: World, node: Node | None, settings: Settings, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT, settings.ALLOCATION_LEASE_SECONDS = tmp_path, 100_000
    nodes = [node] if node is not None else [one for one in world.model.nodes() if one.kind == ENTERPRISE]
    for actor, person in world.actors.items():
        if node is not None and identity(node) not in known(world, actor):
            with pytest.raises(NotFound):
                ordered(world, actor, node)
            continue
        if not world.model.seen(person, world.now):
            continue
        made = ordered(world, actor, node)
        exporting.execute_export(export_id=made.pk, worker="here")
        for file in made.files.select_related("publication"):
            with default_storage.open(file.stored_as) as stream:
                lines = list(csv.DictReader(io.TextIOWrapper(stream, "utf-8", newline="")))
            told = sum(
                int(row["micrograms_co2e"])
                for row in lines
                if row["method"] != "market_based" and row["micrograms_co2e"]
            )
            month = file.publication.month
            # Leaf by leaf, also where the node is known by name alone: no line is a number of the node.
            expected = sum(world.model.total_ug(person, one, [month], world.now, seen={(one, month)}) for one in nodes)
            if node is not None:
                assert told == expected, (actor, month)
            elif actor != "operator":
                assert told >= expected, (actor, month)


def test_advice_knows_what_its_reader_sees(world: World) -> None:
    for actor, person in world.actors.items():
        for node in ASKED:
            for month in (BEFORE[0], AFTER[0]):
                given = {"id": identity(node), "period": one_month(month)}
                answer = data(world, actor, questions.ADVICE, **given)
                assert (answer["whatIf"] is not None) == (identity(node) in known(world, actor)), (actor, node)
                if answer["whatIf"] is None:
                    assert answer["recommendations"] is None, (actor, node)
                    continue
                told = int(answer["whatIf"]["before"]["microgramsCO2e"] or 0)
                assert told == world.model.total_ug(person, node, [month], world.now), (actor, node, month)
                for one in answer["recommendations"]:
                    assert int(one["emitted"]["microgramsCO2e"]) <= told, (actor, node, month)


def test_places_are_told_to_customers_alone(world: World) -> None:
    for actor in world.actors:
        answer = data(world, actor, questions.PLACES, period=one_month(AFTER[0]))
        assert "microgramsCO2e" not in json.dumps(answer)
        if actor == "stranger":
            assert (answer["locations"]["edges"], answer["serviceIntensities"]["edges"]) == ([], [])


@pytest.mark.parametrize("name", sorted(questions.OPEN))
def test_ordering_is_refused_to_those_who_may_not_know_the_node(world: World, name: str) -> None:
    account = identity(Node(ACCOUNT, MOVER))
    for actor in world.actors:
        answer = data(world, actor, questions.mutation(name), account=account)
        assert (answer[name]["__typename"] == "NotFound") == (account not in known(world, actor)), actor


def may_hear(world: World, actor: str, given: dict[str, str]) -> bool:
    """Whether the actor may know all that a mutation is about, and so may be told that it is denied."""
    if "export" in given:
        return False
    if "target" in given:
        given = {"group": identity(Node(GROUP, INSIDE))}
    if "delegation" in given:
        seen = world.model.seen(world.actors[actor], world.now)
        return any(node == Node(DIRECTORY, 9301) for node, _ in seen)
    return any(key in known(world, actor) for key in given.values())


# --- Changes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(questions.MUTATIONS.keys() - questions.OPEN))
def test_a_change_is_refused_in_one_voice_to_everybody_without_the_right(world: World, name: str) -> None:
    ends = {
        "group": identity(Node(GROUP, INSIDE)),
        "directory": identity(Node(DIRECTORY, 9301)),
        "account": identity(Node(ACCOUNT, MOVER)),
        "delegation": global_id("Delegation", world.model.delegations[0].id),
        "run": global_id("AllocationRun", AllocationRun.objects.latest("pk").pk),
        "proposal": global_id("RestatementProposal", Restatement.objects.get().pk),
        "export": global_id("Export", ordered(world, "operator").pk),
        "target": global_id("Target", aimed(world).pk),
    }
    before = AuditEntry.objects.count()
    document = questions.mutation(name)
    given = {key: value for key, value in ends.items() if f"${key}" in document}
    for actor in world.actors:
        if actor == "operator" or (actor == "administrator" and name not in questions.OPERATIONS):
            continue
        answer = ask(world, actor, document, **given)
        assert "errors" not in answer, (actor, answer)
        assert answer["data"][name]["__typename"] in {"NotFound", "PermissionDenied"}, (actor, answer)
        if name not in questions.OPERATIONS and not may_hear(world, actor, given):
            assert answer["data"][name]["__typename"] == "NotFound", actor
    assert AuditEntry.objects.count() == before
