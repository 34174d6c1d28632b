"""The closure of the group tree: derived from the current edges, written only here, verified against them.

`GroupClosure` says for every pair of groups in which months one stands below the other. A path holds in the months in
which all of its edges hold, so the walk intersects months on its way up. One statement computes it for any set of
groups; rebuilding, refreshing after a move and verifying all use that statement, so they cannot disagree.

docs/adr/0005-dated-closure-table.md says why it is a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from django.db import connection, transaction

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

# A walk cannot be longer than there are groups; the bound ends it should an edge ever have escaped the constraints.
# The months of equal depth that touch are one row: that makes the result a function of the tree alone, not of how
# its edges happen to be cut.
_COMPUTED = """
WITH RECURSIVE walk (directory_id, ancestor_id, descendant_id, depth, months) AS (
    SELECT edge.directory_id, edge.group_id, edge.group_id, 0, daterange(edge.valid_from, edge.valid_to)
    FROM accounts_groupedge edge
    WHERE edge.superseded_by_id IS NULL AND {chosen}
    UNION
    SELECT walk.directory_id, edge.parent_id, walk.descendant_id, walk.depth + 1,
           walk.months * daterange(edge.valid_from, edge.valid_to)
    FROM walk
    JOIN accounts_groupedge edge ON edge.group_id = walk.ancestor_id
    WHERE edge.superseded_by_id IS NULL AND edge.parent_id IS NOT NULL
        AND daterange(edge.valid_from, edge.valid_to) && walk.months
        AND walk.depth <= (SELECT count(*) FROM accounts_accountgroup)
        AND NOT (walk.depth > 0 AND walk.ancestor_id = walk.descendant_id)
), merged AS (
    SELECT directory_id, ancestor_id, descendant_id, depth, unnest(range_agg(months)) AS months
    FROM walk GROUP BY directory_id, ancestor_id, descendant_id, depth
)
SELECT directory_id, ancestor_id, descendant_id, depth, lower(months) AS valid_from, upper(months) AS valid_to
FROM merged
"""

_COLUMNS = "directory_id, ancestor_id, descendant_id, depth, valid_from, valid_to"


class ClosureFault(NamedTuple):
    """One row that the stored closure lacks (`missing`) or has in excess (`surplus`)."""

    problem: str
    directory_id: int
    ancestor_id: int
    descendant_id: int
    depth: int
    valid_from: date
    valid_to: date | None


def lock(*, directory_ids: Collection[int]) -> None:
    """Wait for every other writer of these directories; held until the end of the transaction, which must be open.

    Always taken in the same order, so that two changes of several directories cannot wait for each other.
    """
    with connection.cursor() as cursor:
        for directory_id in sorted(set(directory_ids)):
            cursor.execute("SELECT accounts_lock_directory(%s)", [directory_id])


@transaction.atomic
def rebuild(*, directory_ids: Collection[int]) -> int:
    """Throw the closure of these directories away and compute it anew; the number of rows written."""
    lock(directory_ids=directory_ids)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM accounts_groupclosure WHERE directory_id = ANY(%s)", [list(directory_ids)])
        cursor.execute(
            f"INSERT INTO accounts_groupclosure ({_COLUMNS}) " + _COMPUTED.format(chosen="edge.directory_id = ANY(%s)"),
            [list(directory_ids)],
        )
        return int(cursor.rowcount)


@transaction.atomic
def refresh(*, directory_id: int, group_ids: Collection[int]) -> int:
    """Compute anew what stands below these groups after their own edges changed; the number of rows written.

    Only rows of their descendants can have changed: the way up from any other group does not pass through them. The
    descendants are those of the stored closure, in any month: a group's own edge does not change what is below it.
    """
    lock(directory_ids=[directory_id])
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT descendant_id FROM accounts_groupclosure WHERE ancestor_id = ANY(%s)", [list(group_ids)]
        )
        below = list({row[0] for row in cursor.fetchall()} | set(group_ids))
        cursor.execute("DELETE FROM accounts_groupclosure WHERE descendant_id = ANY(%s)", [below])
        cursor.execute(
            f"INSERT INTO accounts_groupclosure ({_COLUMNS}) " + _COMPUTED.format(chosen="edge.group_id = ANY(%s)"),
            [below],
        )
        return int(cursor.rowcount)


@transaction.atomic
def verify(*, directory_ids: Collection[int]) -> list[ClosureFault]:
    """Every difference between the stored closure and the current edges; empty when all is well."""
    computed = _COMPUTED.format(chosen="edge.directory_id = ANY(%(directories)s)")
    stored = f"SELECT {_COLUMNS} FROM accounts_groupclosure WHERE directory_id = ANY(%(directories)s)"  # noqa: S608 fixed column names
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT 'missing', * FROM (({computed}) EXCEPT ALL ({stored})) AS lacking UNION ALL "  # noqa: S608 fixed texts
            f"SELECT 'surplus', * FROM (({stored}) EXCEPT ALL ({computed})) AS excess ORDER BY 2, 3, 4, 5, 6, 1",
            {"directories": list(directory_ids)},
        )
        return [ClosureFault(*row) for row in cursor.fetchall()]
