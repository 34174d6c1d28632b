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
#
# One step after the other, each a small statement: a viewer without teams, offices or limits does not pay for planning
# theirs, and a connection may serve one request only.
ROOTS = """
CREATE TYPE accounts_held_role AS (
    node_kind text, node_id bigint, role text, authority text[], why text, via_account_id bigint
);

CREATE FUNCTION accounts_held_roles(viewer bigint, at timestamptz, administrators_only boolean)
RETURNS accounts_held_role[] LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    permissions integer[];
    models text[];
    roles text[];
    teams integer[];
    own accounts_held_role[];
    shared accounts_held_role[];
BEGIN
    IF NOT EXISTS (SELECT FROM accounts_user person WHERE person.id = viewer AND person.is_active) THEN
        RETURN '{}';
    END IF;
    -- A permission counts on nodes of its own model only: a row with a confused type grants nothing.
    SELECT array_agg(permission.id), array_agg(type.model), array_agg(permission.codename)
        INTO permissions, models, roles
        FROM django_content_type type JOIN auth_permission permission ON permission.content_type_id = type.id
        WHERE type.app_label = 'accounts'
            AND permission.codename = ANY(CASE WHEN administrators_only THEN '{administrator}'
                                               ELSE '{viewer,administrator}' END::text[]);
    SELECT array_agg(ROW(held.node_kind, held.node_id, held.role, held.authority, 'granted', NULL)::accounts_held_role)
        INTO own
        FROM (SELECT 'enterprise_parent', held.content_object_id, role.role, held.authority::text[]
                FROM accounts_enterpriseparentuserpermission held
                JOIN unnest(permissions, models, roles) AS role (permission_id, model, role)
                    ON role.permission_id = held.permission_id AND role.model = 'enterpriseparent'
                WHERE held.user_id = viewer AND (held.ends_at IS NULL OR held.ends_at > at)
                UNION ALL SELECT 'resource_directory', held.content_object_id, role.role, held.authority::text[]
                FROM accounts_resourcedirectoryuserpermission held
                JOIN unnest(permissions, models, roles) AS role (permission_id, model, role)
                    ON role.permission_id = held.permission_id AND role.model = 'resourcedirectory'
                WHERE held.user_id = viewer AND (held.ends_at IS NULL OR held.ends_at > at)
                UNION ALL SELECT 'account_group', held.content_object_id, role.role, held.authority::text[]
                FROM accounts_accountgroupuserpermission held
                JOIN unnest(permissions, models, roles) AS role (permission_id, model, role)
                    ON role.permission_id = held.permission_id AND role.model = 'accountgroup'
                WHERE held.user_id = viewer AND (held.ends_at IS NULL OR held.ends_at > at)
                UNION ALL SELECT 'account', held.content_object_id, role.role, held.authority::text[]
                FROM accounts_accountuserpermission held
                JOIN unnest(permissions, models, roles) AS role (permission_id, model, role)
                    ON role.permission_id = held.permission_id AND role.model = 'account'
                WHERE held.user_id = viewer AND (held.ends_at IS NULL OR held.ends_at > at)
                UNION ALL SELECT 'resource_group', held.content_object_id, role.role, held.authority::text[]
                FROM accounts_resourcegroupuserpermission held
                JOIN unnest(permissions, models, roles) AS role (permission_id, model, role)
                    ON role.permission_id = held.permission_id AND role.model = 'resourcegroup'
                WHERE held.user_id = viewer AND (held.ends_at IS NULL OR held.ends_at > at)) AS held (node_kind, node_id, role, authority);
    teams := ARRAY(SELECT member.group_id FROM accounts_user_groups member WHERE member.user_id = viewer);
    IF cardinality(teams) > 0 THEN
        SELECT array_agg(
                ROW(held.node_kind, held.node_id, held.role, held.authority, 'granted', NULL)::accounts_held_role)
            INTO shared
            FROM (SELECT 'enterprise_parent', held.content_object_id, role.role, held.authority::text[]
                FROM accounts_enterpriseparentusergrouppermission held
                JOIN unnest(permissions, models, roles) AS role (permission_id, model, role)
                    ON role.permission_id = held.permission_id AND role.model = 'enterpriseparent'
                WHERE held.group_id = ANY(teams) AND (held.ends_at IS NULL OR held.ends_at > at)
                UNION ALL SELECT 'resource_directory', held.content_object_id, role.role, held.authority::text[]
                FROM accounts_resourcedirectoryusergrouppermission held
                JOIN unnest(permissions, models, roles) AS role (permission_id, model, role)
                    ON role.permission_id = held.permission_id AND role.model = 'resourcedirectory'
                WHERE held.group_id = ANY(teams) AND (held.ends_at IS NULL OR held.ends_at > at)
                UNION ALL SELECT 'account_group', held.content_object_id, role.role, held.authority::text[]
                FROM accounts_accountgroupusergrouppermission held
                JOIN unnest(permissions, models, roles) AS role (permission_id, model, role)
                    ON role.permission_id = held.permission_id AND role.model = 'accountgroup'
                WHERE held.group_id = ANY(teams) AND (held.ends_at IS NULL OR held.ends_at > at)
                UNION ALL SELECT 'account', held.content_object_id, role.role, held.authority::text[]
                FROM accounts_accountusergrouppermission held
                JOIN unnest(permissions, models, roles) AS role (permission_id, model, role)
                    ON role.permission_id = held.permission_id AND role.model = 'account'
                WHERE held.group_id = ANY(teams) AND (held.ends_at IS NULL OR held.ends_at > at)
                UNION ALL SELECT 'resource_group', held.content_object_id, role.role, held.authority::text[]
                FROM accounts_resourcegroupusergrouppermission held
                JOIN unnest(permissions, models, roles) AS role (permission_id, model, role)
                    ON role.permission_id = held.permission_id AND role.model = 'resourcegroup'
                WHERE held.group_id = ANY(teams) AND (held.ends_at IS NULL OR held.ends_at > at)) AS held (node_kind, node_id, role, authority);
    END IF;
    RETURN COALESCE(own, '{}') || COALESCE(shared, '{}');
END $$;

-- What a direct role on a management account or on a delegated administrator extends to. Only `held` is read, so an
-- extension never extends further.
CREATE FUNCTION accounts_extended_roles(held accounts_held_role[], at timestamptz, purpose text)
RETURNS accounts_held_role[] LANGUAGE sql STABLE AS $$
    SELECT COALESCE(array_agg(extended), '{}')
    FROM (
        SELECT ROW('resource_directory', directory.id,
                   CASE WHEN purpose = 'delegate' THEN held_role.role ELSE 'viewer' END,
                   held_role.authority, 'management_account', held_role.node_id)::accounts_held_role
        FROM unnest(held) AS held_role
        JOIN accounts_resourcedirectory directory ON directory.management_account_id = held_role.node_id
        WHERE held_role.node_kind = 'account'
        UNION ALL
        SELECT ROW(CASE WHEN delegation.group_id IS NULL THEN 'resource_directory' ELSE 'account_group' END,
                   COALESCE(delegation.group_id, delegation.directory_id), 'viewer',
                   held_role.authority, 'delegated_administrator', held_role.node_id)::accounts_held_role
        FROM unnest(held) AS held_role
        JOIN accounts_delegatedadministrator delegation ON delegation.account_id = held_role.node_id
        WHERE held_role.node_kind = 'account' AND purpose IN ('see', 'numbers')
            AND delegation.registered_at <= at
            AND (delegation.ends_at IS NULL OR delegation.ends_at > at)
            AND (delegation.revoked_at IS NULL OR delegation.revoked_at > at)
    ) AS each (extended)
$$;

-- The months in which each role's node stands inside all of the nodes of its authority.
CREATE FUNCTION accounts_limited_months(held accounts_held_role[])
RETURNS TABLE (number bigint, months datemultirange) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH inside AS MATERIALIZED (
        -- One row per role and node of its authority; text that is not `kind:id` is dropped and so grants nothing.
        SELECT target.number, cardinality(target.authority) AS needed, entry.place, target.node_kind, target.node_id,
               split_part(entry.key, ':', 1) AS above_kind, split_part(entry.key, ':', 2)::bigint AS above_id
        FROM unnest(held) WITH ORDINALITY AS target (node_kind, node_id, role, authority, why, via_account_id, number)
        CROSS JOIN LATERAL unnest(target.authority) WITH ORDINALITY AS entry (key, place)
        WHERE entry.key ~ '^[a-z_]+:[0-9]{1,18}$'
    ), leaf AS MATERIALIZED (
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
    ), met AS (
        SELECT below.number, below.place, range_agg(below.months) AS months
        FROM below GROUP BY below.number, below.place
    )
    SELECT met.number, range_intersect_agg(met.months)
    FROM met GROUP BY met.number
    -- Every node of the authority must have been met, the unreadable ones included.
    HAVING count(*) = (SELECT min(inside.needed) FROM inside WHERE inside.number = met.number);
END $$;

CREATE FUNCTION accounts_viewer_roots(viewer bigint, at timestamptz, purpose text)
RETURNS TABLE (node_kind text, node_id bigint, role text, why text, via_account_id bigint, authority text[],
               valid_from date, valid_to date)
LANGUAGE plpgsql STABLE ROWS 100 AS $$
#variable_conflict use_column
DECLARE
    held accounts_held_role[];
    spans datemultirange[];
    switched_off bigint[];
BEGIN
    IF viewer IS NULL OR at IS NULL OR (purpose IN ('see', 'numbers', 'administer', 'delegate')) IS NOT TRUE THEN
        RETURN;
    END IF;
    held := accounts_held_roles(viewer, at, purpose IN ('administer', 'delegate'));
    IF cardinality(held) = 0 THEN
        RETURN;
    END IF;
    IF purpose <> 'administer' AND EXISTS (SELECT FROM unnest(held) AS each WHERE each.node_kind = 'account') THEN
        held := held || accounts_extended_roles(held, at, purpose);
    END IF;
    IF EXISTS (SELECT FROM unnest(held) AS each WHERE cardinality(each.authority) > 0) THEN
        SELECT array_agg(CASE WHEN cardinality(each.authority) = 0 THEN '{[0001-01-01,9999-12-01)}'::datemultirange
                              ELSE COALESCE(clip.months, '{}') END ORDER BY each.number)
            INTO spans
            FROM unnest(held) WITH ORDINALITY
                AS each (node_kind, node_id, role, authority, why, via_account_id, number)
            LEFT JOIN accounts_limited_months(held) AS clip ON clip.number = each.number;
    END IF;
    IF purpose = 'numbers' THEN
        switched_off := ARRAY(
            SELECT directory.id FROM accounts_resourcedirectory directory WHERE NOT directory.multi_account_management);
    END IF;
    IF spans IS NULL AND COALESCE(cardinality(switched_off), 0) = 0 THEN
        RETURN QUERY
        SELECT each.node_kind, each.node_id, each.role, each.why, each.via_account_id, each.authority,
               DATE '0001-01-01', DATE '9999-12-01'
        FROM unnest(held) AS each;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT each.node_kind, each.node_id, each.role, each.why, each.via_account_id, each.authority,
           lower(span.months), upper(span.months)
    FROM unnest(held) WITH ORDINALITY AS each (node_kind, node_id, role, authority, why, via_account_id, number)
    CROSS JOIN LATERAL unnest(
        CASE WHEN spans IS NULL THEN '{[0001-01-01,9999-12-01)}'::datemultirange ELSE spans[each.number] END
    ) AS span (months)
    WHERE COALESCE(cardinality(switched_off), 0) = 0
        OR (each.node_kind = 'resource_directory' AND NOT each.node_id = ANY(switched_off))
        OR (each.node_kind = 'account_group' AND NOT EXISTS (
            SELECT FROM accounts_accountgroup grouping
            WHERE grouping.id = each.node_id AND grouping.directory_id = ANY(switched_off)))
        OR each.node_kind NOT IN ('resource_directory', 'account_group');
END $$;
"""
DROP_ROOTS = """
DROP FUNCTION accounts_viewer_roots(bigint, timestamptz, text);
DROP FUNCTION accounts_limited_months(accounts_held_role[]);
DROP FUNCTION accounts_extended_roles(accounts_held_role[], timestamptz, text);
DROP FUNCTION accounts_held_roles(bigint, timestamptz, boolean);
DROP TYPE accounts_held_role;
"""

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
RETURNS TABLE (node_id bigint, valid_from date, valid_to date) LANGUAGE plpgsql STABLE ROWS 100 AS $$
#variable_conflict use_column
BEGIN
    IF cardinality(nodes) > 0 IS NOT TRUE THEN
        RETURN;
    END IF;
    IF kind IN ('enterprise_parent', 'resource_directory') THEN
        RETURN QUERY
        WITH root AS MATERIALIZED (
            SELECT root.node_kind, root.node_id, daterange(root.valid_from, root.valid_to) AS months
            FROM accounts_viewer_roots(viewer, at, purpose) root
            WHERE root.node_kind IN ('enterprise_parent', 'resource_directory')
        ), merged AS (
            SELECT seen.node_id, unnest(range_agg(seen.months)) AS months
            FROM (
                SELECT root.node_id, root.months FROM root WHERE root.node_kind = kind AND root.node_id = ANY(nodes)
                UNION ALL
                SELECT directory.id, root.months
                FROM root JOIN accounts_resourcedirectory directory ON directory.enterprise_id = root.node_id
                WHERE kind = 'resource_directory' AND root.node_kind = 'enterprise_parent'
                    AND directory.id = ANY(nodes) AND (purpose <> 'numbers' OR directory.multi_account_management)
            ) AS seen GROUP BY seen.node_id
        )
        SELECT merged.node_id, lower(merged.months), upper(merged.months) FROM merged ORDER BY 1, 2;
    ELSIF kind = 'account_group' THEN
        RETURN QUERY
        WITH root AS MATERIALIZED (
            SELECT root.node_kind, root.node_id, daterange(root.valid_from, root.valid_to) AS months
            FROM accounts_viewer_roots(viewer, at, purpose) root
            WHERE root.node_kind NOT IN ('account', 'resource_group')
        ), merged AS (
            SELECT seen.node_id, unnest(range_agg(seen.months)) AS months
            FROM (
                SELECT root.node_id, root.months
                FROM root WHERE root.node_kind = 'account_group' AND root.node_id = ANY(nodes)
                UNION ALL
                SELECT grouping.id, root.months
                FROM accounts_accountgroup grouping
                JOIN accounts_resourcedirectory directory ON directory.id = grouping.directory_id
                JOIN root ON (root.node_kind = 'resource_directory' AND root.node_id = directory.id)
                    OR (root.node_kind = 'enterprise_parent' AND root.node_id = directory.enterprise_id
                        AND (purpose <> 'numbers' OR directory.multi_account_management))
                WHERE grouping.id = ANY(nodes)
                UNION ALL
                SELECT closure.descendant_id, root.months * daterange(closure.valid_from, closure.valid_to)
                FROM accounts_groupclosure closure
                JOIN root ON root.node_kind = 'account_group' AND root.node_id = closure.ancestor_id
                WHERE closure.descendant_id = ANY(nodes)
            ) AS seen WHERE NOT isempty(seen.months) GROUP BY seen.node_id
        )
        SELECT merged.node_id, lower(merged.months), upper(merged.months) FROM merged ORDER BY 1, 2;
    ELSIF kind IN ('account', 'resource_group') THEN
        RETURN QUERY
        WITH root AS MATERIALIZED (
            SELECT root.node_kind, root.node_id, daterange(root.valid_from, root.valid_to) AS months
            FROM accounts_viewer_roots(viewer, at, purpose) root
        ), leaf AS MATERIALIZED (
            SELECT DISTINCT node AS node_id, node AS account_id FROM unnest(nodes) AS node WHERE kind = 'account'
            UNION ALL
            SELECT part.id, part.account_id
            FROM accounts_resourcegroup part WHERE kind = 'resource_group' AND part.id = ANY(nodes)
        ), place AS MATERIALIZED (
            SELECT leaf.node_id, member.directory_id, member.group_id,
                   daterange(member.valid_from, member.valid_to) AS months
            FROM leaf JOIN accounts_accountmembership member ON member.account_id = leaf.account_id
            WHERE member.superseded_by_id IS NULL
        ), merged AS (
            SELECT seen.node_id, unnest(range_agg(seen.months)) AS months
            FROM (
                SELECT leaf.node_id, root.months
                FROM leaf JOIN root ON root.node_id = leaf.account_id WHERE root.node_kind = 'account'
                UNION ALL
                SELECT root.node_id, root.months
                FROM root
                WHERE kind = 'resource_group' AND root.node_kind = 'resource_group' AND root.node_id = ANY(nodes)
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
            ) AS seen WHERE NOT isempty(seen.months) GROUP BY seen.node_id
        )
        SELECT merged.node_id, lower(merged.months), upper(merged.months) FROM merged ORDER BY 1, 2;
    END IF;
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
        migrations.RunSQL(OPERATOR, DROP_OPERATOR),
        migrations.RunSQL(ROOTS, DROP_ROOTS),
        migrations.RunSQL(DIRECTORIES, DROP_DIRECTORIES),
        migrations.RunSQL(GROUPS, DROP_GROUPS),
        migrations.RunSQL(ACCOUNTS, DROP_ACCOUNTS),
        migrations.RunSQL(RESOURCE_GROUPS, DROP_RESOURCE_GROUPS),
        migrations.RunSQL(MONTHS, DROP_MONTHS),
        migrations.RunSQL(EXPLORABLE, DROP_EXPLORABLE),
    ]
