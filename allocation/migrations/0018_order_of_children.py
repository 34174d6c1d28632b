"""Keep the subgroups of each node in the order of their totals, so that the first of very many are found without the rest.

A row of a group says which group stands directly above it in the month of the publication. Totals are never changed
afterwards; what was published before this migration gets its parents from the tree that the publication names.
"""

from django.db import migrations

# The order of the lines is that of `allocation.selectors.amounts.LINES`: an index is used for the very same expression.
_OWN = ("scope1",)
_REST = ("scope3_embodied", "scope3_other")
METHODS = {
    "location": (*_OWN, "scope2_lbm", "scope2_heat_lbm", "scope3_fera_lbm", "scope3_leased_lbm", *_REST),
    "market": (*_OWN, "scope2_mbm", "scope2_heat_mbm", "scope3_fera_mbm", "scope3_leased_mbm", *_REST),
}


def total_of(lines: tuple[str, ...]) -> str:
    """Write the total of lines as SQL; NULL where none of them is there."""
    columns = [f"{line}_ug" for line in lines]
    added = " + ".join(f"COALESCE({column}, 0)" for column in columns)
    return f"CASE WHEN COALESCE({', '.join(columns)}) IS NULL THEN NULL ELSE {added} END"


def index_by(name: str, total: str) -> str:
    """Write the index that keeps subgroups in the order of a total."""
    return f"""
CREATE INDEX container_total_by_{name} ON allocation_containertotal
    (publication_id, directory_id, parent_id, {total} DESC NULLS LAST)
    WHERE grain = 0 AND group_id IS NOT NULL;"""


FORWARDS = f"""
ALTER TABLE allocation_containertotal ADD COLUMN parent_id bigint;
ALTER TABLE allocation_containertotal DISABLE TRIGGER refuse;
UPDATE allocation_containertotal total SET parent_id = edge.parent_id
FROM allocation_publication publication, accounts_groupedge edge
WHERE publication.id = total.publication_id AND edge.group_id = total.group_id AND edge.parent_id IS NOT NULL
    AND edge.valid_from <= publication.month AND (edge.valid_to IS NULL OR edge.valid_to > publication.month)
    AND CASE WHEN publication.tree_version_id IS NULL THEN edge.superseded_by_id IS NULL
             ELSE edge.recorded_by_id <= publication.tree_version_id
                 AND (edge.superseded_by_id IS NULL OR edge.superseded_by_id > publication.tree_version_id) END;
ALTER TABLE allocation_containertotal ENABLE TRIGGER refuse;
{"".join(index_by(name, f"({total_of(lines)})") for name, lines in METHODS.items())}
ANALYZE allocation_containertotal;
"""
BACKWARDS = "ALTER TABLE allocation_containertotal DROP COLUMN parent_id;"


class Migration(migrations.Migration):

    dependencies = [("allocation", "0017_moves_of_accounts")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
