"""The demo's people and its questions; the whole demo is a journey test."""

from __future__ import annotations

import datetime as dt
import http.server
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import authenticate
from oauth2_provider.models import get_access_token_model

from accounts.models import (
    AccountGroup,
    AccountGroupUserPermission,
    EnterpriseParent,
    EnterpriseParentUserPermission,
    Provider,
    ResourceDirectory,
    User,
)
from accounts.policies import viewer_of
from allocation.exchange.estate.demo import AT_TARN, LINDENMARK, TEAM_GROUP
from carbon.demo.logins import prepare_logins
from carbon.demo.questions import READY_QUERY, QuestionError, ask, curl, roll_up

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = dt.datetime(2026, 8, 20, 12, tzinfo=dt.UTC)


@pytest.fixture
def top_of_the_tree(db: None) -> None:  # noqa: ARG001 the database
    enterprise = EnterpriseParent.objects.create(external_id=LINDENMARK.external_id, name=LINDENMARK.name)
    provider = Provider.objects.create(code="tarn", time_zone="Asia/Singapore")
    directory = ResourceDirectory.objects.create(
        provider=provider, enterprise=enterprise, external_id=AT_TARN, name="Lindenmark at Tarn Cloud"
    )
    AccountGroup.objects.create(directory=directory, external_id=TEAM_GROUP, name="Web shops")


@pytest.mark.usefixtures("top_of_the_tree")
def test_three_people_can_log_in_and_have_the_roles_that_are_printed() -> None:
    operator, viewer, lead = prepare_logins(NOW)
    for login in (operator, viewer, lead):
        user = authenticate(username=login.name, password=login.password)
        assert isinstance(user, User)
        assert viewer_of(user, now=NOW).is_operator is (login is operator)
    assert not operator.token
    grant = EnterpriseParentUserPermission.objects.get()
    assert (grant.user.username, grant.permission.codename) == ("viewer", "viewer")
    team = AccountGroupUserPermission.objects.get()
    assert (team.user.username, team.permission.codename, team.content_object.name) == ("lead", "viewer", "Web shops")


@pytest.mark.usefixtures("top_of_the_tree")
def test_a_second_start_keeps_passwords_and_grants_and_replaces_tokens() -> None:
    first, second = prepare_logins(NOW), prepare_logins(NOW + dt.timedelta(hours=1))
    assert [login.password for login in first] == [login.password for login in second]
    assert len({login.password for login in first}) == 3
    assert EnterpriseParentUserPermission.objects.count() == AccountGroupUserPermission.objects.count() == 1
    tokens = set(get_access_token_model().objects.values_list("token", "scope"))
    assert tokens == {(login.token, "emissions:read") for login in second if login.token}
    assert tokens.isdisjoint({(login.token, "emissions:read") for login in first})


class _Answers(http.server.BaseHTTPRequestHandler):
    """A server that answers what the test says and keeps what it was asked."""

    status = 200
    body: bytes = b"{}"
    asked: dict[str, Any]
    authorization: str | None

    def do_POST(self) -> None:
        kept = type(self)
        kept.asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kept.authorization = self.headers["Authorization"]
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the library's name
        """Stay silent."""


@pytest.fixture
def server() -> Iterator[tuple[str, type[_Answers]]]:
    handler = type("Handler", (_Answers,), {})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}/graphql/", handler
        found.shutdown()
        thread.join()


FIGURE = {"location": 2500.5, "market": None, "electricityKwh": 0.0, "estimatedShare": 0.25, "status": "PARTIAL"}


def test_the_roll_up_is_the_node_and_its_children(server: tuple[str, type[_Answers]]) -> None:
    url, handler = server
    child = {"node": {"name": "Retail", "kind": "ACCOUNT_GROUP"}, "emissions": FIGURE}
    node = {"name": "Top", "kind": "ENTERPRISE_PARENT", "emissions": {"total": FIGURE}, "children": {"edges": [child]}}
    handler.body = json.dumps({"data": {"viewer": {"roles": [{"node": node}]}}}).encode()
    top, below = roll_up(url, "secret", "2025-06", "2026-07")
    assert (top.depth, top.name, top.location_kg, top.market_kg) == (0, "Top", 2500.5, None)
    assert (below.depth, below.name, below.electricity_kwh, below.status) == (1, "Retail", 0.0, "PARTIAL")
    assert handler.authorization == "Bearer secret"
    assert handler.asked["variables"]["period"] == {"from": "2025-06", "until": "2026-07"}


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (401, b"who are you", "HTTP 401: who are you"),
        (200, b'{"data": {"viewer": 1}, "errors": [{"message": "no"}]}', "no"),
        (200, b'{"data": null}', "null"),
        (200, b"<html>", "Expecting value"),
    ],
)
def test_anything_but_data_is_an_error(
    server: tuple[str, type[_Answers]], status: int, body: bytes, message: str
) -> None:
    url, handler = server
    handler.status, handler.body = status, body
    with pytest.raises(QuestionError, match=message):
        ask(url, "secret", "{ viewer { username } }", {})


def test_the_command_for_the_terminal_holds_the_query_as_json() -> None:
    command = curl("http://127.0.0.1:8000/graphql/", "secret")
    body = command.partition("-d '")[2].removesuffix("'")
    assert json.loads(body) == {"query": READY_QUERY}
    assert "'" not in body
