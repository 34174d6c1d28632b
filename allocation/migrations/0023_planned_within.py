"""Plan the totals of given accounts for their runs, and nothing that row-level security calls.

The setting by which `allocation_account_totals` was planned anew held for every function called within it as well: the
keys of row-level security were planned each time, seven milliseconds. What is executed from a text is planned for its
parameters whatever the setting.
"""

from importlib import import_module

from django.db import migrations

TOTALS = """
CREATE OR REPLACE FUNCTION allocation_account_totals(accounts bigint[], runs bigint[], wanted_grain smallint)
RETURNS SETOF allocation_accounttotal
LANGUAGE plpgsql STABLE ROWS 1000 AS $$
BEGIN
    IF cardinality(accounts) > 0 AND cardinality(runs) > 0 THEN
        RETURN QUERY EXECUTE
            'SELECT total.* FROM allocation_accounttotal total
             WHERE total.run_id = ANY($1) AND total.account_id = ANY($2) AND total.grain = $3'
            USING runs, accounts, wanted_grain;
    END IF;
END $$;
"""
_BEFORE = import_module("allocation.migrations.0022_totals_of_given_accounts")
BEFORE = _BEFORE.TOTALS.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")


class Migration(migrations.Migration):

    dependencies = [("allocation", "0022_totals_of_given_accounts")]

    operations = [migrations.RunSQL(TOTALS, BEFORE)]
