"""Loading a hierarchy where months are published: refused row by row, or restated by an operator, all or nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import AccountMembership, AuditEntry, User
from accounts.policies import viewer_of
from accounts.services.import_report import DocumentRefused
from accounts.services.refusal import PermissionDenied
from allocation.models import Cause, ContainerTotal, Publication, PublishedMonth, Restatement
from allocation.services.directory_import import load_document, restate_document
from allocation.services.publication import publish_run
from allocation.services.restatement import ApprovalRequired
from tests.factories.months import MONTH, OPERATOR, Month, month

if TYPE_CHECKING:
    from pathlib import Path

    from accounts.policies import Viewer

pytestmark = pytest.mark.django_db


def document(june: Month, *, a0: str, second: str | None = None) -> dict[str, Any]:
    """Groups `one` and `two`; account a0 in the group given, a1 in `two`, a2 in no group."""
    owner = june.provider.code
    stays = [{"parent": None, "from": "2025-01", "to": None}]
    places = {"a0": a0, "a1": second or "two", "a2": None}
    return {
        "format_version": 1,
        "enterprises": [{"external_id": f"e-{owner}", "name": "E"}],
        "directories": [
            {
                "provider": owner,
                "external_id": "d",
                "name": "D",
                "enterprise": f"e-{owner}",
                "groups": [{"external_id": code, "name": code, "parents": stays} for code in ("one", "two")],
            }
        ],
        "accounts": [
            {
                "provider": owner,
                "external_id": code,
                "name": code,
                "memberships": [{"directory": "d", "group": group, "from": "2025-01", "to": None}],
            }
            for code, group in places.items()
        ],
    }


def text(june: Month, **places: str) -> str:
    return json.dumps(document(june, **places))


@pytest.fixture
def june() -> Month:
    """A published month whose accounts were placed before."""
    june = month(accounts=3)
    load_document(viewer=OPERATOR, text=text(june, a0="one"))
    publish_run(viewer=OPERATOR, run_id=june.run().pk)
    return june


def operator(name: str) -> Viewer:
    return viewer_of(User.objects.create(username=name, is_active=True, is_superuser=True), now=timezone.now())


def current(june: Month) -> Publication:
    return PublishedMonth.objects.get(provider=june.provider, month=MONTH).publication


def total_ug(publication: Publication, group: str) -> int:
    rows = ContainerTotal.objects.filter(publication=publication, grain=0, group__external_id=group)
    return sum(int(row.scope1_ug or 0) + int(row.scope3_embodied_ug or 0) + int(row.energy_wh or 0) for row in rows)


def test_a_document_that_reaches_a_published_month_is_refused_at_each_node(june: Month) -> None:
    before = current(june)
    with pytest.raises(DocumentRefused) as refused:
        load_document(viewer=OPERATOR, text=text(june, a0="two", second="one"))
    assert [(fault.where, fault.field, fault.code) for fault in refused.value.faults] == [
        ("accounts[0]", "memberships", "MONTH_PUBLISHED"),
        ("accounts[1]", "memberships", "MONTH_PUBLISHED"),
    ]
    assert "2025-06" in refused.value.faults[0].message
    assert current(june) == before
    assert not AuditEntry.objects.filter(action="move_account").exists()


def test_a_document_that_changes_other_months_is_loaded(june: Month) -> None:
    later = document(june, a0="one")
    places = later["accounts"][0]["memberships"]
    places[0]["to"] = "2025-07"
    places.append({"directory": "d", "group": "two", "from": "2025-07", "to": None})
    before = current(june)
    report = load_document(viewer=OPERATOR, text=json.dumps(later))
    assert [str(span) for span in report.changed_months[june.provider.code]] == ["2025-07.."]
    assert current(june) == before


def test_an_operator_restates_what_a_document_changes(june: Month) -> None:
    before = current(june)
    moved = restate_document(
        viewer=operator("first"), approver=operator("second"), text=text(june, a0="two"), reason="a0 was misplaced"
    )
    after = current(june)
    assert [one.publication for one in moved.restatements] == [after]
    assert (after.run_id, after.cause, after.restates) == (before.run_id, Cause.HIERARCHY, before)
    assert moved.report.counts["members_created"] == 1
    # The same micrograms, in the other group.
    assert total_ug(after, "one") == 0
    assert total_ug(after, "two") == total_ug(before, "one") + total_ug(before, "two")
    assert total_ug(before, "one") > 0


def test_a_restatement_that_nobody_approves_changes_nothing(june: Month) -> None:
    before = current(june)
    with pytest.raises(ApprovalRequired):
        restate_document(viewer=operator("first"), text=text(june, a0="two"), reason="a0 was misplaced")
    assert current(june) == before
    assert AccountMembership.objects.filter(superseded_by__isnull=False).count() == 0
    assert not Restatement.objects.exists()


def test_only_operators_restate(june: Month) -> None:
    nobody = viewer_of(User.objects.create(username="nobody"), now=timezone.now())
    with pytest.raises(PermissionDenied):
        restate_document(viewer=nobody, text=text(june, a0="two"), reason="mine")


def test_a_restatement_of_nothing_published_is_an_import(june: Month) -> None:
    loaded = restate_document(viewer=operator("first"), text=text(june, a0="one"), reason="the same again")
    assert (loaded.report.changed, loaded.restatements) == (False, [])


def test_the_command_refuses_or_restates(june: Month, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tree.json"
    file.write_text(text(june, a0="two"), encoding="utf-8")
    with pytest.raises(CommandError, match="1 faults"):
        call_command("import_directory", str(file))
    fault = json.loads(capsys.readouterr().out)
    assert (fault["where"], fault["code"]) == ("accounts[0]", "MONTH_PUBLISHED")
    with pytest.raises(CommandError, match="--author"):
        call_command("import_directory", str(file), restate="misplaced")
    with pytest.raises(CommandError, match="belong to"):
        call_command("import_directory", str(file), author="first")
    with pytest.raises(CommandError, match="no user"):
        call_command("import_directory", str(file), restate="misplaced", author="first")
    operator("first")
    operator("second")
    call_command("import_directory", str(file), restate="misplaced", author="first", approver="second")
    assert json.loads(capsys.readouterr().out)["restated"] == [f"{june.provider.code} 2025-06"]
    assert (Restatement.objects.get().author or User()).username == "first"
