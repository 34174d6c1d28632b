"""Broken packages: services that serve other clusters."""

from collections.abc import Iterable

from tests.oracle.broken.case import Broken, broken, flag, rejection, together, with_options, with_row


def cross_cases() -> Iterable[Broken]:
    across = {"cluster": "k1", "service": "s1", "consumer_cluster": "k2", "consumer": "s1", "quantity": "2"}
    use = with_row("cross_use", **across)
    yield broken("service for another cluster", change=use)
    for column, code in (
        ("cluster", "CLUSTER"),
        ("service", "SERVICE"),
        ("consumer_cluster", "CLUSTER"),
        ("consumer", "SERVICE"),
    ):
        finding = rejection(f"UNKNOWN_{code}", "cross_use.csv", 2)
        yield broken(f"{column} of cross use unknown", finding, change=with_row("cross_use", **across | {column: "x9"}))
    yield broken(
        "cross use by a region",
        rejection("UNKNOWN_CLUSTER", "cross_use.csv", 2),
        change=with_row("cross_use", **across | {"consumer_cluster": "r1"}),
    )
    yield broken(
        "cross use at home",
        rejection("BAD_VALUE", "cross_use.csv", 2),
        change=with_row("cross_use", **across | {"consumer_cluster": "k1"}),
    )
    yield broken("cross use twice", rejection("DUPLICATE_KEY", "cross_use.csv", 3), change=together(use, use))
    yield broken(
        "negative cross use",
        rejection("NEGATIVE_VALUE", "cross_use.csv", 2),
        change=with_row("cross_use", **across | {"quantity": "-1"}),
    )
    yield broken(
        "cross use ignored",
        *(flag("DEPENDENCIES_IGNORED", f"{table}.csv") for table in ("service_use", "cross_use")),
        change=together(use, with_options(dependencies="direct")),
    )
    there = across | {"service": "s3", "consumer": "s3"}
    back = there | {"cluster": "k2", "consumer_cluster": "k1"}
    yield broken(
        "class closed across clusters",
        rejection("CLOSED_CLASS", "service_use.csv"),
        change=together(with_row("cross_use", **there), with_row("cross_use", **back)),
    )
    yield broken(
        "class closed across clusters as overhead",
        flag("CLOSED_CLASS", "service_use.csv"),
        change=together(
            with_options(closed_class="overhead"), with_row("cross_use", **there), with_row("cross_use", **back)
        ),
    )
    yield broken(
        "class opened by another cluster",
        change=together(
            with_row("service_use", cluster="k1", service="s3", consumer="s3", quantity="1"),
            with_row("cross_use", **there | {"consumer": "s1"}),
        ),
    )
