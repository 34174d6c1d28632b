"""Broken packages: what is stored as a flag with the run."""

from collections.abc import Iterable

from tests.oracle.broken.case import Broken, append_bytes, broken, flag, together, with_cell, with_options, with_row


def flag_cases() -> Iterable[Broken]:
    flags = {
        "overbooked": ("OVERBOOKED", "racks", 2, with_cell("rack_use", 2, used="100.1")),
        "gap of a site": ("CLOSURE_GAP", "sites", 2, with_cell("sites", 2, facility_kwh="1575.01")),
        "gap of a cluster": ("CLOSURE_GAP", "clusters", 3, with_cell("racks", 5, it_kwh="476")),
        "summed from racks": ("BOTTOM_UP_SITE", "sites", 3, with_cell("sites", 3, it_kwh="")),
        "no residual mix": ("NO_RESIDUAL_MIX", "sites", 2, with_cell("sites", 2, residual_g_per_kwh="")),
        "old vintage": ("INELIGIBLE_INSTRUMENT", "instruments", 2, with_cell("instruments", 2, vintage="2024-05")),
        "not retired": ("INELIGIBLE_INSTRUMENT", "instruments", 2, with_cell("instruments", 2, retired="false")),
        "surplus": ("SURPLUS_INSTRUMENT", "instruments", 2, with_cell("instruments", 2, kwh="1500.1")),
        "no utilisation": (
            "DEFAULT_UTILISATION",
            "racks",
            2,
            with_cell("racks", 2, it_kwh="", servers="1", idle_w="0", max_w="1666.7"),
        ),
    }
    for name, (code, table, line, change) in flags.items():
        yield broken(name, flag(code, f"{table}.csv", line), change=change)
    near = {
        "rack just full": with_cell("rack_use", 2, used="100"),
        "site gap within tolerance": with_cell("sites", 2, facility_kwh="1575"),
        "vintage in the window": with_cell("instruments", 2, vintage="2024-06"),
        "everything certified": with_cell("instruments", 2, kwh="1500"),
        "facility without pue": with_cell("sites", 3, it_kwh="", pue="", facility_kwh="700"),
    }
    for name, change in near.items():
        yield broken(name, change=change)
    yield broken(
        "empty cluster",
        flag("EMPTY_CLUSTER", "clusters.csv", 3),
        flag("NO_USAGE_FALLBACK", "usage.csv"),
        change=with_cell("racks", 5, service=""),
    )
    yield broken(
        "nothing unused to the provider",
        change=together(with_options(unused="provider"), with_cell("racks", 5, service="")),
    )
    yield broken(
        "usage without source",
        flag("NO_SOURCE", "clusters.csv", 4),
        change=together(
            with_row("clusters", cluster="k3", kind="edge"),
            with_row("usage", cluster="k3", service="s1", account="a1", quantity="1"),
        ),
    )
    yield broken(
        "service use ignored",
        flag("DEPENDENCIES_IGNORED", "service_use.csv"),
        change=with_options(dependencies="direct"),
    )
    yield broken(
        "file unknown",
        flag("UNKNOWN_FILE", "notes.txt"),
        file=append_bytes("notes.txt", b"hello"),
    )
    yield broken("file expected", file=append_bytes("expected_ledger.csv", b"\xff"))
