"""Work out where a viewer's roles stand once for a statement and purpose, not once for each function that asks.

A page of children asks eight times: for the parent, for each kind of child, for the amounts, and for the keys of
row-level security. With a thousand roles that is 2 milliseconds each time, a third of the database's work. As the keys are
(allocation migration 0015), what was found is kept in a setting of the transaction, under a stamp that no other
statement, viewer or time has. Whoever may set it may as well say who the viewer is: it is no way around anything.
"""

from django.db import migrations

# Kept as a line for each kind and span, with the ids: many roles have the same. Read again five times faster than worked
# out again.
SPANS = """
CREATE FUNCTION accounts_viewer_spans(viewer bigint, at timestamptz, purpose text)
RETURNS TABLE (node_kind text, node_id bigint, valid_from date, valid_to date)
LANGUAGE plpgsql STABLE ROWS 100 AS $$
#variable_conflict use_column
DECLARE
    setting text := 'canopy.roots_' || purpose;
    stamp text := concat_ws('/', extract(epoch FROM statement_timestamp()), viewer, extract(epoch FROM at), '');
    kept text;
BEGIN
    -- Without one of these nobody has a role, and a stamp would be the beginning of another.
    IF viewer IS NULL OR at IS NULL OR (purpose IN ('see', 'numbers', 'administer', 'delegate')) IS NOT TRUE THEN
        RETURN;
    END IF;
    kept := current_setting(setting, true);
    IF starts_with(kept, stamp) IS NOT TRUE THEN
        SELECT stamp || COALESCE(string_agg(
                   concat_ws(';', same.node_kind, same.valid_from, same.valid_to, same.ids), E'\n'), '')
            INTO kept
            FROM (SELECT root.node_kind, root.valid_from, root.valid_to, array_agg(root.node_id) AS ids
                  FROM accounts_viewer_roots(viewer, at, purpose) AS root GROUP BY 1, 2, 3) AS same;
        PERFORM set_config(setting, kept, true);
    END IF;
    RETURN QUERY
    SELECT same.node_kind, each.node_id, same.valid_from, same.valid_to
    FROM (SELECT split_part(line, ';', 1) AS node_kind, split_part(line, ';', 2)::date AS valid_from,
                 split_part(line, ';', 3)::date AS valid_to, split_part(line, ';', 4)::bigint[] AS ids
          FROM string_to_table(nullif(substr(kept, length(stamp) + 1), ''), E'\n') AS line OFFSET 0) AS same
    CROSS JOIN LATERAL unnest(same.ids) AS each (node_id);
END $$;
"""
# Each of these functions, wherever it asked for roots, asks for their spans.
ASK = """
DO $do$
DECLARE
    asking regprocedure;
BEGIN
    FOREACH asking IN ARRAY ARRAY[
        'accounts_viewer_months(bigint, timestamptz, text, text, bigint[])',
        'accounts_viewer_explorable(bigint, timestamptz, text, bigint[])',
        'accounts_viewer_directories(bigint, timestamptz, text)',
        'accounts_viewer_groups(bigint, timestamptz, text)',
        'accounts_viewer_accounts(bigint, timestamptz, text)'
    ]::regprocedure[] LOOP
        EXECUTE replace(pg_get_functiondef(asking), '{old}(', '{new}(');
    END LOOP;
END $do$;
"""
ROOTS, KEPT = "accounts_viewer_roots", "accounts_viewer_spans"


class Migration(migrations.Migration):

    dependencies = [("accounts", "0010_exclusion_by_ranges")]

    operations = [
        migrations.RunSQL(SPANS, "DROP FUNCTION accounts_viewer_spans(bigint, timestamptz, text)"),
        migrations.RunSQL(ASK.format(old=ROOTS, new=KEPT), ASK.format(old=KEPT, new=ROOTS)),
    ]
