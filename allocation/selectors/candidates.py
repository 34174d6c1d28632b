"""What may stand in a list of children: candidates with the months in which they stand there, and who may know them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accounts.statements import rows_of
from allocation.policies import KNOWN_NODE, Asked, Kind, NodeKey, Question

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

WINDOW = "datemultirange(daterange(%(start)s, %(bound)s))"
# Left out where all of them are candidates: a plan that does not know the parameters cannot tell.
_CHOSEN_GROUPS = " AND edge.group_id = ANY(%(groups)s::bigint[])"
_CHOSEN_ACCOUNTS = " AND member.account_id = ANY(%(accounts)s::bigint[])"
_SUBGROUPS = f"""
    SELECT '{{kind}}' AS parent_kind, {{parent}} AS parent_id, 'account_group' AS kind, edge.group_id AS node_id,
           3 AS kind_rank, range_agg(daterange(edge.valid_from, edge.valid_to)) * {WINDOW} AS months
    FROM accounts_groupedge edge
    WHERE edge.superseded_by_id IS NULL AND {{where}}{_CHOSEN_GROUPS}
    GROUP BY {{parent}}, edge.group_id"""  # noqa: S608 fixed texts
MEMBERS = f"""
    SELECT '{{kind}}' AS parent_kind, {{parent}} AS parent_id, 'account' AS kind, member.account_id AS node_id,
           5 AS kind_rank, range_agg(daterange(member.valid_from, member.valid_to)) * {WINDOW} AS months
    FROM accounts_accountmembership member{{join}}
    WHERE member.superseded_by_id IS NULL AND {{where}}
    GROUP BY {{parent}}, member.account_id"""  # noqa: S608 fixed texts
# Arrays, not a join with the parents: the planner knows how much stands below these, and not below just any.
DIRECT = "member.directory_id = ANY(%({})s::bigint[]) AND member.group_id IS NULL"
_DIRECTLY = MEMBERS.format(
    kind="{kind}", parent="member.directory_id", join="", where=DIRECT.format("{array}") + _CHOSEN_ACCOUNTS
)
_CANDIDATES = {
    Kind.ENTERPRISE_PARENT: f"""
    SELECT 'enterprise_parent' AS parent_kind, directory.enterprise_id AS parent_id, 'resource_directory' AS kind,
           directory.id AS node_id, 2 AS kind_rank, {WINDOW} AS months
    FROM accounts_resourcedirectory directory
    WHERE directory.enterprise_id = ANY(%(enterprise_parent)s::bigint[])""",  # noqa: S608 fixed texts
    Kind.RESOURCE_DIRECTORY: f"""
    {
        _SUBGROUPS.format(
            kind="resource_directory",
            parent="edge.directory_id",
            where="edge.directory_id = ANY(%(resource_directory)s::bigint[]) AND edge.parent_id IS NULL",
        )
    }
    UNION ALL
    -- Thousands of stays are of a few spans.
    SELECT 'resource_directory', stay.directory_id, 'miscellaneous', stay.directory_id, 4,
           range_agg(daterange(stay.valid_from, stay.valid_to)) * {WINDOW}
    FROM (SELECT DISTINCT member.directory_id, member.valid_from, member.valid_to
          FROM accounts_accountmembership member
          WHERE member.superseded_by_id IS NULL AND {DIRECT.format("gathered")}) AS stay
    GROUP BY stay.directory_id
    UNION ALL
    {_DIRECTLY.format(kind="resource_directory", array="ungrouped")}""",  # noqa: S608 fixed texts
    Kind.MISCELLANEOUS: _DIRECTLY.format(kind="miscellaneous", array="miscellaneous"),
    Kind.ACCOUNT_GROUP: f"""
    {
        _SUBGROUPS.format(
            kind="account_group", parent="edge.parent_id", where="edge.parent_id = ANY(%(account_group)s::bigint[])"
        )
    }
    UNION ALL
    {
        MEMBERS.format(
            kind="account_group",
            parent="member.group_id",
            join="",
            where="member.group_id = ANY(%(account_group)s::bigint[])" + _CHOSEN_ACCOUNTS,
        )
    }""",
    Kind.ACCOUNT: f"""
    SELECT 'account' AS parent_kind, part.account_id AS parent_id, 'resource_group' AS kind, part.id AS node_id,
           6 AS kind_rank, {WINDOW} AS months
    FROM accounts_resourcegroup part WHERE part.account_id = ANY(%(account)s::bigint[])""",  # noqa: S608 fixed texts
}

# Whoever sees the parent in a month sees its children then; else a child needs a role of its own, or one below it.
_KNOWN_CHILDREN = f"""
parent AS MATERIALIZED (
    SELECT * FROM unnest(%(parent_kinds)s::text[], %(parent_ids)s::bigint[]) AS parent (kind, node_id)
), candidate AS MATERIALIZED ({{candidates}}
), {KNOWN_NODE.format(nodes="parent").strip().replace("known_node", "known_parent")}, own AS MATERIALIZED (
    SELECT role.node_kind, role.node_id, range_agg(daterange(role.valid_from, role.valid_to)) AS months,
           range_agg(daterange(role.valid_from, role.valid_to)) FILTER (WHERE role.visible) AS visible_months
    FROM (SELECT root.node_kind, root.node_id, root.valid_from, root.valid_to, true AS visible
          FROM accounts_viewer_spans(%(viewer)s, %(now)s, 'see') AS root
          WHERE (root.node_kind, root.node_id) IN (SELECT candidate.kind, candidate.node_id FROM candidate)
          UNION ALL
          SELECT above.node_kind, above.node_id, above.valid_from, above.valid_to, false
          FROM (SELECT candidate.kind, array_agg(candidate.node_id) AS nodes FROM candidate GROUP BY candidate.kind
               ) AS each
          CROSS JOIN LATERAL accounts_viewer_explorable(%(viewer)s, %(now)s, each.kind, each.nodes) AS above) AS role
    WHERE role.valid_from < role.valid_to
    GROUP BY role.node_kind, role.node_id
), loose AS MATERIALIZED (
    -- Accounts known by a role of their own that stand directly under a directory: they make Miscellaneous known.
    SELECT member.directory_id,
           range_agg(daterange(known.valid_from, known.valid_to) * daterange(member.valid_from, member.valid_to))
               AS months
    FROM accounts_viewer_explorable(%(viewer)s, %(now)s, 'account', NULL) AS known
    JOIN accounts_accountmembership member ON member.account_id = known.node_id
    WHERE %(gathered)s::bigint[] <> '{{{{}}}}' AND known.valid_from < known.valid_to
        AND member.superseded_by_id IS NULL
        AND member.directory_id = ANY(%(gathered)s::bigint[]) AND member.group_id IS NULL
    GROUP BY member.directory_id
), {{child}} AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY candidate.kind_rank, candidate.parent_kind, candidate.parent_id,
                                       candidate.node_id) AS key, candidate.*,
           COALESCE(candidate.months && known_parent.months, false)
           OR COALESCE(candidate.months && own.visible_months, false) AS visible
    FROM candidate
    LEFT JOIN known_parent ON known_parent.kind = candidate.parent_kind AND known_parent.node_id = candidate.parent_id
    LEFT JOIN loose ON candidate.kind = 'miscellaneous' AND loose.directory_id = candidate.parent_id
    LEFT JOIN own ON own.node_kind = candidate.kind AND own.node_id = candidate.node_id
    -- The planner takes one candidate in three hundred for a child, and a node of 20 000 for one of a few; told like
    -- this, every second one, and it hashes.
    WHERE CASE WHEN NOT isempty(candidate.months) AND candidate.kind = ANY(%(kinds_below)s::text[])
        AND (candidate.months && known_parent.months OR candidate.months && own.months
             OR candidate.months && loose.months) THEN true ELSE false END
){{cut}}, asked AS MATERIALIZED (
    SELECT child.key, child.kind, child.node_id, child.months FROM child
)"""  # noqa: S608 fixed texts
_KINDS = {
    Kind.ENTERPRISE_PARENT: {Kind.RESOURCE_DIRECTORY},
    Kind.ACCOUNT: {Kind.RESOURCE_GROUP},
}


# Which kinds stand below containers that may hold several: a look into two indexes spares the planner every partition
# of the account totals where no accounts are among the children.
_MIXED = {
    Kind.RESOURCE_DIRECTORY: (
        "edge.directory_id = container.id AND edge.parent_id IS NULL",
        "member.directory_id = container.id AND member.group_id IS NULL",
    ),
    Kind.MISCELLANEOUS: ("false", "member.directory_id = container.id AND member.group_id IS NULL"),
    Kind.ACCOUNT_GROUP: ("edge.parent_id = container.id", "member.group_id = container.id"),
}
# One row of each kind tells that there is one; as many as `few`, and one more, that there are many.
_BELOW = """
SELECT '{kind}', container.id,
       (SELECT count(*) FROM (
            SELECT FROM accounts_groupedge edge WHERE edge.superseded_by_id IS NULL AND {groups}
                AND daterange(edge.valid_from, edge.valid_to) && daterange(%(start)s, %(bound)s)
            LIMIT %(few)s + 1) AS found),
       (SELECT count(*) FROM (
            SELECT FROM accounts_accountmembership member WHERE member.superseded_by_id IS NULL AND {members}
                AND daterange(member.valid_from, member.valid_to) && daterange(%(start)s, %(bound)s)
            LIMIT %(few)s + 1) AS found)
FROM unnest(%({kind})s::bigint[]) AS container (id)"""
FEW = 500
"""So many candidates are described and sorted with all that is shown of them; of more, a page is chosen first."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What may be listed below some nodes: the kinds that there are, and of which of them a node has many.

    `gathered` are the directories whose accounts in no group stand below *Miscellaneous*, `ungrouped` the others.
    `groups` and `accounts` restrict candidates to some; None = all of them.
    """

    parents: tuple[NodeKey, ...]
    kinds: frozenset[Kind]
    many: frozenset[Kind] = frozenset()
    gathered: tuple[int, ...] = ()
    ungrouped: tuple[int, ...] = ()
    groups: Sequence[int] | None = None
    accounts: Sequence[int] | None = None

    def asked(self, cut: str = "") -> Asked:
        """Begin a statement with the children that the viewer may know: `child`, and `asked` for their amounts.

        `cut` begins with a comma and makes `child` out of a choice of `every_child`.
        """
        there = {parent.kind for parent in self.parents}
        candidates = " UNION ALL ".join(text for kind, text in _CANDIDATES.items() if kind in there)
        if self.groups is None:
            candidates = candidates.replace(_CHOSEN_GROUPS, "")
        if self.accounts is None:
            candidates = candidates.replace(_CHOSEN_ACCOUNTS, "")
        params = {
            "parent_kinds": [parent.kind.value for parent in self.parents],
            "parent_ids": [parent.id for parent in self.parents],
            "kinds_below": [kind.value for kind in self.kinds],
            "gathered": list(self.gathered),
            "ungrouped": list(self.ungrouped),
            "groups": list(self.groups or ()),
            "accounts": list(self.accounts or ()),
        }
        text = _KNOWN_CHILDREN.format(candidates=candidates, child="every_child" if cut else "child", cut=cut)
        return Asked(text, ids_by_kind(self.parents) | params, self.kinds)


def ids_by_kind(nodes: Collection[NodeKey]) -> dict[str, Any]:
    """The ids of nodes as parameters: one for each kind, named after it."""
    found: dict[str, Any] = {kind.value: [] for kind in Kind}
    for node in nodes:
        found[node.kind.value].append(node.id)
    return found


def candidates_below(question: Question, parents: Collection[NodeKey]) -> Candidates:
    """Find out which kinds stand below some nodes, whoever may know them: no child of another kind is listed."""
    there = {parent.kind for parent in parents}
    kinds = {below for kind, found in _KINDS.items() if kind in there for below in found}
    many: set[Kind] = set()
    directories: dict[bool, list[int]] = {True: [], False: []}
    for kind, node_id, groups, members in _looked_up(question, parents) if there & _MIXED.keys() else ():
        gathered = kind == Kind.RESOURCE_DIRECTORY and groups > 0
        if kind == Kind.RESOURCE_DIRECTORY:
            directories[gathered].append(node_id)
        found = {Kind.ACCOUNT_GROUP: groups}
        found[Kind.MISCELLANEOUS if gathered else Kind.ACCOUNT] = min(members, 1) if gathered else members
        kinds |= {below for below, count in found.items() if count}
        many |= {below for below, count in found.items() if count > FEW}
    return Candidates(
        tuple(parents), frozenset(kinds), frozenset(many), tuple(directories[True]), tuple(directories[False])
    )


def _looked_up(question: Question, parents: Collection[NodeKey]) -> list[tuple[str, int, int, int]]:
    """Kind, id, number of groups, number of accounts of each container."""
    there = {parent.kind for parent in parents}
    text = " UNION ALL ".join(
        _BELOW.format(kind=kind.value, groups=groups, members=members)
        for kind, (groups, members) in _MIXED.items()
        if kind in there
    )
    params = {"few": FEW, "start": question.period.start, "bound": question.period.bound}
    return rows_of(text, ids_by_kind(parents) | params)
