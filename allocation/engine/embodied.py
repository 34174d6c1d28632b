"""Embodied emissions: straight-line depreciation in integers (section 3, assets.csv)."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final, NamedTuple

from allocation.engine import quality
from allocation.engine.pools import reject_pool, spread
from allocation.engine.rows import rows
from allocation.engine.units import UG_PER_KG, months_between, round_half_even

if TYPE_CHECKING:
    from collections.abc import Mapping

    from allocation.engine.findings import Findings
    from allocation.engine.frames import Activity
    from allocation.engine.places import Places
    from allocation.engine.sources import Sources

LINE: Final = "scope3_embodied"


class RackAsset(NamedTuple):
    """The month's part of an asset that belongs to a rack."""

    amount_ug: int
    quality: int


def posting_ug(total_ug: int, life_months: int, month: int, retired_in: int | None, early_retirement: str) -> int:
    """Return the posting of month number `month` (1 = in service) of an asset of `total_ug` over `life_months`.

    a_n = floor(TE n / N) - floor(TE (n-1) / N), which adds up to TE over the life; 0 outside. `retired_in` is the
    number of the last month in operation: `continue` ignores it, `transfer` posts nothing after it, `write_off` posts
    in it all that was left.
    """
    if not 1 <= month <= life_months:
        return 0
    posted = total_ug * (month - 1) // life_months
    if retired_in is not None and early_retirement != "continue":
        if month > retired_in:
            return 0
        if month == retired_in and early_retirement == "write_off":
            return total_ug - posted
    return total_ug * month // life_months - posted


def post_assets(
    activity: Activity, places: Places, driver: Mapping[str, Fraction], sources: Sources, findings: Findings
) -> dict[str, list[RackAsset]]:
    """Post every asset; return those of racks by rack code. Reports NO_POOL_DRIVER."""
    header = activity.header
    site_cluster = {str(row.site): str(row.cluster) for row in rows(activity.tables["sites"])}
    rack_cluster = {str(row.rack): str(row.cluster) for row in rows(activity.tables["racks"])}
    of_racks: dict[str, list[RackAsset]] = {}
    for row in rows(activity.tables["assets"]):
        amount_ug = posting_ug(
            round_half_even(Fraction(row.embodied_kg) * UG_PER_KG),
            int(row.life_months),
            months_between(row.in_service, header.month) + 1,
            None if row.retired is None else months_between(row.in_service, row.retired) + 1,
            header.options.early_retirement,
        )
        rank, origin = quality.rank(str(row.quality)), ("assets", str(row.asset))
        if row.owner_kind == "rack":
            of_racks.setdefault(str(row.owner), []).append(RackAsset(amount_ug, rank))
            sources.post_rack_asset(rack_cluster[str(row.owner)], LINE, amount_ug, rank, origin)
        elif row.owner_kind == "site":
            sources.post(site_cluster[str(row.owner)], LINE, Fraction(amount_ug), rank, origin)
        else:
            shares = spread(places, driver, row.owner)
            if shares is None:
                reject_pool("assets.csv", int(row.row), row.owner, findings)
                continue
            for cluster, share in shares.items():
                sources.post(cluster, LINE, amount_ug * share, rank, origin)
    return of_racks
