"""Broken packages: the options of a methodology version."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tests.oracle.broken.case import TOML, Broken, broken, flag, rejection, together, with_key, with_options

if TYPE_CHECKING:
    from tests.oracle.draft import TomlValue

LINES_OF_GOOD: list[str] = ["scope1", "scope2_lbm", "scope2_mbm", "scope2_heat_lbm", "scope3_embodied"]


def option_cases() -> Iterable[Broken]:
    bad = rejection("BAD_OPTION", TOML)
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
        yield broken(f"option {name}", bad, change=with_options(**values))
    yield broken("preset", bad, change=lambda draft: draft.methodology.update(preset="v9"))
    other = together(with_key("month", "2025-05"), with_options(pool_driver="equal"))
    yield broken("version bound otherwise", rejection("VERSION_CONFLICT", TOML), earlier=(other,))
    spelled_out = together(with_key("month", "2025-05"), with_options(pool_driver="it_kwh"))
    yield broken("version bound alike", earlier=(spelled_out,))
    excluded = [line for line in LINES_OF_GOOD if line != "scope1"]
    yield broken("line excluded", flag("LINE_EXCLUDED", TOML), change=with_options(lines=excluded))
