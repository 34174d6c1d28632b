"""Find the accounts that joined or left a directory by index, instead of reading all that ever stood in it.

What is found does not change. Reading the whole table is ruled out: how few moved is not known to a plan that is made
before the months are.
"""

from importlib import import_module

from django.db import migrations

BEFORE = import_module("allocation.migrations.0017_moves_of_accounts").MOVES
MOVES = """
CREATE OR REPLACE FUNCTION allocation_moves(kinds text[], nodes bigint[], start date, bound date, today date)
RETURNS TABLE (key bigint, account_id bigint, months datemultirange, is_here boolean)
LANGUAGE plpgsql STABLE ROWS 1000 SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    period CONSTANT datemultirange := datemultirange(daterange(start, bound));
    -- Stays from before the period and today until after them: no account of such a stay moved. Nearly all are.
    since CONSTANT date := LEAST(start, today);
    until CONSTANT date := GREATEST(bound, today + 1);
    -- As for the policies of the tables: members of the owner's role, or operators.
    everything CONSTANT boolean := pg_has_role(current_user, (
            SELECT relowner FROM pg_class WHERE oid = 'allocation_containertotal'::regclass), 'USAGE')
        OR (canopy_now() IS NOT NULL AND accounts_is_operator(canopy_viewer()));
BEGIN
    RETURN QUERY
    WITH wanted AS MATERIALIZED (
        SELECT node.number AS key, node.kind, node.node_id,
               CASE node.kind WHEN 'miscellaneous' THEN 'resource_directory' ELSE node.kind END AS seen_as
        FROM unnest(kinds, nodes) WITH ORDINALITY AS node (kind, node_id, number)
        WHERE node.kind NOT IN ('account', 'resource_group')
    ), seen AS MATERIALIZED (
        SELECT each.seen_as, held.node_id
        FROM (SELECT DISTINCT wanted.seen_as FROM wanted WHERE NOT everything) AS each
        CROSS JOIN LATERAL accounts_viewer_months(
            canopy_viewer(), canopy_now(), 'see', each.seen_as,
            ARRAY(SELECT wanted.node_id FROM wanted WHERE wanted.seen_as = each.seen_as)) AS held
        WHERE daterange(held.valid_from, held.valid_to) @> today
    ), allowed AS MATERIALIZED (
        SELECT wanted.* FROM wanted
        WHERE everything OR (wanted.seen_as, wanted.node_id) IN (SELECT seen.seen_as, seen.node_id FROM seen)
    ), stay AS (
        SELECT allowed.key, member.account_id, daterange(member.valid_from, member.valid_to) AS months
        FROM allowed
        JOIN accounts_resourcedirectory directory
            ON (allowed.kind IN ('resource_directory', 'miscellaneous') AND directory.id = allowed.node_id)
            OR (allowed.kind = 'enterprise_parent' AND directory.enterprise_id = allowed.node_id)
        CROSS JOIN LATERAL (
            SELECT began.* FROM accounts_accountmembership began
            WHERE began.directory_id = directory.id AND began.superseded_by_id IS NULL AND began.valid_from > since
            UNION ALL
            SELECT ended.* FROM accounts_accountmembership ended
            WHERE ended.directory_id = directory.id AND ended.superseded_by_id IS NULL AND ended.valid_from <= since
                AND ended.valid_to < until
        ) AS member
        WHERE allowed.kind <> 'miscellaneous' OR member.group_id IS NULL
        UNION ALL
        SELECT allowed.key, member.account_id,
               daterange(member.valid_from, member.valid_to) * daterange(closure.valid_from, closure.valid_to)
        FROM allowed
        JOIN accounts_groupclosure closure ON closure.ancestor_id = allowed.node_id
        JOIN accounts_accountmembership member
            ON member.group_id = closure.descendant_id AND member.superseded_by_id IS NULL
        WHERE allowed.kind = 'account_group'
            AND (member.valid_from > since OR member.valid_to < until
                 OR closure.valid_from > since OR closure.valid_to < until)
    ), inside AS (
        SELECT stay.key, stay.account_id, range_agg(stay.months) AS months FROM stay GROUP BY stay.key, stay.account_id
    )
    SELECT inside.key, inside.account_id,
           CASE WHEN inside.months @> today THEN period - inside.months ELSE period * inside.months END,
           inside.months @> today
    FROM inside
    WHERE CASE WHEN inside.months @> today THEN NOT inside.months @> period ELSE inside.months && period END;
END $$;
"""


class Migration(migrations.Migration):

    dependencies = [("allocation", "0020_estimated_part_of_proofs"), ("accounts", "0008_memberships_by_month")]

    operations = [migrations.RunSQL(MOVES, BEFORE.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))]
