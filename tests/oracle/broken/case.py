"""A broken package: one without findings, changed in one way, and the findings that it must give."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.oracle.draft import Draft, TomlValue
from tests.oracle.table import Finding

TOML = "package.toml"
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


def with_cell(table: str, line: int, /, **cells: str) -> Change:
    """Change cells of the row in a line of a file."""
    return lambda draft: draft.tables[table][line - 2].update(cells)


def with_row(table: str, /, **cells: str) -> Change:
    """Append a row."""
    return lambda draft: draft.add(table, cells)


def with_options(**options: TomlValue) -> Change:
    return lambda draft: draft.options.update(options)


def with_key(key: str, value: TomlValue) -> Change:
    return lambda draft: draft.identity.update({key: value})


def together(*changes: Change) -> Change:
    def change(draft: Draft) -> None:
        for one in changes:
            one(draft)

    return change


def _same(draft: Draft) -> None:
    """Leave the good package as it is."""
    del draft


def replace_text(file: str, old: str, new: str) -> FileChange:
    """Replace text in a file that has been written."""

    def change(folder: Path) -> None:
        text = (folder / file).read_text(encoding="utf-8")
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def remove_files(*files: str) -> FileChange:
    def change(folder: Path) -> None:
        for file in files:
            (folder / file).unlink()

    return change


def append_bytes(file: str, tail: bytes) -> FileChange:
    def change(folder: Path) -> None:
        path = folder / file
        path.write_bytes((path.read_bytes() if path.exists() else b"") + tail)

    return change


# Cases


def rejection(code: str, file: str, row: int | None = None) -> Finding:
    return Finding(code, "package", file, row)


def flag(code: str, file: str, row: int | None = None) -> Finding:
    return Finding(code, "flag", file, row)


def broken(
    name: str,
    *findings: Finding,
    change: Change = _same,
    file: FileChange | None = None,
    earlier: tuple[Change, ...] = (),
) -> Broken:
    return Broken(name, frozenset(findings), change, file, earlier)
