"""Hand on the spans in which nodes are seen as they are found, for the keys of row-level security.

The keys are merged in any case; to add up the months of each of a thousand nodes before took a third of their time. A
node whose spans are all time together has the keys of its rows now in the place of one for all.
"""

from django.db import migrations

from accounts.migrations._functions import replaced_in

MERGED = """), merged AS (
        SELECT seen.node_id, seen.provider_id, range_agg(seen.months) AS months
        FROM seen GROUP BY seen.node_id, seen.provider_id
    )
    SELECT merged.node_id, merged.provider_id, merged.months, COALESCE(merged.months @> span.months, true)
    FROM merged, span;"""
FOUND = """)
    SELECT seen.node_id, seen.provider_id, datemultirange(seen.months), COALESCE(seen.months @> span.months, true)
    FROM seen CROSS JOIN span WHERE NOT isempty(seen.months);"""


class Migration(migrations.Migration):

    dependencies = [("allocation", "0025_kept_totals")]

    operations = [
        replaced_in("allocation_web_seen(text)", old=MERGED, new=FOUND),
    ]
