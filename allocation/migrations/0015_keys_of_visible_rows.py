"""Work out what a viewer may see once per statement, not once per partition, and in spans of months.

The policies of migrations 0007 and 0013 asked `IN (SELECT ... FROM a function)`: a hash table for each partition of a
statement, so 36 calls of each function for 36 months, and each of them listed every month of every node. For a viewer
with a thousand roles that took seconds. A scalar subquery is evaluated once whatever the number of partitions. Its value
is a multirange of keys, in which PostgreSQL looks up by bisection. Who sees what does not change.

A key is a node and, in its lower 32 bits, a month (days since 1900) or what stands for one month: a run, a package, a
publication. A node that is seen in every month that has a run has all of these in one range. Multiplication refuses
what does not fit 64 bits, so that no key is ever another's.
"""

from importlib import import_module

from django.db import migrations

_WEB = import_module("allocation.migrations.0007_row_level_security")
_USAGE = import_module("allocation.migrations.0013_usage_row_level_security")

# `seen`: nodes of one kind with their months, and whether these cover every run. Containers come with everything below.
SEEN = """
CREATE FUNCTION allocation_web_seen(of_kind text)
RETURNS TABLE (node_id bigint, provider_id bigint, months datemultirange, always boolean)
LANGUAGE plpgsql STABLE ROWS 1000 AS $$
BEGIN
    RETURN QUERY
    WITH root AS MATERIALIZED (
        SELECT held.node_kind, held.node_id, daterange(held.valid_from, held.valid_to) AS months
        FROM accounts_viewer_roots(canopy_viewer(), canopy_now(), 'numbers') held
        WHERE held.valid_from < held.valid_to
    ), span AS MATERIALIZED (
        SELECT daterange(min(run.month), max(run.month), '[]') AS months FROM allocation_allocationrun run
    ), seen AS (
        SELECT directory.id AS node_id, directory.provider_id, root.months
        FROM root JOIN accounts_resourcedirectory directory ON directory.id = root.node_id
        WHERE of_kind = 'resource_directory' AND root.node_kind = of_kind
        UNION ALL
        SELECT directory.id, directory.provider_id, root.months
        FROM root JOIN accounts_resourcedirectory directory
            ON directory.enterprise_id = root.node_id AND directory.multi_account_management
        WHERE of_kind = 'resource_directory' AND root.node_kind = 'enterprise_parent'
        UNION ALL
        SELECT root.node_id, NULL, root.months FROM root WHERE of_kind = 'account_group' AND root.node_kind = of_kind
        UNION ALL
        SELECT closure.descendant_id, NULL, root.months * daterange(closure.valid_from, closure.valid_to)
        FROM root JOIN accounts_groupclosure closure ON closure.ancestor_id = root.node_id AND closure.depth > 0
        WHERE of_kind = 'account_group' AND root.node_kind = of_kind
        UNION ALL
        SELECT account.id, account.provider_id, root.months
        FROM root JOIN accounts_account account ON account.id = root.node_id
        WHERE of_kind = 'account' AND root.node_kind = of_kind
        UNION ALL
        SELECT part.id, account.provider_id, root.months
        FROM root JOIN accounts_resourcegroup part ON part.id = root.node_id
        JOIN accounts_account account ON account.id = part.account_id
        WHERE of_kind = 'resource_group' AND root.node_kind = of_kind
    ), merged AS (
        SELECT seen.node_id, seen.provider_id, range_agg(seen.months) AS months
        FROM seen GROUP BY seen.node_id, seen.provider_id
    )
    SELECT merged.node_id, merged.provider_id, merged.months, COALESCE(merged.months @> span.months, true)
    FROM merged, span;
END $$;

CREATE FUNCTION allocation_web_key(node_id bigint, low bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN node_id * 4294967296 + low;

CREATE FUNCTION allocation_web_key(node_id bigint, month date) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN node_id * 4294967296 + LEAST(GREATEST(month - DATE '1900-01-01', 0), 4294967295);

-- What `allocation_web_month_keys` and `allocation_web_row_keys` found is kept to the end of the statement of the client: a
-- statement that names a table several times asks for its keys each time. The next statement has another timestamp and
-- works out everything anew, so no permission outlives a statement.
CREATE FUNCTION allocation_web_kept(name text) RETURNS int8multirange LANGUAGE plpgsql STABLE AS $$
DECLARE
    stamp text := allocation_web_stamp();
    kept text := current_setting('canopy.keys_' || name, true);
BEGIN
    RETURN CASE WHEN starts_with(kept, stamp) THEN substr(kept, length(stamp) + 1)::int8multirange END;
END $$;

CREATE FUNCTION allocation_web_stamp() RETURNS text LANGUAGE sql STABLE
RETURN concat_ws('/', extract(epoch FROM statement_timestamp()), canopy_viewer(), extract(epoch FROM canopy_now()), '');

CREATE FUNCTION allocation_web_keep(name text, keys int8multirange) RETURNS int8multirange LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM set_config('canopy.keys_' || name, allocation_web_stamp() || keys::text, true);
    RETURN keys;
END $$;

-- (node, month): for rows whose month is looked up.
CREATE FUNCTION allocation_web_month_keys(of_kind text) RETURNS int8multirange LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN COALESCE(allocation_web_kept(of_kind), allocation_web_keep(of_kind, (
        SELECT COALESCE(range_agg(int8range(
                   allocation_web_key(seen.node_id, COALESCE(lower(span.months), DATE '1900-01-01')),
                   CASE WHEN upper(span.months) IS NULL THEN allocation_web_key(seen.node_id + 1, 0)
                        ELSE allocation_web_key(seen.node_id, upper(span.months)) END)), '{}')
        FROM allocation_web_seen(of_kind) seen CROSS JOIN LATERAL unnest(seen.months) AS span (months)
        WHERE upper(span.months) IS NULL OR upper(span.months) > DATE '1900-01-01'
    )));
END $$;

-- (node, id of a publication, a run or a package): for rows that say which of these they belong to.
CREATE FUNCTION allocation_web_row_keys(of_kind text, of_row text) RETURNS int8multirange
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN COALESCE(allocation_web_kept(of_kind || '_' || of_row), allocation_web_keep(of_kind || '_' || of_row, (
        WITH seen AS MATERIALIZED (SELECT * FROM allocation_web_seen(of_kind))
        SELECT COALESCE(range_agg(key.keys), '{}')
        FROM (
            SELECT int8range(allocation_web_key(seen.node_id, 0), allocation_web_key(seen.node_id + 1, 0)) AS keys
            FROM seen WHERE seen.always
            UNION ALL
            SELECT int8range(allocation_web_key(seen.node_id, low.id), allocation_web_key(seen.node_id, low.id), '[]')
            FROM seen
            JOIN (SELECT publication.id, publication.provider_id, publication.month
                  FROM allocation_publication publication WHERE of_row = 'publication'
                  UNION ALL
                  SELECT CASE of_row WHEN 'run' THEN run.id ELSE run.package_id END, run.provider_id, run.month
                  FROM allocation_allocationrun run WHERE of_row IN ('run', 'package')) AS low
                ON seen.months @> low.month AND (seen.provider_id IS NULL OR seen.provider_id = low.provider_id)
            WHERE NOT seen.always
        ) AS key
    )));
END $$;
"""
DROP_SEEN = """
DROP FUNCTION allocation_web_row_keys(text, text);
DROP FUNCTION allocation_web_month_keys(text);
DROP FUNCTION allocation_web_keep(text, int8multirange);
DROP FUNCTION allocation_web_kept(text);
DROP FUNCTION allocation_web_stamp();
DROP FUNCTION allocation_web_key(bigint, date);
DROP FUNCTION allocation_web_key(bigint, bigint);
DROP FUNCTION allocation_web_seen(text);
"""

_OPERATOR = "(SELECT canopy_now() IS NOT NULL AND accounts_is_operator(canopy_viewer()))"


def _row(kind: str, column: str, table: str, of_row: str) -> str:
    keys = f"(SELECT allocation_web_row_keys('{kind}', '{of_row}'))"
    return f"{keys} @> allocation_web_key({table}.{column}, {table}.{of_row}_id)"


def _place(table: str, of_row: str) -> str:
    """The account's place in the month of the row."""
    months = {"run": "allocation_allocationrun", "package": "allocation_package"}[of_row]
    return f"""
EXISTS (
    SELECT FROM {months} dated
    JOIN accounts_accountmembership member
        ON member.account_id = {table}.account_id AND member.superseded_by_id IS NULL
        AND member.valid_from <= dated.month AND (member.valid_to IS NULL OR member.valid_to > dated.month)
    WHERE dated.id = {table}.{of_row}_id
        AND ((SELECT allocation_web_month_keys('resource_directory'))
                 @> allocation_web_key(member.directory_id, dated.month)
             OR (SELECT allocation_web_month_keys('account_group')) @> allocation_web_key(member.group_id, dated.month))
)"""


def _policy(table: str, *conditions: str) -> str:
    return f"ALTER POLICY web_reads ON {table} USING ({' OR '.join((_OPERATOR, *conditions))});"


_LEDGER, _ACCOUNTS = "allocation_ledgerrow", "allocation_accounttotal"
_CONTAINERS, _USED = "allocation_containertotal", "allocation_usagerow"
# Rows of special accounts have no account and are seen by operators alone.
POLICIES = (
    _policy(
        _CONTAINERS,
        _row("resource_directory", "directory_id", _CONTAINERS, "publication"),
        _row("account_group", "group_id", _CONTAINERS, "publication"),
    )
    + _policy(_ACCOUNTS, _row("account", "account_id", _ACCOUNTS, "run"), _place(_ACCOUNTS, "run"))
    + _policy(
        _LEDGER,
        _row("account", "account_id", _LEDGER, "run"),
        _row("resource_group", "resource_group_id", _LEDGER, "run"),
        _place(_LEDGER, "run"),
    )
    + _policy(
        _USED,
        _row("account", "account_id", _USED, "package"),
        _row("resource_group", "resource_group_id", _USED, "package"),
        _place(_USED, "package"),
    )
)


def _old_policies() -> str:
    """What the policies were, from the migrations that made them."""
    found = ""
    for text in (_WEB.POLICIES + _USAGE.POLICIES).split("CREATE POLICY web_reads ON ")[1:]:
        table, rest = text.split(" ", 1)
        found += f"ALTER POLICY web_reads ON {table} {rest[rest.index('USING') :].split(';', 1)[0]};"
    return found


class Migration(migrations.Migration):

    dependencies = [
        ("accounts", "0006_names_of_given_nodes"),
        ("allocation", "0014_verification_statements"),
    ]

    operations = [
        migrations.RunSQL(SEEN, DROP_SEEN),
        migrations.RunSQL(POLICIES, _old_policies()),
        migrations.RunSQL(_WEB.DROP_SEEN, _WEB.SEEN),
    ]
