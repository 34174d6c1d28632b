"""Read the totals of given accounts through a function, which is planned when there are accounts, with their runs.

Account totals are a partition per run. A statement that names them plans as many scans as there are months, twenty
milliseconds and more, each time and even if it turns out that no account is asked for; and it cannot be prepared, since
its plan would hold every partition there is. Through a function it can (docs/adr/0015-statements-are-prepared.md). The
function has the rights of whoever calls it: row-level security decides inside as it did outside.
"""

from django.db import migrations

TOTALS = """
CREATE FUNCTION allocation_account_totals(accounts bigint[], runs bigint[], wanted_grain smallint)
RETURNS SETOF allocation_accounttotal
LANGUAGE plpgsql STABLE ROWS 1000 SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    IF cardinality(accounts) > 0 AND cardinality(runs) > 0 THEN
        RETURN QUERY
        SELECT total.* FROM allocation_accounttotal total
        WHERE total.run_id = ANY(runs) AND total.account_id = ANY(accounts) AND total.grain = wanted_grain;
    END IF;
END $$;
"""
DROP_TOTALS = "DROP FUNCTION allocation_account_totals(bigint[], bigint[], smallint);"


class Migration(migrations.Migration):

    dependencies = [("allocation", "0021_moves_by_index")]

    operations = [migrations.RunSQL(TOTALS, DROP_TOTALS)]
