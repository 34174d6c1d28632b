"""Versions of methods and the months that were published with them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection

from allocation.policies import KNOWN_PROVIDERS

if TYPE_CHECKING:
    from datetime import date, datetime

    from accounts.policies import Viewer
    from allocation.selectors.publications import Published


@dataclass(frozen=True, slots=True)
class Methodology:
    """`name@version` of a provider, its effective options, and the published months that it was used for."""

    id: int
    provider_code: str
    name: str
    version: str
    preset: str
    gwp_set: str
    options: dict[str, Any]
    bound_at: datetime | None
    months: tuple[date, ...]


_METHODOLOGIES = f"""
WITH {KNOWN_PROVIDERS.strip()}, pin AS (
    SELECT * FROM unnest(%(runs)s::bigint[], %(months)s::date[]) AS pin (run_id, month)
), used AS (
    SELECT run.methodology_version_id, array_agg(pin.month ORDER BY pin.month) AS months
    FROM pin JOIN allocation_allocationrun run ON run.id = pin.run_id GROUP BY run.methodology_version_id
)
SELECT version.id, provider.code, version.name, version.version, version.preset, version.gwp_set, version.options,
       version.bound_at, COALESCE(used.months, '{{{{}}}}')
FROM allocation_methodologyversion version
JOIN accounts_provider provider ON provider.id = version.provider_id
JOIN known_provider ON known_provider.provider_id = version.provider_id
LEFT JOIN used ON used.methodology_version_id = version.id
WHERE version.bound_at IS NOT NULL AND {{where}}
ORDER BY version.id LIMIT %(limit)s
"""  # noqa: S608 fixed texts


def methodologies(*, viewer: Viewer, published: Published, limit: int, after: int | None = None) -> list[Methodology]:
    """Versions that published months were computed with, of the viewer's providers; oldest first."""
    return _read(
        "(%(after)s::bigint IS NULL OR version.id > %(after)s)", viewer, published, {"limit": limit, "after": after}
    )


def of_runs(*, viewer: Viewer, published: Published, run_ids: list[int]) -> dict[int, Methodology]:
    """The version with which each of these runs was computed; two statements."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, methodology_version_id FROM allocation_allocationrun WHERE id = ANY(%s)", [run_ids])
        version_of = dict(cursor.fetchall())
    chosen = sorted(set(version_of.values()))
    found = _read("version.id = ANY(%(chosen)s)", viewer, published, {"limit": len(chosen), "chosen": chosen})
    by_id = {row.id: row for row in found}
    return {run: by_id[version] for run, version in version_of.items() if version in by_id}


def _read(condition: str, viewer: Viewer, published: Published, params: dict[str, Any]) -> list[Methodology]:
    pins: dict[str, Any] = {
        "runs": [pin.run_id for pin in published.pins],
        "months": [pin.month for pin in published.pins],
    }
    with connection.cursor() as cursor:
        cursor.execute(
            _METHODOLOGIES.format(where=condition), {"viewer": viewer.user_id, "now": viewer.now} | pins | params
        )
        return [_row(row) for row in cursor.fetchall()]


def _row(row: tuple[Any, ...]) -> Methodology:
    ident, provider, name, version, preset, gwp_set, options, bound_at, months = row
    # A raw cursor hands JSON out as text.
    return Methodology(ident, provider, name, version, preset, gwp_set, json.loads(options), bound_at, tuple(months))
