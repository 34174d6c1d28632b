"""Put the container totals of all publications into one table, which a statement plans once and not month by month.

They are few (a month of 2 000 groups, 20 services and 12 clusters has some 60 000 rows) and are never dropped, so a
partition for each publication bought nothing; but every question named all partitions of its period, and each of them
cost the planner its indexes and its row-level security (docs/performance.md has the figures).
"""

from importlib import import_module

from django.db import migrations

_security = import_module("allocation.migrations.0007_row_level_security")

# The policy of migration 0007, word for word: permissions do not change here.
_POLICIES = f"""
ALTER TABLE allocation_containertotal ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_works ON allocation_containertotal TO CURRENT_USER USING (true) WITH CHECK (true);
{_security.POLICIES[_security.POLICIES.index("CREATE POLICY web_reads ON allocation_containertotal") :].split(";", 1)[0]};
CREATE TRIGGER refuse BEFORE UPDATE OR DELETE ON allocation_containertotal
    FOR EACH ROW EXECUTE FUNCTION allocation_refuse();
"""

# Readers come with a container, a grain and the publications of their period: these rows lie side by side in the index.
# Rows of one publication are written together, so a block range index finds them.
FORWARDS = f"""
ALTER TABLE allocation_containertotal RENAME TO allocation_containertotal_old;
CREATE TABLE allocation_containertotal
    (LIKE allocation_containertotal_old INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
    WITH (autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
INSERT INTO allocation_containertotal SELECT * FROM allocation_containertotal_old ORDER BY publication_id, id;
DROP TABLE allocation_containertotal_old;
CREATE INDEX container_total_group ON allocation_containertotal (group_id, grain, publication_id)
    WHERE group_id IS NOT NULL;
CREATE INDEX container_total_directory ON allocation_containertotal (directory_id, grain, miscellaneous, publication_id)
    WHERE group_id IS NULL;
CREATE INDEX container_total_publication ON allocation_containertotal USING brin (publication_id);
{_POLICIES}
ANALYZE allocation_containertotal;
"""

BACKWARDS = f"""
ALTER TABLE allocation_containertotal RENAME TO allocation_containertotal_old;
DROP INDEX container_total_group, container_total_directory, container_total_publication;
CREATE TABLE allocation_containertotal
    (LIKE allocation_containertotal_old INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY LIST (publication_id);
DO $$
DECLARE
    publication bigint;
BEGIN
    FOR publication IN SELECT DISTINCT publication_id FROM allocation_containertotal_old ORDER BY 1 LOOP
        EXECUTE format('CREATE TABLE allocation_containertotal_%1$s PARTITION OF allocation_containertotal'
                       ' FOR VALUES IN (%1$s)', publication);
        EXECUTE format('ALTER TABLE allocation_containertotal_%1$s ALTER publication_id SET DEFAULT %1$s', publication);
        EXECUTE format('INSERT INTO allocation_containertotal SELECT * FROM allocation_containertotal_old'
                       ' WHERE publication_id = %1$s', publication);
        EXECUTE format('CREATE INDEX ON allocation_containertotal_%1$s'
                       ' (group_id, grain, service_id, cluster_id)', publication);
        EXECUTE format('CREATE INDEX ON allocation_containertotal_%1$s (directory_id, grain, miscellaneous,'
                       ' service_id, cluster_id) WHERE group_id IS NULL', publication);
    END LOOP;
END $$;
DROP TABLE allocation_containertotal_old;
{_POLICIES}
"""


class Migration(migrations.Migration):

    dependencies = [("allocation", "0010_service_intensities")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
