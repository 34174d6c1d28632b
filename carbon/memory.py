"""The memory of one process: a limit that the operating system enforces, and what is no garbage."""

from __future__ import annotations

import gc
import resource
import sys

from carbon.environment import ENV

_BYTES_PER_MIB = 1 << 20
DEFAULT_MIB = 4096


def limit_memory() -> int | None:
    """Let this process and its children have at most CANOPY_PROCESS_MEMORY_MIB of data each; 0 = no limit.

    More is refused by the kernel, and the work ends with a MemoryError instead of with the machine. Data are what the
    process alone holds (heap and anonymous mappings, Linux's RLIMIT_DATA), so files and shared memory do not count.
    Systems that do not count anonymous mappings (macOS) are left alone. A lower limit that was there before stays.

    Returns:
        The limit in bytes, None where there is none.
    """
    wanted = ENV.int("CANOPY_PROCESS_MEMORY_MIB", DEFAULT_MIB) * _BYTES_PER_MIB
    if wanted <= 0 or sys.platform != "linux":
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bounds = [bound for bound in (wanted, soft, hard) if bound != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(bounds), hard))
    return min(bounds)


def keep_loaded() -> None:
    """Take what is loaded by now out of the garbage collector's way: it stays as long as the process.

    Left among what may be garbage, it is walked through again and again: a tenth of the time of an answer, in pauses
    that come at once, and a quarter of what a worker needs to prepare a month (docs/performance.md).
    """
    gc.collect()
    gc.freeze()
