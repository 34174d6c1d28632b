"""Restatements over the API: proposals, approvals, differences by node and leaf, old figures; and what was verified."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, ResourceGroup, User
from allocation.models import LedgerRow, PublishedMonth
from allocation.selectors.explanations import LINE_NAMES
from allocation.services.publication import lock_month, publish_run
from graphql_api.scalars import global_id
from tests.allocation.test_restatement import changed
from tests.factories.months import MONTH, OPERATOR, Month, month
from tests.factories.people import give, operator, person
from tests.graphql_api.ask import ask

if TYPE_CHECKING:
    from allocation.models import AllocationRun

pytestmark = pytest.mark.django_db

PROPOSAL = """proposal { id provider month runId cause reason author largestDifferencePercent approvalBecause approver
  decidedAt rejectedBecause restatementId }"""
ERRORS = """... on PermissionDenied { code } ... on NotFound { code } ... on ValidationFailed { code field }
  ... on Conflict { code }"""
RESTATE = f"""mutation($run: ID!, $reason: String!) {{
  restateMonth(input: {{runId: $run, cause: DATA, reason: $reason}}) {{
    __typename ... on RestatementPayload {{ {PROPOSAL} }} {ERRORS} }} }}"""
APPROVE = f"""mutation($id: ID!) {{ approveRestatement(input: {{proposalId: $id}}) {{
    __typename ... on RestatementPayload {{ {PROPOSAL} }} {ERRORS} }} }}"""
REJECT = f"""mutation($id: ID!, $reason: String!) {{ rejectRestatement(input: {{proposalId: $id, reason: $reason}}) {{
    __typename ... on RestatementPayload {{ {PROPOSAL} }} {ERRORS} }} }}"""
WAITING = "{ restatementProposals(waiting: true) { edges { node { id reason } } } }"
RECORD = f"""mutation($provider: String, $period: PeriodInput, $method: ID, $sha: String!) {{
  recordVerificationStatement(input: {{provider: $provider, period: $period, methodologyId: $method,
    verifier: "Prüfer AG", standard: "ISO 14064-3:2019", level: LIMITED, scope: "scopes 1 and 2", documentUrl: "https://pruefer.example/1.pdf",
    documentSha256: $sha, issuedOn: "2025-12-01"}}) {{
    __typename ... on VerificationStatementPayload {{ statementId }} {ERRORS} }} }}"""
STATED = """verificationStatements { id provider verifier standard level scope periodFrom periodUntil documentUrl
  documentSha256 issuedOn aboutMethod months leftBehind }"""
SHOWN = f"""query($node: ID!, $period: PeriodInput!) {{
  hierarchyNode(id: $node) {{ emissions(period: $period) {{ {STATED} }} }} }}"""
JUNE = {"from": "2025-06", "until": "2025-07"}


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> dt.datetime:
    """A clock after the factories' own."""
    moment = OPERATOR.now + dt.timedelta(days=1)
    monkeypatch.setattr(timezone, "now", lambda: moment)
    return moment


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def published() -> Month:
    """A month whose leaves are large enough for a percent to be an integer."""
    june = month(accounts=4)
    for ledger in june.engine.ledgers.values():
        ledger.ug[:] = 1_000_000 + ledger.ug % 1_000_000
        ledger.estimated_ug[:] = 0
        for number, line in enumerate(ledger.lines):
            ledger.source_ug[line] = sum(int(ug) for ug in ledger.ug[ledger.line == number])  # type: ignore[index] # a dict
    publish_run(viewer=OPERATOR, run_id=june.run().pk)
    return june


def restate(client: Client, run: AllocationRun, reason: str = "late data") -> dict[str, Any]:
    answer = ask(client, RESTATE, run=global_id("AllocationRun", run.pk), reason=reason)["restateMonth"]
    assert isinstance(answer, dict)
    return answer


def test_a_small_restatement_is_public_at_once_and_says_who_and_why() -> None:
    june = published()
    author = operator()
    answer = restate(client_of(author), changed(june, percent=1).run())
    assert answer["__typename"] == "RestatementPayload"
    told = answer["proposal"]
    assert (told["author"], told["cause"], told["reason"], told["approvalBecause"]) == (
        author.username,
        "data",
        "late data",
        None,
    )
    assert told["restatementId"] is not None
    assert ask(client_of(author), WAITING)["restatementProposals"]["edges"] == []


def test_a_large_one_waits_for_a_second_operator() -> None:
    june = published()
    first, second = client_of(operator()), client_of(operator())
    told = restate(first, changed(june, percent=50).run())["proposal"]
    assert "changes by 5" in told["approvalBecause"] or "changes by 4" in told["approvalBecause"]
    assert (told["restatementId"], told["decidedAt"]) == (None, None)
    waiting = ask(second, WAITING)["restatementProposals"]["edges"]
    assert [edge["node"]["id"] for edge in waiting] == [told["id"]]
    assert ask(first, APPROVE, id=told["id"])["approveRestatement"]["__typename"] == "PermissionDenied"
    done = ask(second, APPROVE, id=told["id"])["approveRestatement"]["proposal"]
    assert done["restatementId"] is not None
    assert done["approver"] != done["author"]
    assert ask(second, APPROVE, id=told["id"])["approveRestatement"]["code"] == "RESTATEMENT_DECIDED"


def test_a_locked_month_waits_whatever_the_size_and_can_be_rejected() -> None:
    june = published()
    lock_month(viewer=OPERATOR, provider_id=june.provider.pk, month=MONTH)
    first, second = client_of(operator()), client_of(operator())
    told = restate(first, changed(june, percent=1).run())["proposal"]
    assert told["approvalBecause"] == "the month is locked"
    assert ask(second, REJECT, id=told["id"], reason=" ")["rejectRestatement"]["code"] == "INVALID"
    done = ask(second, REJECT, id=told["id"], reason="not yet")["rejectRestatement"]["proposal"]
    assert (done["rejectedBecause"], done["restatementId"]) == ("not yet", None)


def test_customers_see_neither_proposals_nor_authors() -> None:
    june = published()
    restate(client_of(operator()), changed(june, percent=1).run())
    customer = person()
    give(customer, Account.objects.get(provider=june.provider, external_id="a0"))
    assert ask(client_of(customer), WAITING)["restatementProposals"] is None
    (edge,) = ask(client_of(customer), "{ restatements { edges { node { reason author approver } } } }")[
        "restatements"
    ]["edges"]
    assert edge["node"] == {"reason": "late data", "author": None, "approver": None}


LEAVES = """query($node: ID!, $first: Int, $after: String) { restatements(first: 1) { edges { node {
  change(nodeId: $node) { before { electricityWattHours } after { electricityWattHours } }
  leaves(nodeId: $node, first: $first, after: $after) { pageInfo { hasNextPage endCursor } edges { node {
    account resourceGroup service cluster lines { line unit before after difference } } } } } } } }"""


def leaves_of(client: Client, node: str, first: int = 100) -> list[dict[str, Any]]:
    """All changed leaves below a node, page by page."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        (edge,) = ask(client, LEAVES, node=node, first=first, after=after)["restatements"]["edges"]
        page = edge["node"]["leaves"]
        found += [one["node"] for one in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return found


def expected(
    old: int, new: int, **which: object
) -> dict[tuple[str, str, str, str, str], tuple[int | None, int | None]]:
    """Differences of two ledgers, worked out here."""
    names = ("account__external_id", "resource_group__code", "service__code", "cluster__code", "line")
    ledgers = []
    for run_id in (old, new):
        rows = LedgerRow.objects.filter(run_id=run_id, special=0, **which)
        ledgers.append({tuple(row[:5]): row[5] for row in rows.values_list(*names, "ug")})
    before, after = ledgers
    return {key: (before.get(key), after.get(key)) for key in {*before, *after} if before.get(key) != after.get(key)}


def told_of(leaves: list[dict[str, Any]]) -> dict[tuple[str, str, str, str, str], tuple[int | None, int | None]]:
    told = {}
    for leaf in leaves:
        for line in leaf["lines"]:
            before, after = (None if line[name] is None else int(line[name]) for name in ("before", "after"))
            assert int(line["difference"]) == (after or 0) - (before or 0)
            number = LINE_NAMES.index(line["line"])
            told[leaf["account"], leaf["resourceGroup"], leaf["service"], leaf["cluster"], number] = (before, after)
    return told  # type: ignore[return-value] # numbers of lines


def test_differences_are_told_leaf_by_leaf_to_whoever_sees_the_node() -> None:
    june = published()
    old = PublishedMonth.objects.get(provider=june.provider).publication.run_id
    newer = month(june.provider, seed=5, accounts=4)
    newer.engine.ledgers = june.engine.ledgers | {"k0": newer.engine.ledgers["k0"]}
    first, second = client_of(operator()), client_of(operator())
    told = restate(first, newer.run())["proposal"]
    ask(second, APPROVE, id=told["id"])
    new = PublishedMonth.objects.get(provider=june.provider).publication.run_id
    assert new != old
    account = Account.objects.get(provider=june.provider, external_id="a0")
    part = ResourceGroup.objects.get(account=account, code="web")
    customer, holder, stranger = person(), person(), person()
    give(customer, account)
    give(holder, part)
    give(stranger, Account.objects.get(provider=june.provider, external_id="a1"))
    node, inside = global_id("Account", account.pk), global_id("ResourceGroup", part.pk)
    wanted = expected(old, new, account=account)
    assert wanted
    assert told_of(leaves_of(client_of(customer), node)) == wanted
    assert told_of(leaves_of(client_of(customer), node, first=1)) == wanted
    assert told_of(leaves_of(client_of(holder), inside)) == expected(old, new, resource_group=part)
    assert told_of(leaves_of(client_of(holder), node)) == {}  # known by its name alone
    assert leaves_of(client_of(stranger), node) == []


def test_old_figures_stay_readable(now: dt.datetime) -> None:
    june = published()
    restate(client_of(operator()), changed(june, percent=1).run())
    account = Account.objects.get(provider=june.provider, external_id="a0")
    customer = person()
    give(customer, account)
    query = """query($node: ID!, $period: PeriodInput!, $before: DateTime!) { hierarchyNode(id: $node) {
      now: emissions(period: $period) { total { microgramsCO2e } }
      before: emissions(period: $period, asOf: $before) { total { microgramsCO2e } } } }"""
    before = (now - dt.timedelta(hours=1)).isoformat()
    found = ask(client_of(customer), query, node=global_id("Account", account.pk), period=JUNE, before=before)
    new, old = (int(found["hierarchyNode"][name]["total"]["microgramsCO2e"]) for name in ("now", "before"))
    assert 0 < old < new


def test_a_verified_month_says_so_and_a_restatement_leaves_the_statement_behind() -> None:
    june = published()
    boss = client_of(operator())
    answer = ask(boss, RECORD, provider=june.provider.code, period=JUNE, sha="a" * 64)["recordVerificationStatement"]
    assert answer["__typename"] == "VerificationStatementPayload"
    account = Account.objects.get(provider=june.provider, external_id="a0")
    customer, stranger = person(), person()
    give(customer, account)
    node = global_id("Account", account.pk)
    (stated,) = ask(client_of(customer), SHOWN, node=node, period=JUNE)["hierarchyNode"]["emissions"][
        "verificationStatements"
    ]
    assert stated == {
        "id": answer["statementId"],
        "provider": june.provider.code,
        "verifier": "Prüfer AG",
        "standard": "ISO 14064-3:2019",
        "level": "limited",
        "scope": "scopes 1 and 2",
        "periodFrom": "2025-06",
        "periodUntil": "2025-07",
        "documentUrl": "https://pruefer.example/1.pdf",
        "documentSha256": "a" * 64,
        "issuedOn": "2025-12-01",
        "aboutMethod": False,
        "months": ["2025-06"],
        "leftBehind": [],
    }
    assert ask(client_of(stranger), SHOWN, node=node, period=JUNE)["hierarchyNode"] is None
    restate(boss, changed(june, percent=1).run())
    (stated,) = ask(client_of(customer), SHOWN, node=node, period=JUNE)["hierarchyNode"]["emissions"][
        "verificationStatements"
    ]
    assert (stated["months"], stated["leftBehind"]) == ([], ["2025-06"])


def test_a_verified_method_says_so_wherever_it_is_shown() -> None:
    june = published()
    boss = client_of(operator())
    method = f"{{ methodologies {{ edges {{ node {{ id {STATED} }} }} }} }}"
    (edge,) = ask(boss, method)["methodologies"]["edges"]
    answer = ask(boss, RECORD, method=edge["node"]["id"], sha="")["recordVerificationStatement"]
    assert answer["__typename"] == "VerificationStatementPayload"
    (edge,) = ask(boss, method)["methodologies"]["edges"]
    (stated,) = edge["node"]["verificationStatements"]
    assert (stated["aboutMethod"], stated["months"], stated["documentSha256"]) == (True, [], None)
    node = global_id("Account", Account.objects.get(provider=june.provider, external_id="a0").pk)
    shown = ask(boss, SHOWN, node=node, period=JUNE)["hierarchyNode"]["emissions"]["verificationStatements"]
    assert shown == [stated]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"period": {"from": "2025-06", "until": "2025-08"}, "sha": ""}, "INVALID"),
        ({"period": JUNE, "sha": "short"}, "INVALID"),
        ({"period": JUNE, "provider": "nobody", "sha": ""}, "NOT_FOUND"),
    ],
)
def test_a_statement_that_cannot_be_is_refused(given: dict[str, Any], code: str) -> None:
    june = published()
    answer = ask(client_of(operator()), RECORD, **{"provider": june.provider.code} | given)
    assert answer["recordVerificationStatement"]["code"] == code
