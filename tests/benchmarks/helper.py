"""A second worker for one month: a process that is up when the first one asks for help, as workers are.

Started as `python -m tests.benchmarks.helper`: reads numbers of runs from its input, helps with them, and says in the
end how much memory it took at most, in MiB.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

READY = "ready\n"


@dataclass(slots=True)
class Helper:
    """The process, for whoever asks it to help; its peak of memory is known when it has ended."""

    process: subprocess.Popen[str]
    peak_mib: float = 0.0

    def tell(self, run_id: int) -> None:
        """Ask for help with a run."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{run_id}\n")
        self.process.stdin.flush()


@contextlib.contextmanager
def helper() -> Iterator[Helper]:
    """Start a helper that is ready to work, and wait until it has done its part.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    arguments = [sys.executable, "-m", "tests.benchmarks.helper"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if process.stdout.readline() != READY:
            raise subprocess.CalledProcessError(process.wait(), arguments)
        one = Helper(process)
        yield one
        out, _ = process.communicate()
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, arguments)
        one.peak_mib = float(out)


def main() -> None:
    """Wait for a run, help with it."""
    import django  # noqa: PLC0415 settings come from the environment

    from carbon.memory import keep_loaded, limit_memory  # noqa: PLC0415 as above

    django.setup()
    limit_memory()
    from django.db import connection  # noqa: PLC0415 needs the settings

    from allocation.services.execution import help_run  # noqa: PLC0415 as above
    from tests.benchmarks.stopwatch import peak_mib  # noqa: PLC0415 as above

    connection.ensure_connection()
    keep_loaded()
    sys.stdout.write(READY)
    sys.stdout.flush()
    for line in sys.stdin:
        help_run(run_id=int(line), worker="helper")
    sys.stdout.write(f"{peak_mib()}\n")


if __name__ == "__main__":
    main()
