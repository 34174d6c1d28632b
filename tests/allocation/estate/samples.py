"""Small estates that the tests share."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from allocation.exchange.estate.estates import STYLES, EstatePlan

FIXTURES = Path(__file__).parents[3] / "fixtures"
JUNE = dt.date(2025, 6, 1)


def ignore(_rows: int) -> None:
    """Progress that nobody watches."""


def plan(  # noqa: PLR0913 every part of a plan may matter to a test
    *,
    seed: int = 7,
    accounts: int = 60,
    rows: int = 1200,
    months: int = 3,
    styles: tuple[str, ...] = STYLES,
    enterprises: int = 3,
    clusters: int = 6,
) -> EstatePlan:
    """A small estate of all styles."""
    return EstatePlan(
        seed=seed,
        account_count=accounts,
        row_count=rows,
        month_count=months,
        first_month=JUNE,
        styles=styles,
        enterprise_count=enterprises,
        cluster_count=clusters,
    )
