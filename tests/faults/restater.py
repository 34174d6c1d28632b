"""`python -m tests.faults.restater FOLDER`: publish two runs of one month in turn, for ever."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import NoReturn

import django

PAUSE_SECONDS = 0.3


def task_of(folder: Path) -> Path:
    """The file with the two runs."""
    return folder / "restater.json"


def main() -> None:
    """Restate until somebody ends this process: by a child that is replaced when it is killed, which takes no time."""
    folder = Path(sys.argv[1])
    os.environ["DJANGO_SETTINGS_MODULE"] = "carbon.settings"
    django.setup()
    import tests.faults.steps  # noqa: F401,PLC0415 watches the steps of this process
    from allocation.services import restatement  # noqa: F401,PLC0415 read once, for all children

    runs = json.loads(task_of(folder).read_text())
    while True:
        child = os.fork()
        if not child:
            restate(runs)
        os.waitpid(child, 0)


def restate(runs: list[int]) -> NoReturn:
    """Publish the run that is not published now, again and again."""
    from django.db import DatabaseError, connections  # noqa: PLC0415 needs the settings

    from allocation.models import Cause, PublishedMonth  # noqa: PLC0415 as above
    from allocation.services.restatement import restate_month  # noqa: PLC0415 as above
    from allocation.services.system import database_now, system  # noqa: PLC0415 as above

    while True:
        try:
            current = PublishedMonth.objects.get(publication__run__in=runs).publication.run_id
            (other,) = set(runs) - {current}
            restate_month(viewer=system(database_now()), run_id=other, cause=Cause.DATA, reason="in turn")
        except DatabaseError:
            connections.close_all()
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
