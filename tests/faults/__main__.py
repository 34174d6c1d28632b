"""`python -m tests.faults`: kill everything, again and again, and prove afterwards that nothing came of it.

Exit status 0 exactly when every promise held (with `--naive`: exactly when the suite found the naive task out). All
servers are the campaign's own, in a folder that is removed at the end; nothing of the clone is touched.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import django

from carbon.embedded import processes
from carbon.environment import state_dir
from carbon.services import MARK, end_leftovers
from tests.faults.brokers import NAMES, broker
from tests.faults.plant import mark_of
from tests.faults.sizes import FULL, NAIVE, SHORT, scaled

if TYPE_CHECKING:
    from tests.faults.sizes import Size
    from tests.faults.template import Work

LEASE_SECONDS = 2


def arguments() -> argparse.Namespace:
    """Read what to do."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--broker", choices=NAMES, default="valkey", help="valkey is the wheel's, the others Debian's")
    parser.add_argument("--short", action="store_true", help="few faults of each kind, for continuous integration")
    parser.add_argument("--seed", type=int, default=None, help="the same seed draws the same faults in the same order")
    parser.add_argument("--naive", action="store_true", help="put a naive task into the workers, to be found out")
    parser.add_argument("--scale", type=float, default=1, help="this many times the faults, at least one of each kind")
    parser.add_argument("--minutes", type=float, default=None, help="no new fault after so long")
    parser.add_argument("--reads", type=int, default=None, help="so many whole answers for the reader of torn months")
    parser.add_argument("--report", type=Path, default=None, help="write the figures to this file as JSON")
    return parser.parse_args()


def say(text: str) -> None:
    """Tell on standard error how far it is."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)  # noqa: T201 progress of a command


def prepare(folder: Path, url: str, count: int) -> Work:
    """Set Django up on a database of the campaign's own, with packages; settings are read here for the first time."""
    os.environ.pop("DATABASE_URL", None)
    os.environ |= {
        "CANOPY_STATE_DIR": str(folder / "state"),
        "DJANGO_SETTINGS_MODULE": "carbon.settings",
        "CELERY_BROKER_URL": url,
        "CANOPY_RUN_LEASE_SECONDS": str(LEASE_SECONDS),
        "CANOPY_RUN_MAX_ATTEMPTS": "60",
        "CANOPY_RESTATEMENT_APPROVAL_PPM": str(10**9),
        "CANOPY_ALLOWED_HOSTS": "testserver",
        "CANOPY_LOG_LEVEL": "WARNING",
        MARK: mark_of(folder),
    }
    django.setup()
    from tests.faults.template import begin_prepared  # noqa: PLC0415 needs the settings

    return begin_prepared(folder.parent, count)


def clear(folder: Path) -> None:
    """End what a killed campaign left running, and remove its files."""
    end_leftovers(mark_of(folder))
    if (folder / "state").is_dir():
        from carbon.embedded.postgres import PostgresServer  # noqa: PLC0415 the settings are not read for it
        from tests.faults.disk import disk_folder, unmount  # noqa: PLC0415 as above

        server = PostgresServer(folder / "state")
        server.stop()
        unmount(disk_folder(folder / "state"))
        server.remove()
    shutil.rmtree(folder, ignore_errors=True)


def size_of(chosen: argparse.Namespace) -> Size:
    """How large a campaign is asked for."""
    named = {(True, True): NAIVE, (True, False): NAIVE, (False, True): SHORT, (False, False): FULL}
    size = scaled(named[chosen.naive, chosen.short], chosen.scale)
    asked = {"minutes": chosen.minutes, "reads": chosen.reads}
    return replace(size, **{name: value for name, value in asked.items() if value is not None})


def main() -> int:
    """Wage a campaign, print what came of it."""
    chosen = arguments()
    seed = int(time.time()) % 1_000_000 if chosen.seed is None else chosen.seed
    base = state_dir() / "faults"
    folder = base / f"{chosen.broker}-{os.getpid()}"
    for left in (path for name in NAMES for path in base.glob(f"{name}-*")):
        if not processes.alive(int(left.name.rpartition("-")[2])):
            clear(left)
    folder.mkdir(parents=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    server = broker(chosen.broker, folder / "broker", base / "debian")
    kept = False
    try:
        server.start()
        size = size_of(chosen)
        work = prepare(folder, server.url, size.units)
        from tests.faults.trial import Trial  # noqa: PLC0415 needs the settings

        trial = Trial(folder, server, size, work, seed, naive=chosen.naive, say=say)
        report = trial.hold()
        kept = bool(report["violations"]) and not chosen.naive
    finally:
        server.stop()
        if kept:
            say(f"logs are kept in {folder / 'logs'}")
            shutil.copytree(folder / "logs", base / f"logs-{seed}", dirs_exist_ok=True)
        clear(folder)
    report = {"broker": chosen.broker, "seed": seed, "naive": chosen.naive, **report}
    text = json.dumps(report, indent=1, ensure_ascii=False)
    print(text)  # noqa: T201 the result of a command
    if chosen.report is not None:
        chosen.report.write_text(text + "\n")
    return int(bool(report["violations"]) != chosen.naive)


if __name__ == "__main__":
    sys.exit(main())
