"""What became of the mutants of the engine, in mutmut's own files: `mutants/**/*.meta`."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MUTANTS: Final = Path(__file__).parents[2] / "mutants"
KILLED, SURVIVED, NO_TEST, TIMEOUT = 1, 0, 33, 36
"""Exit codes of a mutant; None where it was not tried."""

COLUMNS: Final = {"Killed": KILLED, "Timeout": TIMEOUT, "Survived": SURVIVED, "No test": NO_TEST}


def results() -> dict[str, dict[str, int | None]]:
    """Return the exit codes by module and mutant."""
    found: dict[str, dict[str, int | None]] = defaultdict(dict)
    for path in sorted(MUTANTS.rglob("*.py.meta")):
        for name, code in json.loads(path.read_text("utf-8"))["exit_code_by_key"].items():
            # mutmut writes the signal, negative, that ended a mutant.
            found[module_of(name)][name] = TIMEOUT if code is not None and code < 0 else code
    return found


def module_of(mutant: str) -> str:
    """Return the module of a mutant below `allocation.engine`."""
    return mutant.rpartition(".")[0].removeprefix("allocation.engine.")


def store(mutant: str, code: int, folder: Path) -> None:
    """Write down what became of a mutant."""
    path = folder / "allocation" / "engine" / f"{module_of(mutant).replace('.', '/')}.py.meta"
    meta = json.loads(path.read_text("utf-8"))
    meta["exit_code_by_key"][mutant] = code
    path.write_text(json.dumps(meta, indent=4), "utf-8")


def chosen(patterns: Iterable[str], known: Mapping[str, Mapping[str, int | None]]) -> list[str]:
    """Return the mutants that `patterns` name; those that were not tried, if there are no patterns."""
    wanted = list(patterns)
    exact = set(wanted)
    return [
        name
        for mutants in known.values()
        for name, code in mutants.items()
        if (name in exact or any(fnmatchcase(name, one) for one in wanted if "*" in one) if wanted else code is None)
    ]


def drawn(number: int, seed: int, known: Mapping[str, Mapping[str, int | None]]) -> list[str]:
    """Return about `number` mutants, from each module in proportion to its own; of a seed, more contain fewer."""
    total = sum(map(len, known.values()))
    found: list[str] = []
    for mutants in known.values():
        # By hash, so that a sample stays what it is where the functions stay what they are.
        order = sorted(mutants, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
        found += order[: -(-number * len(order) // total)]
    return found


def table(known: Mapping[str, Mapping[str, int | None]]) -> str:
    """Return the counts by module as a table of the handbook."""
    lines = [
        f"| Module | Mutants | Tried | {' | '.join(COLUMNS)} |",
        f"|---|{'---|' * (len(COLUMNS) + 2)}",
    ]
    every: list[int | None] = []
    for module, mutants in known.items():
        lines.append(_row(f"`{module}`", list(mutants.values())))
        every += mutants.values()
    return "\n".join([*lines, _row("all", every)])


def _row(name: str, codes: list[int | None]) -> str:
    counts = Counter(codes)
    numbers = (len(codes), len(codes) - counts[None], *(counts[code] for code in COLUMNS.values()))
    return f"| {' | '.join([name, *map(str, numbers)])} |"
