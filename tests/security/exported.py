"""What an export of somebody holds, beside the leaves that they may see."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from django.db import connection

from accounts.models import ResourceGroup
from accounts.web_role import as_web
from allocation.exchange.layouts import Extract, query_of
from allocation.models import ExportLayout, PublishedMonth
from tests.security.model import RESOURCE_GROUP, Node

if TYPE_CHECKING:
    from tests.security.comparison import Findings
    from tests.security.worlds import World


def compare_exports(world: World, findings: Findings) -> None:
    """Every published month as everybody would export it: each resource group whole, or not at all."""
    codes = {
        (part.account.external_id, part.code): Node(RESOURCE_GROUP, part.pk)
        for part in ResourceGroup.objects.select_related("account")
    }
    published = PublishedMonth.objects.select_related(
        "publication__provider", "publication__run__methodology_version"
    ).filter(publication__in=[shown.id for shown in world.model.publications])
    for person in world.everybody():
        numbers = world.model.numbers(person, world.now)
        for pointer in published:
            shown = next(one for one in world.model.publications if one.id == pointer.publication_id)
            expected: dict[Node, int] = defaultdict(int)
            for leaf, ug in shown.figures.items():
                if (leaf.resource_group, shown.month) in numbers:
                    expected[leaf.resource_group] += ug
            found: dict[Node, int] = defaultdict(int)
            query, params = query_of(Extract(world.viewer(person), pointer.publication, None), ExportLayout.CANOPY)
            with as_web(viewer_id=person, now=world.now), connection.cursor() as cursor:
                cursor.execute(query, params)
                names = [column.name for column in cursor.description or ()]
                for row in cursor.fetchall():
                    cells = dict(zip(names, row, strict=True))
                    found[codes[cells["account"], cells["resource_group"]]] += int(cells["micrograms_co2e"])
            findings.compared += len(world.model.resource_groups)
            if found != expected:
                findings.leaks.append(f"export of {shown.month} by {person} in world {world.seed}: {dict(found)}")
