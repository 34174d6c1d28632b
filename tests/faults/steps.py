"""The named steps of a run, of its publication and of the sweep, and how a process comes to its end at one of them.

A worker that is started with `--include=tests.faults.steps` looks at each step for a warrant of the suite
(`tests.faults.warrants`) and carries it out on itself. Without the variable CANOPY_FAULTS nothing is watched, and the
program itself knows nothing of any of this.
"""

from __future__ import annotations

import functools
import importlib
import os
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from allocation.models import RunState
from tests.faults.warrants import Warrants

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "CANOPY_FAULTS"

_EXECUTION = "allocation.services.execution"
_CHUNKS = "allocation.services.chunks"
_PROOF = "allocation.services.proof"
_PUBLICATION = "allocation.services.publication"


@dataclass(frozen=True)
class Step:
    """A moment before or after a call, as seen from the module that makes it.

    `into` restricts it to calls with this argument, such as a state that is moved into.
    """

    name: str
    module: str
    call: str
    when: Literal["before", "after"]
    into: object = None


STEPS = (
    Step("message taken", _EXECUTION, "claim_run", "before"),
    Step("claimed", _EXECUTION, "claim_run", "after"),
    Step("inputs read", _EXECUTION, "move", "before", RunState.ALLOCATING),
    Step("allocating", _EXECUTION, "move", "after", RunState.ALLOCATING),
    Step("partition made", _CHUNKS, "partitions.create", "after"),
    Step("laid out", _EXECUTION, "chunks.lay_out", "after"),
    Step("preparation stored", _EXECUTION, "_record_preparation", "after"),
    Step("writing", _EXECUTION, "move", "after", RunState.WRITING),
    Step("helper began", _EXECUTION, "chunks.all_written", "before"),
    Step("chunk computed", _CHUNKS, "write_ledger", "before"),
    Step("chunk copied", _CHUNKS, "write_ledger", "after"),
    Step("chunk recorded", _CHUNKS, "_write", "after"),
    Step("chunk committed", _EXECUTION, "chunks.write_next_chunk", "after"),
    Step("all written", _EXECUTION, "finish_run", "before"),
    Step("proving", _PROOF, "move", "after", RunState.PROVING),
    Step("proof stored", _PROOF, "store_proof", "after"),
    Step("account totals filled", _PROOF, "complete_account_totals", "after"),
    Step("ledger attached", _PROOF, "move", "before", RunState.READY),
    Step("ready, not committed", _PROOF, "move", "after", RunState.READY),
    Step("ready, not acknowledged", _EXECUTION, "finish_run", "after"),
    Step("cancelled", _EXECUTION, "end_run", "after"),
    Step("swept, not sent", "allocation.services.leases", "runs_to_wake", "after"),
    Step("publishing: month locked", _PUBLICATION, "take_month", "after"),
    Step("publishing: proved", _PUBLICATION, "check_proof", "after"),
    Step("publishing: container totals", _PUBLICATION, "fill_container_totals", "after"),
    Step("publishing: pointer moved", _PUBLICATION, "_change_state", "after", RunState.PUBLISHED),
)
NAMES = tuple(step.name for step in STEPS)


class Watch:
    """Wraps the calls of all steps; knows which run its process works on."""

    def __init__(self, warrants: Warrants) -> None:
        self._warrants = warrants
        self._run_id: int | None = None

    def install(self) -> None:
        """Wrap everything; a step whose call is gone is an error."""
        for step in STEPS:
            self._wrap(step)
        tasks = importlib.import_module("allocation.tasks")
        for name in ("execute_run", "help_run"):
            setattr(tasks.execution, name, self._following(getattr(tasks.execution, name)))

    def _wrap(self, step: Step) -> None:
        module = importlib.import_module(step.module)
        path, _, name = step.call.rpartition(".")
        owner = attrgetter(path)(module) if path else module
        call: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(call)
        def watched(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 whatever the call takes and gives
            meant = step.into is None or step.into in args
            if meant and step.when == "before":
                self._warrants.carry_out(step.name, self._run_id)
            result = call(*args, **kwargs)
            if meant and step.when == "after":
                self._warrants.carry_out(step.name, self._run_id)
            return result

        setattr(owner, name, watched)

    def _following(self, call: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(call)
        def followed(*, run_id: int, **kwargs: Any) -> None:  # noqa: ANN401 whatever the call takes
            self._run_id = run_id
            try:
                call(run_id=run_id, **kwargs)
            finally:
                self._run_id = None

        return followed


if VARIABLE in os.environ:
    Watch(Warrants(Path(os.environ[VARIABLE]))).install()
