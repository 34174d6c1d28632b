"""Writing the places of groups and accounts that a document of directories states, set by set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connection

from accounts import closure
from accounts.models import NodeKind, TreeVersion
from accounts.months import BEGINNING, Period
from accounts.services.directory_document import Fault
from accounts.services.import_report import DocumentRefused
from accounts.services.timeline import MonthPublished, new_version

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date

    from accounts.models import Provider, ResourceDirectory
    from accounts.policies import Viewer
    from accounts.services.directory_document import Document
    from accounts.services.import_report import ImportReport


_STAGES = """
CREATE TEMPORARY TABLE staged_group (directory_id bigint, external_id text, name text, closed_from date) ON COMMIT DROP;
CREATE TEMPORARY TABLE staged_edge (directory_id bigint, external_id text, parent text, valid_from date, valid_to date)
    ON COMMIT DROP;
CREATE TEMPORARY TABLE staged_account (provider_id bigint, external_id text, name text, kind text, closed_from date,
    placed boolean) ON COMMIT DROP;
CREATE TEMPORARY TABLE staged_member (provider_id bigint, external_id text, directory_id bigint, group_external_id text,
    valid_from date, valid_to date) ON COMMIT DROP;
CREATE TEMPORARY TABLE staged_part (provider_id bigint, external_id text, code text, name text) ON COMMIT DROP;
"""

# The tables are dropped by name first: one transaction may import several documents.
_CLEAR = "DROP TABLE IF EXISTS staged_group, staged_edge, staged_account, staged_member, staged_part,"
_CLEAR += " wanted_edge, wanted_member"

_UPSERTS = {
    "groups": """
        INSERT INTO accounts_accountgroup (directory_id, external_id, name, status, closed_from)
        SELECT directory_id, external_id, name, CASE WHEN closed_from IS NULL THEN 'active' ELSE 'closed' END,
               closed_from
        FROM staged_group ORDER BY directory_id, external_id
        ON CONFLICT (directory_id, external_id) DO UPDATE
            SET name = EXCLUDED.name, status = EXCLUDED.status, closed_from = EXCLUDED.closed_from
            WHERE (accounts_accountgroup.name, accounts_accountgroup.status, accounts_accountgroup.closed_from)
                IS DISTINCT FROM (EXCLUDED.name, EXCLUDED.status, EXCLUDED.closed_from)
        RETURNING xmax = 0""",
    "accounts": """
        INSERT INTO accounts_account (provider_id, external_id, name, kind, status, closed_from)
        SELECT provider_id, external_id, name, kind, CASE WHEN closed_from IS NULL THEN 'active' ELSE 'closed' END,
               closed_from
        FROM staged_account ORDER BY provider_id, external_id
        ON CONFLICT (provider_id, external_id) DO UPDATE
            SET name = EXCLUDED.name, kind = EXCLUDED.kind, status = EXCLUDED.status, closed_from = EXCLUDED.closed_from
            WHERE (accounts_account.name, accounts_account.kind, accounts_account.status, accounts_account.closed_from)
                IS DISTINCT FROM (EXCLUDED.name, EXCLUDED.kind, EXCLUDED.status, EXCLUDED.closed_from)
        RETURNING xmax = 0""",
    "resource_groups": """
        INSERT INTO accounts_resourcegroup (account_id, code, name)
        SELECT account.id, part.code, part.name
        FROM staged_part part
        JOIN accounts_account account
            ON account.provider_id = part.provider_id AND account.external_id = part.external_id
        ORDER BY 1, 2
        ON CONFLICT (account_id, code) DO UPDATE SET name = EXCLUDED.name
            WHERE accounts_resourcegroup.name IS DISTINCT FROM EXCLUDED.name
        RETURNING xmax = 0""",
}

_WANTED = """
CREATE TEMPORARY TABLE wanted_edge ON COMMIT DROP AS
SELECT edge.directory_id, grouping.id AS group_id, parent.id AS parent_id, edge.valid_from, edge.valid_to
FROM staged_edge edge
JOIN accounts_accountgroup grouping
    ON grouping.directory_id = edge.directory_id AND grouping.external_id = edge.external_id
LEFT JOIN accounts_accountgroup parent
    ON parent.directory_id = edge.directory_id AND parent.external_id = edge.parent;
CREATE TEMPORARY TABLE wanted_member ON COMMIT DROP AS
SELECT account.id AS account_id, member.directory_id, grouping.id AS group_id, member.valid_from, member.valid_to
FROM staged_member member
JOIN accounts_account account
    ON account.provider_id = member.provider_id AND account.external_id = member.external_id
LEFT JOIN accounts_accountgroup grouping
    ON grouping.directory_id = member.directory_id AND grouping.external_id = member.group_external_id;
ANALYZE wanted_edge;
ANALYZE wanted_member;
"""

_MANY = 1_000
_SHOWN = 3

# The nodes whose places the document states.
_NAMED = {
    "edge": """SELECT grouping.id FROM staged_group said JOIN accounts_accountgroup grouping
        ON grouping.directory_id = said.directory_id AND grouping.external_id = said.external_id""",
    "member": """SELECT account.id FROM staged_account said JOIN accounts_account account
        ON account.provider_id = said.provider_id AND account.external_id = said.external_id WHERE said.placed""",
}
_TABLES = {
    "edge": ("accounts_groupedge", "group_id", "parent_id"),
    "member": ("accounts_accountmembership", "account_id", "group_id"),
}


def _difference(rows: str) -> str:
    """CTE `difference`: months in which a named node stands elsewhere now, from the places before and after."""
    table, node, place = _TABLES[rows]
    return f"""
        WITH held AS (
            SELECT row.{node} AS node_id, row.directory_id, COALESCE(row.{place}, 0) AS place,
                   range_agg(daterange(row.valid_from, row.valid_to)) AS months
            FROM {table} row WHERE row.superseded_by_id IS NULL AND row.{node} IN ({_NAMED[rows]}) GROUP BY 1, 2, 3
        ), wanted AS (
            SELECT row.{node} AS node_id, row.directory_id, COALESCE(row.{place}, 0) AS place,
                   range_agg(daterange(row.valid_from, row.valid_to)) AS months
            FROM wanted_{rows} row GROUP BY 1, 2, 3
        ), difference AS (
            SELECT node_id, directory_id,
                   unnest((COALESCE(held.months, '{{}}') - COALESCE(wanted.months, '{{}}'))
                          + (COALESCE(wanted.months, '{{}}') - COALESCE(held.months, '{{}}'))) AS months
            FROM held FULL JOIN wanted USING (node_id, directory_id, place)
        )"""  # noqa: S608 fixed names


def _changed_months(rows: str) -> str:
    """The same by provider."""
    return f"""{_difference(rows)}
        SELECT provider.code, lower(span.months), upper(span.months)
        FROM (SELECT directory.provider_id, unnest(range_agg(difference.months)) AS months
              FROM difference JOIN accounts_resourcedirectory directory ON directory.id = difference.directory_id
              GROUP BY 1) AS span
        JOIN accounts_provider provider ON provider.id = span.provider_id"""  # noqa: S608 fixed names


def _reached_months(rows: str) -> str:
    """The frozen ones among them, by provider, directory (None for accounts) and external id of the node."""
    nodes = {"edge": "accounts_accountgroup", "member": "accounts_account"}[rows]
    within = {"edge": "directory.external_id", "member": "NULL"}[rows]
    return f"""{_difference(rows)}
        SELECT provider.code, {within}, node.external_id, array_agg(DISTINCT frozen.month)
        FROM difference
        JOIN {nodes} node ON node.id = difference.node_id
        JOIN accounts_resourcedirectory directory ON directory.id = difference.directory_id
        JOIN accounts_provider provider ON provider.id = directory.provider_id
        JOIN unnest(%s::text[], %s::date[]) AS frozen (code, month)
            ON frozen.code = provider.code AND difference.months @> frozen.month
        GROUP BY 1, 2, 3"""  # noqa: S608 fixed names


def _end_rows(rows: str) -> str:
    table, node, place = _TABLES[rows]
    return f"""
        UPDATE {table} row SET superseded_by_id = version.version_id
        FROM unnest(%s::bigint[], %s::bigint[]) AS version (directory_id, version_id)
        WHERE row.superseded_by_id IS NULL AND row.{node} IN ({_NAMED[rows]})
            AND version.directory_id = row.directory_id
            AND NOT EXISTS (
                SELECT FROM wanted_{rows} wanted
                WHERE wanted.{node} = row.{node} AND wanted.directory_id = row.directory_id
                    AND wanted.{place} IS NOT DISTINCT FROM row.{place} AND wanted.valid_from = row.valid_from
                    AND wanted.valid_to IS NOT DISTINCT FROM row.valid_to)"""  # noqa: S608 fixed names


def _add_rows(rows: str) -> str:
    table, node, place = _TABLES[rows]
    return f"""
        INSERT INTO {table} (directory_id, {node}, {place}, valid_from, valid_to, recorded_by_id)
        SELECT wanted.directory_id, wanted.{node}, wanted.{place}, wanted.valid_from, wanted.valid_to,
               version.version_id
        FROM wanted_{rows} wanted
        JOIN unnest(%s::bigint[], %s::bigint[]) AS version (directory_id, version_id) USING (directory_id)
        WHERE NOT EXISTS (
            SELECT FROM {table} row
            WHERE row.superseded_by_id IS NULL AND row.{node} = wanted.{node} AND row.directory_id = wanted.directory_id
                AND row.{place} IS NOT DISTINCT FROM wanted.{place} AND row.valid_from = wanted.valid_from
                AND row.valid_to IS NOT DISTINCT FROM wanted.valid_to)
        ORDER BY wanted.{node}, wanted.valid_from"""  # noqa: S608 fixed names


def _audit_moves(rows: str, kind: NodeKind, action: str) -> str:
    """One audit entry for each node that already stood somewhere and stands elsewhere now."""
    table, node, place = _TABLES[rows]
    parent = f"COALESCE('account_group:' || row.{place}, 'resource_directory:' || row.directory_id)"
    ended = "row.superseded_by_id = ANY(%(versions)s)"
    added = "row.recorded_by_id = ANY(%(versions)s)"
    return f"""
        INSERT INTO accounts_auditentry (at, actor_id, acting_account_id, action, node_kind, node_id, details)
        SELECT %(now)s, %(actor)s, NULL, '{action}', '{kind.value}', row.{node},
               jsonb_build_object(
                   'from', COALESCE(jsonb_agg(DISTINCT {parent}) FILTER (WHERE {ended}), '[]'),
                   'to', COALESCE(jsonb_agg(DISTINCT {parent}) FILTER (WHERE {added}), '[]'),
                   'source', 'import')
        FROM {table} row WHERE {ended} OR {added}
        GROUP BY row.{node} HAVING bool_or({ended}) ORDER BY row.{node}"""  # noqa: S608 fixed names


def _copy(table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _stage(
    document: Document,
    providers: Mapping[str, Provider],
    directories: Mapping[tuple[str, str], ResourceDirectory],
) -> None:
    """Bring the document next to the tables."""
    owner = {key: directory.pk for key, directory in directories.items()}
    with connection.cursor() as cursor:
        cursor.execute(_CLEAR)
        cursor.execute(_STAGES)
    own_groups = [
        (owner[each.provider, each.external_id], group) for each in document.directories for group in each.groups
    ]
    _copy(
        "staged_group",
        "directory_id, external_id, name, closed_from",
        ((pk, group.external_id, group.name, group.closed_from) for pk, group in own_groups),
    )
    _copy(
        "staged_edge",
        "directory_id, external_id, parent, valid_from, valid_to",
        ((pk, group.external_id, stay.group, stay.start, stay.end) for pk, group in own_groups for stay in group.stays),
    )
    pks = {code: provider.pk for code, provider in providers.items()}
    _copy(
        "staged_account",
        "provider_id, external_id, name, kind, closed_from, placed",
        (
            (pks[each.provider], each.external_id, each.name, each.kind, each.closed_from, each.stays is not None)
            for each in document.accounts
        ),
    )
    _copy(
        "staged_member",
        "provider_id, external_id, directory_id, group_external_id, valid_from, valid_to",
        (
            (
                pks[each.provider],
                each.external_id,
                owner[each.provider, stay.directory],
                stay.group,
                stay.start,
                stay.end,
            )
            for each in document.accounts
            for stay in each.stays or []
        ),
    )
    _copy(
        "staged_part",
        "provider_id, external_id, code, name",
        (
            (pks[each.provider], each.external_id, code, name)
            for each in document.accounts
            for code, name in each.resource_groups
        ),
    )


def write_tree(  # noqa: PLR0913, PLR0917 one pass over one document
    viewer: Viewer,
    document: Document,
    providers: Mapping[str, Provider],
    directories: Mapping[tuple[str, str], ResourceDirectory],
    report: ImportReport,
    frozen_months: Mapping[str, Collection[date]],
) -> None:
    """Bring groups, accounts, resource groups and their dated places to what the document says; count in `report`.

    Raises:
        DocumentRefused: places in `frozen_months`, by provider code, would change.
    """
    _stage(document, providers, directories)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE staged_group, staged_edge, staged_account, staged_member, staged_part")
        for name, statement in _UPSERTS.items():
            cursor.execute(statement)
            new = [row[0] for row in cursor.fetchall()]
            report.counts |= {f"{name}_created": sum(new), f"{name}_changed": len(new) - sum(new)}
        _learn_sizes(cursor, report, "accounts", "accounts_account, accounts_accountgroup, accounts_resourcegroup")
        cursor.execute(
            f"SELECT DISTINCT directory_id FROM accounts_accountmembership"  # noqa: S608 fixed names
            f" WHERE superseded_by_id IS NULL AND account_id IN ({_NAMED['member']})"
        )
        concerned = {row[0] for row in cursor.fetchall()} | {directory.pk for directory in directories.values()}
        closure.lock(directory_ids=concerned)
        cursor.execute(_WANTED)
        _note_changes(cursor, document, report, frozen_months)
        versions = {pk: new_version(viewer, directory_id=pk, reason="import").pk for pk in concerned}
        pair = [list(versions.keys()), list(versions.values())]
        # Accounts let go of groups before groups end, and groups begin before accounts enter them.
        for rows, statement, name in (
            ("member", _end_rows("member"), "ended"),
            ("edge", _end_rows("edge"), "ended"),
            ("edge", _add_rows("edge"), "created"),
            ("member", _add_rows("member"), "created"),
        ):
            cursor.execute(statement, pair)
            report.counts[f"{rows}s_{name}"] = cursor.rowcount
        if not any(
            report.counts[name] for name in ("members_ended", "edges_ended", "edges_created", "members_created")
        ):
            TreeVersion.objects.filter(pk__in=pair[1]).delete()
            return
        _learn_sizes(cursor, report, "members", "accounts_accountmembership, accounts_groupedge")
        moved = {"now": viewer.now, "actor": viewer.user_id, "versions": pair[1]}
        cursor.execute(_audit_moves("edge", NodeKind.ACCOUNT_GROUP, "move_group"), moved)
        cursor.execute(_audit_moves("member", NodeKind.ACCOUNT, "move_account"), moved)
        if report.counts["edges_ended"] or report.counts["edges_created"]:
            closure.rebuild(directory_ids={directory.pk for directory in directories.values()})


def _learn_sizes(cursor: Any, report: ImportReport, rows: str, tables: str) -> None:  # noqa: ANN401 Django's cursor has no public type
    """Let the planner see what was just written: it would still take a table filled in this transaction for empty."""
    if report.counts[f"{rows}_created"] > _MANY:
        cursor.execute(f"ANALYZE {tables}")


def _note_changes(
    cursor: Any,  # noqa: ANN401 Django's cursor has no public type
    document: Document,
    report: ImportReport,
    frozen_months: Mapping[str, Collection[date]],
) -> None:
    """Tell in which months the tree will differ; refuse published ones."""
    spans: dict[str, list[Period]] = {}
    for rows in _TABLES:
        cursor.execute(_changed_months(rows))
        for code, start, end in cursor.fetchall():
            spans.setdefault(code, []).append(Period(start or BEGINNING, end))
    report.changed_months = {code: sorted(periods, key=lambda period: period.start) for code, periods in spans.items()}
    frozen = [(code, month) for code, months in frozen_months.items() for month in months]
    if not any(month in period for code, month in frozen for period in spans.get(code, ())):
        return
    given = [[code for code, _ in frozen], [month for _, month in frozen]]
    reached: dict[tuple[str, str | None, str], list[date]] = {}
    for rows in _TABLES:
        cursor.execute(_reached_months(rows), given)
        reached |= {(code, within, node): sorted(months) for code, within, node, months in cursor.fetchall()}
    raise DocumentRefused(_published_faults(document, reached))


def _published_faults(document: Document, reached: Mapping[tuple[str, str | None, str], list[date]]) -> list[Fault]:
    """One fault for each node whose place in published months the document would change."""
    places = [
        (f"directories[{number}].groups[{index}]", "parents", (each.provider, each.external_id, group.external_id))
        for number, each in enumerate(document.directories)
        for index, group in enumerate(each.groups)
    ] + [
        (f"accounts[{number}]", "memberships", (each.provider, None, each.external_id))
        for number, each in enumerate(document.accounts)
    ]
    return [
        Fault(where, name, MonthPublished.code, f"its place in published months would change: {_listed(months)}")
        for where, name, key in places
        if (months := reached.get(key))
    ]


def _listed(months: Sequence[date]) -> str:
    """`2025-01, 2025-02 and 10 more`."""
    shown = ", ".join(f"{month:%Y-%m}" for month in months[:_SHOWN])
    return shown if len(months) <= _SHOWN else f"{shown} and {len(months) - _SHOWN} more"
