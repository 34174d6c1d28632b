"""Who sees what, decided leaf by leaf from grants and dated memberships; shares no code with the policies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt

    from tests.read_model.world import Leaf, World

ENTERPRISE, DIRECTORY, GROUP, MISCELLANEOUS, ACCOUNT, RESOURCE_GROUP = (
    "enterprise_parent",
    "resource_directory",
    "account_group",
    "miscellaneous",
    "account",
    "resource_group",
)


@dataclass
class Oracle:
    """Answers about leaves. `places` say where accounts stand: (account, directory, group or None, from, to)."""

    world: World
    grants: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def above(self, account: str, on: dt.date) -> list[tuple[str, str]]:
        """Every node that an account stands below in a month, itself included."""
        found = [(ACCOUNT, account)]
        for member, directory, group, start, bound in self.world.places:
            if member == account and start <= on and (bound is None or on < bound):
                found += [(DIRECTORY, directory), (ENTERPRISE, self.world.owners[directory])]
                if group is None:
                    found.append((MISCELLANEOUS, directory))
                step = group
                while step is not None:
                    found.append((GROUP, step))
                    step = self.world.parents.get(step)
        return found

    def sees(self, who: str, leaf: Leaf) -> bool:
        """Whether a role of somebody reaches a leaf."""
        if who == "operator":
            return True
        granted = self.world.grants.get(who, [])
        reach = [*self.above(leaf.account, leaf.month), (RESOURCE_GROUP, f"{leaf.account}/{leaf.resource_group}")]
        off = {(DIRECTORY, directory) for directory in self.world.switched_off}
        if off & set(reach):
            reach = [node for node in reach if node[0] in {ACCOUNT, RESOURCE_GROUP}]
        return any(node in granted for node in reach)

    def below(self, kind: str, code: str) -> list[Leaf]:
        """Leaves below a node, in the months in which they are."""
        if kind == RESOURCE_GROUP:
            return [leaf for leaf in self.world.leaves if f"{leaf.account}/{leaf.resource_group}" == code]
        return [leaf for leaf in self.world.leaves if (kind, code) in self.above(leaf.account, leaf.month)]

    def knows(self, who: str, kind: str, code: str, on: dt.date) -> bool:
        """Whether a role of somebody reaches the node itself in a month: who has none knows it by name at most."""
        if who == "operator":
            return True
        way = {(kind, code)}
        if kind == RESOURCE_GROUP:
            way |= set(self.above(code.split("/", maxsplit=1)[0], on))
        elif kind == ACCOUNT:
            way |= set(self.above(code, on))
        elif kind != ENTERPRISE:
            directory = code if kind in {DIRECTORY, MISCELLANEOUS} else self.world.made[code].directory.external_id
            way |= {(DIRECTORY, directory), (ENTERPRISE, self.world.owners[directory])}
            step = self.world.parents.get(code) if kind == GROUP else None
            while step is not None:
                way.add((GROUP, step))
                step = self.world.parents.get(step)
        return any(node in self.world.grants.get(who, []) for node in way)

    def visible(self, who: str, kind: str, code: str) -> list[Leaf]:
        """Leaves that the node's numbers show: those below it that somebody sees, if they see the node itself."""
        return [
            leaf for leaf in self.below(kind, code) if self.sees(who, leaf) and self.knows(who, kind, code, leaf.month)
        ]

    def visible_as_is(self, who: str, kind: str, code: str, today: dt.date) -> list[Leaf]:
        """The same by today's tree, as far as it is known: of a node that is not seen today, as it was."""
        if kind in {ACCOUNT, RESOURCE_GROUP} or not self.knows(who, kind, code, today):
            return self.visible(who, kind, code)
        below = [leaf for leaf in self.world.leaves if (kind, code) in self.above(leaf.account, today)]
        return [leaf for leaf in below if self.sees(who, leaf)]
