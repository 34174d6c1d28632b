"""The nodes asked for, with the months in which the viewer sees them."""

from __future__ import annotations

# What was asked for, with the months in which the viewer sees it as a whole and, where something below it may be
# visible although it is not, those in which they see it at all. The planner takes one node in two hundred for a group
# or an account; told with CASE, every second one.
OPEN = ", asked.months * COALESCE(known_asked.months, '{}'::datemultirange) AS open"
LEFT_JOIN_KNOWN = "LEFT JOIN known_asked ON known_asked.key = asked.key"
ASKED_DIRECTORY = """
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
ASKED_GROUP = """
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
    WHERE CASE asked.kind WHEN 'account_group' THEN true ELSE false END
)"""
ASKED_MISCELLANEOUS = """
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
ASKED_ACCOUNT = """
asked_account AS MATERIALIZED (
    SELECT asked.key, account.id AS account_id, account.provider_id, asked.months,
           asked.months * COALESCE(seen.months, '{}'::datemultirange) AS whole
           {open}
    FROM asked
    {known}
    JOIN accounts_account account ON account.id = asked.node_id
    LEFT JOIN seen_account seen ON seen.account_id = account.id
    WHERE CASE asked.kind WHEN 'account' THEN true ELSE false END
)"""
ASKED_RESOURCE_GROUP = """
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
