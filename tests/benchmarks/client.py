"""One client of the API: a kept connection and a bearer token, as an app would have them."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from oauth2_provider.models import get_access_token_model, get_application_model

if TYPE_CHECKING:
    from accounts.models import User

_HTTP_OK = 200


class AnswerError(RuntimeError):
    """The API answered with errors: its times would be times of nothing."""


class WrongAnswerError(RuntimeError):
    """The API, the read model and the ledger disagree, or nothing is told: the time of such an answer says nothing."""


class Client:
    """Asks one question after the other over one connection.

    Args:
        url: the server's address, such as `http://127.0.0.1:40000`.
        token: a bearer token.
    """

    def __init__(self, url: str, token: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a query; the answer's data.

        Raises:
            AnswerError: there are errors in the answer.
        """
        body = json.dumps({"query": query, "variables": variables or {}})
        try:
            response = self._send(body)
        except ConnectionError:  # the server closes what was idle for five seconds
            self._connection.close()
            response = self._send(body)
        text = response.read()
        if response.status != _HTTP_OK:
            raise AnswerError(f"HTTP {response.status}: {text[:500]!r}")
        answer = json.loads(text)
        if answer.get("errors"):
            raise AnswerError(json.dumps(answer["errors"])[:1000])
        data: dict[str, Any] = answer["data"]
        return data

    def _send(self, body: str) -> http.client.HTTPResponse:
        self._connection.request("POST", "/graphql/", body=body, headers=self._headers)
        return self._connection.getresponse()


def token_of(user: User, now: dt.datetime) -> str:
    """Give a user a token that reads emissions for a day."""
    application, _ = get_application_model().objects.get_or_create(
        client_id="benchmarks",
        defaults={
            "name": "Benchmarks",
            "client_type": "public",
            "authorization_grant_type": "authorization-code",
            "redirect_uris": "http://127.0.0.1/",
        },
    )
    token = secrets.token_urlsafe(24)
    get_access_token_model().objects.create(
        user=user, application=application, token=token, expires=now + dt.timedelta(days=1), scope="emissions:read"
    )
    return token
