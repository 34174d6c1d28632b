"""`python -m tests.faults.reader FOLDER`: ask the API for one month, over and over, and look for torn answers.

The whole way of a request is gone: session, middleware, pinning, several selectors. An answer is whole if all its parts
are those of one publication. What is counted goes to `reads.json` in the folder.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django

if TYPE_CHECKING:
    from django.test import Client

QUERY = """
query($company: ID!, $directory: ID!, $period: PeriodInput!) {
  first: hierarchyNode(id: $company) { ...Seen }
  directory: hierarchyNode(id: $directory) { ...Seen }
  again: hierarchyNode(id: $company) { ...Seen }
}
fragment Seen on HierarchyNode {
  emissions(period: $period) {
    total { microgramsCO2e }
    byMonth { emissions { microgramsCO2e } }
    byService(first: 20) { edges { node { emissions { microgramsCO2e } } } }
  }
  children(period: $period, first: 50) { edges { emissions { microgramsCO2e } } }
}"""
PAUSE_SECONDS = 0.01


def task_of(folder: Path) -> Path:
    """The file that says who asks for what: user, company, directory, month, and the totals that may be seen."""
    return folder / "reader.json"


def counts_of(folder: Path) -> Path:
    """The file with what was counted: whole, torn and refused reads, changes seen, the first torn answers."""
    return folder / "reads.json"


def figures(node: dict[str, Any]) -> set[int]:
    """The total of a node, by each of the ways in which an answer adds it up."""
    emissions = node["emissions"]
    total = _ug(emissions["total"])
    by_month = sum(_ug(point["emissions"]) for point in emissions["byMonth"])
    by_service = sum(_ug(edge["node"]["emissions"]) for edge in emissions["byService"]["edges"])
    children = sum(_ug(edge["emissions"]) for edge in node["children"]["edges"])
    return {total, by_month, by_service, children}


def _ug(amount: dict[str, Any] | None) -> int:
    return int((amount or {}).get("microgramsCO2e") or 0)


class Reader:
    """Asks and counts."""

    def __init__(self, client: Client, variables: dict[str, Any], allowed: set[int]) -> None:
        self._client = client
        self._variables = variables
        self._allowed = allowed
        self.counts: dict[str, int] = {"whole": 0, "torn": 0, "refused": 0, "changes": 0}
        self.torn: list[str] = []
        self._last: set[int] = set()

    def read(self) -> None:
        """Ask once. A server that is down refuses; that is no torn answer."""
        body = json.dumps({"query": QUERY, "variables": self._variables})
        response = self._client.post("/graphql/", data=body, content_type="application/json")
        answer = json.loads(response.content) if response.status_code == 200 else {"errors": []}
        if "errors" in answer:
            self.counts["refused"] += 1
            return
        seen = set().union(*(figures(node) for node in answer["data"].values()))
        if len(seen) == 1 and seen <= self._allowed:
            self.counts["whole"] += 1
            self.counts["changes"] += bool(self._last) and seen != self._last
        else:
            self.counts["torn"] += 1
            self.torn.append(response.content.decode()[:2000])
        self._last = seen


def sign_in(user_id: int) -> Client:
    """A browser of the user."""
    from django.test import Client  # noqa: PLC0415 needs the settings

    from accounts.models import User  # noqa: PLC0415 as above

    client = Client(raise_request_exception=False)
    client.force_login(User.objects.get(pk=user_id), backend="django.contrib.auth.backends.ModelBackend")
    return client


def main() -> None:
    """Read until somebody ends this process."""
    folder = Path(sys.argv[1])
    os.environ["DJANGO_SETTINGS_MODULE"] = "carbon.settings"
    django.setup()
    from django.db import DatabaseError, connections  # noqa: PLC0415 needs the settings

    task = json.loads(task_of(folder).read_text())
    counts = counts_of(folder)
    reader = None
    while True:
        try:
            if reader is None:
                reader = Reader(sign_in(task["user"]), task["variables"], set(task["allowed"]))
            reader.read()
        except DatabaseError:
            connections.close_all()
        if reader is not None:
            draft = counts.with_suffix(".draft")
            draft.write_text(json.dumps({**reader.counts, "answers": reader.torn[:5]}))
            draft.replace(counts)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
