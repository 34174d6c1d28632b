"""Explain: operators are told all of it and it multiplies back; customers are told what is theirs, and nothing more."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.models import Account, ResourceGroup, User
from allocation.models import AllocationRun, LedgerRow, PackageService, UsageRow
from allocation.services.execution import execute_run
from allocation.services.packages import load_package
from allocation.services.publication import publish_run
from allocation.services.runs import request_run
from allocation.services.system import system
from graphql_api.scalars import global_id
from tests.factories.people import give, operator, person
from tests.graphql_api.ask import ask, codes
from tests.oracle.generator import write_random_package

pytestmark = pytest.mark.django_db

PACKAGES = Path(__file__).parents[1] / "packages"
NOW = dt.datetime(2026, 1, 20, 12, tzinfo=dt.UTC)
EXPLAIN = """query($node: ID!, $service: String!, $cluster: String!, $month: Month!, $lines: [String!]) {
  explain(input: {nodeId: $node, service: $service, cluster: $cluster, month: $month, lines: $lines}) {
    status full provider runId publishedAt methodologyId nodeId inputsLeftOut
    options { name value } inputs { file row resourceGroup quantity unit } redactions { field reason }
    lines {
      line unit amount estimated quality exact source posted leavesLeftOut
      leaves { resourceGroup amount exact extraUnit }
      factors { provider month kind cluster name value unit vintage source }
      postings { code quantity unit factor factorValue factorUnit vintage share amount quality rack rows { file row } }
      steps { stage from { kind code } to { kind code } driver unit weight total share amountIn amountOut members
        redacted rows { file row } } } } }"""


def published(name: str) -> AllocationRun:
    """Load a package, allocate and publish it."""
    report = load_package(viewer=system(NOW), path=PACKAGES / name)
    assert report.package is not None
    run = request_run(viewer=system(NOW), package_id=report.package.pk)
    execute_run(run_id=run.pk, worker="test")
    publish_run(viewer=system(NOW), run_id=run.pk)
    return run


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def explained(client: Client, row: LedgerRow, *, group: bool, lines: list[str] | None = None) -> dict[str, Any]:
    """Explain the leaf of a ledger row: its resource group, or the account with all its groups."""
    node = global_id("ResourceGroup", row.resource_group_id or 0) if group else account_id(row.account_id)
    found = ask(
        client,
        EXPLAIN,
        node=node,
        service=row.service.code,
        cluster=row.cluster.code,
        month=f"{row.run.month:%Y-%m}",
        lines=lines,
    )["explain"]
    assert isinstance(found, dict)
    return found


def account_id(pk: int | None) -> str:
    return global_id("Account", pk or 0)


def check(line: dict[str, Any]) -> None:
    """Every equation of a line that is told in full."""
    into: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for step in line["steps"]:
        share, before, after = (Fraction(step[name]) for name in ("share", "amountIn", "amountOut"))
        assert Fraction(step["weight"]) == share * Fraction(step["total"])
        assert after == share * before
        into[step["to"]["kind"], step["to"]["code"]] += after
    for step in line["steps"]:
        if step["from"]["kind"] not in {"CLUSTER", "SOURCE"}:
            assert Fraction(step["amountIn"]) == into[step["from"]["kind"], step["from"]["code"]]
    posted = {True: Fraction(), False: Fraction()}
    for posting in line["postings"]:
        posted[posting["rack"] is None] += Fraction(posting["amount"])
    assert posted[True] == Fraction(line["posted"])
    assert round(posted[True]) + posted[False] == int(line["source"])
    assert sum(int(leaf["amount"]) for leaf in line["leaves"]) == int(line["amount"])
    for leaf in line["leaves"]:
        assert int(leaf["amount"]) == Fraction(leaf["exact"]) // 1 + leaf["extraUnit"]
        if Fraction(leaf["exact"]):
            assert into["RESOURCE_GROUP", leaf["resourceGroup"]] == Fraction(leaf["exact"])


@pytest.mark.parametrize("name", ["a_aws_like", "b_alibaba_like", "c_ibm_like"])
def test_operators_are_told_all_steps_and_they_multiply_back_to_the_ledger(name: str) -> None:
    run = published(name)
    client = client_of(operator())
    leaves = LedgerRow.objects.filter(run=run, special=0).order_by("cluster_id", "service_id", "account_id", "id")
    rows = leaves.distinct("cluster_id", "service_id", "account_id").select_related("run", "service", "cluster")
    checked = 0
    for row in rows:
        found = explained(client, row, group=False)
        assert (found["full"], found["status"], found["redactions"]) == (True, "REPORTED", [])
        for line in found["lines"]:
            check(line)
            checked += 1
    assert checked == len(set(leaves.values_list("cluster", "service", "account", "line")))


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (11, {"PEAK_WEIGHTED_UNITS", "usage.csv", "usage_periods.csv", "cross_use.csv", "site_hours.csv"}),
        (386, {"POOL_TO_ACCOUNT", "usage.csv", "cross_use.csv"}),
    ],
)
def test_months_beyond_version_1_multiply_back_as_well(tmp_path: Path, seed: int, expected: set[str]) -> None:
    """Hours, periods and services across clusters; a pool that all accounts bear."""
    run = published(str(write_random_package(tmp_path / "package", seed)))
    client = client_of(operator())
    leaves = LedgerRow.objects.filter(run=run, special=0).order_by("cluster_id", "service_id", "account_id", "id")
    rows = leaves.distinct("cluster_id", "service_id", "account_id").select_related("run", "service", "cluster")
    seen, elsewhere = set(), set()
    for row in rows:
        for line in explained(client, row, group=False)["lines"]:
            check(line)
            for step in line["steps"]:
                seen |= {step["driver"], step["stage"], *(one["file"] for one in step["rows"])}
                elsewhere |= {code for code in (step["from"]["code"],) if "|" in code}
            seen |= {one["file"] for posting in line["postings"] for one in posting["rows"]}
    assert elsewhere
    assert expected <= seen


def test_customers_are_not_told_what_depends_on_when_others_used_theirs(tmp_path: Path) -> None:
    run = published(str(write_random_package(tmp_path / "package", 11)))
    weighted = PackageService.objects.filter(package=run.package, split_key="peak_weighted").values("service")
    row = LedgerRow.objects.filter(run=run, special=0, service__in=weighted).select_related(
        "run", "service", "cluster"
    )[0]
    assert row.account is not None
    customer = person()
    give(customer, row.account)
    for line in explained(client_of(customer), row, group=False)["lines"]:
        last = [step for step in line["steps"] if step["stage"] in {"SERVICE_TO_ACCOUNT", "ACCOUNT_TO_RESOURCE_GROUP"}]
        assert {(step["driver"], step["redacted"]) for step in last} == {("PEAK_WEIGHTED_UNITS", "OTHERS_USAGE")}
        assert {step["share"] for step in last} == {None}


def test_a_resource_group_is_explained_by_itself() -> None:
    run = published("a_aws_like")
    account = Account.objects.get(external_id="T1")
    row = LedgerRow.objects.filter(run=run, account=account, resource_group__code="web").select_related(
        "run", "service", "cluster"
    )[0]
    found = explained(client_of(operator()), row, group=True, lines=["scope2_lbm"])
    (line,) = found["lines"]
    assert [leaf["resourceGroup"] for leaf in line["leaves"]] == ["web"]
    check(line)
    assert {(one["file"], one["resourceGroup"]) for one in found["inputs"]} == {("usage.csv", "web")}
    last = [step for step in line["steps"] if step["stage"] == "ACCOUNT_TO_RESOURCE_GROUP"]
    assert [step["to"]["code"] for step in last] == ["web"]


def test_operators_are_told_the_line_of_every_row_of_usage() -> None:
    run = published("a_aws_like")
    text = (PACKAGES / "a_aws_like" / "usage.csv").read_text("utf-8").splitlines()
    names = text[0].split(",")
    by_row = {number: dict(zip(names, line.split(","), strict=True)) for number, line in enumerate(text[1:], start=2)}
    client = client_of(operator())
    told: set[int] = set()
    for row in LedgerRow.objects.filter(run=run, special=0, line=1).select_related("run", "service", "cluster"):
        for one in explained(client, row, group=False, lines=["scope2_lbm"])["inputs"]:
            if one["file"] == "usage.csv":
                written = by_row[one["row"]]
                assert Fraction(written["quantity"]) == Fraction(one["quantity"])
                assert written["service"] == row.service.code
                told.add(one["row"])
    assert told == set(by_row)
    assert UsageRow.objects.filter(package=run.package).count() == len(by_row)


def test_customers_are_told_their_own_part_and_why_the_rest_is_not() -> None:
    run = published("a_aws_like")
    account = Account.objects.get(external_id="T1")
    customer = person()
    give(customer, account)
    row = LedgerRow.objects.filter(run=run, account=account, service__code="compute").select_related(
        "run", "service", "cluster"
    )[0]
    client = client_of(customer)
    found = explained(client, row, group=False, lines=["scope2_lbm"])
    (line,) = found["lines"]
    published_ug = sum(
        LedgerRow.objects.filter(
            run=run, account=account, service=row.service, cluster=row.cluster, line=1
        ).values_list("ug", flat=True)
    )
    assert (found["full"], int(line["amount"])) == (False, published_ug)
    assert {one["field"]: one["reason"] for one in found["redactions"]} == {
        "source": "PROVIDERS_BUSINESS",
        "posted": "PROVIDERS_BUSINESS",
        "postings": "PROVIDERS_BUSINESS",
        "exact": "OTHERS_USAGE",
        "inputs.row": "OTHERS_USAGE",
    }
    assert (line["source"], line["posted"], line["exact"], line["postings"]) == (None, None, None, [])
    assert all(leaf["exact"] is leaf["extraUnit"] is None for leaf in line["leaves"])
    assert all(one["row"] is None for one in found["inputs"])
    assert {factor["kind"] for factor in line["factors"]} == {"LOCATION"}
    assert found["options"]
    assert found["methodologyId"]
    by_stage = {step["stage"]: step for step in line["steps"]}
    for stage in ("SOURCE_TO_CLUSTER", "CLUSTER_TO_RACK", "RACK_TO_SERVICE", "SERVICE_TO_SERVICE"):
        assert by_stage[stage]["redacted"] is not None
        assert by_stage[stage]["from"]["code"] is by_stage[stage]["to"]["code"] is None
        for name in ("weight", "total", "share", "amountIn", "amountOut"):
            assert by_stage[stage][name] is None
    use = by_stage["SERVICE_TO_ACCOUNT"]
    assert (use["weight"], use["total"], use["share"], use["redacted"]) == ("300", None, None, "OTHERS_USAGE")
    shares = {step["to"]["code"]: step["share"] for step in line["steps"] if step["redacted"] is None}
    assert shares == {"web": "2/3", "batch": "1/3"}


def test_a_customers_answer_does_not_depend_on_others(tmp_path: Path) -> None:
    """The same question over a month in which the others used more differs in the published figure alone."""
    answers = []
    for number, quantity in enumerate(("200", "999")):
        folder = tmp_path / str(number)
        folder.mkdir()
        for file in (PACKAGES / "a_aws_like").iterdir():
            text = file.read_text("utf-8").replace("compute,T2,,200", f"compute,T2,,{quantity}")
            (folder / file.name).write_text(text.replace('"alpha"', f'"alpha{number}"'), "utf-8")
        run = published(str(folder))
        account = Account.objects.get(external_id="T1", provider=run.provider)
        customer = person()
        give(customer, account)
        row = LedgerRow.objects.filter(run=run, account=account, service__code="compute").select_related(
            "run", "service", "cluster"
        )[0]
        found = explained(client_of(customer), row, group=False)
        for line in found["lines"]:
            for name in ("amount", "estimated", "leaves"):
                line.pop(name)
        for name in ("runId", "methodologyId", "nodeId", "provider"):
            found.pop(name)
        answers.append(json.dumps(found, sort_keys=True).replace(f"alpha{number}", "alpha"))
    assert answers[0] == answers[1]


def test_who_sees_a_resource_group_alone_is_not_told_of_its_account() -> None:
    run = published("a_aws_like")
    part = ResourceGroup.objects.get(account__external_id="T1", code="web")
    holder = person()
    give(holder, part)
    row = LedgerRow.objects.filter(run=run, resource_group=part, service__code="compute").select_related(
        "run", "service", "cluster"
    )[0]
    client = client_of(holder)
    found = explained(client, row, group=True, lines=["scope2_lbm"])
    (line,) = found["lines"]
    assert [(leaf["resourceGroup"], leaf["amount"]) for leaf in line["leaves"]] == [("web", line["amount"])]
    own = {step["stage"]: step for step in line["steps"]}
    assert (own["SERVICE_TO_ACCOUNT"]["weight"], own["SERVICE_TO_ACCOUNT"]["redacted"]) == (None, "NOT_PERMITTED")
    last = own["ACCOUNT_TO_RESOURCE_GROUP"]
    assert (last["weight"], last["total"], last["share"], last["redacted"]) == ("200", None, None, "NOT_PERMITTED")
    asked = {"service": "compute", "cluster": row.cluster.code, "month": "2025-06", "lines": None}
    assert ask(client, EXPLAIN, node=account_id(part.account_id), **asked)["explain"]["status"] == "NOT_PERMITTED"


def test_hidden_and_absent_look_alike_and_other_questions_are_refused() -> None:
    run = published("a_aws_like")
    account = Account.objects.get(external_id="T1")
    other = Account.objects.get(external_id="T2")
    customer = person()
    give(customer, account)
    client = client_of(customer)
    cluster = LedgerRow.objects.filter(run=run, account=account)[0].cluster.code
    asked = {"service": "compute", "cluster": cluster, "month": "2025-06", "lines": None}
    for node in (account_id(other.pk), account_id(10**9)):
        assert codes(client, EXPLAIN, node=node, **asked) == ["NOT_FOUND"]
    node = account_id(account.pk)
    assert codes(client, EXPLAIN, node=node, **asked | {"service": "nothing"}) == ["NOT_FOUND"]
    assert codes(client, EXPLAIN, node=node, **asked | {"cluster": "x" * 200}) == ["BAD_USER_INPUT"]
    assert codes(client, EXPLAIN, node=global_id("EnterpriseParent", 1), **asked) == ["BAD_USER_INPUT"]
    unpublished = ask(client, EXPLAIN, node=node, **asked | {"month": "2025-07"})["explain"]
    assert (unpublished["status"], unpublished["lines"], unpublished["runId"]) == ("NOT_YET_PUBLISHED", [], None)
    earlier = ask(client, EXPLAIN, node=node, **asked | {"month": "2024-07"})["explain"]
    assert earlier["status"] == "NOT_COVERED"


def test_factors_are_listed_page_by_page_for_customers_of_the_provider() -> None:
    published("a_aws_like")
    customer, stranger = person(), person()
    give(customer, Account.objects.get(external_id="T1"))
    query = """query($after: String, $first: Int) { emissionFactors(first: $first, after: $after) {
      pageInfo { hasNextPage endCursor }
      edges { node { provider month kind cluster name value unit vintage source } } } }"""
    everything = ask(client_of(customer), query, first=100)["emissionFactors"]
    assert {edge["node"]["kind"] for edge in everything["edges"]} >= {"LOCATION", "INSTRUMENT", "GWP"}
    paged, after = [], None
    while True:
        page = ask(client_of(customer), query, first=3, after=after)["emissionFactors"]
        paged += page["edges"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert paged == everything["edges"]
    assert ask(client_of(stranger), query, first=100)["emissionFactors"]["edges"] == []
