"""Take the roots whose numbers may be seen from those that may be seen, where no directory is switched off.

The two differ in directories without multi-account management alone. A page asks for both.
"""

from django.db import migrations

BEFORE = "    kept := current_setting(setting, true);"
SAME = """    IF purpose = 'numbers' AND NOT EXISTS (
            SELECT FROM accounts_resourcedirectory directory WHERE NOT directory.multi_account_management) THEN
        purpose := 'see';
        setting := 'canopy.roots_see';
    END IF;
"""
REPLACE = """
DO $do$
DECLARE
    before text := pg_get_functiondef('accounts_viewer_spans(bigint, timestamptz, text)'::regprocedure);
    after text := replace(before, $old${old}$old$, $new${new}$new$);
BEGIN
    IF after = before THEN
        RAISE EXCEPTION 'the function is not the one that is to be changed';
    END IF;
    EXECUTE after;
END $do$;
"""


class Migration(migrations.Migration):

    dependencies = [("accounts", "0011_roots_kept")]

    operations = [
        migrations.RunSQL(
            REPLACE.format(old=BEFORE, new=SAME + BEFORE), REPLACE.format(old=SAME + BEFORE, new=BEFORE)
        ),
    ]
