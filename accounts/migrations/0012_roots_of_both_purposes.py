"""Take the roots whose numbers may be seen from those that may be seen, where no directory is switched off.

The two differ in directories without multi-account management alone. A page asks for both.
"""

from django.db import migrations

from accounts.migrations._functions import replaced_in

BEFORE = "    kept := current_setting(setting, true);"
SAME = """    IF purpose = 'numbers' AND NOT EXISTS (
            SELECT FROM accounts_resourcedirectory directory WHERE NOT directory.multi_account_management) THEN
        purpose := 'see';
        setting := 'canopy.roots_see';
    END IF;
"""


class Migration(migrations.Migration):

    dependencies = [("accounts", "0011_roots_kept")]

    operations = [
        replaced_in("accounts_viewer_spans(bigint, timestamptz, text)", old=BEFORE, new=SAME + BEFORE),
    ]
