"""Broken packages: coverage."""

from collections.abc import Iterable

from tests.oracle.broken.case import Broken, broken, rejection, together, with_row


def coverage_cases() -> Iterable[Broken]:
    code, file = "COVERAGE_CONFLICT", "coverage.csv"
    threshold = {"service": "s1", "threshold_kg": "5"}
    yield broken(
        "coverage",
        change=together(with_row("coverage", **threshold), with_row("coverage", service="s3", covered="false")),
    )
    yield broken(
        "racks of a service left out",
        *(rejection(code, name, row) for name, row in (("racks.csv", 3), ("machines.csv", 2))),
        change=with_row("coverage", service="s2", covered="false"),
    )
    yield broken(
        "service left out that uses others",
        *(rejection(code, name, row) for name, row in (("racks.csv", 5), ("rack_use.csv", 2), ("service_use.csv", 2))),
        change=with_row("coverage", service="s1", covered="false"),
    )
    yield broken(
        "service left out that uses another cluster",
        rejection(code, "cross_use.csv", 2),
        change=together(
            with_row("cross_use", cluster="k2", service="s1", consumer_cluster="k1", consumer="s3", quantity="1"),
            with_row("coverage", service="s3", covered="false"),
        ),
    )
    yield broken(
        "everything left out", rejection("MISSING_VALUE", file, 2), change=with_row("coverage", covered="false")
    )
    yield broken(
        "threshold of a service left out",
        rejection("BAD_VALUE", file, 2),
        change=with_row("coverage", service="s3", covered="false", threshold_kg="5"),
    )
    yield broken(
        "two thresholds",
        rejection("DUPLICATE_KEY", file, 3),
        change=together(with_row("coverage", **threshold), with_row("coverage", **threshold)),
    )
