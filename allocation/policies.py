"""Which rows of the read model a viewer may add up, decided for each (node, month) in the statement that reads them.

A statement starts with the nodes that were asked for. For each of them, and for each month, it takes

* nothing, where the viewer knows the node by name alone: ancestors show no numbers; else
* the inclusive total of the node itself where the viewer sees it as a whole; else, where multi-account management is
  off or history is regrouped,
* the totals of the highest groups below it that the viewer sees, and
* the totals of accounts below it that the viewer sees by a role on the account alone, and
* the ledger rows of resource groups below it that the viewer sees by a role on the resource group alone.

Nothing is taken twice: an account counts alone only in the months in which no visible container holds it, a resource
group only in the months in which its account is not visible. Months are `datemultirange`s; they are intersected and
subtracted, never enumerated, until the published months are joined.

The tree is the tree as known now, which for published months is the tree of their publications.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connection

from accounts.policies import NodeKind, NodeRef

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accounts.months import Period
    from accounts.policies import Viewer
    from allocation.selectors.publications import Published


class Kind(enum.StrEnum):
    """Kinds of nodes whose emissions can be asked for, from the top down."""

    ENTERPRISE_PARENT = "enterprise_parent"
    RESOURCE_DIRECTORY = "resource_directory"
    ACCOUNT_GROUP = "account_group"
    MISCELLANEOUS = "miscellaneous"
    ACCOUNT = "account"
    RESOURCE_GROUP = "resource_group"


class NodeKey(NamedTuple):
    """A node by kind and primary key; MISCELLANEOUS has the key of its directory."""

    kind: Kind
    id: int

    @property
    def ref(self) -> NodeRef:
        """The same node in the words of `accounts`; ValueError for MISCELLANEOUS, on which nobody has a role."""
        return NodeRef(NodeKind(self.kind.value), self.id)

    @classmethod
    def of(cls, ref: NodeRef) -> NodeKey:
        """The node of a reference."""
        return cls(Kind(ref.kind.value), ref.id)


class View(enum.StrEnum):
    """By which tree months are rolled up. What may be seen is decided as-was in both.

    Regrouping follows today's tree as far as the viewer knows it: a node that they see today takes in what stands below
    it today; one that they saw in earlier months only keeps those months as they were.
    """

    AS_WAS = "as_was"
    AS_IS = "as_is"


class Asked(NamedTuple):
    """The nodes of a question: a CTE named `asked` (key, kind, node_id, months), its parameters, and their kinds."""

    text: str
    params: dict[str, Any]
    kinds: frozenset[Kind]


SWITCHED_OFF = "switched_off"
"""Stands among the kinds of a viewer's roles where multi-account management is off in some directory."""


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks about which months, and what is published for them.

    `role_kinds` are the kinds of nodes on which the viewer's roles stand, and `SWITCHED_OFF`: a hint that leaves out
    parts of a statement which would find nothing. It never widens anything; the roles themselves are read by every
    statement.
    """

    viewer: Viewer
    published: Published
    period: Period
    role_kinds: frozenset[str] = frozenset({*Kind, SWITCHED_OFF})
    view: View = View.AS_WAS

    def params(self) -> dict[str, Any]:
        """Parameters that every statement has."""
        pins = self.published.within(self.period)
        return {
            "viewer": self.viewer.user_id,
            "now": self.viewer.now,
            "start": self.period.start,
            "bound": self.period.bound,
            "today": self.viewer.month,
            "publications": [pin.publication_id for pin in pins],
            "runs": [pin.run_id for pin in pins],
            "providers": [pin.provider_id for pin in pins],
            "months": [pin.month for pin in pins],
        }


# `asked` has one row for each node: key (our number for it), kind, id, and the months asked for.
ASKED = """
asked AS MATERIALIZED (
    SELECT number AS key, kind, node_id, datemultirange(daterange(%(start)s, %(bound)s)) AS months
    FROM unnest(%(kinds)s::text[], %(ids)s::bigint[]) WITH ORDINALITY AS node (kind, node_id, number)
)"""

# The same with months of its own for each node.
ASKED_WITHIN = """
asked AS MATERIALIZED (
    SELECT number AS key, kind, node_id, months
    FROM unnest(%(kinds)s::text[], %(ids)s::bigint[], %(windows)s::datemultirange[])
        WITH ORDINALITY AS node (kind, node_id, months, number)
)"""

# The months in which the viewer knows a node by more than its name.
_KNOWN_NODE = """
known_node AS MATERIALIZED (
    SELECT either.kind, either.node_id, range_agg(either.months) AS months
    FROM (SELECT each.kind, seen.node_id, daterange(seen.valid_from, seen.valid_to) AS months
          FROM (SELECT DISTINCT kind FROM {nodes}) AS each
          CROSS JOIN LATERAL accounts_viewer_months(
              %(viewer)s, %(now)s, 'see',
              CASE each.kind WHEN 'miscellaneous' THEN 'resource_directory' ELSE each.kind END,
              ARRAY(SELECT DISTINCT {nodes}.node_id FROM {nodes} WHERE {nodes}.kind = each.kind)) AS seen
          WHERE seen.valid_from < seen.valid_to
          UNION ALL
          SELECT kind, node_id, '[,)'::daterange FROM {nodes} WHERE accounts_is_operator(%(viewer)s)) AS either
    GROUP BY either.kind, either.node_id
)"""

# As-is: what stood below a node in a month, then every account that stands below it today and did not then, and minus
# every account that stood below it then and does not today. Accounts that never moved are in neither. A node that the
# viewer does not see today is not regrouped: what stands below it today is none of their business. The database says so
# once more: `allocation_moves` asks for the viewer of the transaction.
JOINED = 1_000_000
LEFT = 2_000_000
ASKED_AS_IS = f"""
given AS MATERIALIZED (
    SELECT number AS key, kind, node_id, datemultirange(daterange(%(start)s, %(bound)s)) AS months
    FROM unnest(%(kinds)s::text[], %(ids)s::bigint[]) WITH ORDINALITY AS node (kind, node_id, number)
), {_KNOWN_NODE.format(nodes="given").strip()}, regrouped AS MATERIALIZED (
    SELECT given.key FROM given JOIN known_node USING (kind, node_id) WHERE known_node.months @> %(today)s::date
), moved AS MATERIALIZED (
    SELECT moves.*
    FROM allocation_moves(%(kinds)s::text[], %(ids)s::bigint[], %(start)s, %(bound)s, %(today)s) AS moves
    JOIN regrouped USING (key)
), asked AS MATERIALIZED (
    SELECT key, kind, node_id, months FROM given
    UNION ALL
    SELECT moved.key + CASE WHEN moved.is_here THEN {JOINED} ELSE {LEFT} END, 'account', moved.account_id, moved.months
    FROM moved
), known_asked AS MATERIALIZED (
    SELECT given.key, CASE WHEN regrouped.key IS NOT NULL AND given.kind NOT IN ('account', 'resource_group')
                           THEN '{{(,)}}'::datemultirange ELSE known_node.months END AS months
    FROM given JOIN known_node USING (kind, node_id) LEFT JOIN regrouped USING (key)
    UNION ALL
    SELECT DISTINCT asked.key, '{{(,)}}'::datemultirange FROM asked WHERE asked.key >= {JOINED}
)"""  # noqa: S608 fixed texts

# --- CTEs, each written for what a question needs -------------------------------------------------------------------

_PIN = """
pin AS MATERIALIZED (
    SELECT * FROM unnest(%(publications)s::bigint[], %(runs)s::bigint[], %(providers)s::bigint[], %(months)s::date[])
        AS pin (publication_id, run_id, provider_id, month)
)"""
_ROOT = """
root AS MATERIALIZED (
    SELECT held.node_kind, held.node_id, range_agg(daterange(held.valid_from, held.valid_to)) AS months
    FROM accounts_viewer_roots(%(viewer)s, %(now)s, 'numbers') AS held
    WHERE held.valid_from < held.valid_to
    GROUP BY held.node_kind, held.node_id
)"""
# Operators need no roles; whether somebody is one is asked again by every statement.
_NO_ROOT = """
root AS MATERIALIZED (
    SELECT NULL::text AS node_kind, NULL::bigint AS node_id, NULL::datemultirange AS months WHERE false
), everything AS MATERIALIZED (
    SELECT '{(,)}'::datemultirange AS months WHERE accounts_is_operator(%(viewer)s)
)"""
_SEEN_DIRECTORY = """
seen_directory AS MATERIALIZED (
    SELECT seen.directory_id, range_agg(seen.months) AS months
    FROM (SELECT root.node_id AS directory_id, root.months FROM root WHERE root.node_kind = 'resource_directory'
          UNION ALL
          SELECT directory.id, root.months
          FROM root JOIN accounts_resourcedirectory directory ON directory.enterprise_id = root.node_id
          WHERE root.node_kind = 'enterprise_parent' AND directory.multi_account_management) AS seen
    GROUP BY seen.directory_id
)"""
_EVERY_DIRECTORY = """
seen_directory AS MATERIALIZED (
    SELECT directory.id AS directory_id, everything.months FROM accounts_resourcedirectory directory, everything
)"""
_SEEN_GROUP = """
seen_group AS MATERIALIZED (
    SELECT root.node_id AS group_id, grouping.directory_id,
           root.months - COALESCE(whole.months, '{}'::datemultirange) AS months
    FROM root JOIN accounts_accountgroup grouping ON grouping.id = root.node_id
    LEFT JOIN seen_directory whole ON whole.directory_id = grouping.directory_id
    WHERE root.node_kind = 'account_group'
)"""
# Months in which a group stands below one with a role, or is one.
_ABOVE = """LEFT JOIN LATERAL (
        SELECT range_agg(seen_group.months * datemultirange(daterange(closure.valid_from, closure.valid_to))) AS months
        FROM accounts_groupclosure closure JOIN seen_group ON seen_group.group_id = closure.ancestor_id
        WHERE closure.descendant_id = {group}
    ) AS above ON true"""
_NOTHING_ABOVE = "CROSS JOIN (SELECT '{}'::datemultirange AS months) AS above"
# Enterprises are visible as a whole or by name; what is below one may be seen although it is not. Everything else that
# is seen is seen as a whole, unless a directory is switched off.
_KNOWN_ENTERPRISE = """
known_asked AS MATERIALIZED (
    SELECT asked.key, root.months
    FROM asked JOIN root ON root.node_kind = 'enterprise_parent' AND root.node_id = asked.node_id
    WHERE asked.kind = 'enterprise_parent'
)"""
_KNOWN_BY_OPERATOR = """
known_asked AS MATERIALIZED (
    SELECT asked.key, everything.months FROM asked, everything WHERE asked.kind = 'enterprise_parent'
)"""
_KNOWN = f"""{_KNOWN_NODE.format(nodes="asked")}, known_asked AS MATERIALIZED (
    SELECT asked.key, known_node.months FROM asked JOIN known_node USING (kind, node_id)
)"""  # noqa: S608 fixed texts
_PLACE = """
place AS MATERIALIZED (
    -- Where the accounts in question stand, and in which of these months a visible container holds them.
    SELECT member.account_id, member.directory_id, member.group_id, span.months,
           span.months * (COALESCE(whole.months, '{}'::datemultirange)
                          + COALESCE(above.months, '{}'::datemultirange)) AS held
    FROM ({subjects}) AS subject
    JOIN accounts_accountmembership member ON member.account_id = subject.account_id AND member.superseded_by_id IS NULL
    CROSS JOIN LATERAL (SELECT datemultirange(daterange(member.valid_from, member.valid_to)) AS months) AS span
    LEFT JOIN seen_directory whole ON whole.directory_id = member.directory_id
    {above}
)"""
_SUBJECTS = {
    "asked accounts": "SELECT node_id AS account_id FROM asked WHERE kind = 'account'",
    "asked parts": """SELECT part.account_id FROM asked JOIN accounts_resourcegroup part ON part.id = asked.node_id
          WHERE asked.kind = 'resource_group'""",
    "roles on accounts": "SELECT node_id AS account_id FROM root WHERE node_kind = 'account'",
    "roles on parts": """SELECT part.account_id FROM root JOIN accounts_resourcegroup part ON part.id = root.node_id
          WHERE root.node_kind = 'resource_group'""",
}
_SEEN_ACCOUNT = """
seen_account AS MATERIALIZED (
    SELECT seen.account_id, range_agg(seen.months) AS months
    FROM (SELECT root.node_id AS account_id, root.months FROM root WHERE root.node_kind = 'account'
          UNION ALL
          SELECT place.account_id, place.held FROM place) AS seen
    GROUP BY seen.account_id
)"""
_EVERY_ACCOUNT = """
seen_account AS MATERIALIZED (
    SELECT asked.node_id AS account_id, everything.months FROM asked, everything WHERE asked.kind = 'account'
    UNION
    SELECT part.account_id, everything.months
    FROM asked JOIN accounts_resourcegroup part ON part.id = asked.node_id, everything
    WHERE asked.kind = 'resource_group'
)"""

# What was asked for, with the months in which the viewer sees it as a whole and, where something below it may be
# visible although it is not, those in which they see it at all.
_OPEN = ", asked.months * COALESCE(known_asked.months, '{}'::datemultirange) AS open"
_LEFT_JOIN_KNOWN = "LEFT JOIN known_asked ON known_asked.key = asked.key"
_ASKED_DIRECTORY = """
asked_directory AS MATERIALIZED (
    SELECT asked.key, directory.id AS directory_id, directory.provider_id, asked.months,
           asked.months * COALESCE(seen.months, '{}'::datemultirange)
           * CASE WHEN asked.kind = 'enterprise_parent' THEN COALESCE(known_asked.months, '{}'::datemultirange)
                  ELSE '{(,)}'::datemultirange END AS whole
           {open}
    FROM asked
    {known}
    JOIN accounts_resourcedirectory directory
        ON (asked.kind = 'resource_directory' AND directory.id = asked.node_id)
        OR (asked.kind = 'enterprise_parent' AND directory.enterprise_id = asked.node_id)
    LEFT JOIN seen_directory seen ON seen.directory_id = directory.id
)"""
_ASKED_GROUP = """
asked_group AS MATERIALIZED (
    SELECT asked.key, grouping.id AS group_id, grouping.directory_id, directory.provider_id, asked.months,
           asked.months
           * (COALESCE(seen.months, '{}'::datemultirange) + COALESCE(above.months, '{}'::datemultirange)) AS whole
           {open}
    FROM asked
    {known}
    JOIN accounts_accountgroup grouping ON grouping.id = asked.node_id
    JOIN accounts_resourcedirectory directory ON directory.id = grouping.directory_id
    LEFT JOIN seen_directory seen ON seen.directory_id = grouping.directory_id
    {above}
    WHERE asked.kind = 'account_group'
)"""
_ASKED_MISCELLANEOUS = """
asked_miscellaneous AS MATERIALIZED (
    SELECT asked.key, directory.id AS directory_id, directory.provider_id, asked.months,
           asked.months * COALESCE(seen.months, '{}'::datemultirange) AS whole
           {open}
    FROM asked
    {known}
    JOIN accounts_resourcedirectory directory ON directory.id = asked.node_id
    LEFT JOIN seen_directory seen ON seen.directory_id = directory.id
    WHERE asked.kind = 'miscellaneous'
)"""
_ASKED_ACCOUNT = """
asked_account AS MATERIALIZED (
    SELECT asked.key, account.id AS account_id, account.provider_id, asked.months,
           asked.months * COALESCE(seen.months, '{}'::datemultirange) AS whole
           {open}
    FROM asked
    {known}
    JOIN accounts_account account ON account.id = asked.node_id
    LEFT JOIN seen_account seen ON seen.account_id = account.id
    WHERE asked.kind = 'account'
)"""
_ASKED_RESOURCE_GROUP = """
asked_resource_group AS MATERIALIZED (
    SELECT asked.key, part.id AS resource_group_id, part.account_id, account.provider_id, asked.months,
           asked.months * (COALESCE(seen.months, '{}'::datemultirange)
                           + COALESCE(own.months, '{}'::datemultirange)) AS whole
    FROM asked
    JOIN accounts_resourcegroup part ON part.id = asked.node_id
    JOIN accounts_account account ON account.id = part.account_id
    LEFT JOIN seen_account seen ON seen.account_id = account.id
    LEFT JOIN root own ON own.node_kind = 'resource_group' AND own.node_id = part.id
    WHERE asked.kind = 'resource_group'
)"""

# The disjoint pieces that make up what is visible of each node.
_HIGHEST = """
highest AS MATERIALIZED (
    -- Groups with a role of their own, without the months in which another such group stands above them.
    SELECT seen.group_id, seen.directory_id, seen.months - COALESCE(above.months, '{}'::datemultirange) AS months
    FROM seen_group seen
    LEFT JOIN LATERAL (
        SELECT range_agg(higher.months * datemultirange(daterange(closure.valid_from, closure.valid_to))) AS months
        FROM accounts_groupclosure closure JOIN seen_group higher ON higher.group_id = closure.ancestor_id
        WHERE closure.descendant_id = seen.group_id AND closure.depth > 0
    ) AS above ON true
)"""
_LOOSE_ACCOUNT = """
loose_account AS MATERIALIZED (
    -- Accounts with a role of their own, in the months in which no visible container holds them.
    SELECT place.account_id, place.directory_id, place.group_id, place.months * root.months - place.held AS months
    FROM place JOIN root ON root.node_kind = 'account' AND root.node_id = place.account_id
)"""
_LOOSE_RESOURCE_GROUP = """
loose_resource_group AS MATERIALIZED (
    SELECT part.id AS resource_group_id, part.account_id, place.directory_id, place.group_id,
           place.months * (root.months - COALESCE(seen.months, '{}'::datemultirange)) AS months
    FROM root
    JOIN accounts_resourcegroup part ON part.id = root.node_id
    JOIN place ON place.account_id = part.account_id
    LEFT JOIN seen_account seen ON seen.account_id = part.account_id
    WHERE root.node_kind = 'resource_group'
)"""
# Places in which something loose may stand below what was asked for.
_ASKED_PLACES = {
    "directory": """
    SELECT asked_directory.key, asked_directory.provider_id, asked_directory.directory_id, NULL::bigint AS group_id,
           false AS directly, asked_directory.open - asked_directory.whole AS months
    FROM asked_directory""",
    "miscellaneous": """
    SELECT key, provider_id, directory_id, NULL::bigint AS group_id, true AS directly, open - whole AS months
    FROM asked_miscellaneous""",
    "group": """
    SELECT asked_group.key, asked_group.provider_id, asked_group.directory_id, closure.descendant_id AS group_id,
           false AS directly,
           (asked_group.open - asked_group.whole) * datemultirange(daterange(closure.valid_from, closure.valid_to))
               AS months
    FROM asked_group JOIN accounts_groupclosure closure ON closure.ancestor_id = asked_group.group_id
    WHERE NOT isempty(asked_group.open - asked_group.whole)""",
}
_PARTS = {
    "part_directory": {
        "whole": "SELECT key, provider_id, directory_id, whole AS months FROM asked_directory",
    },
    "part_miscellaneous": {
        "whole": "SELECT key, provider_id, directory_id, whole AS months FROM asked_miscellaneous",
    },
    "part_group": {
        "whole": "SELECT key, provider_id, group_id, whole AS months FROM asked_group",
        "below directories": """
    SELECT asked_directory.key, asked_directory.provider_id, highest.group_id,
           (asked_directory.open - asked_directory.whole) * highest.months AS months
    FROM asked_directory JOIN highest ON highest.directory_id = asked_directory.directory_id""",
        "below groups": """
    SELECT asked_place.key, asked_place.provider_id, highest.group_id, asked_place.months * highest.months AS months
    FROM asked_place JOIN highest ON highest.group_id = asked_place.group_id
    JOIN asked_group ON asked_group.key = asked_place.key AND asked_group.group_id <> highest.group_id""",
    },
    "part_account": {
        "whole": "SELECT key, provider_id, account_id, whole AS months FROM asked_account",
        "loose": """
    SELECT asked_place.key, asked_place.provider_id, loose.account_id, asked_place.months * loose.months AS months
    FROM asked_place JOIN loose_account loose ON loose.directory_id = asked_place.directory_id
        AND (loose.group_id = asked_place.group_id
             OR (asked_place.group_id IS NULL AND (NOT asked_place.directly OR loose.group_id IS NULL)))""",
    },
    "part_resource_group": {
        "whole": "SELECT key, provider_id, account_id, resource_group_id, whole AS months FROM asked_resource_group",
        "loose": """
    SELECT asked_place.key, asked_place.provider_id, loose.account_id, loose.resource_group_id,
           asked_place.months * loose.months AS months
    FROM asked_place JOIN loose_resource_group loose ON loose.directory_id = asked_place.directory_id
        AND (loose.group_id = asked_place.group_id
             OR (asked_place.group_id IS NULL AND (NOT asked_place.directly OR loose.group_id IS NULL)))""",
        "inside": """
    SELECT asked_account.key, asked_account.provider_id, part.account_id, part.id AS resource_group_id,
           (asked_account.open - asked_account.whole) * root.months AS months
    FROM asked_account
    JOIN accounts_resourcegroup part ON part.account_id = asked_account.account_id
    JOIN root ON root.node_kind = 'resource_group' AND root.node_id = part.id""",
    },
}
_CONTAINERS = {
    Kind.ENTERPRISE_PARENT: "directory",
    Kind.RESOURCE_DIRECTORY: "directory",
    Kind.MISCELLANEOUS: "miscellaneous",
    Kind.ACCOUNT_GROUP: "group",
}


@dataclass(frozen=True, slots=True)
class _Needs:
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
        return sorted({_CONTAINERS[kind] for kind in self.kinds if kind in _CONTAINERS})

    @property
    def groups(self) -> bool:
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
        above = _ABOVE if self.groups else _NOTHING_ABOVE
        written = [_PIN, _NO_ROOT if self.operator else _ROOT, _EVERY_DIRECTORY if self.operator else _SEEN_DIRECTORY]
        if self.partly and not self.as_is:
            written.append(_KNOWN)
        elif "directory" in self.containers and not self.as_is:
            written.append(_KNOWN_BY_OPERATOR if self.operator else _KNOWN_ENTERPRISE)
        if self.groups:
            written.append(_SEEN_GROUP)
        if self.places:
            subjects = " UNION ".join(_SUBJECTS[name] for name in self.places)
            place = _PLACE.replace("{subjects}", subjects).replace(
                "{above}", above.replace("{group}", "member.group_id")
            )
            written += [place, _SEEN_ACCOUNT]
        elif self.operator and self.kinds & {Kind.ACCOUNT, Kind.RESOURCE_GROUP}:
            written.append(_EVERY_ACCOUNT)
        return [*written, *self._asked(above), *self._loose(), *self._parts()]

    def _asked(self, above: str) -> list[str]:
        chosen = {
            _ASKED_DIRECTORY.replace("{known}", _LEFT_JOIN_KNOWN): "directory" in self.containers,
            _ASKED_GROUP.replace("{above}", above.replace("{group}", "grouping.id")): "group" in self.containers,
            _ASKED_MISCELLANEOUS: "miscellaneous" in self.containers,
            _ASKED_ACCOUNT: Kind.ACCOUNT in self.kinds,
            _ASKED_RESOURCE_GROUP: Kind.RESOURCE_GROUP in self.kinds,
        }
        opened, known = (_OPEN, _LEFT_JOIN_KNOWN) if self.partly else ("", "")
        return [
            text.replace("{open}", opened).replace("{known}", known) for text, is_needed in chosen.items() if is_needed
        ]

    def _loose(self) -> list[str]:
        if not self.loose:
            return []
        places = " UNION ALL ".join(_ASKED_PLACES[name] for name in self.containers)
        chosen = {
            _HIGHEST: self.groups,
            _LOOSE_ACCOUNT: Kind.ACCOUNT in self.roles,
            _LOOSE_RESOURCE_GROUP: Kind.RESOURCE_GROUP in self.roles,
            f"asked_place AS MATERIALIZED ({places})": True,
        }
        return [text for text, is_needed in chosen.items() if is_needed]

    def _parts(self) -> list[str]:
        return [
            f"{part} AS MATERIALIZED ({' UNION ALL '.join(_PARTS[part][source] for source in sources)})"
            for part, sources in self.parts.items()
        ]


# Providers of whatever the viewer may see: their methods, calendars and publications are no secret to their customers.
KNOWN_PROVIDERS = """
known_provider AS MATERIALIZED (
    SELECT DISTINCT directory.provider_id
    FROM accounts_viewer_roots(%(viewer)s, %(now)s, 'see') AS root
    LEFT JOIN accounts_accountgroup grouping ON root.node_kind = 'account_group' AND grouping.id = root.node_id
    JOIN accounts_resourcedirectory directory
        ON (root.node_kind = 'resource_directory' AND directory.id = root.node_id)
        OR (root.node_kind = 'enterprise_parent' AND directory.enterprise_id = root.node_id)
        OR directory.id = grouping.directory_id
    UNION
    SELECT account.provider_id
    FROM accounts_viewer_roots(%(viewer)s, %(now)s, 'see') AS root
    LEFT JOIN accounts_resourcegroup part ON root.node_kind = 'resource_group' AND part.id = root.node_id
    JOIN accounts_account account
        ON (root.node_kind = 'account' AND account.id = root.node_id) OR account.id = part.account_id
    UNION
    SELECT provider.id FROM accounts_provider provider WHERE (SELECT accounts_is_operator(%(viewer)s))
)"""


class Parts(NamedTuple):
    """The beginning of a statement, its parameters, which of the parts it has, and whether keys tell who moved."""

    text: str
    params: dict[str, Any]
    names: frozenset[str]
    asked: frozenset[str]
    regrouped: bool


def visible_parts(question: Question, asked: Asked) -> Parts:
    """Begin a statement that knows what the viewer may add up.

    Returns:
        CTEs `pin`; `asked_directory`, `_group`, `_miscellaneous`, `_account`, `_resource_group`, as far as such nodes
        were asked for (`whole`: the months seen as a whole; `Parts.asked` names them); and `part_directory`,
        `part_miscellaneous`, `part_group`, `part_account`, `part_resource_group` as far as they can have rows
        (key, provider_id, months and the id of the part; `Parts.names` names them).
    """
    as_is, roles = asked.text == ASKED_AS_IS, question.role_kinds
    operator = question.viewer.is_operator
    needs = _Needs(asked.kinds, roles, operator, partly=not operator and (as_is or SWITCHED_OFF in roles), as_is=as_is)
    text = f"WITH {', '.join(cte.strip() for cte in [asked.text, *needs.ctes()])}"
    named = set(needs.containers) | {kind.value for kind in asked.kinds & {Kind.ACCOUNT, Kind.RESOURCE_GROUP}}
    return Parts(text, question.params() | asked.params, frozenset(needs.parts), frozenset(named), as_is)


def role_kinds(*, viewer: Viewer) -> frozenset[str]:
    """Find out on what kinds of nodes roles stand, and whether a directory is switched off; nothing for operators."""
    if viewer.is_operator:
        return frozenset()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT node_kind FROM accounts_viewer_roots(%s, %s, 'see') UNION ALL SELECT %s"
            " WHERE EXISTS (SELECT FROM accounts_resourcedirectory WHERE NOT multi_account_management)",
            [viewer.user_id, viewer.now, SWITCHED_OFF],
        )
        return frozenset(row[0] for row in cursor.fetchall())


def asked_for(nodes: Sequence[NodeKey], view: View = View.AS_WAS, windows: Sequence[str] | None = None) -> Asked:
    """Ask about given nodes; the key of a node is its place in the sequence, from 1.

    `windows` restricts each node to some months, as the text of a `datemultirange`; None = the whole period.
    """
    params: dict[str, Any] = {"kinds": [node.kind.value for node in nodes], "ids": [node.id for node in nodes]}
    kinds = frozenset(node.kind for node in nodes)
    if windows is not None:
        return Asked(ASKED_WITHIN, params | {"windows": list(windows)}, kinds)
    if view is View.AS_IS:
        return Asked(ASKED_AS_IS, params, kinds | {Kind.ACCOUNT})
    return Asked(ASKED, params, kinds)
