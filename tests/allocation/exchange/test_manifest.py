"""`package.toml`: every fault has its code."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from allocation.exchange.package.findings import Findings
from allocation.exchange.package.manifest import hours_of_month, read_manifest
from tests.allocation.exchange.sample import MANIFEST


def codes(text: str) -> list[tuple[str, str | None]]:
    findings = Findings()
    manifest = read_manifest(text, findings)
    assert (manifest is None) == findings.rejected()
    return sorted((finding.code, finding.field) for finding in findings.all())


def test_a_sound_manifest_is_read() -> None:
    findings = Findings()
    manifest = read_manifest(MANIFEST + '[methodology.options]\nclosure_tolerance = "0.1"\n', findings)
    assert findings.all() == ()
    assert manifest is not None
    assert manifest.max_rejected_rows == 100
    assert (manifest.header.month, manifest.header.hours) == (dt.date(2025, 6, 1), 720)
    assert manifest.header.options.closure_tolerance == Decimal("0.1")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("format_version = 1", "format_version = 2", [("UNSUPPORTED_FORMAT", "format_version")]),
        ("format_version = 1", "format_version = true", [("BAD_TOML", "format_version")]),
        ("format_version = 1", "", [("BAD_TOML", "format_version")]),
        ('"echo"', '"Echo"', [("BAD_CODE", "provider")]),
        ('"echo"', '"echo\\n"', [("BAD_CODE", "provider")]),
        ('"2025-06"', '"2025-6"', [("BAD_MONTH", "month")]),
        ('"2025-06"', '"2025-06\\n"', [("BAD_MONTH", "month")]),
        ('"2025-06"', '"0000-06"', [("BAD_MONTH", "month")]),
        ('"2025-06"', "2025-06-01", [("BAD_TOML", "month")]),
        ('"Asia/Shanghai"', '"../Asia/Shanghai"', [("BAD_TIMEZONE", "timezone")]),
        ('"Asia/Shanghai"', '""', [("BAD_TIMEZONE", "timezone")]),
        ("hours = 720", "hours = 721", [("HOURS_MISMATCH", "hours")]),
        ("hours = 720", 'hours = "720"', [("BAD_TOML", "hours")]),
        ("hours = 720", "max_rejected_rows = -1", [("BAD_TOML", "max_rejected_rows")]),
        ("hours = 720", "minutes = 1", [("BAD_TOML", "minutes")]),
        ('name = "plain"', 'name = ""', [("BAD_TOML", "methodology.name")]),
        ('"custom"', '"none"', [("BAD_OPTION", "preset")]),
        ("[methodology]", "[[methodology]]", [("BAD_TOML", "methodology")]),
        (MANIFEST, "a = " + "[" * 100_000, [("BAD_TOML", None)]),
        (MANIFEST, "a = " + "9" * 10_000, [("BAD_TOML", None)]),
    ],
)
def test_faults_have_their_codes(old: str, new: str, expected: list[tuple[str, str | None]]) -> None:
    found = codes(MANIFEST.replace(old, new))
    assert [
        finding for finding in found if not str(finding[1]).startswith("methodology.")
    ] == expected or found == expected


def test_all_faults_are_told_at_once() -> None:
    text = MANIFEST.replace('"2025-06"', '"June"').replace('"Asia/Shanghai"', '"Moon"').replace("plain", " ")
    assert [code for code, _ in codes(text)] == ["BAD_MONTH", "BAD_TIMEZONE", "BAD_TOML"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ('magic = "yes"', "magic"),
        ('unused = "nobody"', "unused"),
        ('lines = ["scope4"]', "lines"),
        ('lines = ["scope1", "scope1"]', "lines"),
        ("lines = [1]", "lines"),
        ('fallback = ["unallocated", "cluster_overhead"]', "fallback"),
        ("fallback = []", "fallback"),
        ("fallback_months = 0", "fallback_months"),
        ("fallback_months = true", "fallback_months"),
        ("vintage_window_months = 61", "vintage_window_months"),
        ("closure_tolerance = 0.05", "closure_tolerance"),
        ('closure_tolerance = "-1"', "closure_tolerance"),
        ('dependencies = "step_down"', "step_down_order"),
        ('step_down_order = ["s1"]', "step_down_order"),
    ],
)
def test_options_are_checked_one_by_one(options: str, field: str) -> None:
    assert codes(f"{MANIFEST}[methodology.options]\n{options}\n") == [("BAD_OPTION", field)]


@pytest.mark.parametrize(
    ("month", "zone", "hours"),
    [
        ((2025, 2), "UTC", 672),
        ((2025, 3), "Europe/Berlin", 743),
        ((2025, 10), "Europe/Berlin", 745),
        ((2011, 12), "Pacific/Apia", 720),
        ((2025, 4), "Australia/Lord_Howe", None),
        ((9999, 12), "UTC", None),
    ],
)
def test_hours_are_those_of_the_zone(month: tuple[int, int], zone: str, hours: int | None) -> None:
    assert hours_of_month(dt.date(*month, 1), ZoneInfo(zone)) == hours
