"""Let the keys of row-level security come from the roots that the statement has worked out already (accounts 0011)."""

from django.db import migrations

ASK = """
DO $do$ BEGIN
    EXECUTE replace(pg_get_functiondef('allocation_web_seen(text)'::regprocedure), '{old}(', '{new}(');
END $do$;
"""
ROOTS, KEPT = "accounts_viewer_roots", "accounts_viewer_spans"


class Migration(migrations.Migration):

    dependencies = [("allocation", "0023_planned_within"), ("accounts", "0011_roots_kept")]

    operations = [migrations.RunSQL(ASK.format(old=ROOTS, new=KEPT), ASK.format(old=KEPT, new=ROOTS))]
