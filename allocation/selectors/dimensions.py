"""The dimensions of the cube, and how each is written in SQL."""

from __future__ import annotations

import enum
from typing import NamedTuple

from allocation.policies import Kind


class Dimension(enum.StrEnum):
    """What rows can be grouped by, besides time."""

    PROVIDER = "provider"
    SERVICE = "service"
    SERVICE_CATEGORY = "service_category"
    COUNTRY = "country"
    REGION = "region"
    CLUSTER = "cluster"
    ACCOUNT_GROUP = "account_group"
    ACCOUNT = "account"
    RESOURCE_GROUP = "resource_group"
    SCOPE = "scope"
    LINE = "line"
    QUALITY = "quality"


class Recipe(NamedTuple):
    """How a dimension is written in SQL: the key over `fact`, and its code, name and two details over `line`.

    `before` is what has to be said between `line` and `join`.
    """

    key: str
    code: str
    name: str
    join: str = ""
    node: Kind | None = None
    provider: str = "NULL"
    kind: str = "NULL"
    before: str = ""


# `{d}` is the dimension's key in `line`, `{t}` an alias of its own.
_LOCATED = "CASE WHEN location.kind = 'edge' THEN '' ELSE COALESCE(location.{}, '') END"
_PLACE_NAME = "CASE WHEN {code} <> '' THEN {code} ELSE 'Global services' END"
RECIPES = {
    Dimension.PROVIDER: Recipe(
        "fact.provider_id",
        "{t}.code",
        "COALESCE(NULLIF({t}.name, ''), {t}.code)",
        "JOIN accounts_provider {t} ON {t}.id = line.{d}",
        provider="{t}.code",
    ),
    Dimension.SERVICE: Recipe(
        "fact.service_id",
        "{t}.code",
        "COALESCE(NULLIF({t}.name, ''), {t}.code)",
        "JOIN allocation_service {t} ON {t}.id = line.{d} JOIN accounts_provider {t}p ON {t}p.id = {t}.provider_id",
        provider="{t}p.code",
        kind="NULLIF({t}.category, '')",
    ),
    Dimension.SERVICE_CATEGORY: Recipe(
        "COALESCE(category_of.category, '')", "line.{d}", "COALESCE(NULLIF(line.{d}, ''), 'Without category')"
    ),
    Dimension.COUNTRY: Recipe(_LOCATED.format("country"), "line.{d}", _PLACE_NAME.format(code="line.{d}")),
    Dimension.REGION: Recipe(
        f"fact.provider_id || ':' || {_LOCATED.format('region')}",
        "substr(line.{d}, strpos(line.{d}, ':') + 1)",
        _PLACE_NAME.format(code="substr(line.{d}, strpos(line.{d}, ':') + 1)"),
        "JOIN accounts_provider {t} ON {t}.id = split_part(line.{d}, ':', 1)::bigint",
        provider="{t}.code",
    ),
    Dimension.CLUSTER: Recipe(
        "fact.cluster_id",
        "{t}.code",
        "COALESCE(NULLIF({t}l.name, ''), {t}.code)",
        "JOIN allocation_cluster {t} ON {t}.id = line.{d} JOIN accounts_provider {t}p ON {t}p.id = {t}.provider_id"
        " LEFT JOIN {t}l ON {t}l.cluster_id = line.{d}",
        provider="{t}p.code",
        kind="{t}l.kind",
        # Looked up for each cluster once, not for each row.
        before=", {t}l AS MATERIALIZED (SELECT latest.* FROM (SELECT DISTINCT line.{d} AS id FROM line) AS cluster"
        " CROSS JOIN LATERAL (SELECT located.cluster_id, located.name, located.kind"
        " FROM allocation_runlocation located"
        " WHERE located.cluster_id = cluster.id AND located.run_id = ANY(%(runs)s::bigint[])"
        " ORDER BY located.run_id DESC LIMIT 1) AS latest)",
    ),
    Dimension.ACCOUNT_GROUP: Recipe(
        "COALESCE(fact.group_id, 0)",
        "COALESCE({t}.external_id, '')",
        "COALESCE({t}.name, 'Miscellaneous')",
        "LEFT JOIN accounts_accountgroup {t} ON {t}.id = line.{d}",
        Kind.ACCOUNT_GROUP,
    ),
    Dimension.ACCOUNT: Recipe(
        "fact.account_id",
        "{t}.external_id",
        "COALESCE(NULLIF({t}.name, ''), {t}.external_id)",
        "JOIN accounts_account {t} ON {t}.id = line.{d}",
        Kind.ACCOUNT,
    ),
    Dimension.RESOURCE_GROUP: Recipe(
        "fact.resource_group_id",
        "{t}.code",
        "COALESCE(NULLIF({t}.name, ''), {t}.code)",
        "JOIN accounts_resourcegroup {t} ON {t}.id = line.{d}",
        Kind.RESOURCE_GROUP,
    ),
    Dimension.SCOPE: Recipe("picked.number", "line.{d}::text", "'Scope ' || line.{d}"),
    Dimension.LINE: Recipe("picked.number", "line.{d}::text", "line.{d}::text"),
    Dimension.QUALITY: Recipe("fact.quality", "line.{d}::text", "line.{d}::text"),
}
SERVICES = frozenset({Dimension.SERVICE, Dimension.SERVICE_CATEGORY})
"""Dimensions that need amounts by service."""
PLACES = frozenset({Dimension.COUNTRY, Dimension.REGION, Dimension.CLUSTER})
"""Dimensions that need amounts by cluster."""
LEDGER = frozenset({Dimension.RESOURCE_GROUP, Dimension.QUALITY})
"""Dimensions that stand in the ledger alone."""
PICKED = frozenset({Dimension.SCOPE, Dimension.LINE})
"""Dimensions that take a row of amounts apart, line by line."""
