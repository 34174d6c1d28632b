"""Presets and overrides."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

import pytest

from allocation.engine.frames import LINES, Finding, PackageRejectedError
from allocation.engine.options import PRESETS, effective_options


@pytest.mark.parametrize("preset", ["aws-v2", "alibaba", "ibm", "custom"])
def test_presets_without_overrides(preset: str) -> None:
    assert effective_options(preset, {}) == PRESETS[preset]


def test_presets_differ_where_the_format_says() -> None:
    assert [PRESETS[preset].unused for preset in ("aws-v2", "alibaba", "ibm", "custom")] == [
        "cluster_pool_energy",
        "rack_local",
        "rack_local",
        "cluster_pool_energy",
    ]
    assert (PRESETS["ibm"].machines, PRESETS["ibm"].dependencies) == ("subtract", "direct")
    assert (PRESETS["custom"].machines, PRESETS["custom"].dependencies) == ("share", "reciprocal")


def test_overrides_apply_and_the_order_of_lines_does_not_matter() -> None:
    options = effective_options(
        "ibm", {"lines": list(reversed(LINES)), "dependencies": "step_down", "step_down_order": []}
    )

    assert options.lines == LINES
    assert options.dependencies == "step_down"
    assert options.unused == "rack_local"


MONTHS = "fallback_months is a whole number from 1 to 12"
ROUNDS = "rounds is a whole number from 1 to 100"
STRINGS = "step_down_order is an array of strings"
FALLBACK = "fallback holds some of previous_shares, cluster_overhead, unallocated and ends with unallocated"
TOLERANCE = "closure_tolerance is a decimal number, not negative, written as a string"
ORDER = "step_down_order goes with dependencies = step_down, and only with it"
WITH_ROUNDS = "rounds goes with dependencies = rounds, and only with it"


@pytest.mark.parametrize(
    ("overrides", "messages"),
    [
        ({"colour": "blue"}, {"colour": "there is no such option"}),
        (
            {"rack_weight": "mass", "fallback_months": 0},
            {"rack_weight": "rack_weight is one of it_kwh, facility_kwh", "fallback_months": MONTHS},
        ),
        ({"rack_weight": ["it_kwh"]}, {"rack_weight": "rack_weight is one of it_kwh, facility_kwh"}),
        ({"fallback_months": True}, {"fallback_months": MONTHS}),
        ({"fallback_months": 13}, {"fallback_months": MONTHS}),
        ({"fallback_months": "3"}, {"fallback_months": MONTHS}),
        ({"fallback": ["cluster_overhead"]}, {"fallback": FALLBACK}),
        ({"fallback": []}, {"fallback": FALLBACK}),
        ({"fallback": ["unallocated", "cluster_overhead"]}, {"fallback": FALLBACK}),
        ({"fallback": ["charity", "unallocated"]}, {"fallback": FALLBACK}),
        ({"fallback": ["unallocated", "unallocated"]}, {"fallback": "fallback names something twice"}),
        ({"step_down_order": "s"}, {"step_down_order": STRINGS}),
        ({"step_down_order": ["s", 1]}, {"step_down_order": STRINGS}),
        ({"lines": ["scope9", "scope1", "scope8"]}, {"lines": "lines holds unknown line codes: scope8, scope9"}),
        ({"closure_tolerance": 0.05}, {"closure_tolerance": TOLERANCE}),
        ({"closure_tolerance": "-1"}, {"closure_tolerance": TOLERANCE}),
        ({"matching": "annual"}, {"matching": "matching is one of monthly, hourly"}),
        ({"dependencies": "step_down"}, {"step_down_order": ORDER}),
        ({"step_down_order": ["s"]}, {"step_down_order": ORDER}),
        ({"dependencies": "rounds"}, {"rounds": WITH_ROUNDS}),
        ({"rounds": 3}, {"rounds": WITH_ROUNDS}),
        ({"pool_base": "all"}, {"pool_base": "pool_base goes only with unused = account_pool"}),
        ({"unused": "account_pool", "pool_base": "none"}, {"pool_base": "pool_base is one of external, all"}),
        ({"dependencies": "rounds", "rounds": 101}, {"rounds": ROUNDS}),
        ({"dependencies": "rounds", "rounds": 0}, {"rounds": ROUNDS}),
    ],
)
def test_wrong_options_are_all_named(overrides: dict[str, object], messages: dict[str, str]) -> None:
    with pytest.raises(PackageRejectedError) as rejected:
        effective_options("custom", overrides)

    assert rejected.value.findings == tuple(
        Finding("BAD_OPTION", "package", "package.toml", None, message, field) for field, message in messages.items()
    )


@pytest.mark.parametrize(
    "overrides",
    [
        {"fallback_months": 1, "vintage_window_months": 0},
        {"fallback_months": 12, "vintage_window_months": 60},
        {"fallback": ("previous_shares", "cluster_overhead", "unallocated")},
        {"fallback": ("unallocated",)},
        {"dependencies": "rounds", "rounds": 1},
        {"dependencies": "rounds", "rounds": 100},
        {"unused": "account_pool", "pool_base": "all"},
        {"closure_tolerance": Decimal("0.000000000001")},
        {"dependencies": "step_down", "step_down_order": ("b", "a")},
    ],
)
def test_the_ends_of_what_is_allowed_are_allowed(overrides: dict[str, object]) -> None:
    as_toml = {
        name: list(value) if isinstance(value, tuple) else f"{value:f}" if isinstance(value, Decimal) else value
        for name, value in overrides.items()
    }

    found = effective_options("custom", as_toml)

    assert found == dataclasses.replace(PRESETS["custom"], **overrides)  # type: ignore[arg-type] # options by name


def test_an_unknown_preset_is_a_bad_option() -> None:
    with pytest.raises(PackageRejectedError) as rejected:
        effective_options("azure", {})

    message = "the preset is not one of aws-v2, alibaba, ibm, custom"
    assert rejected.value.findings == (Finding("BAD_OPTION", "package", "package.toml", None, message, "preset"),)
