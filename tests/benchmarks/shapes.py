"""Questions that are heavy by their shape: a very wide node, today's tree over all months, a large cube."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone

from tests.benchmarks.client import Client, WrongAnswerError, token_of
from tests.benchmarks.enterprise import Shape, build
from tests.benchmarks.figure import Figure
from tests.benchmarks.question import period_of
from tests.benchmarks.stopwatch import repeat, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from tests.benchmarks.enterprise import LargeEnterprise

WIDE = "wide"


def shape_figures(url: str, large: LargeEnterprise, chosen: argparse.Namespace) -> Iterator[Figure]:
    """Ask each question so many times."""
    period = period_of(chosen.months)
    group = f'{{kind: ACCOUNT_GROUP, externalId: "g3", provider: "{large.code}", within: "{large.code}"}}'
    low = group.replace('"g3"', '"g2"')  # fifty accounts, and no groups
    cube = f'{{nodes: ["{large.node}"], period: {period}, granularity: MONTH, groupBy: [SERVICE, CLUSTER], first: 100}}'
    asked = {
        "cube month × service × location, first 100": f"{{ emissions(input: {cube}) {{ rows {{ edges {{ node"
        " { span { label } values { code } emissions { kgCO2e } } } } } }",
        f"a group as it is today, {chosen.months} months": f"{{ hierarchyNode(by: {group}) {{ emissions("
        f"period: {period}, view: AS_IS) {{ total {{ kgCO2e }} byMonth {{ label emissions {{ kgCO2e }} }} }} }} }}",
        f"the enterprise as it is today, {chosen.months} months": f'{{ hierarchyNode(id: "{large.node}") {{ emissions('
        f"period: {period}, view: AS_IS) {{ total {{ kgCO2e }} byMonth {{ label emissions {{ kgCO2e }} }} }} }} }}",
        "the accounts of a group by emissions, first 10": f"{{ hierarchyNode(by: {low}) {{ accounts(period: {period},"
        " orderBy: EMISSIONS_DESC, first: 10) { edges { node { id } emissions { kgCO2e } } } } }",
    }
    client = Client(url, token_of(large.viewer, timezone.now()))
    for name, query in asked.items():
        yield from _figures(client, large.work, name, query, chosen.times)
    if chosen.wide:
        yield from _wide(url, chosen)


def _wide(url: str, chosen: argparse.Namespace) -> Iterator[Figure]:
    """One group with very many subgroups."""
    large = build(Shape(WIDE, chosen.wide, chosen.wide, chosen.months, top=1, branches=0, pairs=1))
    client = Client(url, token_of(large.viewer, timezone.now()))
    work = f"a node with {chosen.wide - 1:,} groups"
    for months in sorted({1, min(12, chosen.months), chosen.months}):
        query = (
            f'{{ hierarchyNode(by: {{kind: ACCOUNT_GROUP, externalId: "g1", provider: "{WIDE}", within: "{WIDE}"}})'
            f" {{ children(period: {period_of(months)}, first: 10) {{ edges {{ node {{ id name }}"
            " emissions { kgCO2e } } } } }"
        )
        yield from _figures(client, work, f"children by emissions, {months} months", query, chosen.times)


def _figures(client: Client, work: str, name: str, query: str, times: int) -> Iterator[Figure]:
    say(f"  {name} …")
    if not _has_amounts(client.ask(query)):
        raise WrongAnswerError(f"{name}: nothing is told")
    taken = repeat(lambda: client.ask(query), times=times)
    note = f"p95 {taken.p95_ms:,.0f} ms; goal ≤ 100; {taken.processor}"
    yield Figure("shapes", work, f"{name}: p50", taken.p50_ms, "ms", note)


def _has_amounts(answer: Any) -> bool:  # noqa: ANN401 any part of an answer
    """Whether some amount above zero is told: the time of an empty answer says nothing."""
    if isinstance(answer, dict):
        told = answer.get("kgCO2e")
        return (isinstance(told, float) and told > 0) or any(map(_has_amounts, answer.values()))
    return isinstance(answer, list) and any(map(_has_amounts, answer))
