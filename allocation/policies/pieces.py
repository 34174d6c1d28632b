"""The disjoint pieces that make up what is visible of each node."""

from __future__ import annotations

from allocation.policies.nodes import Kind

HIGHEST = """
highest AS MATERIALIZED (
    -- Groups with a role of their own, without the months in which another such group stands above them.
    SELECT seen.group_id, seen.directory_id, seen.months - COALESCE(above.months, '{}'::datemultirange) AS months
    FROM seen_group seen
    LEFT JOIN (
        SELECT lower.group_id,
               range_agg(higher.months * datemultirange(daterange(closure.valid_from, closure.valid_to))) AS months
        FROM seen_group lower
        JOIN accounts_groupclosure closure ON closure.descendant_id = lower.group_id AND closure.depth > 0
        JOIN seen_group higher ON higher.group_id = closure.ancestor_id
        GROUP BY lower.group_id
    ) AS above ON above.group_id = seen.group_id
)"""
LOOSE_ACCOUNT = """
loose_account AS MATERIALIZED (
    -- Accounts with a role of their own, in the months in which no visible container holds them.
    SELECT place.account_id, place.directory_id, place.group_id, place.months * root.months - place.held AS months
    FROM place
    JOIN root ON root.node_id = place.account_id AND CASE root.node_kind WHEN 'account' THEN true ELSE false END
)"""
LOOSE_RESOURCE_GROUP = """
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
ASKED_PLACES = {
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
PARTS = {
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
CONTAINERS = {
    Kind.ENTERPRISE_PARENT: "directory",
    Kind.RESOURCE_DIRECTORY: "directory",
    Kind.MISCELLANEOUS: "miscellaneous",
    Kind.ACCOUNT_GROUP: "group",
}
