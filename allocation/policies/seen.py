"""What the viewer sees: CTEs, each written for what a question needs."""

from __future__ import annotations

from allocation.policies.asked import KNOWN_NODE

PIN = """
pin AS MATERIALIZED (
    SELECT * FROM unnest(%(publications)s::bigint[], %(runs)s::bigint[], %(providers)s::bigint[], %(months)s::date[])
        AS pin (publication_id, run_id, provider_id, month)
)"""
ROOT = """
root AS MATERIALIZED (
    SELECT held.node_kind, held.node_id, range_agg(daterange(held.valid_from, held.valid_to)) AS months
    FROM accounts_viewer_spans(%(viewer)s, %(now)s, 'numbers') AS held
    WHERE held.valid_from < held.valid_to
    GROUP BY held.node_kind, held.node_id
)"""
# Operators need no roles; whether somebody is one is asked again by every statement.
NO_ROOT = """
root AS MATERIALIZED (
    SELECT NULL::text AS node_kind, NULL::bigint AS node_id, NULL::datemultirange AS months WHERE false
), everything AS MATERIALIZED (
    SELECT '{(,)}'::datemultirange AS months WHERE accounts_is_operator(%(viewer)s)
)"""
SEEN_DIRECTORY = """
seen_directory AS MATERIALIZED (
    SELECT seen.directory_id, range_agg(seen.months) AS months
    FROM (SELECT root.node_id AS directory_id, root.months FROM root WHERE root.node_kind = 'resource_directory'
          UNION ALL
          SELECT directory.id, root.months
          FROM root JOIN accounts_resourcedirectory directory ON directory.enterprise_id = root.node_id
          WHERE root.node_kind = 'enterprise_parent' AND directory.multi_account_management) AS seen
    GROUP BY seen.directory_id
)"""
EVERY_DIRECTORY = """
seen_directory AS MATERIALIZED (
    SELECT directory.id AS directory_id, everything.months FROM accounts_resourcedirectory directory, everything
)"""
SEEN_GROUP = """
seen_group AS MATERIALIZED (
    SELECT root.node_id AS group_id, grouping.directory_id,
           root.months - COALESCE(whole.months, '{}'::datemultirange) AS months
    FROM root JOIN accounts_accountgroup grouping ON grouping.id = root.node_id
    LEFT JOIN seen_directory whole ON whole.directory_id = grouping.directory_id
    -- The planner takes one role in two hundred for a group; told like this, every second one, and it hashes.
    WHERE CASE root.node_kind WHEN 'account_group' THEN true ELSE false END
)"""
# Months in which a group stands below one with a role, or is one. Worked out for all groups in question at once: a
# viewer may have a thousand roles, and for each group anew all of them would be gone through.
COVERED = """
covered AS MATERIALIZED (
    SELECT closure.descendant_id AS group_id,
           range_agg(seen_group.months * datemultirange(daterange(closure.valid_from, closure.valid_to))) AS months
    FROM ({groups}) AS wanted
    JOIN accounts_groupclosure closure ON closure.descendant_id = wanted.group_id
    JOIN seen_group ON seen_group.group_id = closure.ancestor_id
    GROUP BY closure.descendant_id
)"""
ASKED_GROUPS = "SELECT node_id AS group_id FROM asked WHERE kind = 'account_group'"
GROUPS_OF_SUBJECTS = """SELECT member.group_id FROM ({subjects}) AS subject
        JOIN accounts_accountmembership member
            ON member.account_id = subject.account_id AND member.superseded_by_id IS NULL
        WHERE member.group_id IS NOT NULL"""
ABOVE = "LEFT JOIN covered above ON above.group_id = {group}"
NOTHING_ABOVE = "CROSS JOIN (SELECT '{}'::datemultirange AS months) AS above"
# Enterprises are visible as a whole or by name; what is below one may be seen although it is not. Everything else that
# is seen is seen as a whole, unless a directory is switched off.
KNOWN_ENTERPRISE = """
known_asked AS MATERIALIZED (
    SELECT asked.key, root.months
    FROM asked JOIN root ON root.node_kind = 'enterprise_parent' AND root.node_id = asked.node_id
    WHERE asked.kind = 'enterprise_parent'
)"""
KNOWN_BY_OPERATOR = """
known_asked AS MATERIALIZED (
    SELECT asked.key, everything.months FROM asked, everything WHERE asked.kind = 'enterprise_parent'
)"""
KNOWN = f"""{KNOWN_NODE.format(nodes="asked")}, known_asked AS MATERIALIZED (
    SELECT asked.key, known_node.months FROM asked JOIN known_node USING (kind, node_id)
)"""  # noqa: S608 fixed texts
PLACE = """
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
SUBJECTS = {
    "asked accounts": "SELECT node_id AS account_id FROM asked WHERE kind = 'account'",
    "asked parts": """SELECT part.account_id FROM asked JOIN accounts_resourcegroup part ON part.id = asked.node_id
          WHERE asked.kind = 'resource_group'""",
    "roles on accounts": "SELECT node_id AS account_id FROM root WHERE node_kind = 'account'",
    "roles on parts": """SELECT part.account_id FROM root JOIN accounts_resourcegroup part ON part.id = root.node_id
          WHERE root.node_kind = 'resource_group'""",
}
SEEN_ACCOUNT = """
seen_account AS MATERIALIZED (
    SELECT seen.account_id, range_agg(seen.months) AS months
    FROM (SELECT root.node_id AS account_id, root.months FROM root WHERE root.node_kind = 'account'
          UNION ALL
          SELECT place.account_id, place.held FROM place) AS seen
    GROUP BY seen.account_id
)"""
EVERY_ACCOUNT = """
seen_account AS MATERIALIZED (
    SELECT asked.node_id AS account_id, everything.months FROM asked, everything WHERE asked.kind = 'account'
    UNION
    SELECT part.account_id, everything.months
    FROM asked JOIN accounts_resourcegroup part ON part.id = asked.node_id, everything
    WHERE asked.kind = 'resource_group'
)"""
