"""What a provider does not cover or holds below its threshold: told apart everywhere, and in no sum of any reader."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from accounts.models import Account, User
from accounts.months import Period
from accounts.policies import viewer_of
from allocation.models import AllocationRun, ExportFormat, ExportLayout, LedgerRow, ServiceIntensity
from allocation.services import exporting, exports
from tests.allocation.exchange.test_month import exported
from tests.allocation.test_exports import rows_of
from tests.factories.months import MONTH
from tests.factories.people import give, operator, person
from tests.graphql_api.ask import ask
from tests.graphql_api.test_explain import PACKAGES, account_id, client_of, explained, published
from tests.read_model.world import METHOD_LINES

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django.fixtures import Settings

pytestmark = pytest.mark.django_db

# Of CDN, T1 causes 1 758 kg by the grid, T2 nothing, T3 5 274 kg; MQ is used by T1 and not measured.
THRESHOLD_KG = "2000"
PERIOD = '{from: "2025-06", until: "2025-07"}'
SERVICES = f"""query($id: ID!, $filter: EmissionsFilter) {{ hierarchyNode(id: $id) {{
  emissions(period: {PERIOD}, filter: $filter) {{
    total {{ status kgCO2e microgramsCO2e electricityKwh estimatedShare intensityGramsPerKwh scope1 {{ kgCO2e }} }}
    complete omissions {{ reason months accounts }}
    byService {{ edges {{ node {{ service {{ code }} emissions {{ status microgramsCO2e electricityWattHours }} }} }} }}
    byMonth {{ complete emissions {{ status }} }}
    byResourceGroup {{ edges {{ emissions {{ status microgramsCO2e }} }} }} }} }} }}"""
COVERAGE = f"""{{ coverage(input: {{period: {PERIOD}}}) {{
  providers {{ services {{ code notCoveredIn thresholdKg }} }} }} }}"""


@pytest.fixture
def run(tmp_path: Path) -> AllocationRun:
    """The month worked out by hand, with a service more that nothing is known of, and a threshold for another."""
    folder = tmp_path / "package"
    shutil.copytree(PACKAGES / "b_alibaba_like", folder)
    with (folder / "services.csv").open("a") as services, (folder / "usage.csv").open("a") as usage:
        services.write("MQ,Queues,message,physical\n")
        usage.write("cn-test-a,MQ,T1,,5\n")
    (folder / "coverage.csv").write_text(f"service,covered,threshold_kg\nCDN,true,{THRESHOLD_KG}\nMQ,false,\n")
    return published(str(folder))


def holder(code: str) -> User:
    """Somebody with a role on one account."""
    made = person()
    give(made, Account.objects.get(external_id=code))
    return made


def told(code: str, **given: object) -> dict[str, Any]:
    """What the holder of an account is told of it."""
    account = Account.objects.get(external_id=code)
    found = ask(client_of(holder(code)), SERVICES, id=account_id(account.pk), **given)["hierarchyNode"]["emissions"]
    found["byService"] = {
        edge["node"]["service"]["code"]: edge["node"]["emissions"] for edge in found["byService"]["edges"]
    }
    assert isinstance(found, dict)
    return found


def test_the_ledger_keeps_every_byte(run: AllocationRun) -> None:
    lines = exported(f"{run.month:%Y-%m}", run.provider.code).decode().splitlines(keepends=True)
    expected = (PACKAGES / "b_alibaba_like" / "expected_ledger.csv").read_text("utf-8")
    assert "".join(line for line in lines if ",MQ," not in line) == expected


def test_every_service_says_which_blank_it_is(run: AllocationRun) -> None:
    statuses = {
        account: {code: found["status"] for code, found in told(account)["byService"].items()}
        for account in ("T1", "T2", "T3")
    }
    assert statuses == {
        "T1": {"CDN": "BELOW_THRESHOLD", "ECS": "REPORTED", "MQ": "NOT_COVERED", "OSS": "REPORTED"},
        "T2": {"CDN": "ZERO", "ECS": "REPORTED", "OSS": "REPORTED"},
        "T3": {"CDN": "REPORTED", "ECS": "REPORTED", "OSS": "REPORTED"},
    }
    withheld = told("T1")["byService"]
    for code in ("CDN", "MQ"):
        assert withheld[code] == {**withheld[code], "microgramsCO2e": None, "electricityWattHours": None}
    assert LedgerRow.objects.filter(run=run, withheld=None).count() > 0


@pytest.mark.usefixtures("run")
def test_totals_are_partial_and_hold_only_what_is_told() -> None:
    found = told("T1")
    services = sum(int(one["microgramsCO2e"]) for one in found["byService"].values() if one["microgramsCO2e"])
    assert (found["total"]["status"], found["complete"]) == ("PARTIAL", False)
    assert int(found["total"]["microgramsCO2e"]) == services
    assert [edge["emissions"] for edge in found["byResourceGroup"]["edges"]] == [
        {"status": "PARTIAL", "microgramsCO2e": str(services)}
    ]
    assert found["omissions"] == [
        {"reason": "NOT_COVERED", "months": ["2025-06"], "accounts": None},
        {"reason": "BELOW_THRESHOLD", "months": ["2025-06"], "accounts": None},
    ]
    assert found["byMonth"] == [{"complete": False, "emissions": {"status": "PARTIAL"}}]
    whole = told("T3")
    assert (whole["total"]["status"], whole["complete"], whole["omissions"]) == ("REPORTED", True, [])


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(("service", "status"), [("CDN", "BELOW_THRESHOLD"), ("MQ", "NOT_COVERED")])
def test_a_filter_leads_to_nothing_more(service: str, status: str) -> None:
    found = told("T1", filter={"services": [service]})
    assert found["total"] == {
        "status": status,
        "kgCO2e": None,
        "microgramsCO2e": None,
        "electricityKwh": None,
        "estimatedShare": None,
        "intensityGramsPerKwh": None,
        "scope1": {"kgCO2e": None},
    }
    assert [one["reason"] for one in found["omissions"]] == [status]


def test_customers_are_not_explained_what_is_withheld_and_operators_are(run: AllocationRun) -> None:
    account = Account.objects.get(external_id="T1")
    rows = LedgerRow.objects.filter(run=run, account=account).select_related("run", "service", "cluster")
    for code, status in (("CDN", "BELOW_THRESHOLD"), ("MQ", "NOT_COVERED"), ("ECS", "REPORTED")):
        row = rows.filter(service__code=code)[0]
        found = explained(client_of(holder("T1")), row, group=False)
        assert (found["status"], bool(found["lines"]), bool(found["inputs"])) == (
            status,
            status == "REPORTED",
            status == "REPORTED",
        )
        assert explained(client_of(operator()), row, group=False)["lines"]


@pytest.mark.usefixtures("run")
def test_coverage_tells_what_to_expect() -> None:
    (provider,) = ask(client_of(holder("T1")), COVERAGE)["coverage"]["providers"]
    # T1 stands in no directory: the catalogue is nobody's secret.
    assert {one["code"]: (one["notCoveredIn"], one["thresholdKg"]) for one in provider["services"]} == {
        "CDN": ([], float(THRESHOLD_KG)),
        "ECS": ([], 0.0),
        "MQ": (["2025-06"], 0.0),
        "OSS": ([], 0.0),
    }


def test_coverage_tells_how_much_of_a_month_is_estimated(run: AllocationRun) -> None:
    rows = list(LedgerRow.objects.filter(run=run).values_list("line", "ug", "estimated_ug"))
    expected = {}
    for method, lines in METHOD_LINES.items():
        total_ug = sum(ug for line, ug, _ in rows if line in lines)
        expected[method] = sum(estimated_ug for line, _, estimated_ug in rows if line in lines) / total_ug
    assert all(0 < share < 1 for share in expected.values())
    (provider,) = ask(
        client_of(holder("T1")),
        f"""{{ coverage(input: {{period: {PERIOD}}}) {{ providers {{ months {{
          location_based: estimatedShare market_based: estimatedShare(method: MARKET_BASED) }} }} }} }}""",
    )["coverage"]["providers"]
    assert provider["months"] == [expected]


@pytest.mark.parametrize("layout", list(ExportLayout))
def test_exports_say_it_and_hold_no_amount(
    run: AllocationRun, settings: Settings, tmp_path: Path, layout: ExportLayout
) -> None:
    settings.MEDIA_ROOT = tmp_path
    settings.ALLOCATION_LEASE_SECONDS = 100_000
    owner = holder("T1")
    export = exports.request_export(
        viewer=viewer_of(owner, now=timezone.now()),
        order=exports.Order(None, layout, ExportFormat.CSV),
        period=Period(MONTH, MONTH.replace(month=7)),
    )
    exporting.execute_export(export_id=export.pk, worker="here")
    export.refresh_from_db()
    rows = rows_of(export)
    if layout == ExportLayout.CANOPY:
        amounts = [name for name in rows[0] if name.endswith(("_co2e", "_wh", "_share"))]
        assert {(row["service"], row["status"]) for row in rows if row["service"] in {"CDN", "MQ"}} == {
            ("CDN", "BELOW_THRESHOLD"),
            ("MQ", "NOT_COVERED"),
        }
        withheld = [row for row in rows if row["service"] in {"CDN", "MQ"}]
    else:
        amounts = [name for name in rows[0] if name.startswith("total_")]
        withheld = [row for row in rows if row["product_code"] in {"CDN", "MQ"}]
    assert withheld
    assert amounts
    assert all(row[name] == "" for row in withheld for name in amounts)
    assert len(rows) > len(withheld)
    assert LedgerRow.objects.filter(run=run, account__external_id="T1", withheld__isnull=False).exists()


def test_ratios_are_of_what_is_told(run: AllocationRun) -> None:
    # T1 and T3 use CDN; what T1 causes is withheld, so it is no tenant of the ratio either.
    tenants = dict(ServiceIntensity.objects.filter(run=run).values_list("service__code", "tenants"))
    assert tenants == {"CDN": 1, "ECS": 3, "OSS": 3}
