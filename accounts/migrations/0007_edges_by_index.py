"""Let the check of an edge look rows up by index, whatever the planner believes of a table that was just filled.

The check runs for each edge at commit, with plans that are made once. Where most groups stand below the same one, as
below a group with 20 000 others, the planner takes "the groups below this one" for nearly all rows and reads the whole
table, for each edge anew: the time grew with the square of the number of edges. What is checked does not change.
"""

from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [("accounts", "0006_names_of_given_nodes")]

    operations = [
        migrations.RunSQL(
            "ALTER FUNCTION accounts_check_group_edge() SET enable_seqscan TO off",
            "ALTER FUNCTION accounts_check_group_edge() RESET enable_seqscan",
        ),
    ]
