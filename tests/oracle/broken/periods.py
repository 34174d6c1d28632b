"""Broken packages: peak-weighted keys."""

from collections.abc import Iterable

from tests.oracle.broken.case import Broken, broken, flag, rejection, together, with_cell, with_row
from tests.oracle.draft import Draft


def period_cases() -> Iterable[Broken]:
    def peak(draft: Draft) -> None:
        """Make s1 peak-weighted, with the usage of all its leaves by period."""
        draft.tables["services"][0]["split_key"] = "peak_weighted"
        for cluster, account, quantities in (("k1", "a1", (8, 2)), ("k1", "a2", (1, 4)), ("k2", "a1", (0, 3))):
            leaf = {"cluster": cluster, "service": "s1", "account": account}
            for period, quantity in enumerate(quantities):
                draft.add("usage_periods", leaf | {"period": str(period), "quantity": str(quantity)})

    gap = flag("PERIOD_GAP", "usage_periods.csv")
    yield broken("peak-weighted", change=peak)
    yield broken("node-hours", change=with_cell("services", 2, split_key="node_hours"))
    yield broken(
        "key unknown", rejection("BAD_VALUE", "services.csv", 2), change=with_cell("services", 2, split_key="fair")
    )
    yield broken("periods missing", gap, change=with_cell("services", 2, split_key="peak_weighted"))
    yield broken("periods that do not fit", gap, change=together(peak, with_cell("usage_periods", 2, quantity="8.6")))
    yield broken("periods just within", change=together(peak, with_cell("usage_periods", 2, quantity="8.5")))
    stranger = {"cluster": "k2", "service": "s1", "account": "a2", "period": "0"}
    yield broken("periods of nobody", gap, change=together(peak, with_row("usage_periods", **stranger, quantity="1")))
    yield broken(
        "periods of nobody, and none used", change=together(peak, with_row("usage_periods", **stranger, quantity="0"))
    )
    yield broken(
        "periods in vain",
        flag("PERIODS_IGNORED", "usage_periods.csv"),
        change=together(peak, with_cell("services", 2, split_key="revenue")),
    )
    yield broken(
        "period twice",
        rejection("DUPLICATE_KEY", "usage_periods.csv", 8),
        change=together(
            peak,
            with_row(
                "usage_periods",
                cluster="k1",
                service="s1",
                account="a1",
                resource_group="default",
                period="1",
                quantity="1",
            ),
        ),
    )
    yield broken(
        "period of a region",
        rejection("UNKNOWN_CLUSTER", "usage_periods.csv", 2),
        change=together(peak, with_cell("usage_periods", 2, cluster="r1")),
    )
