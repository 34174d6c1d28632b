"""What may stand in a list of children: candidates with the months in which they stand there, and who may know them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection

from allocation.policies import Asked, Kind, NodeKey, Question

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOW = "datemultirange(daterange(%(start)s, %(bound)s))"
# None: all of them. The planner drops what is always true.
_CHOSEN_GROUPS = " AND (%(groups)s::bigint[] IS NULL OR edge.group_id = ANY(%(groups)s::bigint[]))"
_CHOSEN_ACCOUNTS = " AND (%(accounts)s::bigint[] IS NULL OR member.account_id = ANY(%(accounts)s::bigint[]))"
_SUBGROUPS = f"""
    SELECT 'account_group' AS kind, edge.group_id AS node_id, 3 AS kind_rank,
           range_agg(daterange(edge.valid_from, edge.valid_to)) * {WINDOW} AS months
    FROM accounts_groupedge edge
    WHERE edge.superseded_by_id IS NULL AND {{where}}{_CHOSEN_GROUPS}
    GROUP BY edge.group_id"""  # noqa: S608 fixed texts
MEMBERS = f"""
    SELECT 'account' AS kind, member.account_id AS node_id, 5 AS kind_rank,
           range_agg(daterange(member.valid_from, member.valid_to)) * {WINDOW} AS months
    FROM accounts_accountmembership member
    WHERE member.superseded_by_id IS NULL AND {{where}}
    GROUP BY member.account_id"""  # noqa: S608 fixed texts
_HAS_GROUPS = """EXISTS (
    SELECT FROM accounts_groupedge edge WHERE edge.directory_id = %(parent)s AND edge.parent_id IS NULL
        AND edge.superseded_by_id IS NULL
        AND daterange(edge.valid_from, edge.valid_to) && daterange(%(start)s, %(bound)s))"""
DIRECT = "member.directory_id = %(parent)s AND member.group_id IS NULL"
_CANDIDATES = {
    Kind.ENTERPRISE_PARENT: f"""
    SELECT 'resource_directory' AS kind, directory.id AS node_id, 2 AS kind_rank, {WINDOW} AS months
    FROM accounts_resourcedirectory directory WHERE directory.enterprise_id = %(parent)s""",  # noqa: S608 fixed texts
    Kind.RESOURCE_DIRECTORY: f"""
    {_SUBGROUPS.format(where="edge.directory_id = %(parent)s AND edge.parent_id IS NULL")}
    UNION ALL
    SELECT 'miscellaneous', %(parent)s::bigint, 4, range_agg(direct.months)
    FROM ({MEMBERS.format(where=DIRECT)}) AS direct
    WHERE {_HAS_GROUPS} HAVING NOT isempty(range_agg(direct.months))
    UNION ALL
    SELECT * FROM ({MEMBERS.format(where=DIRECT + _CHOSEN_ACCOUNTS)}) AS direct WHERE NOT {_HAS_GROUPS}""",  # noqa: S608 fixed texts
    Kind.MISCELLANEOUS: MEMBERS.format(where=DIRECT + _CHOSEN_ACCOUNTS),
    Kind.ACCOUNT_GROUP: f"""
    {_SUBGROUPS.format(where="edge.parent_id = %(parent)s")}
    UNION ALL
    {MEMBERS.format(where="member.group_id = %(parent)s" + _CHOSEN_ACCOUNTS)}""",
    Kind.ACCOUNT: f"""
    SELECT 'resource_group' AS kind, part.id AS node_id, 6 AS kind_rank, {WINDOW} AS months
    FROM accounts_resourcegroup part WHERE part.account_id = %(parent)s""",  # noqa: S608 fixed texts
    Kind.RESOURCE_GROUP: """
    SELECT 'resource_group' AS kind, 0::bigint AS node_id, 6 AS kind_rank, '{}'::datemultirange AS months
    WHERE false""",
}

# Whoever sees the parent in a month sees its children then; else a child needs a role of its own, or one below it.
_KNOWN_CHILDREN = """
candidate AS MATERIALIZED ({candidates}
), parent_seen AS MATERIALIZED (
    SELECT COALESCE(range_agg(daterange(seen.valid_from, seen.valid_to)), '{{}}'::datemultirange)
           + CASE WHEN accounts_is_operator(%(viewer)s) THEN '{{(,)}}' ELSE '{{}}' END::datemultirange AS months
    FROM accounts_viewer_months(%(viewer)s, %(now)s, 'see', %(parent_kind)s, ARRAY[%(parent)s]::bigint[]) AS seen
), own AS MATERIALIZED (
    SELECT role.node_kind, role.node_id, range_agg(daterange(role.valid_from, role.valid_to)) AS months,
           range_agg(daterange(role.valid_from, role.valid_to)) FILTER (WHERE role.visible) AS visible_months
    FROM (SELECT node_kind, node_id, valid_from, valid_to, true AS visible
          FROM accounts_viewer_roots(%(viewer)s, %(now)s, 'see')
          UNION ALL
          SELECT above.node_kind, above.node_id, above.valid_from, above.valid_to, false
          FROM (SELECT candidate.kind, array_agg(candidate.node_id) AS nodes FROM candidate GROUP BY candidate.kind
                UNION ALL
                SELECT 'account', NULL WHERE %(parent_kind)s = 'resource_directory') AS each
          CROSS JOIN LATERAL accounts_viewer_explorable(%(viewer)s, %(now)s, each.kind, each.nodes) AS above) AS role
    WHERE role.valid_from < role.valid_to
    GROUP BY role.node_kind, role.node_id
), loose AS MATERIALIZED (
    -- Accounts known by a role of their own that stand directly under the directory: they make Miscellaneous known.
    SELECT range_agg(own.months * datemultirange(daterange(member.valid_from, member.valid_to))) AS months
    FROM own JOIN accounts_accountmembership member ON member.account_id = own.node_id
    WHERE own.node_kind = 'account' AND %(parent_kind)s = 'resource_directory' AND member.superseded_by_id IS NULL
        AND member.directory_id = %(parent)s AND member.group_id IS NULL
), {child} AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY candidate.kind_rank, candidate.node_id) AS key, candidate.*,
           candidate.months && parent_seen.months
           OR COALESCE(candidate.months && own.visible_months, false) AS visible
    FROM candidate
    CROSS JOIN parent_seen
    CROSS JOIN loose
    LEFT JOIN own ON own.node_kind = candidate.kind AND own.node_id = candidate.node_id
    -- The planner takes one candidate in three hundred for a child, and a node of 20 000 for one of a few; told like
    -- this, every second one, and it hashes.
    WHERE CASE WHEN NOT isempty(candidate.months) AND candidate.kind = ANY(%(kinds_below)s::text[])
        AND (candidate.months && parent_seen.months OR candidate.months && own.months
             OR (candidate.kind = 'miscellaneous' AND candidate.months && loose.months)) THEN true ELSE false END
){cut}, asked AS MATERIALIZED (
    SELECT child.key, child.kind, child.node_id, child.months FROM child
)"""
_KINDS = {
    Kind.ENTERPRISE_PARENT: {Kind.RESOURCE_DIRECTORY},
    Kind.RESOURCE_DIRECTORY: {Kind.ACCOUNT_GROUP, Kind.MISCELLANEOUS, Kind.ACCOUNT},
    Kind.MISCELLANEOUS: {Kind.ACCOUNT},
    Kind.ACCOUNT_GROUP: {Kind.ACCOUNT_GROUP, Kind.ACCOUNT},
    Kind.ACCOUNT: {Kind.RESOURCE_GROUP},
    Kind.RESOURCE_GROUP: set[Kind](),
}


# Which kinds stand below containers that may hold several: a look into two indexes spares the planner every partition
# of the account totals where no accounts are among the children.
_MIXED = {
    Kind.RESOURCE_DIRECTORY: (
        "edge.directory_id = %(parent)s AND edge.parent_id IS NULL",
        "member.directory_id = %(parent)s AND member.group_id IS NULL",
    ),
    Kind.MISCELLANEOUS: ("false", "member.directory_id = %(parent)s AND member.group_id IS NULL"),
    Kind.ACCOUNT_GROUP: ("edge.parent_id = %(parent)s", "member.group_id = %(parent)s"),
}
# One row of each kind tells that there is one; as many as `few`, and one more, that there are many.
_BELOW = """
SELECT (SELECT count(*) FROM (
            SELECT FROM accounts_groupedge edge WHERE edge.superseded_by_id IS NULL AND {groups}
                AND daterange(edge.valid_from, edge.valid_to) && daterange(%(start)s, %(bound)s)
            LIMIT %(few)s + 1) AS found),
       (SELECT count(*) FROM (
            SELECT FROM accounts_accountmembership member WHERE member.superseded_by_id IS NULL AND {members}
                AND daterange(member.valid_from, member.valid_to) && daterange(%(start)s, %(bound)s)
            LIMIT %(few)s + 1) AS found)
"""
FEW = 500
"""So many candidates are described and sorted with all that is shown of them; of more, a page is chosen first."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What may be listed below a node: the kinds that there are, and of which of them there are many.

    `groups` and `accounts` restrict them to some; None = all of them.
    """

    parent: NodeKey
    kinds: frozenset[Kind]
    many: frozenset[Kind] = frozenset()
    groups: Sequence[int] | None = None
    accounts: Sequence[int] | None = None

    def asked(self, cut: str = "") -> Asked:
        """Begin a statement with the children that the viewer may know: `child`, and `asked` for their amounts.

        `cut` begins with a comma and makes `child` out of a choice of `every_child`.
        """
        kind = Kind.RESOURCE_DIRECTORY if self.parent.kind is Kind.MISCELLANEOUS else self.parent.kind
        params = {
            "parent": self.parent.id,
            "parent_kind": kind.value,
            "kinds_below": [kind.value for kind in self.kinds],
            "groups": None if self.groups is None else list(self.groups),
            "accounts": None if self.accounts is None else list(self.accounts),
        }
        known = "every_child" if cut else "child"
        text = _KNOWN_CHILDREN.format(candidates=_CANDIDATES[self.parent.kind], child=known, cut=cut)
        return Asked(text, params, self.kinds)


def candidates_below(question: Question, parent: NodeKey) -> Candidates:
    """Find out which kinds stand below a node, whoever may know them: no child of another kind is listed."""
    if parent.kind not in _MIXED:
        return Candidates(parent, frozenset(_KINDS[parent.kind]))
    groups, members = _MIXED[parent.kind]
    params: dict[str, Any] = {
        "parent": parent.id,
        "few": FEW,
        "start": question.period.start,
        "bound": question.period.bound,
    }
    with connection.cursor() as cursor:
        cursor.execute(_BELOW.format(groups=groups, members=members), params)
        group_count, member_count = cursor.fetchone()
    found = {Kind.ACCOUNT_GROUP: group_count}
    gathered = parent.kind is Kind.RESOURCE_DIRECTORY and group_count
    found[Kind.MISCELLANEOUS if gathered else Kind.ACCOUNT] = min(member_count, 1) if gathered else member_count
    return Candidates(
        parent,
        frozenset(kind for kind, count in found.items() if count),
        frozenset(kind for kind, count in found.items() if count > FEW),
    )
