"""Answer at once who may know a directory or an enterprise, where one role on a group in it says all.

A role without an end shows what stands above its group in all months. With a thousand roles, to look up the group and
the months of each and to add them up took longer than most answers need; the first such role says the same.
"""

from django.db import migrations

from accounts.migrations._functions import replaced_in

BEFORE = """    RETURN QUERY
    WITH root AS MATERIALIZED (
        SELECT root.node_kind, root.node_id, daterange(root.valid_from, root.valid_to) AS months"""
AT_ONCE = """    IF kind IN ('resource_directory', 'enterprise_parent') AND cardinality(nodes) = 1 AND EXISTS (
            SELECT FROM accounts_viewer_spans(viewer, at, 'see') root
            JOIN accounts_accountgroup grouping ON grouping.id = root.node_id
            JOIN accounts_resourcedirectory directory ON directory.id = grouping.directory_id
            WHERE root.node_kind = 'account_group'
                AND root.valid_from = DATE '0001-01-01' AND root.valid_to = DATE '9999-12-01'
                AND nodes[1] = CASE kind WHEN 'resource_directory' THEN directory.id ELSE directory.enterprise_id END
        ) THEN
        RETURN QUERY SELECT kind, nodes[1], DATE '0001-01-01', DATE '9999-12-01';
        RETURN;
    END IF;
"""


class Migration(migrations.Migration):

    dependencies = [("accounts", "0012_roots_of_both_purposes")]

    operations = [
        replaced_in("accounts_viewer_explorable(bigint, timestamptz, text, bigint[])", old=BEFORE, new=AT_ONCE + BEFORE),
    ]
