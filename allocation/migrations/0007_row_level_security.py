"""Let the database itself refuse numbers that a viewer may not see: row-level security for the web role.

The policies of the application decide in every statement which rows are read. These policies decide it a second time,
below them, so that a statement that forgot to ask yields nothing instead of everything. docs/adr/0008 has the figures
behind the form: everything that depends on the viewer alone is computed once per statement (init plans and hashed
subplans); per row there are look-ups in those hash tables and, for accounts, one index look-up of the membership.

The viewer is told inside each transaction: `set_config('canopy.viewer', ..., true)` and `canopy.now`. Unset reads as ''
after its first use, hence NULLIF; a NULL viewer or instant sees nothing.

Partitions carry no policies of their own: the web role has no right on them, only on their parents.
"""

from django.db import migrations

# Roles belong to the whole cluster: another database, or another test process at the same moment, may have made it.
ROLE = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'canopy_web') THEN
        BEGIN
            CREATE ROLE canopy_web NOLOGIN;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'the role canopy_web is missing and % may not create it', current_user
                    USING HINT = 'As an administrator of the server: CREATE ROLE canopy_web NOLOGIN; GRANT canopy_web TO '
                        || quote_ident(current_user) || ' WITH INHERIT FALSE, SET TRUE';
        END;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'canopy_web' AND (rolsuper OR rolbypassrls)) THEN
        RAISE EXCEPTION 'the role canopy_web must be neither superuser nor BYPASSRLS';
    END IF;
    IF NOT pg_has_role(current_user, 'canopy_web', 'SET') THEN
        EXECUTE format('GRANT canopy_web TO %I WITH INHERIT FALSE, SET TRUE', current_user);
    END IF;
END $$;
"""

WHO = """
CREATE FUNCTION canopy_viewer() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT NULLIF(current_setting('canopy.viewer', true), '')::bigint
$$;
CREATE FUNCTION canopy_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT NULLIF(current_setting('canopy.now', true), '')::timestamptz
$$;
"""
DROP_WHO = "DROP FUNCTION canopy_now(); DROP FUNCTION canopy_viewer();"

# What is behind the policies. `always`: seen in every month of every run, so that the id alone decides; the rest is
# decided by (node, month). Written in plpgsql for the cached plans.
SEEN = """
CREATE FUNCTION allocation_web_directories() RETURNS TABLE (directory_id bigint, month date)
LANGUAGE plpgsql STABLE ROWS 100 AS $$
BEGIN
    RETURN QUERY
    SELECT DISTINCT seen.directory_id, run.month
    FROM accounts_viewer_directories(canopy_viewer(), canopy_now(), 'numbers') seen
    JOIN accounts_resourcedirectory directory ON directory.id = seen.directory_id
    JOIN (SELECT DISTINCT every.provider_id, every.month FROM allocation_allocationrun every) run
        ON run.provider_id = directory.provider_id AND run.month >= seen.valid_from AND run.month < seen.valid_to;
END $$;

CREATE FUNCTION allocation_web_groups() RETURNS TABLE (group_id bigint, months datemultirange, always boolean)
LANGUAGE plpgsql STABLE ROWS 1000 AS $$
BEGIN
    RETURN QUERY
    WITH root AS MATERIALIZED (
        SELECT held.node_id, daterange(held.valid_from, held.valid_to) AS months
        FROM accounts_viewer_roots(canopy_viewer(), canopy_now(), 'numbers') held
        WHERE held.node_kind = 'account_group'
    ), span AS MATERIALIZED (
        SELECT daterange(min(run.month), max(run.month), '[]') AS months FROM allocation_allocationrun run
    ), below AS (
        SELECT root.node_id AS group_id, root.months FROM root
        UNION ALL
        SELECT closure.descendant_id, root.months * daterange(closure.valid_from, closure.valid_to)
        FROM root JOIN accounts_groupclosure closure ON closure.ancestor_id = root.node_id AND closure.depth > 0
    ), merged AS (
        SELECT below.group_id, range_agg(below.months) AS months FROM below GROUP BY below.group_id
    )
    SELECT merged.group_id, merged.months, COALESCE(merged.months @> span.months, true) FROM merged, span;
END $$;

CREATE FUNCTION allocation_web_group_months() RETURNS TABLE (group_id bigint, month date)
LANGUAGE plpgsql STABLE ROWS 100 AS $$
BEGIN
    RETURN QUERY
    SELECT seen.group_id, run.month
    FROM allocation_web_groups() seen
    JOIN (SELECT DISTINCT every.month FROM allocation_allocationrun every) run ON seen.months @> run.month
    WHERE NOT seen.always;
END $$;

CREATE FUNCTION allocation_web_leaves(of_kind text) RETURNS TABLE (node_id bigint, run_id bigint)
LANGUAGE plpgsql STABLE ROWS 100 AS $$
BEGIN
    RETURN QUERY
    SELECT held.node_id, run.id
    FROM accounts_viewer_roots(canopy_viewer(), canopy_now(), 'numbers') held
    LEFT JOIN accounts_resourcegroup part ON of_kind = 'resource_group' AND part.id = held.node_id
    JOIN accounts_account account ON account.id = CASE of_kind WHEN 'account' THEN held.node_id ELSE part.account_id END
    JOIN allocation_allocationrun run
        ON run.provider_id = account.provider_id AND run.month >= held.valid_from AND run.month < held.valid_to
    WHERE held.node_kind = of_kind;
END $$;
"""
DROP_SEEN = """
DROP FUNCTION allocation_web_leaves(text);
DROP FUNCTION allocation_web_group_months();
DROP FUNCTION allocation_web_groups();
DROP FUNCTION allocation_web_directories();
"""

# `allocation_web_places` per row: the place of an account in the month of a run. The two IN are hashed once.
_PLACED = """
EXISTS (
    SELECT FROM allocation_allocationrun run
    JOIN accounts_accountmembership member
        ON member.account_id = {table}.account_id AND member.superseded_by_id IS NULL
        AND member.valid_from <= run.month AND (member.valid_to IS NULL OR member.valid_to > run.month)
    WHERE run.id = {table}.run_id
        AND ((member.directory_id, run.month) IN (SELECT directory_id, month FROM allocation_web_directories())
             OR member.group_id IN (SELECT group_id FROM allocation_web_groups() WHERE always)
             OR (member.group_id, run.month) IN (SELECT group_id, month FROM allocation_web_group_months()))
)"""
_OPERATOR = "(SELECT canopy_now() IS NOT NULL AND accounts_is_operator(canopy_viewer()))"

POLICIES = f"""
ALTER TABLE allocation_containertotal ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE allocation_accounttotal ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE allocation_ledgerrow ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY owner_works ON allocation_containertotal TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY owner_works ON allocation_accounttotal TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY owner_works ON allocation_ledgerrow TO CURRENT_USER USING (true) WITH CHECK (true);

CREATE POLICY web_reads ON allocation_containertotal FOR SELECT TO canopy_web USING (
    {_OPERATOR}
    OR (directory_id, publication_id) IN (
        SELECT seen.directory_id, publication.id
        FROM allocation_web_directories() seen
        JOIN accounts_resourcedirectory directory ON directory.id = seen.directory_id
        JOIN allocation_publication publication
            ON publication.provider_id = directory.provider_id AND publication.month = seen.month)
    OR group_id IN (SELECT group_id FROM allocation_web_groups() WHERE always)
    OR (group_id, publication_id) IN (
        SELECT seen.group_id, publication.id
        FROM allocation_web_group_months() seen JOIN allocation_publication publication ON publication.month = seen.month)
);

CREATE POLICY web_reads ON allocation_accounttotal FOR SELECT TO canopy_web USING (
    {_OPERATOR}
    OR (account_id, run_id) IN (SELECT node_id, run_id FROM allocation_web_leaves('account'))
    OR {_PLACED.format(table="allocation_accounttotal")}
);

-- Rows of special accounts have no account and are seen by operators alone.
CREATE POLICY web_reads ON allocation_ledgerrow FOR SELECT TO canopy_web USING (
    {_OPERATOR}
    OR (account_id, run_id) IN (SELECT node_id, run_id FROM allocation_web_leaves('account'))
    OR (resource_group_id, run_id) IN (SELECT node_id, run_id FROM allocation_web_leaves('resource_group'))
    OR {_PLACED.format(table="allocation_ledgerrow")}
);
"""
DROP_POLICIES = "".join(
    f"""
DROP POLICY web_reads ON {table};
DROP POLICY owner_works ON {table};
ALTER TABLE {table} DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
"""
    for table in ("allocation_ledgerrow", "allocation_accounttotal", "allocation_containertotal")
)


class Migration(migrations.Migration):

    dependencies = [
        ("accounts", "0003_visible_sets"),
        ("allocation", "0006_usage_rows"),
    ]

    operations = [
        migrations.RunSQL(ROLE, migrations.RunSQL.noop),
        migrations.RunSQL(WHO, DROP_WHO),
        migrations.RunSQL(SEEN, DROP_SEEN),
        migrations.RunSQL(POLICIES, DROP_POLICIES),
    ]
