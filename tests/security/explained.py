"""What `explain` tells somebody about figures, beside what the model lets them know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accounts.models import ResourceGroup
from accounts.months import format_month
from allocation.models import Cluster, Service
from tests.security.api import identity
from tests.security.model import ACCOUNT, RESOURCE_GROUP, Node
from tests.security.worlds import MONTHS

if TYPE_CHECKING:
    from datetime import date, datetime

    from tests.security.api import Api

FIGURES = 6
_EXPLAINED = """query($id: ID!, $month: Month!, $moment: DateTime) {
  explain(input: {nodeId: $id, month: $month, service: "compute", cluster: "one", asOf: $moment}) {
    status inputsLeftOut inputs { row }
    lines { amount source leavesLeftOut leaves { resourceGroup amount exact } postings { amount } } } }"""


def compare_explanations(api: Api) -> None:
    """Ask for the origin of some figures, now and as of a date; operators' answers need inputs, which worlds lack."""
    if api.operator:
        return
    leaves = sorted(node for node in api.world.model.nodes() if node.kind in {ACCOUNT, RESOURCE_GROUP})
    for node in api.world.rng.sample(leaves, k=min(FIGURES, len(leaves))):
        month = api.world.rng.choice(MONTHS)
        for moment in (None, api.moment):
            _compare(api, node, month, moment)


def _compare(api: Api, node: Node, month: date, moment: datetime | None) -> None:
    about = f"{node} in {month} explained as of {moment}"
    answer = api.ask(
        _EXPLAINED,
        id=identity(node),
        month=format_month(month),
        moment=None if moment is None else moment.isoformat(),
    )
    shown = _shown(api, node, month, moment)
    if not api.known(node) or shown == {}:
        found = [error["extensions"]["code"] for error in answer.get("errors", ())]
        api.equal(about, (found, answer.get("data")), (["NOT_FOUND"], None))
        return
    told: dict[str, Any] = answer["data"]["explain"]
    if shown is None:
        api.equal(about, (told["lines"], told["inputs"], told["inputsLeftOut"]), ([], [], 0))
        if (node, month) not in api.numbers:
            api.equal(f"{about}: status", told["status"], "NOT_PERMITTED")
        return
    leaves = [{"resourceGroup": code, "amount": str(ug), "exact": None} for code, ug in sorted(shown.items())]
    line = {"amount": str(sum(shown.values())), "source": None, "leavesLeftOut": 0, "leaves": leaves, "postings": []}
    api.equal(about, told["lines"], [line])


def _shown(api: Api, node: Node, month: date, moment: datetime | None) -> dict[str, int] | None:
    """The figure by code of the resource group; None where none may be told, {} where there is none."""
    model = api.world.model
    account = node if node.kind == ACCOUNT else model.resource_groups[node]
    provider = model.accounts[account]
    publication = model.shown(provider, month, moment)
    if (node, month) not in api.numbers or publication is None:
        return None
    place = (
        Service.objects.filter(provider=provider, code="compute").values_list("pk", flat=True).get(),
        Cluster.objects.filter(provider=provider, code="one").values_list("pk", flat=True).get(),
    )
    return {
        ResourceGroup.objects.get(pk=leaf.resource_group.id).code: ug
        for leaf, ug in publication.figures.items()
        if (leaf.service, leaf.cluster) == place
        and node in {leaf.resource_group, model.resource_groups[leaf.resource_group]}
    }
