"""Every answer of the GraphQL API about a world beside what the model says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from django.test import Client

from accounts.models import User
from accounts.months import format_month, shift
from allocation.policies import Kind, NodeKey
from graphql_api.types.nodes import id_of
from tests.security.model import ACCOUNT, DIRECTORY, ENTERPRISE, MISCELLANEOUS, RESOURCE_GROUP, Node
from tests.security.worlds import MONTHS, World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.security.comparison import Findings

PAGE = 6
_MONTHS_ALONE = """
fragment Seen on HierarchyNode { emissions(period: $period, asOf: $moment) { complete } ...Months }
fragment Months on HierarchyNode {
  now: emissions(period: $period) { byMonth { emissions { microgramsCO2e } } }
  asIs: emissions(period: $period, view: AS_IS) { byMonth { emissions { microgramsCO2e } } }
}"""
_FRAGMENT = """
fragment Seen on HierarchyNode {
  id name access path { id name }
  emissions(period: $period) {
    complete
    total { microgramsCO2e status }
    byMonth { month emissions { microgramsCO2e status } }
    omissions { reason months accounts }
    byService(first: 20) { edges { node { emissions { microgramsCO2e } } } }
  }
  asIs: emissions(period: $period, view: AS_IS) { byMonth { emissions { microgramsCO2e } } }
  asOf: emissions(period: $period, asOf: $moment) { byMonth { emissions { microgramsCO2e } } }
  children(period: $period, first: 50) { totalCount edges { node { id } emissions { microgramsCO2e } } }
  byName: children(period: $period, orderBy: NAME_ASC, first: 50) { edges { node { id name } } }
}"""


@dataclass
class Api:
    """The API as one person asks it."""

    world: World
    person: int
    findings: Findings
    policies: bool = True

    def __post_init__(self) -> None:
        self.client = Client()
        self.client.force_login(User.objects.get(pk=self.person), backend="django.contrib.auth.backends.ModelBackend")

    def compare(self) -> None:
        """Ask about every node, about the synthetic ones, and about some that do not exist."""
        model = self.world.model
        rest = [Node(MISCELLANEOUS, directory.id) for directory in model.directories]
        absent = [Node(kind, 10**9) for kind in ("account", "account_group", "resource_directory")]
        nodes = [*sorted(model.nodes()), *rest, *absent]
        self.numbers, self.seen = model.numbers(self.person, self.world.now), model.seen(self.person, self.world.now)
        self.named = model.named(self.person, self.world.now)
        self.operator = model.is_operator(self.person)
        # Between the publications where there are several: what was shown then, whatever was restated since.
        shown = sorted({publication.published_at for publication in model.publications}) or [self.world.now]
        self.moment = shown[len(shown) // 2]
        for start in range(0, len(nodes), PAGE):
            self._compare_page(nodes[start : start + PAGE])

    def _compare_page(self, nodes: Sequence[Node]) -> None:
        fields = " ".join(f"n{number}: hierarchyNode(id: $i{number}) {{ ...Seen }}" for number in range(len(nodes)))
        names = ", ".join(f"$i{number}: ID!" for number in range(len(nodes)))
        variables: dict[str, Any] = {f"i{number}": identity(node) for number, node in enumerate(nodes)}
        fragment = _FRAGMENT if self.policies else _MONTHS_ALONE
        variables["moment"] = self.moment.isoformat()
        variables["period"] = {"from": format_month(MONTHS[0]), "until": format_month(shift(MONTHS[-1], 1))}
        document = f"query({names}, $period: PeriodInput!, $moment: DateTime!) {{ {fields} }} {fragment}"
        answer = self.ask(document, **variables)
        if "errors" in answer:
            raise AssertionError(f"world {self.world.seed}, {self.person}: {answer['errors'][:2]}")
        for number, node in enumerate(nodes):
            if self.policies:
                self._compare_node(node, answer["data"][f"n{number}"])
            else:
                self._compare_forgotten(node, answer["data"][f"n{number}"])

    def ask(self, document: str, **variables: object) -> dict[str, Any]:
        """The whole answer, errors included."""
        body = {"query": document, "variables": variables}
        answer = json.loads(
            self.client.post("/graphql/", data=json.dumps(body), content_type="application/json").content
        )
        assert isinstance(answer, dict)
        return answer

    def differ(self, *, leak: bool, about: str) -> None:
        """Note a difference."""
        text = f"world {self.world.seed}, viewer {self.person}: {about}"
        (self.findings.leaks if leak else self.findings.denials).append(text)

    def equal(self, about: str, found: object, expected: object) -> None:
        """One answered question; a difference in a number or a list is a leak until somebody has looked at it."""
        self.findings.compared += 1
        if found != expected:
            self.differ(leak=True, about=f"{about}: {found} instead of {expected}")

    def known(self, node: Node) -> bool:
        """Whether the viewer may know the node at all."""
        if node.kind == MISCELLANEOUS:
            node = Node(DIRECTORY, node.id)
        exists = node in set(self.world.model.nodes())
        return exists and (self.operator or any(pair[0] == node for pair in self.named))

    def _compare_node(self, node: Node, answer: dict[str, Any] | None) -> None:
        self.equal(f"{node} is known", answer is not None, self.known(node))
        if answer is None or not self.known(node):
            return
        whole = Node(DIRECTORY, node.id) if node.kind == MISCELLANEOUS else node
        visible = self.operator or any(pair[0] == whole for pair in self.seen)
        self.equal(f"{node} access", answer["access"], "VISIBLE" if visible else "NAME_ONLY")
        for step in answer["path"]:
            self.equal(f"{node} path", step["id"] in self._identities(), True)
        self._compare_emissions(node, answer["emissions"])
        self._compare_views(node, answer["asIs"], answer["asOf"])
        self._compare_children(node, answer["children"])
        names = [(edge["node"]["name"], edge["node"]["id"]) for edge in answer["byName"]["edges"]]
        self.equal(f"{node} children by name", [name for name, _ in names], sorted(name for name, _ in names))
        self.equal(
            f"{node} the same children by name",
            {one for _, one in names},
            {edge["node"]["id"] for edge in answer["children"]["edges"]},
        )

    def _compare_forgotten(self, node: Node, answer: dict[str, Any] | None) -> None:
        """Where the policy was forgotten the database gives each number as a whole or not at all."""
        parts = [node]
        if node.kind == ENTERPRISE:
            parts = [one for one, known in self.world.model.directories.items() if known.enterprise == node]
        for month, point in zip(MONTHS, answer["now"]["byMonth"] if answer else (), strict=answer is not None):
            whole = [part for part in parts if self._whole(part, month)]
            expected = sum(self.expected_ug(part, [month]) for part in whole)
            found = int(point["emissions"]["microgramsCO2e"] or 0)
            self.equal(f"{node} in {month}, policy forgotten", found, expected)
        for month, point in zip(MONTHS, answer["asIs"]["byMonth"] if answer else (), strict=answer is not None):
            found = int(point["emissions"]["microgramsCO2e"] or 0)
            expected = self._regrouped_ug(node, parts, month)
            self.equal(f"{node} as is in {month}, policy forgotten", found, expected)

    def _regrouped_ug(self, node: Node, parts: Sequence[Node], month: date) -> int:
        """By today's tree, if the viewer sees the node in it, of what the database shows.

        What stood there before, if the part in which it stood is seen as a whole, and every account that came since, if
        that is. The parts of an enterprise are its directories; any other node is one part.
        """
        model, today = self.world.model, self.this_month
        whole = [part for part in parts if self._whole(part, month)]
        if not self._sees(node, today) or node.kind in {ACCOUNT, RESOURCE_GROUP}:
            return sum(self.expected_ug(part, [month]) for part in whole)
        shown = [model.shown(provider, month) for provider in set(model.accounts.values())]
        return sum(
            ug
            for publication in shown
            if publication is not None
            for leaf, ug in publication.figures.items()
            if model.stands_below(leaf.resource_group, node, today)
            and (
                any(model.stands_below(leaf.resource_group, part, month) for part in whole)
                if model.stands_below(leaf.resource_group, node, month)
                else (model.resource_groups[leaf.resource_group], month) in self.numbers
            )
        )

    @property
    def this_month(self) -> date:
        """The month of today."""
        return date(self.world.now.year, self.world.now.month, 1)

    def _identities(self) -> set[str]:
        nodes = {node for node, _ in self.named} | (set(self.world.model.nodes()) if self.operator else set())
        return {identity(node) for node in nodes} | {
            identity(Node(MISCELLANEOUS, node.id)) for node in nodes if node.kind == DIRECTORY
        }

    def expected_ug(self, node: Node, months: Sequence[date]) -> int:
        """What the model adds up."""
        return self.world.model.total_ug(
            self.person, node, months, self.world.now, visible=self.numbers, seen=self.seen
        )

    def _compare_emissions(self, node: Node, answer: dict[str, Any]) -> None:
        for month, point in zip(MONTHS, answer["byMonth"], strict=True):
            expected = self.expected_ug(node, [month])
            found = point["emissions"]["microgramsCO2e"]
            self.equal(f"{node} in {month}", int(found or 0), expected)
            if found is None and self._is_there(node, month):
                self.differ(leak=False, about=f"{node} in {month} has no value")
            if not self._sees(node, month):
                blank = {"microgramsCO2e": None, "status": "NOT_PERMITTED"}
                self.equal(f"{node} in {month}, known by name", point["emissions"], blank)
        self.equal(f"{node} total", int(answer["total"]["microgramsCO2e"] or 0), self.expected_ug(node, MONTHS))
        shares = [int(edge["node"]["emissions"]["microgramsCO2e"] or 0) for edge in answer["byService"]["edges"]]
        self.equal(f"{node} by service", sum(shares), self.expected_ug(node, MONTHS))
        self.equal(f"{node} services in order", shares, sorted(shares, reverse=True))
        if answer["complete"]:
            self.equal(f"{node} is complete", all(self._whole(node, month) for month in MONTHS), expected=True)

    def _whole(self, node: Node, month: date) -> bool:
        whole = Node(DIRECTORY, node.id) if node.kind == MISCELLANEOUS else node
        if node.kind == ENTERPRISE:
            return self._sees(node, month) and all(
                (directory, month) in self.numbers
                for directory, known in self.world.model.directories.items()
                if known.enterprise == node
            )
        return (whole, month) in self.numbers

    def _sees(self, node: Node, month: date) -> bool:
        """Whether a role reaches the node itself, so that some number of it may be shown."""
        whole = Node(DIRECTORY, node.id) if node.kind == MISCELLANEOUS else node
        return self.operator or (whole, month) in self.seen

    def _compare_views(self, node: Node, as_is: dict[str, Any], as_of: dict[str, Any]) -> None:
        """By today's tree, and as it was published on a date, where the node is seen as a whole."""
        model, today = self.world.model, self.this_month
        for month, is_now, was in zip(MONTHS, as_is["byMonth"], as_of["byMonth"], strict=True):
            expected = model.total_ug(
                self.person, node, [month], self.world.now, tree_month=today, visible=self.numbers, seen=self.seen
            )
            self.equal(f"{node} as is in {month}", int(is_now["emissions"]["microgramsCO2e"] or 0), expected)
            found = int(was["emissions"]["microgramsCO2e"] or 0)
            if self._whole(node, month):
                self.equal(f"{node} as of a date in {month}", found, model.published_ug(node, [month], self.moment))
            elif not self._sees(node, month):
                self.equal(f"{node} as of a date in {month}", found, 0)

    def _is_there(self, node: Node, month: date) -> bool:
        """Whether a published number of a directory, group or account must not be blank."""
        model = self.world.model
        if node.kind not in {DIRECTORY, "account"} or (node, month) not in self.numbers:
            return False
        provider = model.directories[node].provider if node.kind == DIRECTORY else model.accounts[node]
        return model.shown(provider, month) is not None

    def _compare_children(self, node: Node, answer: dict[str, Any]) -> None:
        expected = self.world.model.visible_children(self.person, node, MONTHS, self.world.now, named=self.named)
        totals = {identity(child): self.expected_ug(child, sorted(months)) for child, months in expected.items()}
        found = {edge["node"]["id"]: int(edge["emissions"]["microgramsCO2e"] or 0) for edge in answer["edges"]}
        self.equal(f"{node} children", found, totals)
        self.equal(f"{node} number of children", answer["totalCount"], len(totals))
        # A child that emitted nothing and one without a value are alike in this order: both without emissions, last.
        values = [int(edge["emissions"]["microgramsCO2e"] or 0) for edge in answer["edges"]]
        self.equal(f"{node} children in order", values, sorted(values, reverse=True))


def identity(node: Node) -> str:
    """The global id of a node."""
    return str(id_of(NodeKey(Kind(node.kind), node.id)))
