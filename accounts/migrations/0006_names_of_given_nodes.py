"""Find names on the way up for the nodes in question alone.

`accounts_viewer_explorable` worked out everything that stands above a viewer's roles: for a thousand roles some twenty
milliseconds, though every request asks about one node or a page of them. It now takes their kind and ids, NULL for all
of them. What it answers about a node does not change.
"""

from importlib import import_module

from django.db import migrations

_OLD = import_module("accounts.migrations.0003_visible_sets")

EXPLORABLE = """
CREATE FUNCTION accounts_viewer_explorable(viewer bigint, at timestamptz, kind text, nodes bigint[])
RETURNS TABLE (node_kind text, node_id bigint, valid_from date, valid_to date)
LANGUAGE plpgsql STABLE ROWS 50 AS $$
#variable_conflict use_column
BEGIN
    IF kind IN ('miscellaneous', 'resource_group') OR cardinality(nodes) = 0 THEN
        RETURN; -- nothing stands below them
    END IF;
    RETURN QUERY
    WITH root AS MATERIALIZED (
        SELECT root.node_kind, root.node_id, daterange(root.valid_from, root.valid_to) AS months
        FROM accounts_viewer_roots(viewer, at, 'see') root
    ), leaf AS MATERIALIZED (
        SELECT root.node_id AS account_id, root.months FROM root WHERE root.node_kind = 'account'
        UNION ALL
        SELECT part.account_id, root.months
        FROM root JOIN accounts_resourcegroup part ON part.id = root.node_id WHERE root.node_kind = 'resource_group'
    ), place AS MATERIALIZED (
        SELECT member.directory_id, member.group_id, leaf.months * daterange(member.valid_from, member.valid_to) AS months
        FROM leaf JOIN accounts_accountmembership member ON member.account_id = leaf.account_id
        WHERE member.superseded_by_id IS NULL AND leaf.months && daterange(member.valid_from, member.valid_to)
        UNION ALL
        SELECT grouping.directory_id, grouping.id, root.months
        FROM root JOIN accounts_accountgroup grouping ON grouping.id = root.node_id
        WHERE root.node_kind = 'account_group'
        UNION ALL
        SELECT root.node_id, NULL, root.months FROM root WHERE root.node_kind = 'resource_directory'
    ), above AS (
        SELECT 'account' AS node_kind, leaf.account_id AS node_id, leaf.months FROM leaf
        WHERE (kind IS NULL OR kind = 'account') AND (nodes IS NULL OR leaf.account_id = ANY(nodes))
        UNION ALL
        SELECT 'account_group', closure.ancestor_id, place.months * daterange(closure.valid_from, closure.valid_to)
        FROM place JOIN accounts_groupclosure closure ON closure.descendant_id = place.group_id
        WHERE place.months && daterange(closure.valid_from, closure.valid_to)
            AND (kind IS NULL OR kind = 'account_group') AND (nodes IS NULL OR closure.ancestor_id = ANY(nodes))
        UNION ALL
        SELECT 'resource_directory', place.directory_id, place.months FROM place
        WHERE (kind IS NULL OR kind = 'resource_directory')
            AND (nodes IS NULL OR place.directory_id = ANY(nodes))
        UNION ALL
        SELECT 'enterprise_parent', directory.enterprise_id, place.months
        FROM place JOIN accounts_resourcedirectory directory ON directory.id = place.directory_id
        WHERE (kind IS NULL OR kind = 'enterprise_parent')
            AND (nodes IS NULL OR directory.enterprise_id = ANY(nodes))
    ), merged AS (
        SELECT above.node_kind, above.node_id, unnest(range_agg(above.months)) AS months
        FROM above GROUP BY above.node_kind, above.node_id
    )
    SELECT merged.node_kind, merged.node_id, lower(merged.months), upper(merged.months) FROM merged;
END $$;
"""
DROP_EXPLORABLE = "DROP FUNCTION accounts_viewer_explorable(bigint, timestamptz, text, bigint[]);"


class Migration(migrations.Migration):

    dependencies = [("accounts", "0005_request_allowances")]

    operations = [
        migrations.RunSQL(_OLD.DROP_EXPLORABLE, _OLD.EXPLORABLE),
        migrations.RunSQL(EXPLORABLE, DROP_EXPLORABLE),
    ]
