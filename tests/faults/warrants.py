"""Orders to die: files in a folder, one for each time that some process shall end, or halt, at a named step."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PROCESS, WORKER, HALT = "process", "worker", "halt"
HALT_SECONDS = 4
_numbers = count(1)


@dataclass(frozen=True)
class Death:
    """A warrant that was carried out; `at_monotonic` in seconds, the same clock for all processes of a machine."""

    step: str
    kind: str
    run_id: int | None
    at_monotonic: float


class Warrants:
    """The folder of open warrants, and the list of those that were carried out."""

    def __init__(self, folder: Path) -> None:
        self._open = folder / "open"
        self._done = folder / "done"
        for each in (self._open, self._done):
            each.mkdir(parents=True, exist_ok=True)

    def issue(self, step: str, kind: str) -> None:
        """Order that the next process to reach the step dies there alone, takes its whole worker along, or halts."""
        (self._open / f"{_name(step)}~{next(_numbers)}~{kind}").touch()

    def withdraw(self) -> int:
        """Take back all warrants that are still open; return how many there were."""
        waiting = list(self._open.iterdir())
        for path in waiting:
            path.unlink(missing_ok=True)
        return len(waiting)

    def waiting(self) -> list[str]:
        """The steps of open warrants."""
        return [path.name.split("~")[0].replace("_", " ") for path in self._open.iterdir()]

    def deaths(self) -> list[Death]:
        """What was carried out, in order."""
        texts = [path.read_text() for path in self._done.iterdir() if path.suffix == ".json"]
        return sorted((Death(**json.loads(text)) for text in texts), key=lambda death: death.at_monotonic)

    def carry_out(self, step: str, run_id: int | None) -> None:
        """Carry out a warrant for this step on the calling process, if there is one."""
        for path in sorted(self._open.glob(f"{_name(step)}~*")):
            taken = self._done / path.name
            try:
                path.rename(taken)
            except FileNotFoundError:
                continue  # another process took it
            kind = path.name.split("~")[2]
            draft = taken.with_suffix(".draft")
            # A file of a killed process is complete once it is renamed: the kernel keeps what was written.
            draft.write_text(json.dumps(vars(Death(step, kind, run_id, time.monotonic()))))
            draft.rename(taken.with_suffix(".json"))
            taken.unlink()
            end(kind)
            return


def end(kind: str) -> None:
    """End or halt the calling process as a warrant says."""
    if kind == WORKER:
        os.killpg(os.getpgrp(), signal.SIGKILL)
    if kind == PROCESS:
        os.kill(os.getpid(), signal.SIGKILL)
    # Longer than a lease: when it goes on, another worker has taken its run up.
    command = f"sleep {HALT_SECONDS}; kill -CONT {os.getpid()}"
    subprocess.Popen(["/bin/sh", "-c", command], start_new_session=True)
    os.kill(os.getpid(), signal.SIGSTOP)


def _name(step: str) -> str:
    return step.replace(" ", "_")
