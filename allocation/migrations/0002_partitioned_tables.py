"""Create the partitioned tables: the ledger and account totals by run, container totals by publication.

A partition is filled as a table of its own and attached when it is complete (`allocation.services.partitions`), so that
writing a run never waits for a reader and dropping one never touches another. Columns that refer to catalogue and
account rows carry no foreign keys here: they are checked once per chunk instead of once per row
(docs/adr/0006-integers-in-micrograms.md).
"""

from django.db import migrations

FORWARDS = """
CREATE SEQUENCE allocation_ledgerrow_id_seq CACHE 100;
CREATE TABLE allocation_ledgerrow (
    id bigint NOT NULL DEFAULT nextval('allocation_ledgerrow_id_seq'),
    run_id bigint NOT NULL,
    cluster_id bigint NOT NULL,
    service_id bigint NOT NULL,
    account_id bigint,
    resource_group_id bigint,
    special smallint NOT NULL,
    line smallint NOT NULL,
    quality smallint NOT NULL,
    ug bigint NOT NULL,
    estimated_ug bigint NOT NULL,
    estimated_ppm integer NOT NULL,
    CONSTRAINT ledger_ug CHECK (ug >= 0),
    CONSTRAINT ledger_estimated_ug CHECK (estimated_ug BETWEEN 0 AND ug),
    CONSTRAINT ledger_estimated_ppm CHECK (estimated_ppm BETWEEN 0 AND 1000000),
    CONSTRAINT ledger_line CHECK (line BETWEEN 0 AND 31),
    CONSTRAINT ledger_quality CHECK (quality BETWEEN 0 AND 6),
    CONSTRAINT ledger_account CHECK (
        (special = 0 AND account_id IS NOT NULL AND resource_group_id IS NOT NULL)
        OR (special IN (1, 2) AND account_id IS NULL AND resource_group_id IS NULL))
) PARTITION BY LIST (run_id);

CREATE SEQUENCE allocation_accounttotal_id_seq CACHE 100;
CREATE TABLE allocation_accounttotal (
    id bigint NOT NULL DEFAULT nextval('allocation_accounttotal_id_seq'),
    run_id bigint NOT NULL,
    account_id bigint NOT NULL,
    grain smallint NOT NULL,
    service_id bigint,
    cluster_id bigint,
    scope1_ug numeric(38, 0),
    scope2_lbm_ug numeric(38, 0),
    scope2_mbm_ug numeric(38, 0),
    scope2_heat_lbm_ug numeric(38, 0),
    scope2_heat_mbm_ug numeric(38, 0),
    scope3_fera_lbm_ug numeric(38, 0),
    scope3_fera_mbm_ug numeric(38, 0),
    scope3_leased_lbm_ug numeric(38, 0),
    scope3_leased_mbm_ug numeric(38, 0),
    scope3_embodied_ug numeric(38, 0),
    scope3_other_ug numeric(38, 0),
    energy_wh numeric(38, 0),
    scope1_estimated_ug numeric(38, 0),
    scope2_lbm_estimated_ug numeric(38, 0),
    scope2_mbm_estimated_ug numeric(38, 0),
    scope2_heat_lbm_estimated_ug numeric(38, 0),
    scope2_heat_mbm_estimated_ug numeric(38, 0),
    scope3_fera_lbm_estimated_ug numeric(38, 0),
    scope3_fera_mbm_estimated_ug numeric(38, 0),
    scope3_leased_lbm_estimated_ug numeric(38, 0),
    scope3_leased_mbm_estimated_ug numeric(38, 0),
    scope3_embodied_estimated_ug numeric(38, 0),
    scope3_other_estimated_ug numeric(38, 0),
    energy_estimated_wh numeric(38, 0),
    CONSTRAINT account_total_grain CHECK (grain BETWEEN 0 AND 3
        AND (service_id IS NOT NULL) = (grain IN (1, 3)) AND (cluster_id IS NOT NULL) = (grain IN (2, 3)))
) PARTITION BY LIST (run_id);

CREATE SEQUENCE allocation_containertotal_id_seq CACHE 100;
CREATE TABLE allocation_containertotal (
    id bigint NOT NULL DEFAULT nextval('allocation_containertotal_id_seq'),
    publication_id bigint NOT NULL,
    directory_id bigint NOT NULL,
    group_id bigint,
    miscellaneous boolean NOT NULL,
    grain smallint NOT NULL,
    service_id bigint,
    cluster_id bigint,
    accounts integer NOT NULL,
    scope1_ug numeric(38, 0),
    scope2_lbm_ug numeric(38, 0),
    scope2_mbm_ug numeric(38, 0),
    scope2_heat_lbm_ug numeric(38, 0),
    scope2_heat_mbm_ug numeric(38, 0),
    scope3_fera_lbm_ug numeric(38, 0),
    scope3_fera_mbm_ug numeric(38, 0),
    scope3_leased_lbm_ug numeric(38, 0),
    scope3_leased_mbm_ug numeric(38, 0),
    scope3_embodied_ug numeric(38, 0),
    scope3_other_ug numeric(38, 0),
    energy_wh numeric(38, 0),
    scope1_estimated_ug numeric(38, 0),
    scope2_lbm_estimated_ug numeric(38, 0),
    scope2_mbm_estimated_ug numeric(38, 0),
    scope2_heat_lbm_estimated_ug numeric(38, 0),
    scope2_heat_mbm_estimated_ug numeric(38, 0),
    scope3_fera_lbm_estimated_ug numeric(38, 0),
    scope3_fera_mbm_estimated_ug numeric(38, 0),
    scope3_leased_lbm_estimated_ug numeric(38, 0),
    scope3_leased_mbm_estimated_ug numeric(38, 0),
    scope3_embodied_estimated_ug numeric(38, 0),
    scope3_other_estimated_ug numeric(38, 0),
    energy_estimated_wh numeric(38, 0),
    CONSTRAINT container_total_grain CHECK (grain BETWEEN 0 AND 3
        AND (service_id IS NOT NULL) = (grain IN (1, 3)) AND (cluster_id IS NOT NULL) = (grain IN (2, 3))),
    CONSTRAINT container_total_miscellaneous CHECK (NOT (miscellaneous AND group_id IS NOT NULL)),
    CONSTRAINT container_total_accounts CHECK (accounts >= 0)
) PARTITION BY LIST (publication_id);
"""

BACKWARDS = """
DROP TABLE allocation_containertotal; DROP SEQUENCE allocation_containertotal_id_seq;
DROP TABLE allocation_accounttotal; DROP SEQUENCE allocation_accounttotal_id_seq;
DROP TABLE allocation_ledgerrow; DROP SEQUENCE allocation_ledgerrow_id_seq;
"""


class Migration(migrations.Migration):

    dependencies = [("allocation", "0001_runs_and_publications")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
