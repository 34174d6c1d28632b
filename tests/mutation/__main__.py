"""Mutants of the engine: `python -m tests.mutation make | try | count` (docs/contributing.md)."""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tomllib
from importlib import import_module

from tests.mutation.results import MUTANTS, chosen, drawn, results, table


def make() -> None:
    """Let mutmut copy engine and tests to `mutants/` and make the mutants; what is unchanged keeps its result."""
    mutmut = import_module("mutmut.__main__")
    mutmut.set_mutant_under_test("mutant_generation")
    MUTANTS.mkdir(exist_ok=True)
    mutmut.copy_src_dir()
    mutmut.copy_also_copy_files()
    mutmut.setup_source_paths()
    mutmut.create_mutants(1)


def attempt(mutants: list[str]) -> int:
    """Try mutants in one session of pytest."""
    settings = tomllib.loads((MUTANTS.parent / "pyproject.toml").read_text("utf-8"))["tool"]["mutmut"]
    pytest = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "tests.mutation.session"]
    pytest += ["-o", "tmp_path_retention_policy=none", *settings["pytest_add_cli_args"]]
    pytest += settings["pytest_add_cli_args_test_selection"]
    return subprocess.run(
        pytest, cwd=MUTANTS, env=os.environ | {"PYTHONPATH": "."}, input="\n".join(mutants), text=True, check=False
    ).returncode


def main() -> int:
    """Obey one command."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("make", help="make the mutants anew where the engine changed")
    trial = commands.add_parser("try", help="try mutants, all that were not tried unless told otherwise")
    trial.add_argument("patterns", nargs="*", help="names of mutants, or patterns with *: these, even if tried before")
    trial.add_argument("--sample", type=int, help="about as many, from each module in proportion to its own")
    trial.add_argument("--seed", type=int, default=1, help="of the sample; a larger one of the same seed contains it")
    commands.add_parser("count", help="print a table of what was tried")
    arguments = parser.parse_args()
    if arguments.command == "make":
        make()
    elif arguments.command == "try":
        known = results()
        mutants = chosen(arguments.patterns, known)
        if arguments.sample is not None:
            sample = drawn(arguments.sample, arguments.seed, known)
            mutants = [mutant for mutant in sample if mutant in set(mutants)]
        # In an order of their own, so that what a stopped run has tried is a sample, too.
        random.Random(arguments.seed).shuffle(mutants)  # noqa: S311 -- repeatable, nothing secret
        return attempt(mutants)
    else:
        print(table(results()))  # noqa: T201 -- a command
    return 0


if __name__ == "__main__":
    sys.exit(main())
