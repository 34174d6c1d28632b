"""Somebody with a browser that follows nothing by itself: cookies, forms, and where an answer leads."""

from __future__ import annotations

import http.cookiejar
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import Message

TIMEOUT_SECONDS = 30


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_kwargs: object) -> None:
        """Follow nothing."""


@dataclass(frozen=True)
class Answer:
    """What a server answered.

    Attributes:
        url: what was asked.
        status: HTTP's.
        headers: HTTP's.
        text: the body.
    """

    url: str
    status: int
    headers: Message
    text: str

    @property
    def json(self) -> Any:  # noqa: ANN401 JSON is anything
        """The body as JSON."""
        return json.loads(self.text)

    @property
    def leads_to(self) -> str:
        """The address that a redirect names."""
        assert self.status == 302, (self.status, self.text[:500])
        return urllib.parse.urljoin(self.url, str(self.headers["Location"]))

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of the address that a redirect names."""
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.leads_to).query))


class _Inputs(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("type") == "hidden" and given.get("name"):
            self.found[str(given["name"])] = given.get("value") or ""


class Visitor:
    """A browser with cookies of its own."""

    def __init__(self) -> None:
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(_Stay, urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, url: str, parameters: Mapping[str, str] | None = None, **headers: str) -> Answer:
        """GET an address."""
        whole = f"{url}?{urllib.parse.urlencode(parameters)}" if parameters else url
        return self._send(whole, None, headers)

    def post(self, url: str, form: Mapping[str, str], **headers: str) -> Answer:
        """POST a form."""
        body = urllib.parse.urlencode(form).encode()
        return self._send(url, body, {"Referer": url, **headers})

    def submit(self, page: Answer, url: str | None = None, **values: str) -> Answer:
        """Fill in the form of a page and send it to its own address, or to another one."""
        inputs = _Inputs()
        inputs.feed(page.text)
        return self.post(url or page.url, {**inputs.found, **values})

    def sign_in(self, address: str, username: str, password: str) -> Answer:
        """Sign in on the page that everybody may use; returns what came of it."""
        page = self.get(address)
        return self.submit(page, username=username, password=password)

    def ask(self, server: str, query: str, token: str) -> Answer:
        """POST a query with a bearer token."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        body = json.dumps({"query": query}).encode()
        return self._send(f"{server}/graphql/", body, headers)

    def _send(self, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        request = urllib.request.Request(url, data=body, headers=dict(headers))  # noqa: S310 our own servers
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                return Answer(url, response.status, response.headers, response.read().decode())
        except urllib.error.HTTPError as response:  # a redirect that is not followed counts as one, too
            with response:
                return Answer(url, response.code, response.headers, response.read().decode())
