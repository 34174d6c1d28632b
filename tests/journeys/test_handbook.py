"""The page for API users says what the API says: every query with an answer below it, every request of the collection.

The world is that of the demo, so that readers who started it find the same figures: its hierarchy and people, and its
last months. With `WRITE_HANDBOOK=1` the answers are written anew, for somebody to read the difference.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from django.utils import timezone
from oauth2_provider.models import AccessToken, Application

from accounts.models import Account, AccountGroup, User
from accounts.policies import viewer_of
from accounts.services.memberships import move_accounts
from allocation.services.restatement import restate_hierarchy
from carbon.demo.logins import demo_operator, prepare_logins
from carbon.demo.months import import_hierarchy, load_month, publish_months, read_demo, unpublished_months
from carbon.environment import CLONE_DIR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

API_PAGE: Final = CLONE_DIR / "docs" / "api.md"
PAGES: Final = (CLONE_DIR / "README.md", API_PAGE)
COLLECTION: Final = CLONE_DIR / "docs" / "canopy.http"
# A query and the answer right below it. Comments say what happens before; who asks, if it is not the reader of the
# whole enterprise; which scope the token has besides that for reading; what the answer holds in the end, of long work.
PAIR: Final = re.compile(
    r"(?:<!-- once (\w+) -->\n)?(?:<!-- asked by (\w+)(?: with ([\w:]+))?(?: until (\w+))? -->\n)?"
    r"```graphql\n((?:(?!```).)*)```\n\n```json\n(.*?)```",
    re.DOTALL,
)
# What differs each time is shortened to this in the page.
SHORTENED: Final = "…"
UNSTEADY: Final = {"at", "endsAt", "expiresAt", "grantedAt", "publishedAt", "sha256", "statedAt", "url"}
WORK_SECONDS: Final = 60
FIRST_MONTH: Final = "2026-03"
LINE_CHARACTERS: Final = 110
POLLING: Final = "{ allocationRuns { edges { node { id state details { percent } } } } }"
SECRET: Final = "a-long-random-secret"


@dataclass(frozen=True)
class Request:
    """One request of the collection."""

    name: str
    method: str
    url: str
    headers: dict[str, str]
    body: str


def requests_of(text: str, variables: dict[str, str]) -> Iterator[Request]:
    """Read a file in the format of the REST Client of editors: `###` between requests, `@name = value`, `{{name}}`."""
    found = {**dict(re.findall(r"^@(\w+) *= *(.*)$", text, re.MULTILINE)), **variables}
    text = re.sub(r"\{\{(\w+)\}\}", lambda name: found[name[1]], text)
    for part in re.split(r"^###", text, flags=re.MULTILINE)[1:]:
        name, _, rest = part.partition("\n")
        head, _, body = rest.strip().partition("\n\n")
        first, *lines = [line for line in head.splitlines() if not line.startswith(("#", "@"))]
        method, url = first.split(" ", 1)
        yield Request(name.strip(), method, url, dict(line.split(": ", 1) for line in lines), body.strip())


def send(request: Request) -> tuple[int, Any]:
    """Send it; status and JSON."""
    made = urllib.request.Request(  # noqa: S310 our own server
        request.url, data=request.body.encode() or None, headers=request.headers, method=request.method
    )
    try:
        with urllib.request.urlopen(made, timeout=60) as response:  # noqa: S310 our own server
            text = response.read()
            return response.status, json.loads(text) if text else None
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.loads(refusal.read())


def asked(server: str, query: str, token: str) -> Any:  # noqa: ANN401 JSON
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return send(Request("", "POST", f"{server}/graphql/", headers, json.dumps({"query": query})))[1]


def written(value: Any, indent: int = 0, before: int = 0) -> str:  # noqa: ANN401 JSON
    """JSON for readers: what fits on a line, after what stands before it there, stays on it."""
    flat = json.dumps(value, ensure_ascii=False)
    if before + indent + len(flat) <= LINE_CHARACTERS or not isinstance(value, dict | list) or not value:
        return flat
    pad = " " * (indent + 2)
    if isinstance(value, list):
        inner = ",\n".join(pad + written(each, indent + 2) for each in value)
        return f"[\n{inner}\n{' ' * indent}]"
    inner = ",\n".join(
        f"{pad}{json.dumps(key)}: {written(each, indent + 2, len(key) + 4)}" for key, each in value.items()
    )
    return f"{{\n{inner}\n{' ' * indent}}}"


def steady(value: Any, name: str = "") -> Any:  # noqa: ANN401 JSON
    """An answer without what differs each time."""
    if isinstance(value, dict):
        return {key: steady(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [steady(each) for each in value]
    return SHORTENED if name in UNSTEADY and value is not None else value


def settled(server: str, query: str, token: str, until: str | None) -> Any:  # noqa: ANN401 JSON
    """The answer; that of long work as a front end would get it, by asking again."""
    deadline = time.monotonic() + WORK_SECONDS
    while True:
        answer = steady(asked(server, query, token))
        if until is None or f'"{until}"' in json.dumps(answer):
            return answer
        assert time.monotonic() < deadline, answer
        time.sleep(0.2)


def faults_of_page(server: str, text: str, tokens: dict[str, str]) -> tuple[int, list[str], str]:
    """Ask what a page asks; how much that was, what differs, and the page with the answers of today."""
    faults, count = [], 0

    def check(pair: re.Match[str]) -> str:
        nonlocal count
        count += 1
        event, who, scope, until, query, expected = pair.groups()
        if event is not None:
            EVENTS[event]()
        token = tokens[who or "viewer"] if scope is None else token_with(who, scope)
        answer = settled(server, query, token, until)
        told = pair[0]
        if json.loads(expected) != answer:
            faults.append(f"{query}\nanswers\n{json.dumps(answer)}")
            told = told.replace(f"```json\n{expected}", f"```json\n{written(answer)}\n")
        return told

    today = PAIR.sub(check, text)
    return count, faults, today


@pytest.mark.django_db(transaction=True, reset_sequences=True)
@pytest.mark.usefixtures("live_worker")
def test_the_handbook_and_the_collection_say_what_the_api_says(committed: None, live_api: str) -> None:  # noqa: ARG001 the tables are emptied
    estate = read_demo()
    import_hierarchy(estate)
    _, viewer, lead = prepare_logins(timezone.now())
    tokens = {"viewer": viewer.token, "lead": lead.token, "operator": token_with("operator", "operations")}
    months = [month for month in unpublished_months(estate) if f"{month.first_day:%Y-%m}" >= FIRST_MONTH]
    assert len(months) == 8
    for month in months:
        load_month(estate, month)
    seen = follow(live_api, tokens, months)
    assert_progress(seen, len(months))

    for page in PAGES:
        text = page.read_text()
        count, faults, today = faults_of_page(live_api, text, tokens)
        if os.environ.get("WRITE_HANDBOOK"):
            page.write_text(today)
        assert faults == [], page
        assert count >= (1 if page.name == "README.md" else 40)
        assert page is not API_PAGE or text.count("```graphql") == count, "a query without an answer"
    assert_collection(live_api, viewer.token)


def correct_june() -> None:
    """Restate June: an account stood in another group than was thought."""
    first, second = (viewer_of(user, now=timezone.now()) for user in (demo_operator(), second_operator()))
    lab = AccountGroup.objects.get(external_id="innovation")
    account = Account.objects.get(name="Unassigned 1", provider__code="tarn")
    june = dt.date(2026, 6, 1)
    restate_hierarchy(
        viewer=first,
        provider_id=account.provider_id,
        months=[june],
        reason="Unassigned 1 belongs to the innovation lab",
        approver=second,
        change=lambda: move_accounts(
            viewer=first,
            account_ids=[account.pk],
            directory_id=lab.directory_id,
            group_id=lab.pk,
            month=june,
            until=dt.date(2026, 7, 1),
            frozen_months=frozenset(),
        ),
    )


def second_operator() -> User:
    return User.objects.create(username="second-operator", is_staff=True, is_superuser=True)


EVENTS: Final[dict[str, Callable[[], None]]] = {"restated": correct_june}


def token_with(who: str, scope: str) -> str:
    """A token of somebody for reading and one thing more."""
    name = f"{who}-{scope}"
    AccessToken.objects.get_or_create(
        token=name,
        defaults={
            "user": User.objects.get(username=who),
            "application": Application.objects.get(client_id="canopy-demo"),
            "expires": timezone.now() + dt.timedelta(hours=1),
            "scope": f"emissions:read {scope}",
        },
    )
    return name


def follow(server: str, tokens: dict[str, str], months: list[Any]) -> dict[str, list[tuple[str, int]]]:
    """Publish months and poll as a front end would; what was told of each run, in order."""
    seen: dict[str, list[tuple[str, int]]] = {}

    def poll() -> None:
        for edge in asked(server, POLLING, tokens["operator"])["data"]["allocationRuns"]["edges"]:
            run = edge["node"]
            told = (run["state"], run["details"]["percent"])
            if seen.setdefault(run["id"], [told])[-1] != told:
                seen[run["id"]].append(told)
        time.sleep(0.1)

    published = list(publish_months(months, demo_operator(), poll))
    poll()
    assert len(published) == len(months)
    # Customers learn that a month is there, and nothing of how it came about.
    (edge, *_) = asked(server, POLLING, tokens["viewer"])["data"]["allocationRuns"]["edges"]
    assert (edge["node"]["state"], edge["node"]["details"]) == ("published", None)
    return seen


def assert_progress(seen: dict[str, list[tuple[str, int]]], count: int) -> None:
    """Every run went up to 100 percent and never back, and some were seen on their way."""
    assert len(seen) == count
    for told in seen.values():
        percents = [percent for _, percent in told]
        assert percents == sorted(percents)
        assert told[-1] == ("published", 100)
        assert all(0 <= percent <= 100 for percent in percents)
    assert any(0 < percent < 100 or state in {"queued", "reading"} for told in seen.values() for state, percent in told)


def assert_collection(server: str, token: str) -> None:
    """Send every request of the collection in turn; what one answers, the next one may use."""
    Application.objects.create(
        name="reports",
        client_id="reports",
        client_secret=SECRET,
        client_type="confidential",
        authorization_grant_type="client-credentials",
        user=User.objects.get(username="viewer"),
    )
    text = COLLECTION.read_text()
    requests = list(requests_of(text, {"host": server, "token": token, "client": "reports", "secret": SECRET}))
    assert len(requests) >= 8
    for request in requests:
        status, answer = send(request)
        assert status == 200, (request.name, answer)
        assert isinstance(answer, dict), request.name
        assert "errors" not in answer, (request.name, answer)
        if request.url.endswith("/graphql/"):
            assert answer["data"], request.name
