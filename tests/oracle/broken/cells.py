"""Broken packages: headers and cells."""

from collections.abc import Iterable

from tests.oracle.broken.case import Broken, append_bytes, broken, flag, rejection, replace_text, with_cell, with_row
from tests.oracle.table import Finding


def header_cases() -> Iterable[Broken]:
    bad = rejection("BAD_HEADER", "racks.csv", 1)
    yield broken("column missing", bad, file=replace_text("racks.csv", "role", "name"))
    yield broken("column unknown", bad, change=with_cell("racks", 2, colour="red"))
    yield broken("column twice", bad, file=replace_text("racks.csv", "service", "role"))
    usage = rejection("BAD_HEADER", "usage.csv", 1)
    yield broken("usage column missing", usage, file=replace_text("usage.csv", "account", "resource_group"))
    yield broken(
        "optional table with bad header",
        rejection("BAD_HEADER", "gwp.csv", 1),
        file=replace_text("gwp.csv", "gas", "molecule"),
    )


def cell_cases() -> Iterable[Broken]:
    yield broken(
        "field too many",
        rejection("BAD_ROW", "accounts.csv", 4),
        file=append_bytes("accounts.csv", b"a3,more\n"),
    )
    yield broken(
        "empty line",
        rejection("BAD_ROW", "accounts.csv", 4),
        file=append_bytes("accounts.csv", b"\na3\n"),
    )
    yield broken(
        "empty line of usage",
        Finding("BAD_ROW", "row", "usage.csv", 6),
        flag("ROWS_REJECTED", "usage.csv"),
        file=append_bytes("usage.csv", b"\r\nk1,s1,a1,1\n"),
    )
    yield broken("empty lines at the end", file=append_bytes("usage.csv", b"\r\n\n"))
    yield broken(
        "value missing",
        rejection("MISSING_VALUE", "clusters.csv", 3),
        change=with_cell("clusters", 3, kind=""),
    )
    yield broken(
        "owner missing",
        rejection("MISSING_VALUE", "assets.csv", 2),
        change=with_cell("assets", 2, owner=""),
    )
    for number in ("1e3", "1,000", "+5", ".5", "5.", "1/2", "NaN", "1" * 19, "0." + "1" * 13, " 1", "١"):
        yield broken(
            f"number {number}",
            rejection("BAD_NUMBER", "racks.csv", 3),
            change=with_cell("racks", 3, it_kwh=number),
        )
    for code in ("(a3)", "a|3", " a3", "a3 ", "a\t3", "a\x7f", "a" * 129):
        yield broken(
            f"code {code!r}",
            rejection("BAD_CODE", "accounts.csv", 4),
            change=with_row("accounts", account=code),
        )
    own_codes = {"clusters": "cluster", "services": "service", "racks": "rack", "machines": "machine"}
    for table, column in own_codes.items():
        yield broken(
            f"reserved name in {table}",
            rejection("BAD_CODE", f"{table}.csv", 2),
            change=with_cell(table, 2, **{column: "(mine)"}),
        )
    yield broken(
        "reserved name of a region",
        rejection("BAD_CODE", "clusters.csv", 3),
        change=with_cell("clusters", 3, region="(r1)"),
    )
    values = {
        "kind": ("clusters", 2, {"kind": "planet"}),
        "boolean": ("accounts", 3, {"internal": "yes"}),
        "month": ("assets", 2, {"in_service": "2024-00"}),
        "half a server": ("racks", 2, {"servers": "1.5"}),
        "no life": ("assets", 3, {"life_months": "0"}),
        "no capacity": ("rack_resources", 2, {"capacity": "0"}),
        "no weight": ("rack_resources", 2, {"weight": "0"}),
        "power upside down": ("racks", 2, {"servers": "1", "idle_w": "300", "max_w": "299.9"}),
        "quality": ("sites", 2, {"quality": "excellent"}),
        "line": ("shared_pools", 2, {"line": "scope4"}),
    }
    for name, (table, line, cells) in values.items():
        finding = rejection("BAD_VALUE", f"{table}.csv", line)
        yield broken(f"value of {name}", finding, change=with_cell(table, line, **cells))
    negatives = {
        "energy": ("sites", 2, {"it_kwh": "-1"}),
        "factor": ("sites", 3, {"location_g_per_kwh": "-0.1"}),
        "power": ("machines", 2, {"avg_power_w": "-5"}),
        "use": ("rack_use", 2, {"used": "-1"}),
        "service use": ("service_use", 2, {"quantity": "-1"}),
        "pool": ("shared_pools", 2, {"kg_co2e": "-1"}),
    }
    for name, (table, line, cells) in negatives.items():
        finding = rejection("NEGATIVE_VALUE", f"{table}.csv", line)
        yield broken(f"negative {name}", finding, change=with_cell(table, line, **cells))
    for ratio in ("1.000000000001", "-0.1"):
        yield broken(
            f"ratio {ratio}",
            rejection("RATIO_OUT_OF_RANGE", "sites.csv", 2),
            change=with_cell("sites", 2, green_ratio=ratio),
        )
    yield broken(
        "utilisation above 1",
        rejection("RATIO_OUT_OF_RANGE", "racks.csv", 5),
        change=with_cell("racks", 5, utilisation="50"),
    )
    yield broken(
        "account twice",
        rejection("DUPLICATE_KEY", "accounts.csv", 4),
        change=with_row("accounts", account="a1"),
    )
    yield broken(
        "pool twice",
        rejection("DUPLICATE_KEY", "shared_pools.csv", 3),
        change=with_row("shared_pools", pool="p1", line="scope2_heat_lbm", kg_co2e="6"),
    )
