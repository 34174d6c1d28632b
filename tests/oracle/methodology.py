"""`package.toml`: identity of the package, length of its month, effective options."""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from tests.oracle.table import LINES, MONTH, NUMBER, Finding

FILE = "package.toml"
PRESETS = ("aws-v2", "alibaba", "ibm", "custom")
CHOICES = {
    "rack_weight": ("it_kwh", "facility_kwh"),
    "pool_driver": ("it_kwh", "facility_kwh", "equal"),
    "unused": ("cluster_pool_energy", "rack_local", "service_pool", "provider", "account_pool"),
    "machines": ("share", "subtract"),
    "dependencies": ("reciprocal", "step_down", "direct", "rounds"),
    "closed_class": ("error", "overhead"),
    "early_retirement": ("continue", "write_off", "transfer"),
    "matching": ("monthly", "hourly"),
}
POOL_BASES = ("external", "all")
FALLBACKS = ("previous_shares", "cluster_overhead", "unallocated")
Value = str | int | list[str]


@dataclass(frozen=True)
class Methodology:
    """What `package.toml` says, checked, with the defaults of the preset filled in."""

    provider: str
    month: str
    hours: Fraction
    max_rejected_rows: int
    version: str
    gwp_set: str
    lines: frozenset[str]
    choices: dict[str, str]
    step_down_order: tuple[str, ...]
    fallback: tuple[str, ...]
    fallback_months: int
    vintage_window_months: int
    closure_tolerance: Fraction
    rounds: int
    pool_base: str

    def choice(self, option: str) -> str:
        """The value of an option with a fixed set of values."""
        return self.choices[option]

    def effective_options(self) -> tuple[object, ...]:
        """Everything one `name@version` binds for ever."""
        return (
            self.lines,
            sorted(self.choices.items()),
            self.step_down_order,
            self.fallback,
            self.fallback_months,
            self.vintage_window_months,
            self.closure_tolerance,
            self.rounds,
            self.pool_base,
            self.gwp_set,
        )


def month_index(month: str) -> int:
    """Months since year 0, so that differences count months."""
    return int(month[:4]) * 12 + int(month[5:]) - 1


def month_hours(month: str, zone: ZoneInfo) -> Fraction:
    """Exact length in hours of a calendar month in a zone."""

    def begin(index: int) -> datetime:
        return datetime(index // 12, index % 12 + 1, 1, tzinfo=zone).astimezone(UTC)

    index = month_index(month)
    seconds = (begin(index + 1) - begin(index)).total_seconds()
    return Fraction(int(seconds), 3600)


def read_methodology(text: str) -> tuple[Methodology | None, list[Finding]]:
    """Parse the text of `package.toml`; None if it is not usable."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None, [_finding("BAD_TOML")]
    shape = _shape_is_bad(document)
    if shape:
        return None, [_finding("BAD_TOML")]
    section = document["methodology"]
    codes = _identity_faults(document)
    if section["preset"] not in PRESETS:
        return None, [_finding(code) for code in [*codes, "BAD_OPTION"]]
    options = _defaults(section["preset"]) | section.get("options", {})
    codes += ["BAD_OPTION" for _ in _option_faults(options)]
    if codes:
        return None, [_finding(code) for code in codes]
    hours = month_hours(document["month"], ZoneInfo(document["timezone"]))
    if document.get("hours", hours) != hours:
        return None, [_finding("HOURS_MISMATCH")]
    return _build(document, options, hours), []


def _finding(code: str) -> Finding:
    return Finding(code, "package", FILE, None)


def _build(document: dict[str, object], options: dict[str, object], hours: Fraction) -> Methodology:
    section = document["methodology"]
    assert isinstance(section, dict)

    def strings(option: str) -> tuple[str, ...]:
        value = options.get(option, [])
        assert isinstance(value, list)
        return tuple(value)

    def integer(value: object) -> int:
        assert isinstance(value, int)
        return value

    return Methodology(
        provider=str(document["provider"]),
        month=str(document["month"]),
        hours=hours,
        max_rejected_rows=integer(document.get("max_rejected_rows", 100)),
        version=f"{section['name']}@{section['version']}",
        gwp_set=section["gwp_set"],
        lines=frozenset(strings("lines")),
        choices={option: str(options[option]) for option in CHOICES},
        step_down_order=strings("step_down_order"),
        fallback=strings("fallback"),
        fallback_months=integer(options["fallback_months"]),
        vintage_window_months=integer(options["vintage_window_months"]),
        closure_tolerance=Fraction(str(options["closure_tolerance"])),
        rounds=integer(options.get("rounds", 0)),
        pool_base=str(options.get("pool_base", "external")),
    )


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _shape_is_bad(document: dict[str, object]) -> bool:
    """Whether a key is missing, unknown or of the wrong type (options apart)."""
    top: dict[str, tuple[Callable[[object], bool], bool]] = {
        "format_version": (_is_integer, True),
        "provider": (_is_text, True),
        "month": (_is_text, True),
        "timezone": (_is_text, True),
        "hours": (_is_integer, False),
        "max_rejected_rows": (_is_integer, False),
        "methodology": (_is_table, True),
    }
    inner: dict[str, tuple[Callable[[object], bool], bool]] = {
        "name": (_is_text, True),
        "version": (_is_text, True),
        "preset": (_is_text, True),
        "gwp_set": (_is_text, True),
        "options": (_is_table, False),
    }

    def bad(table: dict[str, object], keys: dict[str, tuple[Callable[[object], bool], bool]]) -> bool:
        return not set(table) <= set(keys) or any(
            not fits(table[key]) if key in table else required for key, (fits, required) in keys.items()
        )

    if bad(document, top):
        return True
    section = document["methodology"]
    assert isinstance(section, dict)
    return bad(section, inner)


def _identity_faults(document: dict[str, object]) -> list[str]:
    codes = []
    if document["format_version"] != 1:
        codes.append("UNSUPPORTED_FORMAT")
    if not re.fullmatch("[a-z0-9][a-z0-9_-]*", str(document["provider"])):
        codes.append("BAD_CODE")
    if not MONTH.fullmatch(str(document["month"])):
        codes.append("BAD_MONTH")
    try:
        ZoneInfo(str(document["timezone"]))
    except (ValueError, OSError, KeyError):
        codes.append("BAD_TIMEZONE")
    return codes


def _defaults(preset: str) -> dict[str, object]:
    host_pools = preset in ("alibaba", "ibm")
    return {
        "lines": list(LINES),
        "rack_weight": "it_kwh",
        "pool_driver": "it_kwh",
        "unused": "rack_local" if host_pools else "cluster_pool_energy",
        "machines": "subtract" if preset == "ibm" else "share",
        "dependencies": "direct" if preset == "ibm" else "reciprocal",
        "closed_class": "error",
        "fallback": ["cluster_overhead", "unallocated"],
        "fallback_months": 3,
        "early_retirement": "continue",
        "vintage_window_months": 12,
        "closure_tolerance": "0.05",
        "matching": "monthly",
    }


def _option_faults(options: dict[str, object]) -> list[str]:
    """The options that are unknown or have a value that is not allowed."""

    def strings(value: object) -> list[str] | None:
        is_list = isinstance(value, list) and all(isinstance(item, str) for item in value)
        return value if is_list and len(set(value)) == len(value) else None  # type: ignore[call-overload, arg-type, return-value] # narrowed by is_list

    def within(value: object, low: int, high: int) -> bool:
        return isinstance(value, int) and _is_integer(value) and low <= value <= high

    lines = strings(options["lines"])
    fallback = strings(options["fallback"])
    order = strings(options["step_down_order"]) if "step_down_order" in options else None
    tolerance = options["closure_tolerance"]
    fits = {option: options[option] in allowed for option, allowed in CHOICES.items()} | {
        "lines": lines is not None and set(lines) <= set(LINES),
        "fallback": bool(fallback)
        and set(fallback or []) <= set(FALLBACKS)
        and (fallback or [""])[-1] == "unallocated",
        "step_down_order": (options["dependencies"] == "step_down") == ("step_down_order" in options)
        and (order is not None or "step_down_order" not in options),
        "rounds": within(options.get("rounds"), 1, 100)
        if options["dependencies"] == "rounds"
        else "rounds" not in options,
        "pool_base": options.get("pool_base", "all") in POOL_BASES
        and (options["unused"] == "account_pool" or "pool_base" not in options),
        "fallback_months": within(options["fallback_months"], 1, 12),
        "vintage_window_months": within(options["vintage_window_months"], 0, 60),
        "closure_tolerance": isinstance(tolerance, str)
        and bool(NUMBER.fullmatch(tolerance))
        and not tolerance.startswith("-"),
    }
    return [option for option in {*options, *fits} if not fits.get(option, False)]
