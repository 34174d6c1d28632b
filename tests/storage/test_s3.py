"""Exports in a bucket: written, read, listed and deleted through django-storages on a server that speaks S3."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import boto3
import pytest
from django.core.files.storage import default_storage
from django.utils import timezone
from moto.server import ThreadedMotoServer

from accounts.months import Period
from accounts.policies import viewer_of
from allocation.models import Export, ExportFormat, ExportLayout, ExportState
from allocation.services import downloads, exporting, exports
from carbon.settings import storage_of_exports
from tests.factories.hierarchy import month
from tests.read_model.world import World, small_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django.fixtures import Settings


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real HTTP server of the S3 protocol, on a port of its own."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something")
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server: str) -> str:
    """A bucket of this test's own: the server keeps what it has from one test to the next."""
    name = f"exports-{uuid.uuid4().hex}"
    boto3.client("s3", endpoint_url=server, region_name="eu-central-1").create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    return name


@pytest.fixture
def world(db: None, server: str, bucket: str, settings: Settings) -> World:  # noqa: ARG001 the database is needed
    chosen = storage_of_exports(bucket=bucket, prefix="canopy", endpoint=server, region="eu-central-1")
    settings.STORAGES = settings.STORAGES | {"default": chosen}
    # The heartbeat's own connection does not see what is not committed.
    settings.ALLOCATION_LEASE_SECONDS = 100_000
    return small_world()


@pytest.mark.parametrize("form", list(ExportFormat))
def test_files_lie_in_the_bucket_and_are_handed_out_by_us(
    world: World, server: str, bucket: str, form: ExportFormat
) -> None:
    viewer = viewer_of(world.made["viewer-b"], now=timezone.now())
    made = exports.request_export(
        viewer=viewer,
        order=exports.Order(None, ExportLayout.CANOPY, form),
        period=Period(month("2025-01"), month("2025-04")),
    )
    exporting.execute_export(export_id=made.pk, worker="here")
    assert Export.objects.get(pk=made.pk).state == ExportState.READY
    client = boto3.client("s3", endpoint_url=server, region_name="eu-central-1")
    keys = [entry["Key"] for entry in client.list_objects_v2(Bucket=bucket)["Contents"]]
    assert sorted(keys) == [f"canopy/{file.stored_as}" for file in made.files.order_by("path")]
    assert all("/model_version=v1/usage_period=2025-0" in key for key in keys)
    for file in made.files.all():
        with downloads.open_file(downloads.sign(file.pk, made.owner_id)).stream as stream:
            read = b"".join(iter(lambda: stream.read(1000), b""))
        assert len(read) == file.size_bytes
    exporting.drop_files(made)
    assert "Contents" not in client.list_objects_v2(Bucket=bucket)
    assert not default_storage.exists("exports")
