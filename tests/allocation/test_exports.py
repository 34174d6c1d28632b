"""Exports hold exactly what their owner may see, leaf by leaf; and ordering, cancelling, schedules, links."""

from __future__ import annotations

import copy
import csv
import datetime as dt
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.storage import FileSystemStorage, default_storage
from django.db import transaction
from django.utils import timezone
from pyarrow import parquet

from accounts.models import Account, AccountGroup, NodeKind, NodeRef, ResourceDirectory, ResourceGroup
from accounts.models.grants import USER_GRANTS
from accounts.months import Period, format_month
from accounts.policies import viewer_of
from accounts.services.quotas import QuotaExceeded
from accounts.services.refusal import NotFound, PermissionDenied
from allocation.engine.frames import LINES
from allocation.exchange.layouts import AWS, COLUMNS, OURS
from allocation.models import Export, ExportFile, ExportFormat, ExportLayout, ExportSchedule, ExportState
from allocation.services import downloads, exporting, exports
from tests.factories.hierarchy import month
from tests.read_model.oracle import Oracle
from tests.read_model.world import ENERGY_LINE, METHOD_LINES, World, publish_month, small_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import DjangoDbBlocker
    from pytest_django.fixtures import Settings

    from tests.read_model.world import Leaf

PEOPLE = ("owner", "northerner", "viewer-a", "viewer-b", "viewer-mover", "viewer-team", "mixed", "operator")
ALL = Period(month("2025-01"), month("2025-07"))
KINDS = {Account: NodeKind.ACCOUNT, AccountGroup: NodeKind.ACCOUNT_GROUP, ResourceGroup: NodeKind.RESOURCE_GROUP}
LEAF = ("provider", "month", "account", "resource_group", "cluster", "service", "line")


@pytest.fixture(scope="module")
def built(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:  # noqa: ARG001 the database is needed
    with django_db_blocker.unblock(), transaction.atomic():
        yield small_world()
        transaction.set_rollback(True)


@pytest.fixture
def world(built: World, db: None, settings: Settings, tmp_path: Path) -> World:  # noqa: ARG001 a savepoint for each test
    """The world as it was built; what a test changes is undone."""
    settings.MEDIA_ROOT = tmp_path
    # The heartbeat's own connection does not see what is not committed.
    settings.ALLOCATION_LEASE_SECONDS = 100_000
    return copy.deepcopy(built)


def order(
    node: NodeRef | None = None,
    layout: ExportLayout = ExportLayout.CANOPY,
    form: ExportFormat = ExportFormat.CSV,
) -> exports.Order:
    return exports.Order(node, layout, form)


def ref(world: World, kind: NodeKind, code: str) -> NodeRef:
    return NodeRef(kind, world.made[code].pk)


def exported(world: World, who: str, wanted: exports.Order | None = None, period: Period = ALL) -> Export:
    """Order as somebody and carry it out."""
    made = exports.request_export(
        viewer=viewer_of(world.made[who], now=timezone.now()), order=wanted or order(), period=period
    )
    exporting.execute_export(export_id=made.pk, worker="here")
    return Export.objects.get(pk=made.pk)


def rows_of(export: Export) -> list[dict[str, str]]:
    """All rows of a CSV export."""
    found = []
    for file in export.files.exclude(stored_as=""):
        with default_storage.open(file.stored_as) as stream:
            lines = list(csv.DictReader(io.TextIOWrapper(stream, "utf-8", newline="")))
        assert len(lines) == file.rows
        found += lines
    return found


def leaf_of(row: dict[str, str]) -> tuple[Any, ...]:
    """A row in the words of the oracle."""
    amount = row["energy_wh"] if row["line"] == "energy" else row["micrograms_co2e"]
    estimated = row["estimated_energy_wh"] if row["line"] == "energy" else row["estimated_micrograms_co2e"]
    return (*(row[name] for name in LEAF), int(amount), int(estimated))


def expected(leaves: list[Leaf]) -> list[tuple[Any, ...]]:
    """What the oracle sees, as rows."""
    return sorted(
        (
            leaf.provider,
            format_month(leaf.month),
            leaf.account,
            leaf.resource_group,
            leaf.cluster,
            leaf.service,
            "energy" if leaf.line == ENERGY_LINE else LINES[leaf.line],
            leaf.ug,
            leaf.estimated_ug,
        )
        for leaf in leaves
    )


@pytest.mark.parametrize("who", PEOPLE)
def test_it_holds_exactly_what_the_owner_may_see(world: World, who: str) -> None:
    found = exported(world, who)
    assert found.state == ExportState.READY
    oracle = Oracle(world, world.grants)
    visible = [leaf for leaf in world.leaves if oracle.sees(who, leaf)]
    assert visible
    assert sorted(map(leaf_of, rows_of(found))) == expected(visible)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (NodeKind.ENTERPRISE_PARENT, "acme"),
        (NodeKind.RESOURCE_DIRECTORY, "north"),
        (NodeKind.ACCOUNT_GROUP, "a"),
        (NodeKind.ACCOUNT_GROUP, "b"),
        (NodeKind.ACCOUNT, "mover"),
        (NodeKind.RESOURCE_GROUP, "deep/team"),
    ],
)
@pytest.mark.parametrize("who", ["owner", "mixed", "operator"])
def test_below_a_node_it_holds_what_stood_there_in_each_month(
    world: World, who: str, kind: NodeKind, code: str
) -> None:
    oracle = Oracle(world, world.grants)
    # Leaf by leaf, also where the node is known by name alone: no line of an export is a number of the node.
    visible = [leaf for leaf in oracle.below(kind.value, code) if oracle.sees(who, leaf)]
    found = exported(world, who, order(ref(world, kind, code)))
    assert sorted(map(leaf_of, rows_of(found))) == expected(visible)


def test_with_the_switch_off_only_roles_on_accounts_count(world: World) -> None:
    ResourceDirectory.objects.filter(external_id="north").update(multi_account_management=False)
    world.switched_off.add("north")
    oracle = Oracle(world, world.grants)
    for who in ("northerner", "mixed", "viewer-mover"):
        visible = [leaf for leaf in world.leaves if oracle.sees(who, leaf)]
        if who == "northerner":
            assert visible == []
        assert sorted(map(leaf_of, rows_of(exported(world, who)))) == expected(visible)


def test_parquet_holds_the_same_rows_with_their_types(world: World) -> None:
    lines = rows_of(exported(world, "viewer-b"))
    export = exported(world, "viewer-b", order(form=ExportFormat.PARQUET))
    tables = []
    for file in export.files.all():
        with default_storage.open(file.stored_as) as stream:
            tables.append(parquet.read_table(stream))
    assert all(dict(zip(t.schema.names, t.schema.types, strict=True)) == OURS for t in tables)
    found = [row for table in tables for row in table.to_pylist()]
    assert [row["micrograms_co2e"] for row in found] == [
        int(row["micrograms_co2e"]) if row["micrograms_co2e"] else None for row in lines
    ]
    assert [str(row["kg_co2e"]) for row in found] == [row["kg_co2e"] or "None" for row in lines]


def test_the_aws_shape_has_its_columns_and_adds_up(world: World) -> None:
    assert len(AWS) == 23
    found = rows_of(exported(world, "northerner", order(layout=ExportLayout.AWS)))
    assert list(found[0]) == list(AWS)
    oracle = Oracle(world, world.grants)
    for row in found:
        leaves = [
            leaf
            for leaf in world.leaves
            if oracle.sees("northerner", leaf)
            and leaf.account == row["usage_account_id"]
            and leaf.service == row["product_code"]
            and f"{leaf.month:%Y-%m-%d} 00:00:00Z" == row["usage_period_start"]
            and {"p-east": "r-east", "p-west": "r-west", "p-edge": ""}[leaf.cluster] == row["region_code"]
        ]
        for method, name in (("location_based", "lbm"), ("market_based", "mbm")):
            ug = sum(leaf.ug for leaf in leaves if leaf.line in METHOD_LINES[method])
            assert leaves
            assert row[f"total_{name}_emissions_value"] == f"{ug // 10**12}.{ug % 10**12:012d}"
            assert row[f"total_{name}_emissions_unit"] == "MTCO2e"
        assert row["payer_account_id"] == "north"
        assert row["model_version"] == "v1"
        assert row["location"] == {"": "Global", "r-east": "East", "r-west": "West"}[row["region_code"]]
        assert row["total_scope_3_lbm_emissions_value"] != ""
    keys = [
        (row["usage_account_id"], row["product_code"], row["region_code"], row["usage_period_start"]) for row in found
    ]
    assert len(set(keys)) == len(keys) > 20
    table = exported(world, "northerner", order(layout=ExportLayout.AWS, form=ExportFormat.PARQUET))
    with default_storage.open(table.files.all()[0].stored_as) as stream:
        read = parquet.read_table(stream)
    assert dict(zip(read.schema.names, read.schema.types, strict=True)) == COLUMNS[ExportLayout.AWS]
    assert read.to_pylist()[0]["total_lbm_emissions_value"] == pytest.approx(
        float(found[0]["total_lbm_emissions_value"])
    )


def test_the_payer_is_named_to_those_who_may_know_it(world: World) -> None:
    boss = world.made["boss"]
    ResourceDirectory.objects.filter(external_id="north").update(management_account=boss)
    payers = {
        who: {row["payer_account_id"] for row in rows_of(exported(world, who, order(layout=ExportLayout.AWS)))}
        for who in ("northerner", "viewer-mover")
    }
    assert payers == {"northerner": {"boss"}, "viewer-mover": {"north"}}


def test_files_lie_in_partitions_by_version_and_month(world: World) -> None:
    found = exported(world, "owner")
    paths = [file.path for file in found.files.all()]
    assert paths[:2] == [
        "model_version=v1/usage_period=2025-01/p.csv",
        "model_version=v1/usage_period=2025-01/q.csv",
    ]
    assert len(paths) == 7
    assert all(f"exports/{found.key}/" in file.stored_as for file in found.files.all())
    assert all(len(file.sha256) == 64 and file.size_bytes for file in found.files.all())
    # Written on this machine, they are nobody's but the processes'.
    modes = {Path(default_storage.path(file.stored_as)).stat().st_mode & 0o777 for file in found.files.all()}
    assert modes == {0o640}


def test_somebody_who_sees_nothing_orders_nothing(world: World) -> None:
    with pytest.raises(exports.NothingPublished):
        exported(world, "nobody")
    with pytest.raises(NotFound):
        exported(world, "nobody", order(ref(world, NodeKind.ACCOUNT, "still")))


def test_a_quota_bounds_what_is_under_way(world: World) -> None:
    viewer = viewer_of(world.made["owner"], now=timezone.now())
    for _ in range(exports.MAX_OPEN):
        exports.request_export(viewer=viewer, order=order(), period=ALL)
    with pytest.raises(QuotaExceeded):
        exports.request_export(viewer=viewer, order=order(), period=ALL)


def test_a_cancelled_order_is_not_carried_out_and_leaves_no_files(world: World, tmp_path: Path) -> None:
    viewer = viewer_of(world.made["owner"], now=timezone.now())
    made = exports.request_export(viewer=viewer, order=order(), period=ALL)
    with pytest.raises(NotFound):
        exports.cancel_export(viewer=viewer_of(world.made["viewer-b"], now=timezone.now()), export_id=made.pk)
    assert exports.cancel_export(viewer=viewer, export_id=made.pk).state == ExportState.CANCELLED
    exporting.execute_export(export_id=made.pk, worker="here")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    ended = exported(world, "owner")
    with pytest.raises(exports.ExportEnded):
        exports.cancel_export(viewer=viewer, export_id=ended.pk)


def test_a_cancel_stops_a_running_export_between_two_files(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = viewer_of(world.made["owner"], now=timezone.now())
    made = exports.request_export(viewer=viewer, order=order(), period=ALL)
    save = FileSystemStorage.save

    def save_and_cancel(storage: FileSystemStorage, name: str, content: Any) -> str:  # noqa: ANN401 Django's
        stored = save(storage, name, content)
        exports.cancel_export(viewer=viewer, export_id=made.pk)
        return stored

    monkeypatch.setattr(FileSystemStorage, "save", save_and_cancel)
    exporting.execute_export(export_id=made.pk, worker="here")
    assert Export.objects.get(pk=made.pk).state == ExportState.CANCELLED
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_worker_that_lost_its_claim_changes_nothing(world: World) -> None:
    viewer = viewer_of(world.made["owner"], now=timezone.now())
    made = exports.request_export(viewer=viewer, order=order(), period=ALL)
    claim = exporting._take(made.pk, "first")  # noqa: SLF001 what a second worker finds
    assert claim is not None
    exporting.execute_export(export_id=made.pk, worker="second")
    assert Export.objects.get(pk=made.pk).worker == "first"
    Export.objects.filter(pk=made.pk).update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    exporting.execute_export(export_id=made.pk, worker="second")
    with pytest.raises(exporting.ExportStoppedError):
        claim.check()
    claim.beat()
    assert claim.stop.is_set()
    assert Export.objects.get(pk=made.pk).state == ExportState.READY


def test_a_schedule_exports_all_history_then_every_new_publication(world: World) -> None:
    viewer = viewer_of(world.made["northerner"], now=timezone.now())
    schedule = exports.schedule_export(viewer=viewer, order=order(), start=None)
    first = Export.objects.get(schedule=schedule)
    assert [file.publication.month for file in first.files.all()] == [month(f"2025-0{n}") for n in (1, 2, 3, 4)]
    exporting.execute_export(export_id=first.pk, worker="here")
    assert exports.export_what_is_published(now=timezone.now()) == []
    publish_month(world, "p", month("2025-05"))
    publish_month(world, "p", month("2025-02"), number=2, factor=2)
    (second,) = exports.export_what_is_published(now=timezone.now())
    assert [file.publication.month for file in second.files.all()] == [month("2025-02"), month("2025-05")]
    exporting.execute_export(export_id=second.pk, worker="here")
    oracle = Oracle(world, world.grants)
    both = [leaf for leaf in world.leaves if f"{leaf.month:%m}" in {"02", "05"} and oracle.sees("northerner", leaf)]
    assert sorted(map(leaf_of, rows_of(second))) == expected(both)
    assert exports.export_what_is_published(now=timezone.now()) == []
    exports.end_schedule(viewer=viewer, schedule_id=schedule.pk)
    publish_month(world, "p", month("2025-05"), number=2)
    assert exports.export_what_is_published(now=timezone.now()) == []
    assert ExportSchedule.objects.get().ended_at is not None


def test_links_lead_to_the_bytes_and_end(world: World, settings: Settings) -> None:
    file = exported(world, "viewer-b").files.first()
    assert file is not None
    token = downloads.sign(file.pk, world.made["viewer-b"].pk)
    opened = downloads.open_file(token)
    with opened.stream as stream:
        assert len(stream.read()) == file.size_bytes == opened.size_bytes
    with pytest.raises(NotFound):
        downloads.open_file(token[:-1] + ("A" if token[-1] != "A" else "B"))
    with pytest.raises(NotFound):
        downloads.open_file(downloads.sign(file.pk, world.made["owner"].pk))
    settings.EXPORT_LINK_SECONDS = -1
    with pytest.raises(downloads.LinkExpired):
        downloads.open_file(token)


@pytest.mark.parametrize("who", ["viewer-b", "viewer-team", "mixed"])
def test_rights_are_checked_again_at_download(world: World, who: str) -> None:
    person = world.made[who]
    files = list(exported(world, who).files.order_by("pk"))
    tokens = [downloads.sign(file.pk, person.pk) for file in files]
    for token in tokens:
        downloads.open_file(token).stream.close()
    # More rights do no harm.
    world.grant(who, "direct")
    downloads.open_file(tokens[0]).stream.close()
    lost = {"viewer-b": "b", "viewer-team": "deep/team", "mixed": "alone"}[who]
    node = world.made[lost]
    USER_GRANTS[KINDS[type(node)]].objects.filter(user=person, content_object=node).delete()
    for token, file in zip(tokens, files, strict=True):
        if file.rows:
            with pytest.raises(PermissionDenied):
                downloads.open_file(token)


def test_nobody_downloads_for_a_closed_login(world: World) -> None:
    file = exported(world, "owner").files.first()
    assert file is not None
    world.made["owner"].is_active = False
    world.made["owner"].save()
    with pytest.raises(PermissionDenied):
        downloads.open_file(downloads.sign(file.pk, world.made["owner"].pk))


def test_files_expire(world: World, tmp_path: Path) -> None:
    made = exported(world, "owner")
    assert exporting.expire_exports(now=timezone.now()) == []
    later = timezone.now() + dt.timedelta(days=31)
    assert exporting.expire_exports(now=later) == [made.pk]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert ExportFile.objects.exclude(stored_as="").count() == 0


def test_below_a_node_only_its_providers_have_files(world: World) -> None:
    found = {
        code: {
            file.publication.provider.code
            for file in exported(world, "owner", order(ref(world, kind, code))).files.all()
        }
        for kind, code in (
            (NodeKind.ENTERPRISE_PARENT, "acme"),
            (NodeKind.ACCOUNT, "southern"),
            (NodeKind.ACCOUNT_GROUP, "a"),
        )
    }
    assert found == {"acme": {"p", "q"}, "southern": {"q"}, "a": {"p"}}
