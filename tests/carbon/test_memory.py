"""A process that wants more memory than it may have is refused, and nobody else suffers."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from carbon.environment import CLONE_DIR

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts anonymous mappings")


def run(program: str, state: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program after the limit was set, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", f"from carbon.memory import limit_memory; limit = limit_memory(); {program}"],
        cwd=CLONE_DIR,
        env={**os.environ, "CANOPY_STATE_DIR": str(state), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_more_than_the_limit_is_refused(tmp_path: Path) -> None:
    done = run("bytearray(700 << 20)", tmp_path, CANOPY_PROCESS_MEMORY_MIB="512")
    assert done.returncode == 1
    assert done.stderr.endswith("MemoryError\n")


def test_less_than_the_limit_is_not(tmp_path: Path) -> None:
    done = run("print(limit, len(bytearray(100 << 20)))", tmp_path, CANOPY_PROCESS_MEMORY_MIB="512")
    assert done.stdout == f"{512 << 20} {100 << 20}\n", done.stderr


def test_the_limit_is_four_gibibytes_unless_it_is_told(tmp_path: Path) -> None:
    assert run("print(limit)", tmp_path).stdout == f"{4096 << 20}\n"
    assert run("print(limit)", tmp_path, CANOPY_PROCESS_MEMORY_MIB="0").stdout == "None\n"


def test_what_is_loaded_is_no_garbage(tmp_path: Path) -> None:
    program = "import gc; from carbon.memory import keep_loaded; keep_loaded(); print(gc.get_freeze_count() > 1000)"
    assert run(program, tmp_path).stdout == "True\n"


def test_arrays_are_refused_as_well(tmp_path: Path) -> None:
    program = "import numpy; numpy.ones(100 << 20)"
    assert "MemoryError" in run(program, tmp_path, CANOPY_PROCESS_MEMORY_MIB="512").stderr


def test_a_lower_limit_that_was_there_before_stays(tmp_path: Path) -> None:
    program = "import os; os.environ['CANOPY_PROCESS_MEMORY_MIB'] = '1024'; print(limit_memory())"
    assert run(program, tmp_path, CANOPY_PROCESS_MEMORY_MIB="600").stdout == f"{600 << 20}\n"
