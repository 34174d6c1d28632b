"""What a viewer may see in which month, as SQL: read by `accounts.policies`, and fit for row-level security."""

from django.db import migrations

# One relation over guardian's ten tables. A permission of another model's content type is not a role on this node, so a
# row with a confused type grants nothing.
GRANTS = """
CREATE VIEW accounts_grant WITH (security_invoker = true) AS
    SELECT 'enterprise_parent'::text AS node_kind, held.content_object_id AS node_id, held.id AS grant_id, held.user_id, NULL::integer AS user_group_id,
           permission.codename::text AS role, held.authority::text[] AS authority, held.ends_at,
           held.granted_at, held.granted_by_id
    FROM accounts_enterpriseparentuserpermission held
    JOIN auth_permission permission ON permission.id = held.permission_id
    JOIN django_content_type type ON type.id = permission.content_type_id
    WHERE type.app_label = 'accounts' AND type.model = 'enterpriseparent' AND permission.codename IN ('viewer', 'administrator')
    UNION ALL
    SELECT 'enterprise_parent'::text AS node_kind, held.content_object_id AS node_id, held.id AS grant_id, NULL::bigint AS user_id, held.group_id AS user_group_id,
           permission.codename::text AS role, held.authority::text[] AS authority, held.ends_at,
           held.granted_at, held.granted_by_id
    FROM accounts_enterpriseparentusergrouppermission held
    JOIN auth_permission permission ON permission.id = held.permission_id
    JOIN django_content_type type ON type.id = permission.content_type_id
    WHERE type.app_label = 'accounts' AND type.model = 'enterpriseparent' AND permission.codename IN ('viewer', 'administrator')
    UNION ALL
    SELECT 'resource_directory'::text AS node_kind, held.content_object_id AS node_id, held.id AS grant_id, held.user_id, NULL::integer AS user_group_id,
           permission.codename::text AS role, held.authority::text[] AS authority, held.ends_at,
           held.granted_at, held.granted_by_id
    FROM accounts_resourcedirectoryuserpermission held
    JOIN auth_permission permission ON permission.id = held.permission_id
    JOIN django_content_type type ON type.id = permission.content_type_id
    WHERE type.app_label = 'accounts' AND type.model = 'resourcedirectory' AND permission.codename IN ('viewer', 'administrator')
    UNION ALL
    SELECT 'resource_directory'::text AS node_kind, held.content_object_id AS node_id, held.id AS grant_id, NULL::bigint AS user_id, held.group_id AS user_group_id,
           permission.codename::text AS role, held.authority::text[] AS authority, held.ends_at,
           held.granted_at, held.granted_by_id
    FROM accounts_resourcedirectoryusergrouppermission held
    JOIN auth_permission permission ON permission.id = held.permission_id
    JOIN django_content_type type ON type.id = permission.content_type_id
    WHERE type.app_label = 'accounts' AND type.model = 'resourcedirectory' AND permission.codename IN ('viewer', 'administrator')
    UNION ALL
    SELECT 'account_group'::text AS node_kind, held.content_object_id AS node_id, held.id AS grant_id, held.user_id, NULL::integer AS user_group_id,
           permission.codename::text AS role, held.authority::text[] AS authority, held.ends_at,
           held.granted_at, held.granted_by_id
    FROM accounts_accountgroupuserpermission held
    JOIN auth_permission permission ON permission.id = held.permission_id
    JOIN django_content_type type ON type.id = permission.content_type_id
    WHERE type.app_label = 'accounts' AND type.model = 'accountgroup' AND permission.codename IN ('viewer', 'administrator')
    UNION ALL
    SELECT 'account_group'::text AS node_kind, held.content_object_id AS node_id, held.id AS grant_id, NULL::bigint AS user_id, held.group_id AS user_group_id,
           permission.codename::text AS role, held.authority::text[] AS authority, held.ends_at,
           held.granted_at, held.granted_by_id
    FROM accounts_accountgroupusergrouppermission held
    JOIN auth_permission permission ON permission.id = held.permission_id
    JOIN django_content_type type ON type.id = permission.content_type_id
    WHERE type.app_label = 'accounts' AND type.model = 'accountgroup' AND permission.codename IN ('viewer', 'administrator')
    UNION ALL
    SELECT 'account'::text AS node_kind, held.content_object_id AS node_id, held.id AS grant_id, held.user_id, NULL::integer AS user_group_id,
           permission.codename::text AS role, held.authority::text[] AS authority, held.ends_at,
           held.granted_at, held.granted_by_id
    FROM accounts_accountuserpermission held
    JOIN auth_permission permission ON permission.id = held.permission_id
    JOIN django_content_type type ON type.id = permission.content_type_id
    WHERE type.app_label = 'accounts' AND type.model = 'account' AND permission.codename IN ('viewer', 'administrator')
    UNION ALL
    SELECT 'account'::text AS node_kind, held.content_object_id AS node_id, held.id AS grant_id, NULL::bigint AS user_id, held.group_id AS user_group_id,
           permission.codename::text AS role, held.authority::text[] AS authority, held.ends_at,
           held.granted_at, held.granted_by_id
    FROM accounts_accountusergrouppermission held
    JOIN auth_permission permission ON permission.id = held.permission_id
    JOIN django_content_type type ON type.id = permission.content_type_id
    WHERE type.app_label = 'accounts' AND type.model = 'account' AND permission.codename IN ('viewer', 'administrator')
    UNION ALL
    SELECT 'resource_group'::text AS node_kind, held.content_object_id AS node_id, held.id AS grant_id, held.user_id, NULL::integer AS user_group_id,
           permission.codename::text AS role, held.authority::text[] AS authority, held.ends_at,
           held.granted_at, held.granted_by_id
    FROM accounts_resourcegroupuserpermission held
    JOIN auth_permission permission ON permission.id = held.permission_id
    JOIN django_content_type type ON type.id = permission.content_type_id
    WHERE type.app_label = 'accounts' AND type.model = 'resourcegroup' AND permission.codename IN ('viewer', 'administrator')
    UNION ALL
    SELECT 'resource_group'::text AS node_kind, held.content_object_id AS node_id, held.id AS grant_id, NULL::bigint AS user_id, held.group_id AS user_group_id,
           permission.codename::text AS role, held.authority::text[] AS authority, held.ends_at,
           held.granted_at, held.granted_by_id
    FROM accounts_resourcegroupusergrouppermission held
    JOIN auth_permission permission ON permission.id = held.permission_id
    JOIN django_content_type type ON type.id = permission.content_type_id
    WHERE type.app_label = 'accounts' AND type.model = 'resourcegroup' AND permission.codename IN ('viewer', 'administrator');
"""
DROP_GRANTS = "DROP VIEW accounts_grant;"

# The grants that count for somebody at an instant: their own and their user groups', not expired, if they are active.
HELD = """
CREATE FUNCTION accounts_viewer_grants(viewer bigint, at timestamptz)
RETURNS TABLE (node_kind text, node_id bigint, role text, authority text[]) LANGUAGE sql STABLE AS $$
    SELECT held.node_kind, held.node_id, held.role, held.authority
    FROM accounts_grant held
    WHERE held.user_id = viewer AND (held.ends_at IS NULL OR held.ends_at > at)
        AND EXISTS (SELECT FROM accounts_user person WHERE person.id = viewer AND person.is_active)
    UNION ALL
    SELECT held.node_kind, held.node_id, held.role, held.authority
    FROM accounts_user_groups member
    JOIN accounts_grant held ON held.user_group_id = member.group_id
    WHERE member.user_id = viewer AND (held.ends_at IS NULL OR held.ends_at > at)
        AND EXISTS (SELECT FROM accounts_user person WHERE person.id = viewer AND person.is_active)
$$;
"""
DROP_HELD = "DROP FUNCTION accounts_viewer_grants(bigint, timestamptz);"

# Operators are active superusers, and active staff with the permission `accounts.operate`; they see every node.
OPERATOR = """
CREATE FUNCTION accounts_is_operator(viewer bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM accounts_user person
        WHERE person.id = viewer AND person.is_active
            AND (person.is_superuser
                 OR (person.is_staff AND EXISTS (
                    SELECT FROM auth_permission permission
                    JOIN django_content_type type ON type.id = permission.content_type_id
                    WHERE type.app_label = 'accounts' AND type.model = 'provider' AND permission.codename = 'operate'
                        AND (EXISTS (SELECT FROM accounts_user_user_permissions own
                                     WHERE own.user_id = person.id AND own.permission_id = permission.id)
                             OR EXISTS (SELECT FROM accounts_user_groups member
                                        JOIN auth_group_permissions theirs ON theirs.group_id = member.group_id
                                        WHERE member.user_id = person.id AND theirs.permission_id = permission.id)))))
    )
$$;
"""
DROP_OPERATOR = "DROP FUNCTION accounts_is_operator(bigint);"

# Roots: the nodes on which the viewer's roles stand, with the months for which they count. Everything below a root, in
# the months in which it is below it, follows by inheritance. `purpose`:
#   see        any role; names, structure, history
#   numbers    any role, but only roles on accounts and resource groups where multi-account management is off
#   administer administrator roles; the switch does not matter
#   delegate   administrator roles, and those on a management account count for its directory
# Written in plpgsql for its cached plan: planning the ten tables costs more than reading them.
ROOTS = """
CREATE FUNCTION accounts_viewer_roots(viewer bigint, at timestamptz, purpose text)
RETURNS TABLE (node_kind text, node_id bigint, role text, why text, via_account_id bigint, authority text[],
               valid_from date, valid_to date)
LANGUAGE plpgsql STABLE ROWS 50 AS $$
#variable_conflict use_column
BEGIN
    IF viewer IS NULL OR at IS NULL OR (purpose IN ('see', 'numbers', 'administer', 'delegate')) IS NOT TRUE THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH held AS MATERIALIZED (
        SELECT held.* FROM accounts_viewer_grants(viewer, at) held
        WHERE purpose IN ('see', 'numbers') OR held.role = 'administrator'
    ), target AS MATERIALIZED (
        SELECT row_number() OVER () AS number, chosen.*
        FROM (
            SELECT held.node_kind, held.node_id, held.role, held.authority, 'granted' AS why,
                   NULL::bigint AS via_account_id
            FROM held
            UNION ALL
            -- Only a direct role on the account extends, and an extension never extends further: `held` is not recursive.
            SELECT 'resource_directory', directory.id, CASE WHEN purpose = 'delegate' THEN held.role ELSE 'viewer' END,
                   held.authority, 'management_account', held.node_id
            FROM held
            JOIN accounts_resourcedirectory directory ON directory.management_account_id = held.node_id
            WHERE held.node_kind = 'account' AND purpose <> 'administer'
            UNION ALL
            SELECT CASE WHEN delegation.group_id IS NULL THEN 'resource_directory' ELSE 'account_group' END,
                   COALESCE(delegation.group_id, delegation.directory_id), 'viewer',
                   held.authority, 'delegated_administrator', held.node_id
            FROM held
            JOIN accounts_delegatedadministrator delegation ON delegation.account_id = held.node_id
            WHERE held.node_kind = 'account' AND purpose IN ('see', 'numbers')
                AND delegation.registered_at <= at
                AND (delegation.ends_at IS NULL OR delegation.ends_at > at)
                AND (delegation.revoked_at IS NULL OR delegation.revoked_at > at)
        ) AS chosen
    ), inside AS (
        -- One row per target and node of its authority; text that is not `kind:id` is dropped and so grants nothing.
        SELECT target.number, entry.place, target.node_kind, target.node_id,
               split_part(entry.key, ':', 1) AS above_kind, split_part(entry.key, ':', 2)::bigint AS above_id
        FROM target CROSS JOIN LATERAL unnest(target.authority) WITH ORDINALITY AS entry (key, place)
        WHERE entry.key ~ '^[a-z_]+:[0-9]{1,18}$'
    ), leaf AS (
        SELECT inside.number, inside.place, inside.above_kind, inside.above_id, inside.node_id AS account_id
        FROM inside WHERE inside.node_kind = 'account'
        UNION ALL
        SELECT inside.number, inside.place, inside.above_kind, inside.above_id, part.account_id
        FROM inside JOIN accounts_resourcegroup part ON part.id = inside.node_id
        WHERE inside.node_kind = 'resource_group'
    ), below AS (
        SELECT inside.number, inside.place, daterange('0001-01-01', '9999-12-01') AS months
        FROM inside WHERE inside.above_kind = inside.node_kind AND inside.above_id = inside.node_id
        UNION ALL
        SELECT inside.number, inside.place, daterange('0001-01-01', '9999-12-01')
        FROM inside JOIN accounts_resourcedirectory directory ON directory.id = inside.node_id
        WHERE inside.node_kind = 'resource_directory' AND inside.above_kind = 'enterprise_parent'
            AND directory.enterprise_id = inside.above_id
        UNION ALL
        SELECT inside.number, inside.place, daterange('0001-01-01', '9999-12-01')
        FROM inside
        JOIN accounts_accountgroup grouping ON grouping.id = inside.node_id
        JOIN accounts_resourcedirectory directory ON directory.id = grouping.directory_id
        WHERE inside.node_kind = 'account_group'
            AND ((inside.above_kind = 'resource_directory' AND directory.id = inside.above_id)
                 OR (inside.above_kind = 'enterprise_parent' AND directory.enterprise_id = inside.above_id))
        UNION ALL
        SELECT inside.number, inside.place,
               daterange(closure.valid_from, COALESCE(closure.valid_to, '9999-12-01'))
        FROM inside
        JOIN accounts_groupclosure closure
            ON closure.descendant_id = inside.node_id AND closure.ancestor_id = inside.above_id
        WHERE inside.node_kind = 'account_group' AND inside.above_kind = 'account_group' AND closure.depth > 0
        UNION ALL
        SELECT leaf.number, leaf.place, daterange('0001-01-01', '9999-12-01')
        FROM leaf WHERE leaf.above_kind = 'account' AND leaf.above_id = leaf.account_id
        UNION ALL
        SELECT leaf.number, leaf.place, daterange(member.valid_from, COALESCE(member.valid_to, '9999-12-01'))
        FROM leaf
        JOIN accounts_accountmembership member
            ON member.account_id = leaf.account_id AND member.superseded_by_id IS NULL
        JOIN accounts_resourcedirectory directory ON directory.id = member.directory_id
        WHERE (leaf.above_kind = 'resource_directory' AND directory.id = leaf.above_id)
            OR (leaf.above_kind = 'enterprise_parent' AND directory.enterprise_id = leaf.above_id)
        UNION ALL
        SELECT leaf.number, leaf.place,
               daterange(member.valid_from, member.valid_to) * daterange(closure.valid_from, closure.valid_to)
               * daterange('0001-01-01', '9999-12-01')
        FROM leaf
        JOIN accounts_accountmembership member
            ON member.account_id = leaf.account_id AND member.superseded_by_id IS NULL
        JOIN accounts_groupclosure closure
            ON closure.descendant_id = member.group_id AND closure.ancestor_id = leaf.above_id
        WHERE leaf.above_kind = 'account_group'
    ), clip AS (
        SELECT each.number, range_intersect_agg(each.months) AS months, count(*) AS met
        FROM (SELECT below.number, below.place, range_agg(below.months) AS months
              FROM below GROUP BY below.number, below.place) AS each
        GROUP BY each.number
    ), root AS (
        SELECT target.node_kind, target.node_id, target.role, target.why, target.via_account_id, target.authority,
               span.months
        FROM target
        CROSS JOIN LATERAL (
            SELECT daterange('0001-01-01', '9999-12-01') AS months WHERE cardinality(target.authority) = 0
            UNION ALL
            SELECT unnest(clip.months) FROM clip
            WHERE clip.number = target.number AND clip.met = cardinality(target.authority)
        ) AS span
    )
    SELECT root.node_kind, root.node_id, root.role, root.why, root.via_account_id, root.authority,
           lower(root.months), upper(root.months)
    FROM root
    LEFT JOIN accounts_accountgroup grouping ON root.node_kind = 'account_group' AND grouping.id = root.node_id
    LEFT JOIN accounts_resourcedirectory directory
        ON directory.id = CASE WHEN root.node_kind = 'resource_directory' THEN root.node_id
                               ELSE grouping.directory_id END
    WHERE NOT isempty(root.months)
        AND (purpose <> 'numbers' OR root.node_kind NOT IN ('resource_directory', 'account_group')
             OR directory.multi_account_management);
END $$;
"""
DROP_ROOTS = "DROP FUNCTION accounts_viewer_roots(bigint, timestamptz, text);"

# Below the roots. Rows of one node may overlap where several roles reach it: use them in EXISTS or IN, never in a join
# under a sum.
DIRECTORIES = """
CREATE FUNCTION accounts_viewer_directories(viewer bigint, at timestamptz, purpose text)
RETURNS TABLE (directory_id bigint, valid_from date, valid_to date) LANGUAGE sql STABLE AS $$
    WITH root AS MATERIALIZED (SELECT * FROM accounts_viewer_roots(viewer, at, purpose))
    SELECT root.node_id, root.valid_from, root.valid_to FROM root WHERE root.node_kind = 'resource_directory'
    UNION ALL
    SELECT directory.id, root.valid_from, root.valid_to
    FROM root JOIN accounts_resourcedirectory directory ON directory.enterprise_id = root.node_id
    WHERE root.node_kind = 'enterprise_parent' AND (purpose <> 'numbers' OR directory.multi_account_management)
$$;
"""
DROP_DIRECTORIES = "DROP FUNCTION accounts_viewer_directories(bigint, timestamptz, text);"

GROUPS = """
CREATE FUNCTION accounts_viewer_groups(viewer bigint, at timestamptz, purpose text)
RETURNS TABLE (group_id bigint, directory_id bigint, valid_from date, valid_to date) LANGUAGE sql STABLE AS $$
    WITH root AS MATERIALIZED (SELECT * FROM accounts_viewer_roots(viewer, at, purpose)),
    whole AS (
        SELECT root.node_id AS directory_id, root.valid_from, root.valid_to
        FROM root WHERE root.node_kind = 'resource_directory'
        UNION ALL
        SELECT directory.id, root.valid_from, root.valid_to
        FROM root JOIN accounts_resourcedirectory directory ON directory.enterprise_id = root.node_id
        WHERE root.node_kind = 'enterprise_parent' AND (purpose <> 'numbers' OR directory.multi_account_management)
    )
    SELECT grouping.id, grouping.directory_id, whole.valid_from, whole.valid_to
    FROM whole JOIN accounts_accountgroup grouping ON grouping.directory_id = whole.directory_id
    UNION ALL
    SELECT root.node_id, grouping.directory_id, root.valid_from, root.valid_to
    FROM root JOIN accounts_accountgroup grouping ON grouping.id = root.node_id
    WHERE root.node_kind = 'account_group'
    UNION ALL
    SELECT closure.descendant_id, closure.directory_id, GREATEST(closure.valid_from, root.valid_from),
           LEAST(COALESCE(closure.valid_to, '9999-12-01'), root.valid_to)
    FROM root JOIN accounts_groupclosure closure ON closure.ancestor_id = root.node_id
    WHERE root.node_kind = 'account_group' AND closure.depth > 0
        AND closure.valid_from < root.valid_to AND (closure.valid_to IS NULL OR closure.valid_to > root.valid_from)
$$;
"""
DROP_GROUPS = "DROP FUNCTION accounts_viewer_groups(bigint, timestamptz, text);"

ACCOUNTS = """
CREATE FUNCTION accounts_viewer_accounts(viewer bigint, at timestamptz, purpose text)
RETURNS TABLE (account_id bigint, valid_from date, valid_to date) LANGUAGE sql STABLE AS $$
    WITH root AS MATERIALIZED (SELECT * FROM accounts_viewer_roots(viewer, at, purpose)),
    whole AS (
        SELECT root.node_id AS directory_id, root.valid_from, root.valid_to
        FROM root WHERE root.node_kind = 'resource_directory'
        UNION ALL
        SELECT directory.id, root.valid_from, root.valid_to
        FROM root JOIN accounts_resourcedirectory directory ON directory.enterprise_id = root.node_id
        WHERE root.node_kind = 'enterprise_parent' AND (purpose <> 'numbers' OR directory.multi_account_management)
    )
    SELECT root.node_id, root.valid_from, root.valid_to FROM root WHERE root.node_kind = 'account'
    UNION ALL
    SELECT member.account_id, GREATEST(member.valid_from, whole.valid_from),
           LEAST(COALESCE(member.valid_to, '9999-12-01'), whole.valid_to)
    FROM whole JOIN accounts_accountmembership member ON member.directory_id = whole.directory_id
    WHERE member.superseded_by_id IS NULL
        AND member.valid_from < whole.valid_to AND (member.valid_to IS NULL OR member.valid_to > whole.valid_from)
    UNION ALL
    SELECT member.account_id, GREATEST(member.valid_from, closure.valid_from, root.valid_from),
           LEAST(COALESCE(member.valid_to, '9999-12-01'), COALESCE(closure.valid_to, '9999-12-01'), root.valid_to)
    FROM root
    JOIN accounts_groupclosure closure ON closure.ancestor_id = root.node_id
    JOIN accounts_accountmembership member ON member.group_id = closure.descendant_id
    WHERE root.node_kind = 'account_group' AND member.superseded_by_id IS NULL
        AND GREATEST(member.valid_from, closure.valid_from, root.valid_from)
            < LEAST(COALESCE(member.valid_to, '9999-12-01'), COALESCE(closure.valid_to, '9999-12-01'), root.valid_to)
$$;
"""
DROP_ACCOUNTS = "DROP FUNCTION accounts_viewer_accounts(bigint, timestamptz, text);"

RESOURCE_GROUPS = """
CREATE FUNCTION accounts_viewer_resource_groups(viewer bigint, at timestamptz, purpose text)
RETURNS TABLE (resource_group_id bigint, account_id bigint, valid_from date, valid_to date) LANGUAGE sql STABLE AS $$
    SELECT part.id, part.account_id, root.valid_from, root.valid_to
    FROM accounts_viewer_roots(viewer, at, purpose) root JOIN accounts_resourcegroup part ON part.id = root.node_id
    WHERE root.node_kind = 'resource_group'
    UNION ALL
    SELECT part.id, part.account_id, seen.valid_from, seen.valid_to
    FROM accounts_viewer_accounts(viewer, at, purpose) seen
    JOIN accounts_resourcegroup part ON part.account_id = seen.account_id
$$;
"""
DROP_RESOURCE_GROUPS = "DROP FUNCTION accounts_viewer_resource_groups(bigint, timestamptz, text);"

# The other direction: for a page of nodes of one kind, the months in which each may be seen; walks up from the nodes, so
# it costs what the page costs. Disjoint, in order, touching months merged.
MONTHS = """
CREATE FUNCTION accounts_viewer_months(viewer bigint, at timestamptz, purpose text, kind text, nodes bigint[])
RETURNS TABLE (node_id bigint, valid_from date, valid_to date) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH root AS MATERIALIZED (
        SELECT root.node_kind, root.node_id, daterange(root.valid_from, root.valid_to) AS months
        FROM accounts_viewer_roots(viewer, at, purpose) root
    ), asked AS MATERIALIZED (
        SELECT DISTINCT node AS node_id FROM unnest(nodes) AS node
    ), leaf AS MATERIALIZED (
        SELECT asked.node_id, asked.node_id AS account_id FROM asked WHERE kind = 'account'
        UNION ALL
        SELECT asked.node_id, part.account_id
        FROM asked JOIN accounts_resourcegroup part ON part.id = asked.node_id WHERE kind = 'resource_group'
    ), place AS MATERIALIZED (
        -- Where each node hangs: in which directory, under which group, in which months.
        SELECT leaf.node_id, member.directory_id, member.group_id, daterange(member.valid_from, member.valid_to) AS months
        FROM leaf JOIN accounts_accountmembership member ON member.account_id = leaf.account_id
        WHERE member.superseded_by_id IS NULL
        UNION ALL
        SELECT asked.node_id, grouping.directory_id, grouping.id, daterange('0001-01-01', '9999-12-01')
        FROM asked JOIN accounts_accountgroup grouping ON grouping.id = asked.node_id WHERE kind = 'account_group'
        UNION ALL
        SELECT asked.node_id, directory.id, NULL, daterange('0001-01-01', '9999-12-01')
        FROM asked JOIN accounts_resourcedirectory directory ON directory.id = asked.node_id
        WHERE kind = 'resource_directory'
    ), seen AS (
        SELECT asked.node_id, root.months
        FROM asked JOIN root ON root.node_kind = kind AND root.node_id = asked.node_id
        UNION ALL
        SELECT leaf.node_id, root.months
        FROM leaf JOIN root ON root.node_kind = 'account' AND root.node_id = leaf.account_id
        WHERE kind = 'resource_group'
        UNION ALL
        SELECT place.node_id, root.months * place.months
        FROM place
        JOIN accounts_resourcedirectory directory ON directory.id = place.directory_id
        JOIN root ON (root.node_kind = 'resource_directory' AND root.node_id = directory.id)
            OR (root.node_kind = 'enterprise_parent' AND root.node_id = directory.enterprise_id
                AND (purpose <> 'numbers' OR directory.multi_account_management))
        UNION ALL
        SELECT place.node_id, root.months * place.months * daterange(closure.valid_from, closure.valid_to)
        FROM place
        JOIN accounts_groupclosure closure ON closure.descendant_id = place.group_id
        JOIN root ON root.node_kind = 'account_group' AND root.node_id = closure.ancestor_id
    ), merged AS (
        SELECT seen.node_id, unnest(range_agg(seen.months)) AS months
        FROM seen WHERE NOT isempty(seen.months) GROUP BY seen.node_id
    )
    SELECT merged.node_id, lower(merged.months), upper(merged.months) FROM merged ORDER BY 1, 2;
END $$;
"""
DROP_MONTHS = "DROP FUNCTION accounts_viewer_months(bigint, timestamptz, text, text, bigint[]);"

# Ancestors of what may be seen, in the months in which it may be seen: they may be walked by name and show no number.
EXPLORABLE = """
CREATE FUNCTION accounts_viewer_explorable(viewer bigint, at timestamptz)
RETURNS TABLE (node_kind text, node_id bigint, valid_from date, valid_to date)
LANGUAGE plpgsql STABLE ROWS 50 AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH root AS MATERIALIZED (
        SELECT root.node_kind, root.node_id, daterange(root.valid_from, root.valid_to) AS months
        FROM accounts_viewer_roots(viewer, at, 'see') root
    ), leaf AS MATERIALIZED (
        SELECT root.node_id AS account_id, root.months FROM root WHERE root.node_kind = 'account'
        UNION ALL
        SELECT part.account_id, root.months
        FROM root JOIN accounts_resourcegroup part ON part.id = root.node_id WHERE root.node_kind = 'resource_group'
    ), place AS MATERIALIZED (
        SELECT member.directory_id, member.group_id, leaf.months * daterange(member.valid_from, member.valid_to) AS months
        FROM leaf JOIN accounts_accountmembership member ON member.account_id = leaf.account_id
        WHERE member.superseded_by_id IS NULL AND leaf.months && daterange(member.valid_from, member.valid_to)
        UNION ALL
        SELECT grouping.directory_id, grouping.id, root.months
        FROM root JOIN accounts_accountgroup grouping ON grouping.id = root.node_id
        WHERE root.node_kind = 'account_group'
        UNION ALL
        SELECT root.node_id, NULL, root.months FROM root WHERE root.node_kind = 'resource_directory'
    ), above AS (
        SELECT 'account' AS node_kind, leaf.account_id AS node_id, leaf.months FROM leaf
        UNION ALL
        SELECT 'account_group', closure.ancestor_id, place.months * daterange(closure.valid_from, closure.valid_to)
        FROM place JOIN accounts_groupclosure closure ON closure.descendant_id = place.group_id
        WHERE place.months && daterange(closure.valid_from, closure.valid_to)
        UNION ALL
        SELECT 'resource_directory', place.directory_id, place.months FROM place
        UNION ALL
        SELECT 'enterprise_parent', directory.enterprise_id, place.months
        FROM place JOIN accounts_resourcedirectory directory ON directory.id = place.directory_id
    ), merged AS (
        SELECT above.node_kind, above.node_id, unnest(range_agg(above.months)) AS months
        FROM above GROUP BY above.node_kind, above.node_id
    )
    SELECT merged.node_kind, merged.node_id, lower(merged.months), upper(merged.months) FROM merged;
END $$;
"""
DROP_EXPLORABLE = "DROP FUNCTION accounts_viewer_explorable(bigint, timestamptz);"


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_constraints'),
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
    ]

    operations = [
        migrations.RunSQL(GRANTS, DROP_GRANTS),
        migrations.RunSQL(HELD, DROP_HELD),
        migrations.RunSQL(OPERATOR, DROP_OPERATOR),
        migrations.RunSQL(ROOTS, DROP_ROOTS),
        migrations.RunSQL(DIRECTORIES, DROP_DIRECTORIES),
        migrations.RunSQL(GROUPS, DROP_GROUPS),
        migrations.RunSQL(ACCOUNTS, DROP_ACCOUNTS),
        migrations.RunSQL(RESOURCE_GROUPS, DROP_RESOURCE_GROUPS),
        migrations.RunSQL(MONTHS, DROP_MONTHS),
        migrations.RunSQL(EXPLORABLE, DROP_EXPLORABLE),
    ]
