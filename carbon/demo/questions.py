"""What the demo asks the GraphQL API over HTTP, as anybody's client would."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

TIMEOUT_SECONDS = 30
CHILDREN = 8

QUERY = """
query Demo($period: PeriodInput!, $first: Int!) {
  viewer {
    username
    roles {
      role
      node {
        name
        kind
        path { name hasRole }
        emissions(period: $period) {
          total { location: kgCO2e market: kgCO2e(method: MARKET_BASED) electricityKwh estimatedShare status }
          complete
        }
        children(period: $period, first: $first) {
          edges {
            node { name kind }
            emissions { location: kgCO2e market: kgCO2e(method: MARKET_BASED) electricityKwh estimatedShare status }
          }
          pageInfo { hasNextPage }
        }
      }
    }
  }
}
"""

READY_QUERY = (
    'query { hierarchyNode(by: {kind: ENTERPRISE_PARENT, externalId: "lindenmark"}) { name'
    ' emissions(period: {from: "2025-06", until: "2026-07"}) { total { kgCO2e status }'
    " byMonth { label emissions { kgCO2e } } } } }"
)
"""A query in one line for a terminal."""


@dataclass(frozen=True)
class Row:
    """One row of the table: a node, or a child of it.

    Attributes:
        depth: 0 for the node on which the role stands, 1 for its children.
        name: of the node.
        kind: of the node, as the API names it.
        location_kg: kgCO2e, location-based; None without a value.
        market_kg: kgCO2e, market-based.
        electricity_kwh: facility electricity.
        estimated_share: 0 to 1.
        status: what stands behind the figures.
    """

    depth: int
    name: str
    kind: str
    location_kg: float | None
    market_kg: float | None
    electricity_kwh: float | None
    estimated_share: float | None
    status: str


class QuestionError(RuntimeError):
    """The API did not answer, or with errors."""


def ask(url: str, token: str, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Send one query.

    Args:
        url: of the API.
        token: a bearer token.
        query: the document.
        variables: its variables.

    Returns:
        The answer's data.

    Raises:
        QuestionError: anything but data.
    """
    request = urllib.request.Request(  # noqa: S310 our own server's address
        url,
        data=json.dumps({"query": query, "variables": variables}).encode(),
        headers={
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Accept": "application/graphql-response+json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 as above
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        raise QuestionError(f"HTTP {error.code}: {error.read().decode(errors='replace')[:2000]}") from error
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise QuestionError(str(error)) from error
    if answer.get("errors") or not answer.get("data"):
        raise QuestionError(json.dumps(answer)[:2000])
    data: dict[str, Any] = answer["data"]
    return data


def roll_up(url: str, token: str, first_month: str, until: str) -> list[Row]:
    """What somebody sees at the top of their part of the hierarchy, and directly below.

    Args:
        url: of the API.
        token: of the person.
        first_month: `YYYY-MM`, inclusive.
        until: `YYYY-MM`, exclusive.
    """
    period = {"from": first_month, "until": until}
    data = ask(url, token, QUERY, {"period": period, "first": CHILDREN})
    rows = []
    for role in data["viewer"]["roles"]:
        node = role["node"]
        rows.append(_row(0, node, node["emissions"]["total"]))
        rows += [_row(1, edge["node"], edge["emissions"]) for edge in node["children"]["edges"]]
    return rows


def _row(depth: int, node: dict[str, Any], figure: dict[str, Any]) -> Row:
    return Row(
        depth=depth,
        name=node["name"],
        kind=node["kind"],
        location_kg=figure["location"],
        market_kg=figure["market"],
        electricity_kwh=figure["electricityKwh"],
        estimated_share=figure["estimatedShare"],
        status=figure["status"],
    )


def curl(url: str, token: str) -> str:
    """A command for a terminal that asks the ready query."""
    body = json.dumps({"query": READY_QUERY})
    return f"curl -s {url} -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' -d '{body}'"
