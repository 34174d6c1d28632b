"""Broken packages: hourly matching."""

from collections.abc import Iterable

from tests.oracle.broken.case import Broken, broken, flag, rejection, together, with_cell, with_options, with_row
from tests.oracle.draft import Draft


def _by_hour(draft: Draft) -> None:
    """Match by hour: 2 kWh an hour at each site (the first has 1500, the second 750 kWh a month), e1 in one hour."""
    draft.options.update({"matching": "hourly", "closure_tolerance": "1"})
    for site in ("i1", "i2"):
        draft.add("site_hours", *({"site": site, "hour": str(hour), "kwh": "2"} for hour in range(720)))
    draft.add("instrument_hours", {"instrument": "e1", "hour": "7", "kwh": "1"})
    draft.tables["instruments"][0]["kwh"] = "1"


def hour_cases() -> Iterable[Broken]:
    yield broken("by hour", change=_by_hour)
    last = with_row("site_hours", site="i1", hour="720", kwh="1")
    yield broken(
        "hour beyond the month",
        rejection("HOURS_EXCEED_MONTH", "site_hours.csv", 1442),
        change=together(_by_hour, last),
    )
    yield broken(
        "hour of an instrument beyond the month",
        rejection("HOURS_EXCEED_MONTH", "instrument_hours.csv", 3),
        change=together(_by_hour, with_row("instrument_hours", instrument="e1", hour="999", kwh="0")),
    )
    yield broken(
        "half an hour",
        rejection("BAD_VALUE", "site_hours.csv", 2),
        change=together(_by_hour, with_cell("site_hours", 2, hour="0.5")),
    )
    yield broken(
        "hour twice",
        rejection("DUPLICATE_KEY", "site_hours.csv", 3),
        change=together(_by_hour, with_cell("site_hours", 3, hour="0")),
    )
    yield broken(
        "hour missing",
        rejection("HOURS_INCOMPLETE", "sites.csv", 2),
        change=together(_by_hour, lambda draft: draft.tables["site_hours"].pop(5)),
    )
    yield broken(
        "no hours at all",
        *(rejection("HOURS_INCOMPLETE", "sites.csv", row) for row in (2, 3)),
        change=with_options(matching="hourly"),
    )
    nothing = [with_cell("site_hours", line, kwh="0") for line in range(722, 1442)]
    yield broken(
        "no consumption by hour", rejection("HOURS_INCOMPLETE", "sites.csv", 3), change=together(_by_hour, *nothing)
    )
    half = [with_cell(table, 2, kwh="0.5") for table in ("instruments", "instrument_hours")]
    yield broken(
        "consumption beyond the invoice",
        flag("CLOSURE_GAP", "site_hours.csv"),
        change=together(_by_hour, with_cell("site_hours", 2, kwh="1562.01"), *half),
    )
    yield broken(
        "more by hour than there is",
        rejection("INSTRUMENT_EXCEEDED", "instruments.csv", 2),
        change=together(_by_hour, with_row("instrument_hours", instrument="e1", hour="8", kwh="0.1")),
    )
    yield broken(
        "instrument unknown",
        rejection("UNKNOWN_INSTRUMENT", "instrument_hours.csv", 2),
        change=together(_by_hour, with_cell("instrument_hours", 2, instrument="e9")),
    )
    yield broken(
        "site of hours unknown",
        rejection("UNKNOWN_SITE", "site_hours.csv", 1442),
        change=together(_by_hour, with_row("site_hours", site="i9", hour="1", kwh="1")),
    )
    second = {"instrument": "e2", "market": "k1", "type": "contract", "kwh": "3", "g_per_kwh": "10"}
    yield broken(
        "instrument without hours",
        flag("INELIGIBLE_INSTRUMENT", "instruments.csv", 3),
        change=together(_by_hour, with_row("instruments", **second)),
    )
    yield broken(
        "generation when nobody needs it",
        flag("SURPLUS_INSTRUMENT", "instruments.csv", 2),
        change=together(
            _by_hour, with_cell("instruments", 2, kwh="1500"), with_cell("instrument_hours", 2, kwh="1000")
        ),
    )
    hours = [
        with_row("site_hours", site="i1", hour="1", kwh="1"),
        with_row("instrument_hours", instrument="e1", hour="1", kwh="1"),
    ]
    yield broken(
        "hours in vain",
        *(flag("HOURS_IGNORED", f"{table}.csv") for table in ("site_hours", "instrument_hours")),
        change=together(*hours),
    )
