"""Importing documents: idempotent, all or nothing, every fault at once."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts import closure
from accounts.models import (
    Account,
    AccountGroup,
    AccountMembership,
    AuditEntry,
    DelegatedAdministrator,
    GroupEdge,
    ResourceDirectory,
    ResourceGroup,
    TreeVersion,
)
from accounts.services.directory_document import read_document
from accounts.services.import_directory import import_directory
from accounts.services.import_report import ConflictsWithTree, DocumentRefused, ImportReport
from accounts.services.quotas import QuotaExceeded
from accounts.services.refusal import PermissionDenied
from tests.factories import hierarchy as make
from tests.factories import people

pytestmark = pytest.mark.django_db


def _example() -> dict[str, Any]:
    """The example of the handbook, so that it stays true."""
    text = Path("docs/hierarchy.md").read_text(encoding="utf-8")
    return json.loads(text.split("```json\n")[1].split("```")[0])  # type: ignore[no-any-return]


def _load(document: dict[str, Any], **fields: Any) -> ImportReport:  # noqa: ANN401 whatever the service takes
    viewer = people.viewing(people.operator())
    return import_directory(viewer=viewer, text=json.dumps(document), **({"frozen_months": {}} | fields))


def _codes(document: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(fault.where, fault.field, fault.code) for fault in read_document(json.dumps(document))[1]}


def test_the_example_of_the_handbook_loads_and_loads_again_without_effect() -> None:
    report = _load(_example())
    assert report.changed
    root = ResourceDirectory.objects.get(external_id="rd-1")
    assert (root.max_depth, root.max_groups) == (5, 100)
    assert root.management_account == Account.objects.get(external_id="1001")
    shops = AccountGroup.objects.get(external_id="shops")
    stays = GroupEdge.objects.filter(group=shops, superseded_by=None).order_by("valid_from")
    assert [(row.parent and row.parent.external_id, f"{row.valid_from:%Y-%m}") for row in stays] == [
        ("retail", "2025-01"),
        (None, "2025-07"),
    ]
    till = Account.objects.get(external_id="1002")
    assert (till.status, f"{till.closed_from:%Y-%m}") == ("closed", "2026-03")
    assert till.delegations.get().group == AccountGroup.objects.get(external_id="retail")
    assert not Account.objects.get(external_id="1003").memberships.exists()
    assert closure.verify(directory_ids=[root.pk]) == []
    counted = (GroupEdge, AccountMembership, TreeVersion, AuditEntry, ResourceGroup, DelegatedAdministrator)
    before = [model.objects.count() for model in counted]
    again = _load(_example())
    assert not again.changed
    assert again.changed_months == {}
    assert [model.objects.count() for model in counted] == before


def test_a_changed_document_moves_only_what_changed() -> None:
    _load(_example())
    document = _example()
    document["accounts"][1]["memberships"][1]["group"] = "shops"
    document["directories"][0]["name"] = "New name"
    report = _load(document)
    changed = {name: count for name, count in report.counts.items() if count}
    assert changed == {"directories_changed": 1, "members_ended": 1, "members_created": 1}
    assert {code: [str(span) for span in spans] for code, spans in report.changed_months.items()} == {
        "nimbus": ["2025-09.."]
    }
    entry = AuditEntry.objects.get(action="move_account")
    groups = {group.external_id: f"account_group:{group.pk}" for group in AccountGroup.objects.all()}
    assert entry.details == {"from": [groups["retail"]], "to": [groups["shops"]], "source": "import"}


def test_nodes_that_are_not_named_stay() -> None:
    _load(_example())
    document = _example()
    del document["directories"][0]["groups"][1]
    del document["accounts"][1]
    document["directories"][0]["delegated_administrators"] = []
    del document["accounts"][1]["memberships"]
    assert not _load(document).changed
    assert AccountGroup.objects.filter(external_id="shops", edges__superseded_by=None).exists()


def test_published_months_are_not_changed_in_passing() -> None:
    _load(_example())
    document = _example()
    document["accounts"][1]["memberships"][1]["group"] = "shops"
    document["directories"][0]["groups"][1]["parents"][0]["to"] = "2025-08"
    document["directories"][0]["groups"][1]["parents"][1]["from"] = "2025-08"
    with pytest.raises(DocumentRefused) as refused:
        _load(document, frozen_months={"nimbus": {make.month(f"2025-{number:02}") for number in range(6, 13)}})
    assert [(fault.where, fault.field, fault.code) for fault in refused.value.faults] == [
        ("directories[0].groups[1]", "parents", "MONTH_PUBLISHED"),
        ("accounts[1]", "memberships", "MONTH_PUBLISHED"),
    ]
    assert "2025-07" in refused.value.faults[0].message
    assert "2025-09, 2025-10, 2025-11 and 1 more" in refused.value.faults[1].message
    assert not AuditEntry.objects.filter(action="move_account").exists()
    _load(document, frozen_months={"nimbus": {make.month("2025-08")}, "other": {make.month("2025-10")}})


def test_contradictions_with_nodes_not_named_are_refused_whole() -> None:
    _load(_example())
    document = _example()
    document["directories"][0]["groups"][0]["parents"][0]["to"] = "2025-03"
    document["directories"][0]["groups"][1]["parents"] = [{"parent": None, "from": "2025-01", "to": None}]
    document["directories"][0]["delegated_administrators"] = []
    document["directories"][0]["management_account"] = None
    document["accounts"] = []
    with pytest.raises(ConflictsWithTree):
        _load(document)
    assert GroupEdge.objects.filter(superseded_by=None).count() == 3


def test_quotas_hold_for_documents() -> None:
    document = _example()
    document["directories"][0]["quotas"] = {"depth": 1}
    with pytest.raises(QuotaExceeded):
        _load(document)
    assert not ResourceDirectory.objects.exists()


def test_a_directory_keeps_its_enterprise() -> None:
    _load(_example())
    document = _example()
    document["enterprises"].append({"external_id": "other", "name": "Other"})
    document["directories"][0]["enterprise"] = "other"
    with pytest.raises(DocumentRefused) as refused:
        _load(document)
    assert [fault.code for fault in refused.value.faults] == ["ENTERPRISE_CHANGED"]


def test_operators_import() -> None:
    with pytest.raises(PermissionDenied):
        import_directory(viewer=people.viewing(people.person()), text="{}", frozen_months={})


def test_every_fault_is_told_at_once() -> None:
    document = _example()
    document["unknown"] = 1
    document["format_version"] = True
    document["providers"][0] |= {"code": "Nimbus Cloud", "time_zone": "Mars/Olympus"}
    document["directories"][0] |= {"quotas": "huge", "multi_account_management": "yes", "name": "x" * 201}
    document["directories"][0]["delegated_administrators"][0]["ends_at"] = "2026-01-01"
    document["accounts"][0] |= {"kind": "other", "external_id": " ", "colour": "red"}
    document["accounts"][1]["memberships"][1] |= {"from": "2025-08"}
    document["accounts"][1]["memberships"].append(
        {"directory": "rd-1", "group": None, "from": "2024-02", "to": "2024-02"}
    )
    document["accounts"][2]["memberships"] = [{"directory": "rd-1", "group": 7, "from": "2025-1", "to": None}, 5]
    assert _codes(document) == {
        ("", "unknown", "UNKNOWN_FIELD"),
        ("", "format_version", "FORMAT_VERSION"),
        ("providers[0]", "code", "WRONG_CHOICE"),
        ("providers[0]", "time_zone", "UNKNOWN_TIME_ZONE"),
        ("directories[0]", "quotas", "WRONG_CHOICE"),
        ("directories[0]", "multi_account_management", "WRONG_TYPE"),
        ("directories[0]", "name", "TOO_LONG"),
        ("directories[0].delegated_administrators[0]", "ends_at", "NOT_AN_INSTANT"),
        ("accounts[0]", "kind", "WRONG_CHOICE"),
        ("accounts[0]", "external_id", "EMPTY"),
        ("accounts[0]", "colour", "UNKNOWN_FIELD"),
        ("accounts[1].memberships[1]", "from", "OVERLAP"),
        ("accounts[1].memberships[2]", "to", "EMPTY_PERIOD"),
        ("accounts[2].memberships[0]", "group", "WRONG_TYPE"),
        ("accounts[2].memberships[0]", "from", "NOT_A_MONTH"),
        ("accounts[2].memberships[1]", "", "WRONG_TYPE"),
    }


def test_names_must_mean_something() -> None:
    document = _example()
    document["directories"].append(copy.deepcopy(document["directories"][0]))
    document["accounts"].append(copy.deepcopy(document["accounts"][2]))
    document["accounts"][0]["memberships"][0]["directory"] = "rd-2"
    document["directories"][0]["delegated_administrators"] += [
        {"account": "1003", "group": "nothing"},
        {"account": "1001"},
        {"account": "none"},
    ]
    codes = _codes(document)
    assert ("directories[1]", "external_id", "DUPLICATE") in codes
    assert ("accounts[3]", "external_id", "DUPLICATE") in codes
    assert ("accounts[0].memberships[0]", "directory", "UNKNOWN_DIRECTORY") in codes
    where = "directories[0].delegated_administrators"
    assert (f"{where}[1]", "group", "UNKNOWN_GROUP") in codes
    assert (f"{where}[1]", "account", "NOT_A_MEMBER") in codes
    assert (f"{where}[2]", "account", "UNSUITABLE_ACCOUNT") in codes
    assert (f"{where}[3]", "account", "UNKNOWN_ACCOUNT") in codes


def test_trees_are_trees_in_every_month() -> None:
    document = _example()
    document["directories"][0]["groups"] += [
        {
            "external_id": "a",
            "name": "A",
            "parents": [
                {"parent": None, "from": "2025-01", "to": "2025-03"},
                {"parent": "b", "from": "2025-03", "to": None},
            ],
        },
        {
            "external_id": "b",
            "name": "B",
            "parents": [
                {"parent": "a", "from": "2025-01", "to": "2025-04"},
                {"parent": None, "from": "2025-04", "to": "2026-01"},
            ],
        },
        {"external_id": "c", "name": "C", "parents": [{"parent": "none", "from": "2025-01", "to": None}]},
    ]
    document["accounts"][2]["memberships"] = [{"directory": "rd-1", "group": "b", "from": "2025-01", "to": None}]
    groups = "directories[0].groups"
    assert _codes(document) == {
        (f"{groups}[2]", "parents", "CYCLE"),
        (f"{groups}[3]", "parents", "CYCLE"),
        (f"{groups}[2].parents[1]", "parent", "OUTSIDE_LIFETIME"),
        (f"{groups}[4].parents[0]", "parent", "UNKNOWN_GROUP"),
        ("accounts[2].memberships[0]", "group", "OUTSIDE_LIFETIME"),
    }


@pytest.mark.parametrize("text", ["", "[]", "nonsense", '{"format_version": 1', "[" * 100_000, b"\xff\xfe"])
def test_what_is_no_document_is_refused(text: str | bytes) -> None:
    assert {fault.code for fault in read_document(text)[1]} <= {"NOT_JSON", "WRONG_TYPE"}
    assert read_document(text)[1]


def test_the_command_reports_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tree.json"
    file.write_text(json.dumps(_example()), encoding="utf-8")
    call_command("import_directory", str(file))
    assert json.loads(capsys.readouterr().out)["changed"]["accounts_created"] == 3
    call_command("import_directory", str(file))
    assert json.loads(capsys.readouterr().out)["changed"] == {}
    file.write_text(json.dumps(_example() | {"format_version": 2}), encoding="utf-8")
    with pytest.raises(CommandError, match="1 faults"):
        call_command("import_directory", str(file))
    assert json.loads(capsys.readouterr().out)["code"] == "FORMAT_VERSION"
    with pytest.raises(CommandError, match="cannot read"):
        call_command("import_directory", str(tmp_path / "absent"))
