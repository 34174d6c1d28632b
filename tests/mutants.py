"""Draw mutants of the engine and count what became of them: `python -m tests.mutants draw 1000`, `... count`.

mutmut (`make mutants`) makes the mutants and tries them; what it knows stands in `mutants/**/*.meta`.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
KILLED = {1: "killed", 3: "killed", 0: "survived", 33: "without tests", 24: "timeout", 36: "timeout", -24: "timeout"}
"""mutmut's exit codes of a mutant; None where it was not tried."""


def results() -> dict[str, dict[str, int | None]]:
    """Return the exit codes by module and mutant."""
    found: dict[str, dict[str, int | None]] = defaultdict(dict)
    for path in sorted((ROOT / "mutants").rglob("*.py.meta")):
        for name, code in json.loads(path.read_text("utf-8"))["exit_code_by_key"].items():
            found[name.rpartition(".")[0].removeprefix("allocation.engine.")][name] = code
    return found


def drawn(number: int, seed: int) -> list[str]:
    """Return about `number` mutants, from each module in proportion to its own; of a seed, more contain fewer."""
    by_module = results()
    total = sum(map(len, by_module.values()))
    chosen = []
    for module, mutants in by_module.items():
        order = sorted(mutants)
        random.Random(f"{seed} {module}").shuffle(order)  # noqa: S311 -- repeatable, nothing secret
        chosen += order[: -(-number * len(order) // total)]
    return chosen


def table() -> str:
    """Return the counts by module as a table of the handbook."""
    columns = ("killed", "timeout", "survived", "without tests")
    lines = ["| Module | Mutants | Tried | Killed | Timeout | Survived | No test |", "|---|---|---|---|---|---|---|"]
    sums: Counter[str] = Counter()
    for module, mutants in results().items():
        counts = Counter(KILLED.get(code, "timeout") for code in mutants.values() if code is not None)
        counts |= {"mutants": len(mutants), "tried": counts.total()}
        sums.update(counts)
        lines.append(_row(f"`{module}`", counts, columns))
    return "\n".join([*lines, _row("all", sums, columns)])


def _row(name: str, counts: Counter[str], columns: tuple[str, ...]) -> str:
    return "| " + " | ".join([name, *(str(counts[column]) for column in ("mutants", "tried", *columns))]) + " |"


def main() -> None:
    """Draw or count."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    draw = commands.add_parser("draw", help="print the names of drawn mutants, for `make mutants ARGS=...`")
    draw.add_argument("number", type=int)
    draw.add_argument("--seed", type=int, default=1)
    commands.add_parser("count", help="print a table of what was tried")
    arguments = parser.parse_args()
    print(" ".join(drawn(arguments.number, arguments.seed)) if arguments.command == "draw" else table())  # noqa: T201 -- a command


if __name__ == "__main__":
    main()
