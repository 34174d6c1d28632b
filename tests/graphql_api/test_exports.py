"""Exports through the API: ordering, progress, links, who sees what."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext

from allocation.models import Export, ExportState
from allocation.services import exporting
from graphql_api.scalars import global_id
from tests.graphql_api.ask import ask, codes, post, signed_in
from tests.graphql_api.test_http import token
from tests.graphql_api.test_mutations import ERRORS, done
from tests.graphql_api.test_reading import node_id

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django.fixtures import Settings

    from tests.read_model.world import World

PERIOD = {"from": "2025-01", "until": "2025-07"}
FIELDS = """id layout format node { name } from until state percent filesWritten filesAll rows sizeBytes expiresAt
  finishedAt failureCode files { edges { node {
    path month provider methodology rows sizeBytes sha256 link { url endsAt } } } }"""
REQUEST = f"""mutation($input: RequestExportInput!) {{ requestExport(input: $input) {{ __typename
  ... on ExportPayload {{ export {{ {FIELDS} }} }} {ERRORS} }} }}"""
CANCEL = f"""mutation($input: CancelExportInput!) {{ cancelExport(input: $input) {{ __typename
  ... on ExportPayload {{ export {{ state }} }} ... on ExportSchedulePayload {{ schedule {{ endedAt }} }}
  {ERRORS} }} }}"""
SCHEDULE = f"""mutation($input: ScheduleExportInput!) {{ scheduleExport(input: $input) {{ __typename
  ... on ExportSchedulePayload {{ schedule {{ id from layout latestExport {{ filesAll }} }} }}
  {ERRORS} }} }}"""
LISTED = f"{{ exports(first: 10) {{ edges {{ node {{ {FIELDS} }} }} pageInfo {{ hasNextPage }} }} }}"
BY_ID = f"query($id: ID!) {{ node(id: $id) {{ ... on Export {{ {FIELDS} }} }} }}"


@pytest.fixture(autouse=True)
def folder(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    # The heartbeat's own connection does not see what is not committed.
    settings.ALLOCATION_LEASE_SECONDS = 100_000
    return tmp_path


def written(world: World, who: str, **given: object) -> dict[str, Any]:
    """Order, carry out, and read the export again."""
    made = done(signed_in(world, who), REQUEST, period=PERIOD, **given)["export"]
    exporting.execute_export(export_id=Export.objects.latest("pk").pk, worker="here")
    return ask(signed_in(world, who), BY_ID, id=made["id"])["node"]  # type: ignore[no-any-return] # JSON


def files_of(made: dict[str, Any]) -> list[dict[str, Any]]:
    return [edge["node"] for edge in made["files"]["edges"]]


def fetched(url: str) -> tuple[int, bytes, Any]:
    """GET a link as a browser would, without any token."""
    assert url.startswith("http://testserver/exports/")
    response: Any = async_to_sync(AsyncClient().get)(url.removeprefix("http://testserver"))

    async def body() -> bytes:
        if not response.streaming:
            return bytes(response.content)
        return b"".join([chunk async for chunk in response.streaming_content])

    return response.status_code, async_to_sync(body)(), response


def test_an_order_is_queued_then_written_then_downloaded(world: World) -> None:
    first = done(signed_in(world, "viewer-b"), REQUEST, period=PERIOD, nodeId=node_id(world, "account_group", "b"))
    assert first["__typename"] == "ExportPayload"
    assert (first["export"]["state"], first["export"]["percent"]) == ("QUEUED", 0)
    assert [file["link"] for file in files_of(first["export"])] == [None] * 4
    made = written(world, "viewer-b")
    assert (made["state"], made["percent"], made["filesWritten"], made["filesAll"]) == ("READY", 100, 4, 4)
    assert made["node"] is None
    file = files_of(made)[0]
    assert (file["month"], file["provider"], file["methodology"]) == ("2025-01", "p", "demo@1")
    status, body, response = fetched(file["link"]["url"])
    assert (status, len(body)) == (200, int(file["sizeBytes"]))
    assert response["Content-Disposition"] == 'attachment; filename="model_version=v1_usage_period=2025-01_p.csv"'
    assert len(io.StringIO(body.decode()).readlines()) == int(file["rows"]) + 1
    assert b"still" in body
    assert b"deep" not in body


def test_files_are_walked_page_by_page(world: World) -> None:
    made = written(world, "owner")
    query = """query($id: ID!, $after: String) { node(id: $id) { ... on Export {
      files(first: 3, after: $after) { edges { cursor node { path } } pageInfo { hasNextPage endCursor } } } } }"""
    found: list[str] = []
    after = None
    for size in (3, 3, 1):
        page = ask(signed_in(world, "owner"), query, id=made["id"], after=after)["node"]["files"]
        assert (len(page["edges"]), page["pageInfo"]["hasNextPage"]) == (size, size == 3)
        found += [edge["node"]["path"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
    assert found == [file["path"] for file in files_of(made)]
    other = written(world, "owner")
    assert codes(signed_in(world, "owner"), query, id=other["id"], after=after) == ["BAD_USER_INPUT"]


def test_percent_follows_the_rows(world: World) -> None:
    made = done(signed_in(world, "owner"), REQUEST, period=PERIOD)["export"]
    row = Export.objects.latest("pk")
    row.files.update(expected_rows=99)
    row.files.filter(publication__month="2025-01-01").update(written_at="2025-07-01T00:00:00Z", rows=7, size_bytes=70)
    Export.objects.filter(pk=row.pk).update(state=ExportState.RUNNING, current_rows=50)
    now = ask(signed_in(world, "owner"), BY_ID, id=made["id"])["node"]
    assert (now["percent"], now["filesWritten"], now["filesAll"], now["rows"]) == (100 * 250 // 700, 2, 7, "14")


def test_exports_are_their_owners_alone(world: World) -> None:
    made = written(world, "owner")
    for who in ("northerner", "nobody", "operator"):
        client = signed_in(world, who)
        assert ask(client, LISTED)["exports"]["edges"] == []
        assert ask(client, BY_ID, id=made["id"])["node"] is None
    answer = done(signed_in(world, "northerner"), CANCEL, exportId=made["id"])
    assert (answer["__typename"], answer["code"]) == ("NotFound", "NOT_FOUND")
    assert len(ask(signed_in(world, "owner"), LISTED)["exports"]["edges"]) == 1


def test_refusals_are_typed(world: World) -> None:
    nobody = signed_in(world, "nobody")
    hidden = done(nobody, REQUEST, period=PERIOD, nodeId=node_id(world, "account", "still"))
    assert (hidden["__typename"], hidden["field"]) == ("NotFound", "nodeId")
    assert done(nobody, REQUEST, period=PERIOD)["code"] == "NOTHING_TO_EXPORT"
    owner = signed_in(world, "owner")
    assert done(owner, REQUEST, period={"from": "2030-01", "until": "2030-02"})["__typename"] == "Conflict"
    assert codes(owner, CANCEL, input={"exportId": "x"}) == ["BAD_USER_INPUT"]
    for _ in range(5):
        done(owner, REQUEST, period=PERIOD)
    full = done(owner, REQUEST, period=PERIOD)
    assert (full["__typename"], full["code"]) == ("QuotaExceeded", "QUOTA_EXCEEDED")


def test_the_same_key_orders_once(world: World) -> None:
    client = signed_in(world, "owner")
    first = done(client, REQUEST, period=PERIOD, clientMutationId="once")
    assert done(client, REQUEST, period=PERIOD, clientMutationId="once") == first
    assert Export.objects.count() == 1


def test_a_token_needs_the_scope(world: World) -> None:
    made = written(world, "owner")
    assert files_of(made)[0]["link"]
    reader = token(world, "owner")
    response = post(
        signed_in(world, "nobody"),
        {"query": REQUEST, "variables": {"input": {"period": PERIOD}}},
        authorization=f"Bearer {reader}",
    )
    assert b"INSUFFICIENT_SCOPE" in response.content
    response = post(signed_in(world, "nobody"), {"query": LISTED}, authorization=f"Bearer {reader}")
    assert b'"link":null' in response.content
    assert b"/exports/" not in response.content


def test_a_schedule_orders_and_ends(world: World) -> None:
    client = signed_in(world, "owner")
    made = done(client, SCHEDULE, layout="AWS", format="PARQUET")["schedule"]
    assert made["latestExport"] == {"filesAll": 7}
    written(world, "owner")
    of_it = "query($id: ID) { exports(schedule: $id) { edges { node { filesAll format } } } }"
    assert len(ask(client, of_it)["exports"]["edges"]) == 2
    assert ask(client, of_it, id=made["id"])["exports"]["edges"] == [{"node": {"filesAll": 7, "format": "PARQUET"}}]
    assert codes(client, of_it, id="x") == ["BAD_USER_INPUT"]
    listed = ask(client, "{ exportSchedules { edges { node { id endedAt format } } } }")["exportSchedules"]["edges"]
    assert listed == [{"node": {"id": made["id"], "endedAt": None, "format": "PARQUET"}}]
    assert done(client, CANCEL, exportId=made["id"])["schedule"]["endedAt"] is not None
    late = done(client, SCHEDULE, **{"from": "2999-01"})
    assert (late["__typename"], late["field"]) == ("ValidationFailed", "from")


def test_links_are_refused_with_a_code(world: World, settings: Settings) -> None:
    link = files_of(written(world, "viewer-b"))[0]["link"]["url"]
    assert fetched(link[:-2])[0] == 404
    world.made["viewer-b"].is_active = False
    world.made["viewer-b"].save()
    status, body, _ = fetched(link)
    assert (status, b"PERMISSION_DENIED" in body) == (403, True)
    settings.EXPORT_LINK_SECONDS = -1
    status, body, _ = fetched(link)
    assert (status, b"LINK_EXPIRED" in body) == (410, True)


def test_statements_do_not_grow_with_the_exports(world: World) -> None:
    client = signed_in(world, "owner")

    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            ask(client, LISTED)
        return len(captured)

    written(world, "owner")
    one = count()
    written(world, "owner", nodeId=node_id(world, "account_group", "b"))
    written(world, "owner")
    assert count() == one + 5  # the node of the second, found in a transaction of its own


def test_ids_of_other_things_are_no_exports(world: World) -> None:
    assert ask(signed_in(world, "owner"), BY_ID, id=global_id("Export", 10**9))["node"] is None
