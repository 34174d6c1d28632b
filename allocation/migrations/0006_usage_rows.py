"""Create the usage rows, partitioned by package.

As with the ledger, a partition is filled as a table of its own and attached when it is complete. Columns that refer to
catalogue and hierarchy rows carry no foreign keys: the loader takes the ids from those tables in the transaction that
writes the rows, and a trigger per row would cost more than the rows.
"""

from django.db import migrations

FORWARDS = """
CREATE SEQUENCE allocation_usagerow_id_seq CACHE 100;
CREATE TABLE allocation_usagerow (
    id bigint NOT NULL DEFAULT nextval('allocation_usagerow_id_seq'),
    package_id bigint NOT NULL,
    cluster_id bigint,
    region_id bigint,
    service_id bigint NOT NULL,
    account_id bigint NOT NULL,
    resource_group_id bigint NOT NULL,
    quantity numeric(30, 12) NOT NULL,
    CONSTRAINT usage_place CHECK (num_nonnulls(cluster_id, region_id) = 1)
) PARTITION BY LIST (package_id);
"""

BACKWARDS = "DROP TABLE allocation_usagerow; DROP SEQUENCE allocation_usagerow_id_seq;"


class Migration(migrations.Migration):

    dependencies = [("allocation", "0005_activity")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
