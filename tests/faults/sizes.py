"""How large a campaign is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Size:
    """Numbers of faults, of work, and of processes.

    `deaths` and `halts` are for each of the named `steps`, by default of all; `others` by kind (the methods of
    `tests.faults.injury.Injury`).
    `reads` is how many whole answers the reader of torn months has to get; 0 means that there is none.
    `peace_seconds` is how long the end of all work is waited for.
    `disk_and_clock` says whether a small disk and wrong clocks are arranged.
    `least` is how many faults there have to be.
    """

    deaths: int
    halts: int
    steps: tuple[str, ...] = ()
    others: dict[str, int] = field(default_factory=dict)
    units: int = 12
    workers: int = 1
    processes: int = 2
    whole_workers: float = 0.03
    reads: int = 0
    disk_and_clock: bool = False
    peace_seconds: float = 150
    pause_seconds: float = 0.15
    minutes: float = 20
    least: int = 0


def scaled(size: Size, factor: float) -> Size:
    """The same campaign with more or fewer faults and reads, but at least one of each kind that it has."""

    def times(count: int) -> int:
        return max(1, round(count * factor)) if count else 0

    others = {kind: times(count) for kind, count in size.others.items()}
    deaths, halts, reads, least = map(times, (size.deaths, size.halts, size.reads, size.least))
    return replace(size, others=others, deaths=deaths, halts=halts, reads=reads, least=least)


FULL = Size(
    deaths=11,
    halts=2,
    others={
        "worker_process": 90,
        "worker": 10,
        "clock_process": 12,
        "broker_server": 15,
        "postgres_server": 20,
        "postgres_process": 30,
        "connection_cut": 110,
        "queues_emptied": 40,
        "message_again": 140,
        "two_publish": 60,
        "two_schedulers": 70,
        "lease_lost": 90,
        "clock_jump": 30,
        "disk_full": 8,
        "cancel": 50,
    },
    units=36,
    workers=2,
    processes=3,
    reads=10_000,
    disk_and_clock=True,
    minutes=25,
    least=1000,
)
SHORT = Size(
    deaths=1,
    halts=0,
    others={
        "worker_process": 2,
        "clock_process": 1,
        "broker_server": 1,
        "postgres_server": 1,
        "postgres_process": 1,
        "connection_cut": 2,
        "queues_emptied": 1,
        "message_again": 2,
        "two_publish": 2,
        "two_schedulers": 1,
        "lease_lost": 2,
        "cancel": 1,
    },
    units=9,
    reads=50,
    pause_seconds=0.1,
    whole_workers=0,
    minutes=8,
)

# Dying between two of its commits is enough to find the naive task out; other named steps it does not have.
NAIVE = Size(
    deaths=6,
    halts=0,
    steps=("chunk committed",),
    peace_seconds=30,
    others={"worker_process": 6, "message_again": 8, "connection_cut": 4},
    units=9,
    minutes=4,
)
