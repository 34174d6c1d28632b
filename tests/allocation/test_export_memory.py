"""A month of any size is exported in the memory of a block."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from django.db import connection
from django.utils import timezone

from accounts.months import Period
from accounts.policies import viewer_of
from allocation.exchange.blocks import BLOCK_BYTES
from allocation.models import Export, ExportFormat, ExportLayout, ExportState, PublishedMonth
from allocation.services import exporting, exports, partitions
from tests.factories.hierarchy import month
from tests.read_model.world import World, small_world

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django.fixtures import Settings

ROWS = 250_000
MONTH = month("2025-04")
# Rows as real ones have them, so many that a file is many times a block.
MORE = """
INSERT INTO allocation_ledgerrow (id, run_id, cluster_id, service_id, account_id, resource_group_id, special, line,
                                  quality, ug, estimated_ug, estimated_ppm)
SELECT sample.id + 1000000 + number, sample.run_id, sample.cluster_id, sample.service_id, sample.account_id,
       sample.resource_group_id, 0, number %% 12, 0, number::bigint * 1000003, number, 1
FROM (SELECT * FROM allocation_ledgerrow WHERE run_id = %s AND account_id = %s ORDER BY id LIMIT 1) AS sample,
     generate_series(1, %s) AS number
"""


@pytest.fixture
def world(db: None, settings: Settings, tmp_path: Path) -> World:  # noqa: ARG001 the database is needed
    settings.MEDIA_ROOT = tmp_path
    # The heartbeat's own connection does not see what is not committed.
    settings.ALLOCATION_LEASE_SECONDS = 100_000
    made = small_world()
    run = PublishedMonth.objects.get(provider=made.made["p"], month=MONTH).publication.run
    assert partitions.exists(partitions.ledger_of(run.pk))
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # what is published is guarded by triggers
        cursor.execute(MORE, [run.pk, made.made["still"].pk, ROWS])
        cursor.execute("SET LOCAL session_replication_role = origin")
    return made


def test_memory_does_not_grow_with_the_rows(world: World) -> None:
    viewer = viewer_of(world.made["viewer-b"], now=timezone.now())
    arrow = pa.default_memory_pool()
    for form in ExportFormat:
        order = exports.Order(None, ExportLayout.CANOPY, form)
        made = exports.request_export(viewer=viewer, order=order, period=Period(MONTH, month("2025-05")))
        tracemalloc.start()
        exporting.execute_export(export_id=made.pk, worker="here")
        _, python_peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert Export.objects.get(pk=made.pk).state == ExportState.READY
        (file,) = made.files.all()
        assert file.rows is not None
        assert file.size_bytes is not None
        assert file.rows > ROWS
        assert python_peak_bytes < 5 * BLOCK_BYTES
        if form == ExportFormat.CSV:
            # What is written is a multiple of what is held: a writer that gathers everything would fail above.
            assert file.size_bytes > 6 * BLOCK_BYTES
    assert arrow.max_memory() < 20 * BLOCK_BYTES
