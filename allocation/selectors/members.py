"""The accounts inside the visible parts of nodes, each with the group in which it stands directly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocation.selectors.published_tree import members_then

if TYPE_CHECKING:
    from collections.abc import Collection

# An account in each of its groups, and in none (NULL) as long as it stands in none.
STAYS = """
    CROSS JOIN LATERAL (
        SELECT member.group_id, datemultirange(daterange(member.valid_from, member.valid_to)) AS months
        FROM accounts_accountmembership member
        WHERE member.account_id = part.account_id AND member.superseded_by_id IS NULL
        UNION ALL
        SELECT NULL, '{(,)}'::datemultirange - COALESCE(range_agg(daterange(member.valid_from, member.valid_to)),
                                                        '{}'::datemultirange)
        FROM accounts_accountmembership member
        WHERE member.account_id = part.account_id AND member.superseded_by_id IS NULL
    ) AS stay
    WHERE stay.months && part.months"""
# The accounts inside the visible containers, each with the group in which it stands directly.
MEMBERS = {
    "part_directory": """
    SELECT part.key, part.provider_id, member.account_id, member.group_id,
           part.months * datemultirange(daterange(member.valid_from, member.valid_to)) AS months
    FROM part_directory part
    JOIN accounts_accountmembership member ON member.directory_id = part.directory_id
    WHERE member.superseded_by_id IS NULL AND part.months && daterange(member.valid_from, member.valid_to)""",
    "part_miscellaneous": """
    SELECT part.key, part.provider_id, member.account_id, member.group_id,
           part.months * datemultirange(daterange(member.valid_from, member.valid_to)) AS months
    FROM part_miscellaneous part
    JOIN accounts_accountmembership member ON member.directory_id = part.directory_id AND member.group_id IS NULL
    WHERE member.superseded_by_id IS NULL AND part.months && daterange(member.valid_from, member.valid_to)""",
    "part_group": """
    SELECT part.key, part.provider_id, member.account_id, member.group_id,
           part.months * datemultirange(daterange(member.valid_from, member.valid_to))
               * datemultirange(daterange(closure.valid_from, closure.valid_to)) AS months
    FROM part_group part
    JOIN accounts_groupclosure closure ON closure.ancestor_id = part.group_id
    JOIN accounts_accountmembership member ON member.group_id = closure.descendant_id
    WHERE member.superseded_by_id IS NULL AND part.months && daterange(member.valid_from, member.valid_to)
        AND part.months && daterange(closure.valid_from, closure.valid_to)""",
    "part_account": """
    SELECT part.key, part.provider_id, part.account_id, stay.group_id, stay.months * part.months AS months
    FROM part_account part"""  # noqa: S608 fixed texts
    + STAYS,
}


def members_of(wanted: Collection[str], *, as_of: bool) -> str:
    """The accounts in the visible parts, by the tree as it is known today or was published; nothing where none are."""
    members = [text for part, text in MEMBERS.items() if part in wanted]
    if not members:
        return ""
    return members_then(wanted, MEMBERS) if as_of else f", member AS MATERIALIZED ({' UNION ALL '.join(members)})"
