"""Presets and overrides."""

from __future__ import annotations

import pytest

from allocation.engine.frames import LINES, PackageRejectedError
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


@pytest.mark.parametrize(
    ("overrides", "fields"),
    [
        ({"colour": "blue"}, ["colour"]),
        ({"rack_weight": "mass", "fallback_months": 0}, ["rack_weight", "fallback_months"]),
        ({"fallback_months": True}, ["fallback_months"]),
        ({"fallback": ["cluster_overhead"]}, ["fallback"]),
        ({"fallback": ["unallocated", "unallocated"]}, ["fallback"]),
        ({"lines": ["scope9"]}, ["lines"]),
        ({"closure_tolerance": 0.05}, ["closure_tolerance"]),
        ({"closure_tolerance": "-1"}, ["closure_tolerance"]),
        ({"matching": "annual"}, ["matching"]),
        ({"dependencies": "step_down"}, ["step_down_order"]),
        ({"step_down_order": ["s"]}, ["step_down_order"]),
        ({"dependencies": "rounds"}, ["rounds"]),
        ({"rounds": 3}, ["rounds"]),
        ({"pool_base": "all"}, ["pool_base"]),
        ({"unused": "account_pool", "pool_base": "none"}, ["pool_base"]),
        ({"dependencies": "rounds", "rounds": 101}, ["rounds"]),
        ({"dependencies": "rounds", "rounds": 0}, ["rounds"]),
    ],
)
def test_wrong_options_are_all_named(overrides: dict[str, object], fields: list[str]) -> None:
    with pytest.raises(PackageRejectedError) as rejected:
        effective_options("custom", overrides)

    assert [(f.code, f.severity, f.file, f.row, f.field) for f in rejected.value.findings] == [
        ("BAD_OPTION", "package", "package.toml", None, field) for field in fields
    ]


def test_an_unknown_preset_is_a_bad_option() -> None:
    with pytest.raises(PackageRejectedError, match="BAD_OPTION"):
        effective_options("azure", {})
