"""Create the sums of usage, partitioned by package like the rows that they add up.

Nobody but the owner reads them: they have no model, the web role has no right on them, and a figure is explained by the
rows. Packages that were loaded before have none and are read from their rows.
"""

from django.db import migrations

FORWARDS = """
CREATE TABLE allocation_usagesum (
    package_id bigint NOT NULL,
    cluster_id bigint,
    region_id bigint,
    service_id bigint NOT NULL,
    account_id bigint NOT NULL,
    resource_group_id bigint NOT NULL,
    quantity numeric NOT NULL,
    positive_quantity numeric NOT NULL,
    CONSTRAINT usage_sum_place CHECK (num_nonnulls(cluster_id, region_id) = 1),
    CONSTRAINT usage_sum_positive CHECK (positive_quantity >= greatest(quantity, 0))
) PARTITION BY LIST (package_id);
"""

BACKWARDS = "DROP TABLE allocation_usagesum;"


class Migration(migrations.Migration):

    dependencies = [("allocation", "0018_order_of_children")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
