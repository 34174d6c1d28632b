"""Broken packages: codes that name something, and keys."""

from collections.abc import Iterable

from tests.oracle.broken.case import Broken, broken, rejection, together, with_cell, with_row


def reference_cases() -> Iterable[Broken]:
    references = {
        "UNKNOWN_CLUSTER": [("sites", 2, "cluster"), ("racks", 4, "cluster"), ("shared_pools", 2, "cluster")],
        "UNKNOWN_SERVICE": [
            ("racks", 3, "service"),
            ("rack_use", 2, "service"),
            ("service_use", 2, "consumer"),
            ("machines", 2, "service"),
        ],
        "UNKNOWN_ACCOUNT": [("machines", 2, "account")],
        "UNKNOWN_SITE": [("racks", 4, "site"), ("direct_gases", 2, "site"), ("assets", 2, "owner")],
        "UNKNOWN_RACK": [("assets", 3, "owner")],
        "UNKNOWN_RESOURCE": [("rack_use", 2, "resource")],
        "UNKNOWN_MARKET": [("instruments", 2, "market")],
    }
    for code, places in references.items():
        for table, line, column in places:
            change = with_cell(table, line, **{column: "nowhere"})
            # Sites of an unknown cluster are the market of that name, too: leave the market alone.
            change = together(change, with_cell("sites", 2, market="k1")) if table == "sites" else change
            yield broken(
                f"{table}.{column} in line {line} unknown", rejection(code, f"{table}.csv", line), change=change
            )
    yield broken(
        "rack unknown",
        rejection("UNKNOWN_RACK", "rack_resources.csv", 3),
        change=with_row("rack_resources", rack="rx", resource="cpu", weight="1", capacity="1"),
    )
    yield broken(
        "machine in a region",
        rejection("UNKNOWN_CLUSTER", "machines.csv", 2),
        change=with_cell("machines", 2, cluster="r1"),
    )
    yield broken(
        "asset of a region's rack",
        rejection("UNKNOWN_RACK", "assets.csv", 3),
        change=with_cell("racks", 2, cluster="r1"),
    )
    yield broken(
        "cells before references",
        rejection("BAD_NUMBER", "racks.csv", 2),
        change=together(with_cell("racks", 2, it_kwh="much"), with_cell("machines", 2, account="nobody")),
    )
    yield broken(
        "rack on a site elsewhere",
        rejection("SITE_CLUSTER_MISMATCH", "racks.csv", 2),
        change=with_cell("racks", 2, site="i2"),
    )
    conflict = "RACK_USE_CONFLICT"
    yield broken(
        "dedicated network rack",
        rejection(conflict, "racks.csv", 4),
        change=with_cell("racks", 4, service="s1"),
    )
    cpu = {"rack": "rn", "resource": "cpu"}
    yield broken(
        "resources of a network rack",
        rejection(conflict, "rack_resources.csv", 3),
        change=with_row("rack_resources", **cpu, weight="1", capacity="1"),
    )
    yield broken(
        "use of a dedicated rack",
        rejection(conflict, "rack_use.csv", 2),
        change=with_cell("racks", 2, service="s1"),
    )
