"""The nodes asked for, with the months in which the viewer sees them."""

from __future__ import annotations

from allocation.policies.nodes import Kind
from allocation.policies.pieces import CONTAINERS

# What was asked for, with the months in which the viewer sees it as a whole and, where something below it may be
# visible although it is not, those in which they see it at all. The planner takes one node in two hundred for one of a
# kind; told with CASE, every second one.
OPEN = ", asked.months * COALESCE(known_asked.months, '{}'::datemultirange) AS open"
LEFT_JOIN_KNOWN = "LEFT JOIN known_asked ON known_asked.key = asked.key"


def _asked(kind: Kind, columns: str, joins: str, whole: str) -> str:
    """What was asked for of one kind; `{open}` and `{known}` are filled in where something below may be visible."""
    return f"""
asked_{CONTAINERS.get(kind, kind)} AS MATERIALIZED (
    SELECT asked.key, {columns}, asked.months,
           asked.months * {whole} AS whole
           {{open}}
    FROM asked
    {{known}}
    {joins}
    WHERE CASE asked.kind WHEN '{kind}' THEN true ELSE false END
)"""  # noqa: S608 fixed texts


_SEEN = "COALESCE(seen.months, '{}'::datemultirange)"
_DIRECTORY = """JOIN accounts_resourcedirectory directory ON directory.id = {}
    LEFT JOIN seen_directory seen ON seen.directory_id = directory.id"""
ASKED_GROUP = _asked(
    Kind.ACCOUNT_GROUP,
    "grouping.id AS group_id, grouping.directory_id, directory.provider_id",
    "JOIN accounts_accountgroup grouping ON grouping.id = asked.node_id\n    "
    + _DIRECTORY.format("grouping.directory_id")
    + "\n    {above}",
    f"({_SEEN} + COALESCE(above.months, '{{}}'::datemultirange))",
)
ASKED_MISCELLANEOUS = _asked(
    Kind.MISCELLANEOUS,
    "directory.id AS directory_id, directory.provider_id",
    _DIRECTORY.format("asked.node_id"),
    _SEEN,
)
ASKED_ACCOUNT = _asked(
    Kind.ACCOUNT,
    "account.id AS account_id, account.provider_id",
    """JOIN accounts_account account ON account.id = asked.node_id
    LEFT JOIN seen_account seen ON seen.account_id = account.id""",
    _SEEN,
)
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
