"""Commands that run services start them, tell when one fails, and leave none behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from carbon.embedded import processes
from carbon.environment import CLONE_DIR
from carbon.services import (
    MARK,
    Service,
    ServiceError,
    Services,
    answers,
    end_leftovers,
    sole_command,
    stop_command,
)

if TYPE_CHECKING:
    from pathlib import Path

SLEEPER = Service("sleeper", ("-c", "import time; print('up', flush=True); time.sleep(300)"))
# A leader with a child that ignores the polite request, as a worker in a long computation does.
STUBBORN = Service(
    "stubborn",
    (
        "-c",
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.fork(); time.sleep(300)",
    ),
)
COMMAND = """
import sys
from pathlib import Path
from carbon.services import Service, Services, StopRequestedError, sole_command, stop_requests
state = Path(sys.argv[1])
try:
    with stop_requests(), sole_command(state):
        with Services(state, [Service("sleeper", ("-c", "import time; time.sleep(300)"))]) as services:
            print("up", flush=True)
            services.run_until_stopped()
except StopRequestedError as stopped:
    print(stopped)
"""


def start_command(state: Path) -> subprocess.Popen[str]:
    command = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(state)],
        cwd=CLONE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "carbon.settings"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert command.stdout is not None
    assert command.stdout.readline() == "up\n"
    return command


def test_output_goes_to_a_log_and_to_the_reader(tmp_path: Path) -> None:
    seen: list[str] = []
    with Services(tmp_path, [SLEEPER], show=seen.append) as services:
        services.wait_for(lambda: bool(seen), "the line", timeout_seconds=20)
        assert services.log(SLEEPER).read_text() == "up\n"
    assert seen == ["sleeper | up"]


def test_a_service_that_ends_is_told_with_its_log(tmp_path: Path) -> None:
    broken = Service("broken", ("-c", "raise SystemExit('no such thing')"))
    with Services(tmp_path, [broken]) as services, pytest.raises(ServiceError, match=r"code 1:\nno such thing"):
        services.run_until_stopped()


def test_a_service_that_is_never_there_is_told(tmp_path: Path) -> None:
    with (
        Services(tmp_path, [SLEEPER]) as services,
        pytest.raises(ServiceError, match="the page is not there after 0 s"),
    ):
        services.wait_for(lambda: answers("http://127.0.0.1:9/"), "the page", timeout_seconds=0.3)


def test_leaving_ends_stubborn_processes_and_their_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carbon.services.STOP_PATIENCE_SECONDS", 0.5)
    mark = str(tmp_path)
    with Services(tmp_path, [STUBBORN, SLEEPER]) as services:
        services.wait_for(lambda: len(processes.marked(MARK, mark)) == 3, "the processes", timeout_seconds=20)
    deadline = time.monotonic() + 5
    while processes.marked(MARK, mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes.marked(MARK, mark) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_command_and_its_services(tmp_path: Path, number: signal.Signals) -> None:
    command = start_command(tmp_path)
    assert len(processes.marked(MARK, str(tmp_path))) == 1
    command.send_signal(number)
    output, _ = command.communicate(timeout=20)
    assert output == f"{number.name}\n"
    assert command.returncode == 0
    assert processes.marked(MARK, str(tmp_path)) == []


def test_a_second_command_is_refused_and_stop_ends_the_first(tmp_path: Path) -> None:
    command = start_command(tmp_path)
    with pytest.raises(ServiceError, match=rf"process {command.pid}"), sole_command(tmp_path):
        pass
    assert stop_command(tmp_path) is True
    assert command.communicate(timeout=20)[0] == "SIGTERM\n"
    assert stop_command(tmp_path) is False


def test_what_a_killed_command_left_is_ended_by_the_next(tmp_path: Path) -> None:
    command = start_command(tmp_path)
    command.kill()
    command.communicate(timeout=20)
    assert len(processes.marked(MARK, str(tmp_path))) == 1
    with sole_command(tmp_path):
        assert processes.marked(MARK, str(tmp_path)) == []


def test_processes_of_another_clone_are_left_alone(tmp_path: Path) -> None:
    with Services(tmp_path / "mine", [SLEEPER]) as services:
        assert end_leftovers(str(tmp_path / "other")) == 0
        assert end_leftovers(str(tmp_path)) == 0
        services.check()


def test_a_taken_port_is_told_before_anything_starts() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", TAKEN, str(holder.getsockname()[1])],
            cwd=CLONE_DIR,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert "choose another with --port" in done.stdout


TAKEN = """
import sys
from carbon.management.commands.serve import CommandError, check_port
try:
    check_port("127.0.0.1", int(sys.argv[1]))
except CommandError as error:
    print(error)
"""
