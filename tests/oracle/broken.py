"""One small package for every code of package-format section 7, with its exact findings.

Each case changes a package without findings in one way. `CASES` is meant for parametrisation:
`case.write(folder)` writes the package (and its history) and returns the paths; `case.findings` is
the set of findings that it must give.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from tests.oracle.draft import Draft, TomlValue
from tests.oracle.table import Finding

PACKAGE_CODES = [
    "MISSING_FILE",
    "BAD_ENCODING",
    "BAD_TOML",
    "UNSUPPORTED_FORMAT",
    "BAD_MONTH",
    "BAD_TIMEZONE",
    "HOURS_MISMATCH",
    "BAD_OPTION",
    "VERSION_CONFLICT",
    "BAD_HEADER",
    "BAD_ROW",
    "MISSING_VALUE",
    "BAD_NUMBER",
    "BAD_CODE",
    "BAD_VALUE",
    "NEGATIVE_VALUE",
    "RATIO_OUT_OF_RANGE",
    "DUPLICATE_KEY",
    "UNKNOWN_CLUSTER",
    "UNKNOWN_SERVICE",
    "UNKNOWN_ACCOUNT",
    "UNKNOWN_SITE",
    "UNKNOWN_RACK",
    "UNKNOWN_RESOURCE",
    "UNKNOWN_MARKET",
    "TOO_MANY_REJECTED",
    "PUE_BELOW_ONE",
    "NO_SITE_ENERGY",
    "NO_FACTOR",
    "MIXED_GWP",
    "NO_RACK_ENERGY",
    "HOURS_EXCEED_MONTH",
    "SITE_REQUIRED",
    "SITE_CLUSTER_MISMATCH",
    "REGION_SPLIT",
    "RACK_USE_CONFLICT",
    "NO_POOL_DRIVER",
    "MACHINE_EXCEEDS_CLUSTER",
    "CLOSED_CLASS",
]
ROW_CODES = [
    "BAD_ROW",
    "MISSING_VALUE",
    "BAD_NUMBER",
    "BAD_CODE",
    "UNKNOWN_CLUSTER",
    "UNKNOWN_SERVICE",
    "UNKNOWN_ACCOUNT",
    "MONTH_MISMATCH",
]
FLAG_CODES = [
    "CLOSED_CLASS",
    "OVERBOOKED",
    "CLOSURE_GAP",
    "BOTTOM_UP_SITE",
    "DEFAULT_UTILISATION",
    "NO_RESIDUAL_MIX",
    "INELIGIBLE_INSTRUMENT",
    "SURPLUS_INSTRUMENT",
    "NEGATIVE_NET_USAGE",
    "NO_USAGE_FALLBACK",
    "EMPTY_CLUSTER",
    "NO_SOURCE",
    "DEPENDENCIES_IGNORED",
    "LINE_EXCLUDED",
    "ROWS_REJECTED",
    "UNKNOWN_FILE",
]
# Codes of section 9, which goes beyond version 1.
BEYOND = {
    ("HOURS_INCOMPLETE", "package"),
    ("INSTRUMENT_EXCEEDED", "package"),
    ("UNKNOWN_INSTRUMENT", "package"),
    ("HOURS_IGNORED", "flag"),
    ("PERIODS_IGNORED", "flag"),
    ("PERIOD_GAP", "flag"),
    ("UNKNOWN_SOURCE", "package"),
    ("FACTOR_CONFLICT", "package"),
    ("COVERAGE_CONFLICT", "package"),
}
# Every (code, severity) that section 7 knows.
CODES = (
    {(code, "package") for code in PACKAGE_CODES}
    | {(code, "row") for code in ROW_CODES}
    | {(code, "flag") for code in FLAG_CODES}
)

Change = Callable[[Draft], object]
FileChange = Callable[[Path], object]


class Broken(NamedTuple):
    """A named package, the findings it must give, and the packages loaded and published before it."""

    name: str
    findings: frozenset[Finding]
    change: Change
    change_file: FileChange | None = None
    earlier: tuple[Change, ...] = ()

    def write(self, folder: Path) -> tuple[Path, list[Path]]:
        """Write the package and its history below a folder: (package folder, earlier folders)."""
        history = [_changed(change).write(folder / f"earlier_{n}") for n, change in enumerate(self.earlier)]
        path = _changed(self.change).write(folder / "package")
        if self.change_file:
            self.change_file(path)
        return path, history


def good_package() -> Draft:
    """A package without findings. Row n of a table below stands in line n + 1 of its file."""
    draft = Draft(
        {"format_version": 1, "provider": "broken", "month": "2025-06", "timezone": "UTC"},
        {"name": "plain", "version": "1.0.0", "preset": "custom", "gwp_set": "AR6"},
    )
    k1, k2 = {"cluster": "k1"}, {"cluster": "k2"}
    draft.add("clusters", *({**k, "kind": "region", "region": "r1"} for k in (k1, k2)))
    site = {"boundary": "scope2", "pue": "1.5", "location_g_per_kwh": "400"}
    draft.add("sites", {"site": "i1", **k1, **site, "it_kwh": "1000", "residual_g_per_kwh": "500"})
    draft.add("sites", {"site": "i2", **k2, **site, "it_kwh": "500", "residual_g_per_kwh": "450"})
    draft.add("services", *({"service": s, "unit": "h"} for s in ("s1", "s2", "s3")))
    draft.add("accounts", *({"account": a} for a in ("a1", "a2")))
    draft.add("racks", {"rack": "ra", **k1, "role": "service", "it_kwh": "600"})
    draft.add("racks", {"rack": "rb", **k1, "role": "service", "service": "s2", "it_kwh": "300"})
    draft.add("racks", {"rack": "rn", **k1, "role": "network", "it_kwh": "90"})
    draft.add("racks", {"rack": "rc", **k2, "role": "service", "service": "s1", "it_kwh": "500"})
    cpu = {"rack": "ra", "resource": "cpu"}
    draft.add("rack_resources", {**cpu, "weight": "1", "capacity": "100"})
    draft.add("rack_use", {**cpu, "service": "s1", "used": "50"})
    machine = {"machine": "m1", **k1, "service": "s2", "account": "a1"}
    draft.add("machines", {**machine, "avg_power_w": "100", "hours": "100"})
    draft.add("usage", {**k1, "service": "s1", "account": "a1", "quantity": "10"})
    draft.add("usage", {**k1, "service": "s1", "account": "a2", "quantity": "5"})
    draft.add("usage", {**k1, "service": "s2", "account": "a2", "quantity": "1"})
    draft.add("usage", {**k2, "service": "s1", "account": "a1", "quantity": "3"})
    draft.add("service_use", {**k1, "service": "s2", "consumer": "s1", "quantity": "4"})
    draft.add("gwp", {"gwp_set": "AR6", "gas": "CO2", "gwp": "1"})
    draft.add("direct_gases", {"site": "i1", "source": "fuel", "gas": "CO2", "mass_kg": "3"})
    certificate = {"instrument": "e1", "market": "k1", "type": "EAC"}
    draft.add("instruments", {**certificate, "kwh": "100", "g_per_kwh": "0"})
    life = {"embodied_kg": "900", "life_months": "60", "in_service": "2024-01"}
    draft.add("assets", {"asset": "b1", "owner_kind": "site", "owner": "i1", "category": "building"} | life)
    draft.add("assets", {"asset": "h1", "owner_kind": "rack", "owner": "ra", "category": "other"} | life)
    draft.add("shared_pools", {"pool": "p1", "line": "scope2_heat_lbm", "kg_co2e": "5"})
    return draft


def _changed(change: Change) -> Draft:
    draft = good_package()
    change(draft)
    return draft


# Changes


def _cell(table: str, line: int, /, **cells: str) -> Change:
    """Change cells of the row in a line of a file."""
    return lambda draft: draft.tables[table][line - 2].update(cells)


def _row(table: str, /, **cells: str) -> Change:
    """Append a row."""
    return lambda draft: draft.add(table, cells)


def _option(**options: TomlValue) -> Change:
    return lambda draft: draft.options.update(options)


def _key(key: str, value: TomlValue) -> Change:
    return lambda draft: draft.identity.update({key: value})


def _all(*changes: Change) -> Change:
    def change(draft: Draft) -> None:
        for one in changes:
            one(draft)

    return change


def _same(draft: Draft) -> None:
    """Leave the good package as it is."""
    del draft


def _replace(file: str, old: str, new: str) -> FileChange:
    """Replace text in a file that has been written."""

    def change(folder: Path) -> None:
        text = (folder / file).read_text(encoding="utf-8")
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def _remove(*files: str) -> FileChange:
    def change(folder: Path) -> None:
        for file in files:
            (folder / file).unlink()

    return change


def _append(file: str, tail: bytes) -> FileChange:
    def change(folder: Path) -> None:
        path = folder / file
        path.write_bytes((path.read_bytes() if path.exists() else b"") + tail)

    return change


# Cases


def _package(code: str, file: str, row: int | None = None) -> Finding:
    return Finding(code, "package", file, row)


def _flag(code: str, file: str, row: int | None = None) -> Finding:
    return Finding(code, "flag", file, row)


def _case(
    name: str,
    *findings: Finding,
    change: Change = _same,
    file: FileChange | None = None,
    earlier: tuple[Change, ...] = (),
) -> Broken:
    return Broken(name, frozenset(findings), change, file, earlier)


TOML = "package.toml"


def _document_cases() -> Iterable[Broken]:
    def without_provider(draft: Draft) -> None:
        del draft.identity["provider"]

    yield _case("good")
    for required in (TOML, "usage.csv", "racks.csv"):
        yield _case(
            f"no {required}",
            _package("MISSING_FILE", required),
            file=_remove(required),
        )
    yield _case(
        "two files missing",
        _package("MISSING_FILE", "sites.csv"),
        _package("MISSING_FILE", "accounts.csv"),
        file=_remove("sites.csv", "accounts.csv"),
    )
    for file in ("clusters.csv", "usage.csv", TOML):
        yield _case(
            f"{file} in Latin-1",
            _package("BAD_ENCODING", file),
            file=_append(file, "# Zürich".encode("latin-1")),
        )
    bad_toml = _package("BAD_TOML", TOML)
    yield _case("toml without provider", bad_toml, change=without_provider)
    yield _case("toml with unknown key", bad_toml, change=_key("colour", "green"))
    yield _case("toml with text for a number", bad_toml, change=_key("format_version", "1"))
    yield _case("toml unreadable", bad_toml, file=_append(TOML, b"= =\n"))
    yield _case("version 2", _package("UNSUPPORTED_FORMAT", TOML), change=_key("format_version", 2))
    for month in ("2025-13", "June", "2025-6"):
        yield _case(f"month {month}", _package("BAD_MONTH", TOML), change=_key("month", month))
    nowhere = _key("timezone", "Europe/Atlantis")
    yield _case("unknown zone", _package("BAD_TIMEZONE", TOML), change=nowhere)
    yield _case("hours of a July", _package("HOURS_MISMATCH", TOML), change=_key("hours", 744))
    yield _case(
        "month of 743 hours",
        change=_all(
            _key("hours", 743),
            _key("month", "2025-03"),
            _key("timezone", "Europe/Berlin"),
        ),
    )


def _option_cases() -> Iterable[Broken]:
    bad = _package("BAD_OPTION", TOML)
    options: dict[str, dict[str, TomlValue]] = {
        "unknown": {"magic": "yes"},
        "value": {"unused": "nobody"},
        "line": {"lines": ["scope4"]},
        "fallback end": {"fallback": ["unallocated", "cluster_overhead"]},
        "fallback months": {"fallback_months": 13},
        "window": {"vintage_window_months": 61},
        "tolerance": {"closure_tolerance": "five"},
        "order missing": {"dependencies": "step_down"},
        "order in vain": {"step_down_order": ["s1"]},
        "reserved": {"matching": "annual"},
        "rounds missing": {"dependencies": "rounds"},
        "rounds in vain": {"rounds": 2},
        "rounds beyond": {"dependencies": "rounds", "rounds": 101},
        "base in vain": {"pool_base": "all"},
        "base": {"unused": "account_pool", "pool_base": "none"},
    }
    for name, values in options.items():
        yield _case(f"option {name}", bad, change=_option(**values))
    yield _case("preset", bad, change=lambda draft: draft.methodology.update(preset="v9"))
    other = _all(_key("month", "2025-05"), _option(pool_driver="equal"))
    yield _case("version bound otherwise", _package("VERSION_CONFLICT", TOML), earlier=(other,))
    spelled_out = _all(_key("month", "2025-05"), _option(pool_driver="it_kwh"))
    yield _case("version bound alike", earlier=(spelled_out,))
    excluded = [line for line in LINES_OF_GOOD if line != "scope1"]
    yield _case("line excluded", _flag("LINE_EXCLUDED", TOML), change=_option(lines=excluded))


LINES_OF_GOOD: list[str] = ["scope1", "scope2_lbm", "scope2_mbm", "scope2_heat_lbm", "scope3_embodied"]


def _header_cases() -> Iterable[Broken]:
    bad = _package("BAD_HEADER", "racks.csv", 1)
    yield _case("column missing", bad, file=_replace("racks.csv", "role", "name"))
    yield _case("column unknown", bad, change=_cell("racks", 2, colour="red"))
    yield _case("column twice", bad, file=_replace("racks.csv", "service", "role"))
    usage = _package("BAD_HEADER", "usage.csv", 1)
    yield _case("usage column missing", usage, file=_replace("usage.csv", "account", "resource_group"))
    yield _case(
        "optional table with bad header",
        _package("BAD_HEADER", "gwp.csv", 1),
        file=_replace("gwp.csv", "gas", "molecule"),
    )


def _cell_cases() -> Iterable[Broken]:
    yield _case(
        "field too many",
        _package("BAD_ROW", "accounts.csv", 4),
        file=_append("accounts.csv", b"a3,more\n"),
    )
    yield _case(
        "empty line",
        _package("BAD_ROW", "accounts.csv", 4),
        file=_append("accounts.csv", b"\na3\n"),
    )
    yield _case(
        "empty line of usage",
        Finding("BAD_ROW", "row", "usage.csv", 6),
        _flag("ROWS_REJECTED", "usage.csv"),
        file=_append("usage.csv", b"\r\nk1,s1,a1,1\n"),
    )
    yield _case("empty lines at the end", file=_append("usage.csv", b"\r\n\n"))
    yield _case(
        "value missing",
        _package("MISSING_VALUE", "clusters.csv", 3),
        change=_cell("clusters", 3, kind=""),
    )
    yield _case(
        "owner missing",
        _package("MISSING_VALUE", "assets.csv", 2),
        change=_cell("assets", 2, owner=""),
    )
    for number in ("1e3", "1,000", "+5", ".5", "5.", "1/2", "NaN", "1" * 19, "0." + "1" * 13, " 1", "١"):
        yield _case(
            f"number {number}",
            _package("BAD_NUMBER", "racks.csv", 3),
            change=_cell("racks", 3, it_kwh=number),
        )
    for code in ("(a3)", "a|3", " a3", "a3 ", "a\t3", "a\x7f", "a" * 129):
        yield _case(
            f"code {code!r}",
            _package("BAD_CODE", "accounts.csv", 4),
            change=_row("accounts", account=code),
        )
    own_codes = {"clusters": "cluster", "services": "service", "racks": "rack", "machines": "machine"}
    for table, column in own_codes.items():
        yield _case(
            f"reserved name in {table}",
            _package("BAD_CODE", f"{table}.csv", 2),
            change=_cell(table, 2, **{column: "(mine)"}),
        )
    yield _case(
        "reserved name of a region",
        _package("BAD_CODE", "clusters.csv", 3),
        change=_cell("clusters", 3, region="(r1)"),
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
        finding = _package("BAD_VALUE", f"{table}.csv", line)
        yield _case(f"value of {name}", finding, change=_cell(table, line, **cells))
    negatives = {
        "energy": ("sites", 2, {"it_kwh": "-1"}),
        "factor": ("sites", 3, {"location_g_per_kwh": "-0.1"}),
        "power": ("machines", 2, {"avg_power_w": "-5"}),
        "use": ("rack_use", 2, {"used": "-1"}),
        "service use": ("service_use", 2, {"quantity": "-1"}),
        "pool": ("shared_pools", 2, {"kg_co2e": "-1"}),
    }
    for name, (table, line, cells) in negatives.items():
        finding = _package("NEGATIVE_VALUE", f"{table}.csv", line)
        yield _case(f"negative {name}", finding, change=_cell(table, line, **cells))
    for ratio in ("1.000000000001", "-0.1"):
        yield _case(
            f"ratio {ratio}",
            _package("RATIO_OUT_OF_RANGE", "sites.csv", 2),
            change=_cell("sites", 2, green_ratio=ratio),
        )
    yield _case(
        "utilisation above 1",
        _package("RATIO_OUT_OF_RANGE", "racks.csv", 5),
        change=_cell("racks", 5, utilisation="50"),
    )
    yield _case(
        "account twice",
        _package("DUPLICATE_KEY", "accounts.csv", 4),
        change=_row("accounts", account="a1"),
    )
    yield _case(
        "pool twice",
        _package("DUPLICATE_KEY", "shared_pools.csv", 3),
        change=_row("shared_pools", pool="p1", line="scope2_heat_lbm", kg_co2e="6"),
    )


def _reference_cases() -> Iterable[Broken]:
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
            change = _cell(table, line, **{column: "nowhere"})
            # Sites of an unknown cluster are the market of that name, too: leave the market alone.
            change = _all(change, _cell("sites", 2, market="k1")) if table == "sites" else change
            yield _case(f"{table}.{column} in line {line} unknown", _package(code, f"{table}.csv", line), change=change)
    yield _case(
        "rack unknown",
        _package("UNKNOWN_RACK", "rack_resources.csv", 3),
        change=_row("rack_resources", rack="rx", resource="cpu", weight="1", capacity="1"),
    )
    yield _case(
        "machine in a region",
        _package("UNKNOWN_CLUSTER", "machines.csv", 2),
        change=_cell("machines", 2, cluster="r1"),
    )
    yield _case(
        "asset of a region's rack",
        _package("UNKNOWN_RACK", "assets.csv", 3),
        change=_cell("racks", 2, cluster="r1"),
    )
    yield _case(
        "cells before references",
        _package("BAD_NUMBER", "racks.csv", 2),
        change=_all(_cell("racks", 2, it_kwh="much"), _cell("machines", 2, account="nobody")),
    )
    yield _case(
        "rack on a site elsewhere",
        _package("SITE_CLUSTER_MISMATCH", "racks.csv", 2),
        change=_cell("racks", 2, site="i2"),
    )
    conflict = "RACK_USE_CONFLICT"
    yield _case(
        "dedicated network rack",
        _package(conflict, "racks.csv", 4),
        change=_cell("racks", 4, service="s1"),
    )
    cpu = {"rack": "rn", "resource": "cpu"}
    yield _case(
        "resources of a network rack",
        _package(conflict, "rack_resources.csv", 3),
        change=_row("rack_resources", **cpu, weight="1", capacity="1"),
    )
    yield _case(
        "use of a dedicated rack",
        _package(conflict, "rack_use.csv", 2),
        change=_cell("racks", 2, service="s1"),
    )


def _energy_cases() -> Iterable[Broken]:
    yield _case("PUE", _package("PUE_BELOW_ONE", "sites.csv", 2), change=_cell("sites", 2, pue="0.99"))
    yield _case(
        "facility below IT",
        _package("PUE_BELOW_ONE", "sites.csv", 2),
        change=_cell("sites", 2, pue="", facility_kwh="999"),
    )
    yield _case("no PUE", _package("NO_SITE_ENERGY", "sites.csv", 3), change=_cell("sites", 3, pue=""))
    yield _case(
        "no location factor",
        _package("NO_FACTOR", "sites.csv", 3),
        change=_cell("sites", 3, location_g_per_kwh=""),
    )
    for name, cells in {"gas": {"gas": "CO"}, "set": {"gwp_set": "AR5", "gas": "CO2e"}}.items():
        code = "NO_FACTOR" if name == "gas" else "MIXED_GWP"
        finding = _package(code, "direct_gases.csv", 2)
        yield _case(f"{name} of a gas", finding, change=_cell("direct_gases", 2, **cells))
    yield _case(
        "GWP of another set only",
        _package("NO_FACTOR", "direct_gases.csv", 2),
        change=_cell("gwp", 2, gwp_set="AR5"),
    )
    yield _case(
        "pool in another set",
        _package("MIXED_GWP", "shared_pools.csv", 2),
        change=_cell("shared_pools", 2, gwp_set="AR5"),
    )
    yield _case(
        "rack without energy",
        _package("NO_RACK_ENERGY", "racks.csv", 2),
        change=_cell("racks", 2, it_kwh="", servers="3", max_w="300"),
    )
    for table, line in (("racks", 3), ("machines", 2)):
        finding = _package("HOURS_EXCEED_MONTH", f"{table}.csv", line)
        yield _case(f"{table} beyond the month", finding, change=_cell(table, line, hours="720.01"))
    yield _case("the whole month", change=_cell("machines", 2, hours="720", avg_power_w="13"))
    second = good_package().tables["sites"][0] | {"site": "i3", "it_kwh": "0"}
    sites = {"site": "i1"}
    yield _case(
        "site left open",
        *(_package("SITE_REQUIRED", "racks.csv", line) for line in (3, 4)),
        change=_all(
            _option(rack_weight="facility_kwh"),
            _row("sites", **second),
            _cell("racks", 2, **sites),
            _cell("machines", 2, **sites),
        ),
    )
    yield _case("site left open where it does not matter", change=_row("sites", **second))
    yield _case(
        "region with a cluster of two sites",
        _package("REGION_SPLIT", "racks.csv", 4),
        change=_all(_row("sites", **second), _cell("racks", 4, cluster="r1")),
    )
    empty = _row("clusters", cluster="k3", kind="edge", region="r3")
    for code in ("k3", "r3"):
        finding = _package("NO_POOL_DRIVER", "shared_pools.csv", 2)
        yield _case(f"pool over {code}", finding, change=_all(empty, _cell("shared_pools", 2, cluster=code)))
    pool = {"owner_kind": "pool", "owner": "k3"}
    finding = _package("NO_POOL_DRIVER", "assets.csv", 2)
    yield _case("asset pool over k3", finding, change=_all(empty, _cell("assets", 2, **pool)))
    yield _case(
        "machine above its cluster",
        _package("MACHINE_EXCEEDS_CLUSTER", "machines.csv"),
        change=_all(
            _option(machines="subtract", closure_tolerance="9"),
            _cell("machines", 2, avg_power_w="10001"),
        ),
    )


def _usage_cases() -> Iterable[Broken]:
    rejected = _flag("ROWS_REJECTED", "usage.csv")
    cells = {
        "MISSING_VALUE": {"quantity": ""},
        "BAD_NUMBER": {"quantity": "ten"},
        "BAD_CODE": {"resource_group": "a|b"},
        "UNKNOWN_CLUSTER": {"cluster": "k9"},
        "UNKNOWN_SERVICE": {"service": "s9"},
        "UNKNOWN_ACCOUNT": {"account": "a9"},
        "MONTH_MISMATCH": {"month": "2025-05"},
    }
    for code, values in cells.items():
        row = Finding(code, "row", "usage.csv", 3)
        yield _case(f"usage {code}", row, rejected, change=_cell("usage", 3, **values))
        yield _case(
            f"usage {code} is one too many",
            row,
            _package("TOO_MANY_REJECTED", "usage.csv"),
            change=_all(_cell("usage", 3, **values), _key("max_rejected_rows", 0)),
        )
    row = Finding("BAD_ROW", "row", "usage.csv", 6)
    yield _case("usage BAD_ROW", row, rejected, file=_append("usage.csv", b"k1,s1,a1\n"))
    two = [Finding("UNKNOWN_SERVICE", "row", "usage.csv", line) for line in (3, 5)]
    yield _case(
        "as many as allowed",
        *two,
        rejected,
        change=_all(
            _cell("usage", 3, service="s9"),
            _cell("usage", 5, service="s9"),
            _row("usage", cluster="k2", service="s1", account="a1", quantity="1"),
            _key("max_rejected_rows", 2),
        ),
    )
    yield _case("usage of its month", change=_cell("usage", 3, month="2025-06"))
    yield _case(
        "credit",
        _flag("NEGATIVE_NET_USAGE", "usage.csv"),
        change=_row("usage", cluster="k1", service="s1", account="a2", quantity="-5.000000000001"),
    )
    yield _case(
        "credit that leaves nothing",
        change=_row("usage", cluster="k1", service="s1", account="a2", quantity="-5"),
    )
    yield _case(
        "closed class",
        _package("CLOSED_CLASS", "service_use.csv"),
        change=_row("service_use", cluster="k1", service="s3", consumer="s3", quantity="1"),
    )
    yield _case(
        "closed class as overhead",
        _flag("CLOSED_CLASS", "service_use.csv"),
        change=_all(
            _option(closed_class="overhead"),
            _row("service_use", cluster="k1", service="s3", consumer="s3", quantity="1"),
        ),
    )
    yield _case(
        "service without usage",
        _flag("NO_USAGE_FALLBACK", "usage.csv"),
        change=_cell("racks", 3, service="s3"),
    )


def _flag_cases() -> Iterable[Broken]:
    flags = {
        "overbooked": ("OVERBOOKED", "racks", 2, _cell("rack_use", 2, used="100.1")),
        "gap of a site": ("CLOSURE_GAP", "sites", 2, _cell("sites", 2, facility_kwh="1575.01")),
        "gap of a cluster": ("CLOSURE_GAP", "clusters", 3, _cell("racks", 5, it_kwh="476")),
        "summed from racks": ("BOTTOM_UP_SITE", "sites", 3, _cell("sites", 3, it_kwh="")),
        "no residual mix": ("NO_RESIDUAL_MIX", "sites", 2, _cell("sites", 2, residual_g_per_kwh="")),
        "old vintage": ("INELIGIBLE_INSTRUMENT", "instruments", 2, _cell("instruments", 2, vintage="2024-05")),
        "not retired": ("INELIGIBLE_INSTRUMENT", "instruments", 2, _cell("instruments", 2, retired="false")),
        "surplus": ("SURPLUS_INSTRUMENT", "instruments", 2, _cell("instruments", 2, kwh="1500.1")),
        "no utilisation": (
            "DEFAULT_UTILISATION",
            "racks",
            2,
            _cell("racks", 2, it_kwh="", servers="1", idle_w="0", max_w="1666.7"),
        ),
    }
    for name, (code, table, line, change) in flags.items():
        yield _case(name, _flag(code, f"{table}.csv", line), change=change)
    near = {
        "rack just full": _cell("rack_use", 2, used="100"),
        "site gap within tolerance": _cell("sites", 2, facility_kwh="1575"),
        "vintage in the window": _cell("instruments", 2, vintage="2024-06"),
        "everything certified": _cell("instruments", 2, kwh="1500"),
        "facility without pue": _cell("sites", 3, it_kwh="", pue="", facility_kwh="700"),
    }
    for name, change in near.items():
        yield _case(name, change=change)
    yield _case(
        "empty cluster",
        _flag("EMPTY_CLUSTER", "clusters.csv", 3),
        _flag("NO_USAGE_FALLBACK", "usage.csv"),
        change=_cell("racks", 5, service=""),
    )
    yield _case(
        "nothing unused to the provider",
        change=_all(_option(unused="provider"), _cell("racks", 5, service="")),
    )
    yield _case(
        "usage without source",
        _flag("NO_SOURCE", "clusters.csv", 4),
        change=_all(
            _row("clusters", cluster="k3", kind="edge"),
            _row("usage", cluster="k3", service="s1", account="a1", quantity="1"),
        ),
    )
    yield _case(
        "service use ignored",
        _flag("DEPENDENCIES_IGNORED", "service_use.csv"),
        change=_option(dependencies="direct"),
    )
    yield _case(
        "file unknown",
        _flag("UNKNOWN_FILE", "notes.txt"),
        file=_append("notes.txt", b"hello"),
    )
    yield _case("file expected", file=_append("expected_ledger.csv", b"\xff"))


def _by_hour(draft: Draft) -> None:
    """Match by hour: 2 kWh an hour at each site (the first has 1500, the second 750 kWh a month), e1 in one hour."""
    draft.options.update({"matching": "hourly", "closure_tolerance": "1"})
    for site in ("i1", "i2"):
        draft.add("site_hours", *({"site": site, "hour": str(hour), "kwh": "2"} for hour in range(720)))
    draft.add("instrument_hours", {"instrument": "e1", "hour": "7", "kwh": "1"})
    draft.tables["instruments"][0]["kwh"] = "1"


def _hour_cases() -> Iterable[Broken]:
    yield _case("by hour", change=_by_hour)
    last = _row("site_hours", site="i1", hour="720", kwh="1")
    yield _case(
        "hour beyond the month",
        _package("HOURS_EXCEED_MONTH", "site_hours.csv", 1442),
        change=_all(_by_hour, last),
    )
    yield _case(
        "hour of an instrument beyond the month",
        _package("HOURS_EXCEED_MONTH", "instrument_hours.csv", 3),
        change=_all(_by_hour, _row("instrument_hours", instrument="e1", hour="999", kwh="0")),
    )
    yield _case(
        "half an hour",
        _package("BAD_VALUE", "site_hours.csv", 2),
        change=_all(_by_hour, _cell("site_hours", 2, hour="0.5")),
    )
    yield _case(
        "hour twice",
        _package("DUPLICATE_KEY", "site_hours.csv", 3),
        change=_all(_by_hour, _cell("site_hours", 3, hour="0")),
    )
    yield _case(
        "hour missing",
        _package("HOURS_INCOMPLETE", "sites.csv", 2),
        change=_all(_by_hour, lambda draft: draft.tables["site_hours"].pop(5)),
    )
    yield _case(
        "no hours at all",
        *(_package("HOURS_INCOMPLETE", "sites.csv", row) for row in (2, 3)),
        change=_option(matching="hourly"),
    )
    nothing = [_cell("site_hours", line, kwh="0") for line in range(722, 1442)]
    yield _case("no consumption by hour", _package("HOURS_INCOMPLETE", "sites.csv", 3), change=_all(_by_hour, *nothing))
    half = [_cell(table, 2, kwh="0.5") for table in ("instruments", "instrument_hours")]
    yield _case(
        "consumption beyond the invoice",
        _flag("CLOSURE_GAP", "site_hours.csv"),
        change=_all(_by_hour, _cell("site_hours", 2, kwh="1562.01"), *half),
    )
    yield _case(
        "more by hour than there is",
        _package("INSTRUMENT_EXCEEDED", "instruments.csv", 2),
        change=_all(_by_hour, _row("instrument_hours", instrument="e1", hour="8", kwh="0.1")),
    )
    yield _case(
        "instrument unknown",
        _package("UNKNOWN_INSTRUMENT", "instrument_hours.csv", 2),
        change=_all(_by_hour, _cell("instrument_hours", 2, instrument="e9")),
    )
    yield _case(
        "site of hours unknown",
        _package("UNKNOWN_SITE", "site_hours.csv", 1442),
        change=_all(_by_hour, _row("site_hours", site="i9", hour="1", kwh="1")),
    )
    second = {"instrument": "e2", "market": "k1", "type": "contract", "kwh": "3", "g_per_kwh": "10"}
    yield _case(
        "instrument without hours",
        _flag("INELIGIBLE_INSTRUMENT", "instruments.csv", 3),
        change=_all(_by_hour, _row("instruments", **second)),
    )
    yield _case(
        "generation when nobody needs it",
        _flag("SURPLUS_INSTRUMENT", "instruments.csv", 2),
        change=_all(_by_hour, _cell("instruments", 2, kwh="1500"), _cell("instrument_hours", 2, kwh="1000")),
    )
    hours = [
        _row("site_hours", site="i1", hour="1", kwh="1"),
        _row("instrument_hours", instrument="e1", hour="1", kwh="1"),
    ]
    yield _case(
        "hours in vain",
        *(_flag("HOURS_IGNORED", f"{table}.csv") for table in ("site_hours", "instrument_hours")),
        change=_all(*hours),
    )


def _period_cases() -> Iterable[Broken]:
    def peak(draft: Draft) -> None:
        """Make s1 peak-weighted, with the usage of all its leaves by period."""
        draft.tables["services"][0]["split_key"] = "peak_weighted"
        for cluster, account, quantities in (("k1", "a1", (8, 2)), ("k1", "a2", (1, 4)), ("k2", "a1", (0, 3))):
            leaf = {"cluster": cluster, "service": "s1", "account": account}
            for period, quantity in enumerate(quantities):
                draft.add("usage_periods", leaf | {"period": str(period), "quantity": str(quantity)})

    gap = _flag("PERIOD_GAP", "usage_periods.csv")
    yield _case("peak-weighted", change=peak)
    yield _case("node-hours", change=_cell("services", 2, split_key="node_hours"))
    yield _case("key unknown", _package("BAD_VALUE", "services.csv", 2), change=_cell("services", 2, split_key="fair"))
    yield _case("periods missing", gap, change=_cell("services", 2, split_key="peak_weighted"))
    yield _case("periods that do not fit", gap, change=_all(peak, _cell("usage_periods", 2, quantity="8.6")))
    yield _case("periods just within", change=_all(peak, _cell("usage_periods", 2, quantity="8.5")))
    stranger = {"cluster": "k2", "service": "s1", "account": "a2", "period": "0"}
    yield _case("periods of nobody", gap, change=_all(peak, _row("usage_periods", **stranger, quantity="1")))
    yield _case("periods of nobody, and none used", change=_all(peak, _row("usage_periods", **stranger, quantity="0")))
    yield _case(
        "periods in vain",
        _flag("PERIODS_IGNORED", "usage_periods.csv"),
        change=_all(peak, _cell("services", 2, split_key="revenue")),
    )
    yield _case(
        "period twice",
        _package("DUPLICATE_KEY", "usage_periods.csv", 8),
        change=_all(
            peak,
            _row(
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
    yield _case(
        "period of a region",
        _package("UNKNOWN_CLUSTER", "usage_periods.csv", 2),
        change=_all(peak, _cell("usage_periods", 2, cluster="r1")),
    )


def _cross_cases() -> Iterable[Broken]:
    across = {"cluster": "k1", "service": "s1", "consumer_cluster": "k2", "consumer": "s1", "quantity": "2"}
    use = _row("cross_use", **across)
    yield _case("service for another cluster", change=use)
    for column, code in (
        ("cluster", "CLUSTER"),
        ("service", "SERVICE"),
        ("consumer_cluster", "CLUSTER"),
        ("consumer", "SERVICE"),
    ):
        finding = _package(f"UNKNOWN_{code}", "cross_use.csv", 2)
        yield _case(f"{column} of cross use unknown", finding, change=_row("cross_use", **across | {column: "x9"}))
    yield _case(
        "cross use by a region",
        _package("UNKNOWN_CLUSTER", "cross_use.csv", 2),
        change=_row("cross_use", **across | {"consumer_cluster": "r1"}),
    )
    yield _case(
        "cross use at home",
        _package("BAD_VALUE", "cross_use.csv", 2),
        change=_row("cross_use", **across | {"consumer_cluster": "k1"}),
    )
    yield _case("cross use twice", _package("DUPLICATE_KEY", "cross_use.csv", 3), change=_all(use, use))
    yield _case(
        "negative cross use",
        _package("NEGATIVE_VALUE", "cross_use.csv", 2),
        change=_row("cross_use", **across | {"quantity": "-1"}),
    )
    yield _case(
        "cross use ignored",
        *(_flag("DEPENDENCIES_IGNORED", f"{table}.csv") for table in ("service_use", "cross_use")),
        change=_all(use, _option(dependencies="direct")),
    )
    there = across | {"service": "s3", "consumer": "s3"}
    back = there | {"cluster": "k2", "consumer_cluster": "k1"}
    yield _case(
        "class closed across clusters",
        _package("CLOSED_CLASS", "service_use.csv"),
        change=_all(_row("cross_use", **there), _row("cross_use", **back)),
    )
    yield _case(
        "class closed across clusters as overhead",
        _flag("CLOSED_CLASS", "service_use.csv"),
        change=_all(_option(closed_class="overhead"), _row("cross_use", **there), _row("cross_use", **back)),
    )
    yield _case(
        "class opened by another cluster",
        change=_all(
            _row("service_use", cluster="k1", service="s3", consumer="s3", quantity="1"),
            _row("cross_use", **there | {"consumer": "s1"}),
        ),
    )


def _uncertainty_cases() -> Iterable[Broken]:
    first = {"source": "sites", "code": "i1", "line": "scope2_lbm", "activity_percent": "2"}
    grid = {"factor": "grid", "factor_percent": "10"}
    second = first | {"code": "i2"} | grid
    file = "uncertainties.csv"
    yield _case("uncertainties", change=_all(_row("uncertainties", **first), _row("uncertainties", **second)))
    yield _case(
        "uncertainty of nothing",
        _package("UNKNOWN_SOURCE", file, 2),
        change=_row("uncertainties", **first | {"code": "i9"}),
    )
    yield _case(
        "factor of two minds",
        _package("FACTOR_CONFLICT", file, 3),
        change=_all(
            _row("uncertainties", **first | grid), _row("uncertainties", **second | {"factor_percent": "10.1"})
        ),
    )
    yield _case(
        "factor alike",
        change=_all(
            _row("uncertainties", **first | grid), _row("uncertainties", **second | {"factor_percent": "10.0"})
        ),
    )
    for name, cells in {
        "factor without": {"factor": "grid"},
        "percentage of no factor": {"factor_percent": "1"},
    }.items():
        yield _case(name, _package("MISSING_VALUE", file, 2), change=_row("uncertainties", **first | cells))


def _coverage_cases() -> Iterable[Broken]:
    code, file = "COVERAGE_CONFLICT", "coverage.csv"
    threshold = {"service": "s1", "threshold_kg": "5"}
    yield _case("coverage", change=_all(_row("coverage", **threshold), _row("coverage", service="s3", covered="false")))
    yield _case(
        "racks of a service left out",
        *(_package(code, name, row) for name, row in (("racks.csv", 3), ("machines.csv", 2))),
        change=_row("coverage", service="s2", covered="false"),
    )
    yield _case(
        "service left out that uses others",
        *(_package(code, name, row) for name, row in (("racks.csv", 5), ("rack_use.csv", 2), ("service_use.csv", 2))),
        change=_row("coverage", service="s1", covered="false"),
    )
    yield _case(
        "service left out that uses another cluster",
        _package(code, "cross_use.csv", 2),
        change=_all(
            _row("cross_use", cluster="k2", service="s1", consumer_cluster="k1", consumer="s3", quantity="1"),
            _row("coverage", service="s3", covered="false"),
        ),
    )
    yield _case("everything left out", _package("MISSING_VALUE", file, 2), change=_row("coverage", covered="false"))
    yield _case(
        "threshold of a service left out",
        _package("BAD_VALUE", file, 2),
        change=_row("coverage", service="s3", covered="false", threshold_kg="5"),
    )
    yield _case(
        "two thresholds",
        _package("DUPLICATE_KEY", file, 3),
        change=_all(_row("coverage", **threshold), _row("coverage", **threshold)),
    )


CASES: list[Broken] = [
    case
    for cases in (
        _document_cases,
        _option_cases,
        _header_cases,
        _cell_cases,
        _reference_cases,
        _energy_cases,
        _usage_cases,
        _flag_cases,
        _hour_cases,
        _period_cases,
        _cross_cases,
        _uncertainty_cases,
        _coverage_cases,
    )
    for case in cases()
]
