"""Which providers a viewer may know."""

from __future__ import annotations

# Providers of whatever the viewer may see: their methods, calendars and publications are no secret to their customers.
KNOWN_PROVIDERS = """
known_provider AS MATERIALIZED (
    SELECT DISTINCT directory.provider_id
    FROM accounts_viewer_spans(%(viewer)s, %(now)s, 'see') AS root
    LEFT JOIN accounts_accountgroup grouping ON root.node_kind = 'account_group' AND grouping.id = root.node_id
    JOIN accounts_resourcedirectory directory
        ON (root.node_kind = 'resource_directory' AND directory.id = root.node_id)
        OR (root.node_kind = 'enterprise_parent' AND directory.enterprise_id = root.node_id)
        OR directory.id = grouping.directory_id
    UNION
    SELECT account.provider_id
    FROM accounts_viewer_spans(%(viewer)s, %(now)s, 'see') AS root
    LEFT JOIN accounts_resourcegroup part ON root.node_kind = 'resource_group' AND part.id = root.node_id
    JOIN accounts_account account
        ON (root.node_kind = 'account' AND account.id = root.node_id) OR account.id = part.account_id
    UNION
    SELECT provider.id FROM accounts_provider provider WHERE (SELECT accounts_is_operator(%(viewer)s))
)"""
