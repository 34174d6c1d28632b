"""Effective options of a methodology version: the preset's defaults with a package's overrides (section 2)."""

from __future__ import annotations

import dataclasses
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from allocation.engine.frames import LINES, Finding, Options, PackageRejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CUSTOM: Final = Options(
    lines=LINES,
    rack_weight="it_kwh",
    pool_driver="it_kwh",
    unused="cluster_pool_energy",
    machines="share",
    dependencies="reciprocal",
    step_down_order=(),
    closed_class="error",
    fallback=("cluster_overhead", "unallocated"),
    fallback_months=3,
    early_retirement="continue",
    vintage_window_months=12,
    closure_tolerance=Decimal("0.05"),
    matching="monthly",
)

PRESETS: Final[Mapping[str, Options]] = {
    "aws-v2": _CUSTOM,
    "alibaba": dataclasses.replace(_CUSTOM, unused="rack_local"),
    "ibm": dataclasses.replace(_CUSTOM, unused="rack_local", machines="subtract", dependencies="direct"),
    "custom": _CUSTOM,
}

_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "rack_weight": ("it_kwh", "facility_kwh"),
    "pool_driver": ("it_kwh", "facility_kwh", "equal"),
    "unused": ("cluster_pool_energy", "rack_local", "service_pool", "provider", "account_pool"),
    "machines": ("share", "subtract"),
    "dependencies": ("reciprocal", "step_down", "direct", "rounds"),
    "closed_class": ("error", "overhead"),
    "early_retirement": ("continue", "write_off", "transfer"),
    "matching": ("monthly", "hourly"),
    "pool_base": ("external", "all"),
}
_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "fallback_months": (1, 12),
    "vintage_window_months": (0, 60),
    "rounds": (1, 100),
}
_REQUIRED_BY: Final[Mapping[str, str]] = {"step_down_order": "step_down", "rounds": "rounds"}
"""Options that are required by, and only allowed with, one value of `dependencies`."""

_FALLBACKS: Final = ("previous_shares", "cluster_overhead", "unallocated")
_NUMBER: Final = re.compile(r"[0-9]{1,18}(\.[0-9]{1,12})?")
_FILE: Final = "package.toml"


def effective_options(preset: str, overrides: Mapping[str, object]) -> Options:
    """Return the options of `preset` with `overrides`, the table `[methodology.options]` as TOML gives it.

    Raises `PackageRejectedError` with one BAD_OPTION per unknown preset, option or value.
    """
    if preset not in PRESETS:
        raise PackageRejectedError((_bad("preset", f"the preset is not one of {', '.join(PRESETS)}"),))
    findings: list[Finding] = []
    values: dict[str, object] = {}
    for name, value in overrides.items():
        try:
            values[name] = _value(name, value)
        except ValueError as error:
            findings.append(_bad(name, str(error)))
    effective = dataclasses.replace(PRESETS[preset], **values)  # type: ignore[arg-type] # checked one by one above
    if not findings:
        # What counts is that the option is there: an empty order is one, too, all services by code.
        findings += [
            _bad(name, f"{name} goes with dependencies = {method}, and only with it")
            for name, method in _REQUIRED_BY.items()
            if (effective.dependencies == method) != (name in overrides)
        ]
        if "pool_base" in overrides and effective.unused != "account_pool":
            findings.append(_bad("pool_base", "pool_base goes only with unused = account_pool"))
    if findings:
        raise PackageRejectedError(tuple(findings))
    return effective


def _bad(name: str, message: str) -> Finding:
    return Finding("BAD_OPTION", "package", _FILE, None, message, name)


def _value(name: str, value: object) -> object:
    """Return `value` in the type of `Options`; `ValueError` with the reason if it is not allowed."""
    if name in _CHOICES:
        return _choice(name, value)
    if name in _RANGES:
        return _months(name, value)
    if name in _LISTS:
        return _LISTS[name](_strings(name, value))
    if name == "closure_tolerance":
        return _tolerance(value)
    raise ValueError("there is no such option")


def _choice(name: str, value: object) -> str:
    if not isinstance(value, str) or value not in _CHOICES[name]:
        raise ValueError(f"{name} is one of {', '.join(_CHOICES[name])}")
    return value


def _months(name: str, value: object) -> int:
    least, most = _RANGES[name]
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{name} is a whole number from {least} to {most}")
    return value


def _strings(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{name} is an array of strings")
    if len(set(value)) != len(value):
        raise ValueError(f"{name} names something twice")
    return tuple(value)


def _lines(names: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in LINES]
    if unknown:
        raise ValueError(f"lines holds unknown line codes: {', '.join(sorted(unknown))}")
    # The order in which lines are named never changes a result.
    return tuple(line for line in LINES if line in names)


def _fallback(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or names[-1] != "unallocated" or not set(names) <= set(_FALLBACKS):
        raise ValueError(f"fallback holds some of {', '.join(_FALLBACKS)} and ends with unallocated")
    return names


def _step_down_order(names: tuple[str, ...]) -> tuple[str, ...]:
    return names


def _tolerance(value: object) -> Decimal:
    if not isinstance(value, str) or _NUMBER.fullmatch(value) is None:
        raise ValueError("closure_tolerance is a decimal number, not negative, written as a string")
    return Decimal(value)


_LISTS: Final[Mapping[str, Callable[[tuple[str, ...]], tuple[str, ...]]]] = {
    "lines": _lines,
    "fallback": _fallback,
    "step_down_order": _step_down_order,
}
