"""What a provider covers and from where on it tells figures; and what is withheld, in the ledger and in the roll-ups.

New columns are null everywhere: nothing that was published before is withheld, and no row is rewritten.
"""

import django.db.models.deletion
from django.db import migrations, models

# Adding a column to a parent adds it to its partitions. A run under way has partitions that are not attached yet, and
# goes on with them when it is taken up again.
COLUMNS = """
ALTER TABLE allocation_ledgerrow ADD COLUMN withheld smallint;
ALTER TABLE allocation_accounttotal ADD COLUMN below_threshold bigint, ADD COLUMN not_covered bigint;
ALTER TABLE allocation_containertotal ADD COLUMN below_threshold bigint, ADD COLUMN not_covered bigint;
"""
DROP_COLUMNS = """
ALTER TABLE allocation_ledgerrow DROP COLUMN withheld;
ALTER TABLE allocation_accounttotal DROP COLUMN below_threshold, DROP COLUMN not_covered;
ALTER TABLE allocation_containertotal DROP COLUMN below_threshold, DROP COLUMN not_covered;
"""


APART = """
DO $$
DECLARE part record;
BEGIN
    FOR part IN SELECT oid::regclass AS name, relname LIKE 'allocation_ledgerrow%' AS ledger FROM pg_class
        WHERE relkind = 'r' AND NOT relispartition AND relname ~ '^allocation_(ledgerrow|accounttotal)_[0-9]+$'
    LOOP
        EXECUTE format('ALTER TABLE %s ' || CASE WHEN part.ledger THEN 'ADD COLUMN withheld smallint'
            ELSE 'ADD COLUMN below_threshold bigint, ADD COLUMN not_covered bigint' END, part.name);
    END LOOP;
END $$;
"""


class Migration(migrations.Migration):

    dependencies = [("allocation", "0015_keys_of_visible_rows")]

    operations = [
        migrations.CreateModel(
            name='ServiceCoverage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('row', models.BigIntegerField()),
                ('covered', models.BooleanField()),
                ('threshold_kg', models.DecimalField(decimal_places=12, max_digits=30)),
                ('package', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='allocation.package')),
                ('service', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='allocation.service')),
            ],
            options={
                'ordering': ['package', 'row'],
                'constraints': [models.UniqueConstraint(fields=('package', 'service'), name='service_coverage_key', nulls_distinct=False), models.CheckConstraint(condition=models.Q(('threshold_kg__gte', 0)), name='service_coverage_threshold'), models.CheckConstraint(condition=models.Q(('covered', True), models.Q(('service__isnull', False), ('threshold_kg', 0)), _connector='OR'), name='service_coverage_left_out')],
            },
        ),
        migrations.RunSQL(COLUMNS, DROP_COLUMNS),
        migrations.RunSQL(APART, migrations.RunSQL.noop),
    ]
