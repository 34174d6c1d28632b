"""Work out how far roles on accounts reach only for accounts that reach further than themselves.

Management accounts and delegated administrators see more than their account. Whether a viewer's roles are on such
accounts is two look-ups; working it out for five hundred accounts that are neither took half of the time of
`accounts_viewer_roots`, which every statement about permissions calls. What it answers does not change.
"""

from importlib import import_module

from django.db import migrations

_OLD = import_module("accounts.migrations.0003_visible_sets")
_NAME = "CREATE FUNCTION accounts_viewer_roots("
_BEFORE = _OLD.ROOTS[_OLD.ROOTS.index(_NAME) :].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")

VIEWER_ROOTS = """
CREATE OR REPLACE FUNCTION accounts_viewer_roots(viewer bigint, at timestamptz, purpose text)
RETURNS TABLE (node_kind text, node_id bigint, role text, why text, via_account_id bigint, authority text[],
               valid_from date, valid_to date)
LANGUAGE plpgsql STABLE ROWS 100 AS $$
#variable_conflict use_column
DECLARE
    held accounts_held_role[];
    spans datemultirange[];
    switched_off bigint[];
    holders bigint[];
BEGIN
    IF viewer IS NULL OR at IS NULL OR (purpose IN ('see', 'numbers', 'administer', 'delegate')) IS NOT TRUE THEN
        RETURN;
    END IF;
    held := accounts_held_roles(viewer, at, purpose IN ('administer', 'delegate'));
    IF cardinality(held) = 0 THEN
        RETURN;
    END IF;
    IF purpose <> 'administer' THEN
        holders := ARRAY(SELECT each.node_id FROM unnest(held) AS each WHERE each.node_kind = 'account');
        -- Nobody else's roles reach further than their account.
        IF EXISTS (SELECT FROM accounts_resourcedirectory directory WHERE directory.management_account_id = ANY(holders))
            OR EXISTS (SELECT FROM accounts_delegatedadministrator delegation WHERE delegation.account_id = ANY(holders))
        THEN
            held := held || accounts_extended_roles(held, at, purpose);
        END IF;
    END IF;
    IF EXISTS (SELECT FROM unnest(held) AS each WHERE cardinality(each.authority) > 0) THEN
        SELECT array_agg(CASE WHEN cardinality(each.authority) = 0 THEN '{[0001-01-01,9999-12-01)}'::datemultirange
                              ELSE COALESCE(clip.months, '{}') END ORDER BY each.number)
            INTO spans
            FROM unnest(held) WITH ORDINALITY
                AS each (node_kind, node_id, role, authority, why, via_account_id, number)
            LEFT JOIN accounts_limited_months(held) AS clip ON clip.number = each.number;
    END IF;
    IF purpose = 'numbers' THEN
        switched_off := ARRAY(
            SELECT directory.id FROM accounts_resourcedirectory directory WHERE NOT directory.multi_account_management);
    END IF;
    IF spans IS NULL AND COALESCE(cardinality(switched_off), 0) = 0 THEN
        RETURN QUERY
        SELECT each.node_kind, each.node_id, each.role, each.why, each.via_account_id, each.authority,
               DATE '0001-01-01', DATE '9999-12-01'
        FROM unnest(held) AS each;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT each.node_kind, each.node_id, each.role, each.why, each.via_account_id, each.authority,
           lower(span.months), upper(span.months)
    FROM unnest(held) WITH ORDINALITY AS each (node_kind, node_id, role, authority, why, via_account_id, number)
    CROSS JOIN LATERAL unnest(
        CASE WHEN spans IS NULL THEN '{[0001-01-01,9999-12-01)}'::datemultirange ELSE spans[each.number] END
    ) AS span (months)
    WHERE COALESCE(cardinality(switched_off), 0) = 0
        OR (each.node_kind = 'resource_directory' AND NOT each.node_id = ANY(switched_off))
        OR (each.node_kind = 'account_group' AND NOT EXISTS (
            SELECT FROM accounts_accountgroup grouping
            WHERE grouping.id = each.node_id AND grouping.directory_id = ANY(switched_off)))
        OR each.node_kind NOT IN ('resource_directory', 'account_group');
END $$;
"""


class Migration(migrations.Migration):

    dependencies = [("accounts", "0008_memberships_by_month")]

    operations = [migrations.RunSQL(VIEWER_ROOTS, _BEFORE)]
