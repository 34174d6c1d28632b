"""The accounts below a node as they stood when its months were published: what an as-of breakdown is made of.

A publication names the version of the tree that it was rolled up by; a recorded place counts for it if it had been
recorded by then and not yet corrected. What may be seen is decided by what is known today: an account that a reader may
not see today is left out, though the node's published total has it, and a group that they may not know is not named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# In which of the months asked for a recorded row belongs to the tree of the publication.
_THEN = """(datemultirange(daterange({row}.valid_from, {row}.valid_to)) * CASE
        WHEN {row}.superseded_by_id IS NULL AND {row}.recorded_by_id <= (SELECT min(version) FROM tree)
        THEN '{(,)}'::datemultirange
        ELSE COALESCE((
            SELECT range_agg(tree.months) FROM tree
            WHERE tree.provider_id = {provider}.provider_id AND CASE
                WHEN tree.version IS NULL THEN {row}.superseded_by_id IS NULL
                ELSE {row}.recorded_by_id <= tree.version
                    AND ({row}.superseded_by_id IS NULL OR {row}.superseded_by_id > tree.version) END
        ), '{}'::datemultirange) END)"""


def _then(row: str, provider: str) -> str:
    return _THEN.replace("{row}", row).replace("{provider}", provider)


_MEMBER: Final = _then("member", "part")
_OF_DIRECTORY = f"""
    SELECT part.key, part.provider_id, member.account_id, member.group_id, part.months * {_MEMBER} AS months
    FROM {{part}} part JOIN accounts_accountmembership member ON member.directory_id = part.directory_id{{directly}}
    WHERE part.months && daterange(member.valid_from, member.valid_to)"""  # noqa: S608 fixed texts
_MEMBERS: Final = {
    "part_directory": _OF_DIRECTORY.replace("{part}", "part_directory").replace("{directly}", ""),
    "part_miscellaneous": _OF_DIRECTORY.replace("{part}", "part_miscellaneous").replace(
        "{directly}", " AND member.group_id IS NULL"
    ),
    "part_group": f"""
    SELECT part.key, part.provider_id, member.account_id, member.group_id, part.months * {_MEMBER} AS months
    FROM group_then part JOIN accounts_accountmembership member ON member.group_id = part.group_id
    WHERE part.months && daterange(member.valid_from, member.valid_to)""",  # noqa: S608 fixed texts
    "part_account": f"""
    SELECT part.key, part.provider_id, part.account_id, stay.group_id, stay.months * part.months AS months
    FROM part_account part
    CROSS JOIN LATERAL (
        SELECT member.group_id, {_MEMBER} AS months
        FROM accounts_accountmembership member WHERE member.account_id = part.account_id
        UNION ALL
        SELECT NULL, '{{(,)}}'::datemultirange - COALESCE(range_agg({_MEMBER}), '{{}}'::datemultirange)
        FROM accounts_accountmembership member WHERE member.account_id = part.account_id
    ) AS stay""",  # noqa: S608 fixed texts
}
_GROUPS: Final = f"""
, group_then AS MATERIALIZED (
    WITH RECURSIVE walk (key, provider_id, group_id, months) AS (
        SELECT part.key, part.provider_id, part.group_id, part.months FROM part_group part
        UNION
        SELECT walk.key, walk.provider_id, edge.group_id, walk.months * {_then("edge", "walk")}
        FROM walk JOIN accounts_groupedge edge ON edge.parent_id = walk.group_id
        WHERE NOT isempty(walk.months * {_then("edge", "walk")})
    )
    SELECT key, provider_id, group_id, range_agg(months) AS months FROM walk GROUP BY key, provider_id, group_id
)"""  # noqa: S608 fixed texts
_SHOWN: Final = """
, then_member AS MATERIALIZED (
    SELECT * FROM ({then}) AS every WHERE NOT isempty(every.months)
), now_member AS MATERIALIZED ({now}
), now_account AS MATERIALIZED (
    SELECT key, account_id, range_agg(months) AS months FROM now_member GROUP BY key, account_id
), every_eye AS MATERIALIZED (
    SELECT accounts_is_operator(%(viewer)s) AS sees
), shown_account AS MATERIALIZED (
    SELECT seen.node_id AS account_id, range_agg(daterange(seen.valid_from, seen.valid_to)) AS months
    FROM accounts_viewer_months(%(viewer)s, %(now)s, 'numbers', 'account', ARRAY(
        SELECT DISTINCT then_member.account_id
        FROM then_member LEFT JOIN now_account USING (key, account_id)
        WHERE NOT COALESCE(now_account.months, '{}') @> then_member.months)) AS seen
    GROUP BY seen.node_id
), known_group AS MATERIALIZED (
    SELECT group_id FROM now_member
    UNION
    SELECT then_member.group_id FROM then_member, every_eye WHERE every_eye.sees
    UNION
    SELECT seen.node_id
    FROM accounts_viewer_months(%(viewer)s, %(now)s, 'see', 'account_group', ARRAY(
        SELECT then_member.group_id FROM then_member EXCEPT SELECT now_member.group_id FROM now_member)) AS seen
), member AS MATERIALIZED (
    SELECT then_member.key, then_member.provider_id, then_member.account_id, known_group.group_id,
           then_member.months * (COALESCE(now_account.months, '{}') + COALESCE(shown_account.months, '{}')
                                 + CASE WHEN every_eye.sees THEN '{(,)}' ELSE '{}' END::datemultirange) AS months
    FROM then_member
    CROSS JOIN every_eye
    LEFT JOIN now_account USING (key, account_id)
    LEFT JOIN shown_account USING (account_id)
    LEFT JOIN known_group ON known_group.group_id = then_member.group_id
)"""
_TREE: Final = """
, tree AS MATERIALIZED (
    SELECT pin.provider_id, daterange(pin.month, (pin.month + interval '1 month')::date) AS months,
           publication.tree_version_id AS version
    FROM pin JOIN allocation_publication publication ON publication.id = pin.publication_id
)"""


def members_then(wanted: Collection[str], now: Mapping[str, str]) -> str:
    """Write `member` (key, provider_id, account_id, group_id, months) by the trees of the publications.

    Args:
        wanted: the parts of `visible_parts` that there are; at least one of those in `now`.
        now: for each part that holds accounts, the same by the tree as it is known today.
    """
    parts = [part for part in now if part in wanted]
    then = " UNION ALL ".join(_MEMBERS[part] for part in parts)
    today = " UNION ALL ".join(now[part] for part in parts)
    groups = _GROUPS if "part_group" in wanted else ""
    return _TREE + groups + _SHOWN.replace("{then}", then).replace("{now}", today)
