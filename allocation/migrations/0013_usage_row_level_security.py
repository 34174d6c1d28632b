"""Let the web role read usage: a viewer's own rows, for explaining a figure; all rows for operators.

The rule is that of the ledger (`0007_row_level_security`), by the month of the package.
"""

from django.db import migrations

_OPERATOR = "(SELECT canopy_now() IS NOT NULL AND accounts_is_operator(canopy_viewer()))"
_LEAVES = """
    SELECT seen.node_id, run.package_id
    FROM allocation_web_leaves('{kind}') seen JOIN allocation_allocationrun run ON run.id = seen.run_id"""
POLICIES = f"""
ALTER TABLE allocation_usagerow ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_works ON allocation_usagerow TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY web_reads ON allocation_usagerow FOR SELECT TO canopy_web USING (
    {_OPERATOR}
    OR (account_id, package_id) IN ({_LEAVES.format(kind="account")})
    OR (resource_group_id, package_id) IN ({_LEAVES.format(kind="resource_group")})
    OR EXISTS (
        SELECT FROM allocation_package package
        JOIN accounts_accountmembership member
            ON member.account_id = allocation_usagerow.account_id AND member.superseded_by_id IS NULL
            AND member.valid_from <= package.month AND (member.valid_to IS NULL OR member.valid_to > package.month)
        WHERE package.id = allocation_usagerow.package_id
            AND ((member.directory_id, package.month) IN (SELECT directory_id, month FROM allocation_web_directories())
                 OR member.group_id IN (SELECT group_id FROM allocation_web_groups() WHERE always)
                 OR (member.group_id, package.month) IN (SELECT group_id, month FROM allocation_web_group_months())))
);
"""
DROP = """
DROP POLICY web_reads ON allocation_usagerow;
DROP POLICY owner_works ON allocation_usagerow;
ALTER TABLE allocation_usagerow DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
"""


class Migration(migrations.Migration):

    dependencies = [("allocation", "0012_beyond_version_1")]

    operations = [migrations.RunSQL(POLICIES, DROP)]
