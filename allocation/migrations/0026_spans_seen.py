"""Hand on the spans in which nodes are seen as they are found, for the keys of row-level security.

The keys are merged in any case; to add up the months of each of a thousand nodes before took a third of their time. A
node whose spans are all time together has the keys of its rows now in the place of one for all.
"""

from django.db import migrations

MERGED = """), merged AS (
        SELECT seen.node_id, seen.provider_id, range_agg(seen.months) AS months
        FROM seen GROUP BY seen.node_id, seen.provider_id
    )
    SELECT merged.node_id, merged.provider_id, merged.months, COALESCE(merged.months @> span.months, true)
    FROM merged, span;"""
FOUND = """)
    SELECT seen.node_id, seen.provider_id, datemultirange(seen.months), COALESCE(seen.months @> span.months, true)
    FROM seen CROSS JOIN span WHERE NOT isempty(seen.months);"""
REPLACE = """
DO $do$
DECLARE
    before text := pg_get_functiondef('allocation_web_seen(text)'::regprocedure);
    after text := replace(before, $old${old}$old$, $new${new}$new$);
BEGIN
    IF after = before THEN
        RAISE EXCEPTION 'the function is not the one that is to be changed';
    END IF;
    EXECUTE after;
END $do$;
"""


class Migration(migrations.Migration):

    dependencies = [("allocation", "0025_kept_totals")]

    operations = [
        migrations.RunSQL(REPLACE.format(old=MERGED, new=FOUND), REPLACE.format(old=FOUND, new=MERGED)),
    ]
