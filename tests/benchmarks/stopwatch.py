"""Seconds by stage, and quantiles of many repetitions."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.benchmarks.processor import processor_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KIB_PER_UNIT = 1 / 1024 if sys.platform == "darwin" else 1


def say(text: str) -> None:
    """Tell on standard error how far the benchmark is."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)  # noqa: T201 progress of a command


def peak_mib() -> float:
    """The most memory that this process ever held, in MiB; it never falls."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB_PER_UNIT / 1024


@dataclass(slots=True)
class Stopwatch:
    """Seconds of each stage, in the order in which they began."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what happens inside."""
        say(f"  {name} …")
        begin = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Milliseconds of repetitions of one thing; `processor` says how much of them was work, where that is known."""

    p50_ms: float
    p95_ms: float
    processor: str = "processor time unknown"


def repeat(work: Callable[[], object], *, times: int, warm_up: int = 3) -> Quantiles:
    """Do something a few times unmeasured, then so many times measured, one after the other."""
    for _ in range(warm_up):
        work()
    taken = []
    used_before = processor_time()
    for _ in range(times):
        begin = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begin) * 1000)
    used = processor_time()
    taken.sort()
    quantiles = quantile(taken, 0.5), quantile(taken, 0.95)
    if used is None or used_before is None:
        return Quantiles(*quantiles)
    return Quantiles(*quantiles, used.since(used_before).each(times))


def quantile(ordered: list[float], share: float) -> float:
    """The smallest value that at least this share of all values does not exceed."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]
