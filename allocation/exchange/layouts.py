"""What files for customers look like: the ledger rows of one published month that a viewer may see, in two layouts.

Ours has one row for each line of each leaf, in the order of the ledger. The AWS-shaped one has the 23 columns of the
AWS carbon-emissions table: one row for each account, product and region, in metric tons.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

import pyarrow as pa
from django.db import connection
from psycopg import sql

from accounts.models import NodeKind
from accounts.months import format_month, shift
from allocation.engine.frames import LINES, QUALITIES
from allocation.models import ExportLayout, Withheld
from allocation.selectors.amounts import LINES as METHOD_LINES
from allocation.selectors.amounts import Method, Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accounts.models import NodeRef
    from accounts.policies import Viewer
    from allocation.models import MethodologyVersion, Publication

OURS: Final = {
    "provider": pa.string(),
    "month": pa.string(),
    "publication": pa.int64(),
    "run": pa.int64(),
    "methodology_version": pa.string(),
    "enterprise": pa.string(),
    "directory": pa.string(),
    "account_group": pa.string(),
    "account": pa.string(),
    "account_name": pa.string(),
    "resource_group": pa.string(),
    "service": pa.string(),
    "service_name": pa.string(),
    "service_category": pa.string(),
    "country": pa.string(),
    "region": pa.string(),
    "cluster": pa.string(),
    "cluster_kind": pa.string(),
    "line": pa.string(),
    "scope": pa.int8(),
    "method": pa.string(),
    "quality": pa.string(),
    "status": pa.string(),
    "micrograms_co2e": pa.int64(),
    "kg_co2e": pa.decimal128(38, 9),
    "estimated_micrograms_co2e": pa.int64(),
    "energy_wh": pa.int64(),
    "estimated_energy_wh": pa.int64(),
    "estimated_share": pa.decimal128(7, 6),
}
"""Our columns with their types in Parquet. Masses are empty in rows of energy, energy in all others."""

_UNITS: Final = pa.string()
_TONNES: Final = pa.float64()
_INSTANT: Final = pa.timestamp("ms", tz="UTC")
AWS: Final = {
    "last_refresh_timestamp": _INSTANT,
    "location": pa.string(),
    "model_version": pa.string(),
    "payer_account_id": pa.string(),
    "product_code": pa.string(),
    "region_code": pa.string(),
    **{
        f"total_{name}emissions_{what}": kind
        for name in ("lbm_", "mbm_", "scope_1_", "scope_2_lbm_", "scope_2_mbm_", "scope_3_lbm_", "scope_3_mbm_")
        for what, kind in (("unit", _UNITS), ("value", _TONNES))
    },
    "usage_account_id": pa.string(),
    "usage_period_end": _INSTANT,
    "usage_period_start": _INSTANT,
}
"""The columns of the AWS table. Values are metric tons; the period ends with the first instant of the next month."""

COLUMNS: Final[Mapping[str, Mapping[str, pa.DataType]]] = {ExportLayout.CANOPY: OURS, ExportLayout.AWS: AWS}


class Extract(NamedTuple):
    """Which rows: those of a published month that a viewer may see, below a node or anywhere."""

    viewer: Viewer
    publication: Publication
    node: NodeRef | None


class Told(NamedTuple):
    """What rows tell of, as the text of an `int8multirange` of ids."""

    accounts: str
    resource_groups: str


# `place` is where every account stood in the month; `seen` and `part` are what counts: accounts, and resource groups
# that are visible without their account.
_VISIBLE = """
WITH place AS NOT MATERIALIZED (
    SELECT member.account_id, member.directory_id, member.group_id
    FROM accounts_accountmembership member
    WHERE member.superseded_by_id IS NULL AND member.valid_from <= %(month)s
        AND (member.valid_to IS NULL OR member.valid_to > %(month)s)
), below AS NOT MATERIALIZED (<below>
), seen AS MATERIALIZED (
    SELECT visible.account_id FROM accounts_viewer_accounts(%(viewer)s, %(now)s, 'numbers') AS visible
    WHERE visible.valid_from <= %(month)s AND visible.valid_to > %(month)s
        AND visible.account_id IN (SELECT below.account_id FROM below)
    UNION
    SELECT below.account_id FROM below WHERE (SELECT accounts_is_operator(%(viewer)s))
), part AS MATERIALIZED (
    SELECT DISTINCT kept.id AS resource_group_id
    FROM accounts_viewer_roots(%(viewer)s, %(now)s, 'numbers') AS visible
    JOIN accounts_resourcegroup kept ON visible.node_kind = 'resource_group' AND kept.id = visible.node_id
    WHERE visible.valid_from <= %(month)s AND visible.valid_to > %(month)s
        AND kept.account_id IN (SELECT below.account_id FROM below)<only_part>
        AND kept.account_id NOT IN (SELECT seen.account_id FROM seen)
)"""
_BELOW: Final = {
    None: "SELECT account.id AS account_id FROM accounts_account account WHERE account.provider_id = %(provider)s",
    NodeKind.ENTERPRISE_PARENT: """
    SELECT place.account_id FROM place JOIN accounts_resourcedirectory directory ON directory.id = place.directory_id
    WHERE directory.enterprise_id = %(node)s""",
    NodeKind.RESOURCE_DIRECTORY: "SELECT place.account_id FROM place WHERE place.directory_id = %(node)s",
    NodeKind.ACCOUNT_GROUP: """
    SELECT place.account_id FROM place JOIN accounts_groupclosure closure ON closure.descendant_id = place.group_id
    WHERE closure.ancestor_id = %(node)s AND closure.valid_from <= %(month)s
        AND (closure.valid_to IS NULL OR closure.valid_to > %(month)s)""",
    NodeKind.ACCOUNT: "SELECT %(node)s::bigint AS account_id",
    NodeKind.RESOURCE_GROUP: "SELECT kept.account_id FROM accounts_resourcegroup kept WHERE kept.id = %(node)s",
}
_LEAVES = """
    FROM allocation_ledgerrow ledger
    JOIN accounts_account account ON account.id = ledger.account_id
    JOIN accounts_resourcegroup part_of ON part_of.id = ledger.resource_group_id
    JOIN allocation_service service ON service.id = ledger.service_id
    JOIN allocation_cluster cluster ON cluster.id = ledger.cluster_id
    LEFT JOIN allocation_runlocation location ON location.run_id = ledger.run_id
        AND location.cluster_id = ledger.cluster_id
    LEFT JOIN place ON place.account_id = ledger.account_id
    LEFT JOIN accounts_resourcedirectory directory ON directory.id = place.directory_id
    LEFT JOIN accounts_enterpriseparent enterprise ON enterprise.id = directory.enterprise_id
    LEFT JOIN accounts_accountgroup grouping ON grouping.id = place.group_id
    LEFT JOIN accounts_account payer ON payer.id = directory.management_account_id
    CROSS JOIN LATERAL (SELECT ({names}::text[])[ledger.line + 1] AS name) line
    CROSS JOIN LATERAL (SELECT ledger.withheld IS NULL AND ledger.line < {energy} AS mass,
                               ledger.withheld IS NULL AND ledger.line = {energy} AS energy) told
    WHERE ledger.run_id = %(run)s
        AND (ledger.account_id IN (SELECT seen.account_id FROM seen)
             OR ledger.resource_group_id IN (SELECT part.resource_group_id FROM part))<only_leaf>"""
# Lines of both methods stand side by side; their names tell them apart, as in the package format.
_METHOD = """CASE right(line.name, 4) WHEN '_lbm' THEN 'location_based' WHEN '_mbm' THEN 'market_based' ELSE '' END"""
_OURS = (
    """
SELECT %(provider_code)s AS provider, %(period)s AS month, %(publication)s AS publication, %(run)s AS run,
       %(methodology)s AS methodology_version, COALESCE(enterprise.external_id, '') AS enterprise,
       COALESCE(directory.external_id, '') AS directory, COALESCE(grouping.external_id, '') AS account_group,
       account.external_id AS account, account.name AS account_name, part_of.code AS resource_group,
       service.code AS service, service.name AS service_name, service.category AS service_category,
       COALESCE(location.country, '') AS country, COALESCE(location.region, '') AS region, cluster.code AS cluster,
       COALESCE(location.kind, '') AS cluster_kind, line.name AS line,
       CASE WHEN line.name LIKE 'scope%%' THEN substr(line.name, 6, 1)::smallint END AS scope,
       {method} AS method, ({qualities}::text[])[ledger.quality + 1] AS quality,
       CASE WHEN ledger.withheld = {below_threshold} THEN 'BELOW_THRESHOLD'
            WHEN ledger.withheld = {not_covered} THEN 'NOT_COVERED'
            WHEN ledger.ug > 0 THEN 'REPORTED'
            WHEN location.zero_emission AND {method} = 'market_based' THEN 'ZERO_EMISSION_SITE'
            ELSE 'ZERO' END AS status,
       CASE WHEN told.mass THEN ledger.ug END AS micrograms_co2e,
       CASE WHEN told.mass THEN (ledger.ug::numeric / 1000000000)::numeric(38, 9) END AS kg_co2e,
       CASE WHEN told.mass THEN ledger.estimated_ug END AS estimated_micrograms_co2e,
       CASE WHEN told.energy THEN ledger.ug END AS energy_wh,
       CASE WHEN told.energy THEN ledger.estimated_ug END AS estimated_energy_wh,
       CASE WHEN told.mass OR told.energy THEN (ledger.estimated_ppm::numeric / 1000000)::numeric(7, 6) END
           AS estimated_share
"""
    + _LEAVES
    + " ORDER BY ledger.id"
)
# What stands in no region of the provider: edge locations are Global, the others their own region.
_REGION = "CASE WHEN location.kind = 'edge' THEN NULL ELSE COALESCE(NULLIF(location.region, ''), cluster.code) END"
# The management account is a sibling of most accounts: it is named to those who may know it.
_PAYER = """CASE WHEN directory.id IS NULL THEN account.external_id
            WHEN payer.id IN (SELECT seen.account_id FROM seen) THEN payer.external_id
            ELSE directory.external_id END"""
_AWS = (
    """
SELECT %(published_at)s AS last_refresh_timestamp, COALESCE(leaf.place, leaf.region, 'Global') AS location,
       %(model_version)s AS model_version, leaf.payer AS payer_account_id, leaf.product AS product_code,
       leaf.region AS region_code, {totals}, leaf.account AS usage_account_id,
       %(period_end)s AS usage_period_end, %(period_start)s AS usage_period_start
FROM (
    SELECT account.external_id AS account, {payer} AS payer, service.code AS product, {region} AS region,
           max(location.name) FILTER (WHERE location.kind = 'region' AND location.name <> '') AS place, {sums}
"""
    + _LEAVES
    + """ AND ledger.line < {energy}
    GROUP BY 1, 2, 3, 4
) AS leaf
ORDER BY leaf.account COLLATE "C", leaf.product COLLATE "C", leaf.region COLLATE "C"
"""
)


def _lines(*, scopes: tuple[Scope, ...], without: Method | None) -> list[int]:
    found = {line.name: line for line in METHOD_LINES}
    return [place for place, name in enumerate(LINES) if found[name].scope in scopes and found[name].method != without]


_LOCATION, _MARKET = Method.LOCATION_BASED, Method.MARKET_BASED
_UG_PER_TONNE: Final = 10**12
_TONNE_DIGITS: Final = 12
_AWS_TOTALS: Final = {
    "total_lbm": _lines(scopes=tuple(Scope), without=_MARKET),
    "total_mbm": _lines(scopes=tuple(Scope), without=_LOCATION),
    "total_scope_1": _lines(scopes=(Scope.SCOPE_1,), without=None),
    "total_scope_2_lbm": _lines(scopes=(Scope.SCOPE_2,), without=_MARKET),
    "total_scope_2_mbm": _lines(scopes=(Scope.SCOPE_2,), without=_LOCATION),
    "total_scope_3_lbm": _lines(scopes=(Scope.SCOPE_3,), without=_MARKET),
    "total_scope_3_mbm": _lines(scopes=(Scope.SCOPE_3,), without=_LOCATION),
}


def query_of(extract: Extract, layout: str) -> tuple[sql.Composed, dict[str, Any]]:
    """Write the SELECT of a layout and its parameters.

    Which rows are visible is decided by the policies here, and a second time by row-level security where the caller is
    the web role. A node without rows in the month makes an empty table.
    """
    visible, params = _visible(extract)
    select = _OURS if layout == ExportLayout.CANOPY else _AWS
    one = extract.node is not None and extract.node.kind == NodeKind.RESOURCE_GROUP
    text = visible + select.replace("<only_leaf>", " AND ledger.resource_group_id = %(node)s" if one else "")
    query = sql.SQL(text).format(
        names=sql.Literal([*LINES, "energy"]),
        qualities=sql.Literal(list(QUALITIES)),
        energy=sql.Literal(len(LINES)),
        below_threshold=sql.Literal(int(Withheld.BELOW_THRESHOLD)),
        not_covered=sql.Literal(int(Withheld.NOT_COVERED)),
        method=sql.SQL(_METHOD),
        region=sql.SQL(_REGION),
        payer=sql.SQL(_PAYER),
        totals=sql.SQL(_aws_totals()),
        sums=sql.SQL(_aws_sums()),
    )
    return query, params


def told_by(extract: Extract) -> Told:
    """Tell which accounts and loose resource groups the rows of an extract are about; those without rows are left out.

    Accounts with rows of the run are found in its totals, so the ledger is not read a second time.
    """
    visible, params = _visible(extract)
    with connection.cursor() as cursor:
        cursor.execute(visible + _TOLD, params)
        row = cursor.fetchone()
    return Told(*row) if row else Told("{}", "{}")


def still_visible(extract: Extract, told: Told) -> bool:
    """Tell whether the viewer may see now everything that rows tell of."""
    visible, params = _visible(extract)
    with connection.cursor() as cursor:
        cursor.execute(visible + _STILL, params | {"accounts": told.accounts, "parts": told.resource_groups})
        row = cursor.fetchone()
    return bool(row and row[0])


_TOLD = """
SELECT COALESCE(range_agg(int8range(seen.account_id, seen.account_id, '[]')), '{}')::text,
       (SELECT COALESCE(range_agg(int8range(part.resource_group_id, part.resource_group_id, '[]')), '{}')::text
        FROM part)
FROM seen
WHERE seen.account_id IN (SELECT total.account_id FROM allocation_accounttotal total
                          WHERE total.run_id = %(run)s AND total.grain = 0)
"""
# A resource group that was seen alone may be seen with its account now.
_STILL = """
SELECT %(accounts)s::int8multirange
           <@ COALESCE((SELECT range_agg(int8range(seen.account_id, seen.account_id, '[]')) FROM seen), '{}')
   AND %(parts)s::int8multirange
           <@ COALESCE((SELECT range_agg(int8range(part.resource_group_id, part.resource_group_id, '[]')) FROM (
                            SELECT part.resource_group_id FROM part
                            UNION
                            SELECT held.id FROM accounts_resourcegroup held
                            WHERE %(parts)s <> '{}' AND held.account_id IN (SELECT seen.account_id FROM seen)
                       ) AS part), '{}')
"""


def _visible(extract: Extract) -> tuple[str, dict[str, Any]]:
    viewer, publication, node = extract
    one = node is not None and node.kind == NodeKind.RESOURCE_GROUP
    text = _VISIBLE.replace("<below>", _BELOW[None if node is None else node.kind])
    method, month = publication.run.methodology_version, publication.month
    return text.replace("<only_part>", " AND kept.id = %(node)s" if one else ""), {
        "viewer": viewer.user_id,
        "now": viewer.now,
        "node": None if node is None else node.id,
        "month": month,
        "provider": publication.provider_id,
        "provider_code": publication.provider.code,
        "publication": publication.pk,
        "run": publication.run_id,
        "methodology": str(method),
        "model_version": model_version(method),
        "period": format_month(month),
        "published_at": f"{publication.published_at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}Z",
        "period_start": f"{month:%Y-%m-%d} 00:00:00Z",
        "period_end": f"{shift(month, 1):%Y-%m-%d} 00:00:00Z",
    }


def model_version(method: MethodologyVersion) -> str:
    """Write a version as AWS does, `v2.0.0`, where it is a number; else as it is."""
    return f"v{method.version}" if method.version[:1].isdigit() else method.version


def path_of(publication: Publication, form: str) -> str:
    """Where a month's file lies inside an export; a provider is one file of a month's folder."""
    version = quote(model_version(publication.run.methodology_version), safe="")
    name = quote(publication.provider.code, safe="")
    return f"model_version={version}/usage_period={format_month(publication.month)}/{name}.{form}"


def _aws_totals() -> str:
    """Write unit and value of each total; both are null where none of its lines is there."""
    return ", ".join(
        f"CASE WHEN leaf.{name} IS NOT NULL THEN 'MTCO2e' END AS {name}_emissions_unit,"
        f" (leaf.{name} / {_UG_PER_TONNE})::numeric(38, {_TONNE_DIGITS}) AS {name}_emissions_value"
        for name in _AWS_TOTALS
    )


def _aws_sums() -> str:
    """Add up the lines of each total."""
    return ", ".join(
        f"sum(ledger.ug::numeric) FILTER (WHERE told.mass AND ledger.line = ANY('{{{','.join(map(str, places))}}}'))"
        f" AS {name}"
        for name, places in _AWS_TOTALS.items()
    )
