"""What of all this a question needs, and the CTEs of it in order."""

from __future__ import annotations

from dataclasses import dataclass

from allocation.policies.nodes import Kind
from allocation.policies.pieces import ASKED_PLACES, CONTAINERS, HIGHEST, LOOSE_ACCOUNT, LOOSE_RESOURCE_GROUP, PARTS
from allocation.policies.seen import (
    ABOVE,
    ASKED_GROUPS,
    COVERED,
    EVERY_ACCOUNT,
    EVERY_DIRECTORY,
    GROUPS_OF_SUBJECTS,
    KNOWN,
    KNOWN_BY_OPERATOR,
    KNOWN_ENTERPRISE,
    NO_ROOT,
    NOTHING_ABOVE,
    PIN,
    PLACE,
    ROOT,
    SEEN_ACCOUNT,
    SEEN_DIRECTORY,
    SEEN_GROUP,
    SUBJECTS,
)
from allocation.policies.subjects import (
    ASKED_ACCOUNT,
    ASKED_DIRECTORY,
    ASKED_GROUP,
    ASKED_MISCELLANEOUS,
    ASKED_RESOURCE_GROUP,
    LEFT_JOIN_KNOWN,
    OPEN,
)


@dataclass(frozen=True, slots=True)
class Needs:
    """Which CTEs a question needs: by the kinds of nodes asked for, and those on which the viewer has roles.

    `partly`: something below a node may be visible although the node, which the viewer sees, is not visible as a whole.
    """

    kinds: frozenset[Kind]
    roles: frozenset[str]
    operator: bool
    partly: bool
    as_is: bool

    @property
    def containers(self) -> list[str]:
        """The kinds of containers asked for, in the words of the CTEs."""
        return sorted({CONTAINERS[kind] for kind in self.kinds if kind in CONTAINERS})

    @property
    def groups(self) -> bool:
        """Whether a role of the viewer stands on a group."""
        return Kind.ACCOUNT_GROUP in self.roles

    @property
    def places(self) -> list[str]:
        """Whose memberships matter."""
        if self.operator:
            return []
        needed = {
            "asked accounts": Kind.ACCOUNT in self.kinds,
            "asked parts": Kind.RESOURCE_GROUP in self.kinds,
            "roles on accounts": self.loose and Kind.ACCOUNT in self.roles,
            "roles on parts": self.loose and Kind.RESOURCE_GROUP in self.roles,
        }
        return [name for name, is_needed in needed.items() if is_needed]

    @property
    def parts(self) -> dict[str, list[str]]:
        """The parts that can have rows, and where these can come from."""
        directories, groups = "directory" in self.containers, "group" in self.containers
        sources = {
            ("part_directory", "whole"): directories,
            ("part_miscellaneous", "whole"): "miscellaneous" in self.containers,
            ("part_group", "whole"): groups,
            ("part_group", "below directories"): self.partly and directories and self.groups,
            ("part_group", "below groups"): self.partly and groups and self.groups,
            ("part_account", "whole"): Kind.ACCOUNT in self.kinds,
            ("part_account", "loose"): self.loose and Kind.ACCOUNT in self.roles,
            ("part_resource_group", "whole"): Kind.RESOURCE_GROUP in self.kinds,
            ("part_resource_group", "loose"): self.loose and Kind.RESOURCE_GROUP in self.roles,
            ("part_resource_group", "inside"): (
                self.partly and Kind.ACCOUNT in self.kinds and Kind.RESOURCE_GROUP in self.roles
            ),
        }
        found: dict[str, list[str]] = {}
        for (part, source), is_needed in sources.items():
            if is_needed:
                found.setdefault(part, []).append(source)
        return found

    @property
    def loose(self) -> bool:
        """Whether something below a container may be visible by itself."""
        return (
            self.partly
            and bool(self.containers)
            and bool(self.roles & {Kind.ACCOUNT_GROUP, Kind.ACCOUNT, Kind.RESOURCE_GROUP})
        )

    def ctes(self) -> list[str]:
        """Write them, in order."""
        above = ABOVE if self.groups else NOTHING_ABOVE
        written = [PIN, NO_ROOT if self.operator else ROOT, EVERY_DIRECTORY if self.operator else SEEN_DIRECTORY]
        if self.partly and not self.as_is:
            written.append(KNOWN)
        elif "directory" in self.containers and not self.as_is:
            written.append(KNOWN_BY_OPERATOR if self.operator else KNOWN_ENTERPRISE)
        if self.groups:
            written.append(SEEN_GROUP)
            written += self._covered()
        if self.places:
            place = PLACE.replace("{subjects}", self._subjects).replace(
                "{above}", above.replace("{group}", "member.group_id")
            )
            written += [place, SEEN_ACCOUNT]
        elif self.operator and self.kinds & {Kind.ACCOUNT, Kind.RESOURCE_GROUP}:
            written.append(EVERY_ACCOUNT)
        return [*written, *self._asked(above), *self._loose(), *self._parts()]

    @property
    def _subjects(self) -> str:
        return " UNION ".join(SUBJECTS[name] for name in self.places)

    def _covered(self) -> list[str]:
        groups = [ASKED_GROUPS] if "group" in self.containers else []
        if self.places:
            groups.append(GROUPS_OF_SUBJECTS.replace("{subjects}", self._subjects))
        return [COVERED.replace("{groups}", " UNION ".join(groups))] if groups else []

    def _asked(self, above: str) -> list[str]:
        chosen = {
            ASKED_DIRECTORY.replace("{known}", LEFT_JOIN_KNOWN): "directory" in self.containers,
            ASKED_GROUP.replace("{above}", above.replace("{group}", "grouping.id")): "group" in self.containers,
            ASKED_MISCELLANEOUS: "miscellaneous" in self.containers,
            ASKED_ACCOUNT: Kind.ACCOUNT in self.kinds,
            ASKED_RESOURCE_GROUP: Kind.RESOURCE_GROUP in self.kinds,
        }
        opened, known = (OPEN, LEFT_JOIN_KNOWN) if self.partly else ("", "")
        return [
            text.replace("{open}", opened).replace("{known}", known) for text, is_needed in chosen.items() if is_needed
        ]

    def _loose(self) -> list[str]:
        if not self.loose:
            return []
        places = " UNION ALL ".join(ASKED_PLACES[name] for name in self.containers)
        chosen = {
            HIGHEST: self.groups,
            LOOSE_ACCOUNT: Kind.ACCOUNT in self.roles,
            LOOSE_RESOURCE_GROUP: Kind.RESOURCE_GROUP in self.roles,
            f"asked_place AS MATERIALIZED ({places})": True,
        }
        return [text for text, is_needed in chosen.items() if is_needed]

    def _parts(self) -> list[str]:
        # What is seen in no month is left out here: its totals would be read first and thrown away afterwards.
        return [
            f"{part} AS MATERIALIZED (SELECT * FROM ({' UNION ALL '.join(PARTS[part][source] for source in sources)})"  # noqa: S608 fixed texts
            " AS found WHERE NOT isempty(found.months))"
            for part, sources in self.parts.items()
        ]
