"""The files of a deployment in containers, held to the code. No test runs a container: an engine is no wheel."""

from __future__ import annotations

import re
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from carbon.embedded.broker import server_binary
from carbon.environment import CLONE_DIR

COMPOSE: dict[str, Any] = yaml.safe_load((CLONE_DIR / "compose.yaml").read_text())
DOCKERFILE = (CLONE_DIR / "Dockerfile").read_text()
PAGE = (CLONE_DIR / "docs/deployment.md").read_text()
OURS = ("migrate", "api", "worker", "clock")


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile with their arguments, continued lines joined."""
    joined = DOCKERFILE.replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_every_service_is_explained_and_every_explained_one_is_there() -> None:
    started = PAGE.split("What `compose.yaml` starts:")[1].split("\n\n")[1]
    rows = set(re.findall(r"^\| `([a-z]+)` \|", started, re.MULTILINE))
    assert rows == set(COMPOSE["services"])


def keys(part: object) -> set[str]:
    """All keys of a part of the file, at any depth; the names of services, volumes and our own variables are theirs."""
    if not isinstance(part, dict):
        return set()
    return set(part) | {key for value in part.values() for key in keys(value)}


def test_every_line_of_both_files_is_explained() -> None:
    own = set(COMPOSE["services"]) | set(COMPOSE["volumes"]) | {"services"}
    text = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    told = set(re.findall(r"[A-Za-z_-]+", " ".join(re.findall(r"`([^`]+)`", text))))
    assert keys(COMPOSE) - own <= told
    assert {word for word, _ in instructions()} - {"RUN"} <= told


def test_services_wait_for_what_they_need_and_what_they_wait_for_has_a_health_check() -> None:
    for name, service in COMPOSE["services"].items():
        for other, wait in service.get("depends_on", {}).items():
            assert other in COMPOSE["services"], name
            if wait["condition"] == "service_healthy":
                assert "healthcheck" in COMPOSE["services"][other], other
    for name in ("api", "worker", "clock"):
        waits = COMPOSE["services"][name]["depends_on"]
        assert waits["migrate"]["condition"] == "service_completed_successfully"
        assert waits["broker"]["condition"] == "service_healthy"


def test_volumes_that_are_mounted_are_declared() -> None:
    mounted = {mount.split(":")[0] for service in COMPOSE["services"].values() for mount in service.get("volumes", [])}
    assert mounted == set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", OURS)
def test_our_processes_share_one_hardened_image(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["image"].startswith("canopy:")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "/tmp" in service["tmpfs"]  # noqa: S108 a folder of the container


def test_their_commands_are_those_of_the_handbook() -> None:
    operators = (CLONE_DIR / "docs/operators.md").read_text()
    commands = {name: COMPOSE["services"][name].get("command") for name in OURS}
    last = [rest for word, rest in instructions() if word == "CMD"][-1]
    api = " ".join(yaml.safe_load(last))
    assert f"`{api}`" in operators
    assert f"`{' '.join(commands['worker'])}`" in operators
    clock = [word for word in commands["clock"] if not word.startswith("--schedule")]
    assert f"`{' '.join(clock)}`" in operators
    assert commands["migrate"][:2] == ["python", "manage.py"]
    assert commands["migrate"][2] in get_commands()


def test_every_program_that_they_start_is_installed() -> None:
    started = [service["command"] for service in COMPOSE["services"].values() if "command" in service]
    started += [yaml.safe_load(rest) for word, rest in instructions() if word == "CMD"]
    for command in started:
        program, *words = command
        if program == "valkey-server":  # of the broker's own image, and the program of the embedded one
            assert server_binary().name == program
        elif program == "python" and words[0] == "-m":
            assert find_spec(words[1]) is not None, command
        elif program == "python":
            assert (CLONE_DIR / words[0]).is_file(), command
        else:
            assert (Path(sys.executable).parent / program).is_file(), command


def test_their_variables_are_read_by_the_settings() -> None:
    read = set(
        re.findall(r'ENV\.\w+\(\s*"([A-Z_]+)"', "".join(p.read_text() for p in (CLONE_DIR / "carbon").rglob("*.py")))
    )
    given = {name for service in OURS for name in COMPOSE["services"][service]["environment"]}
    built = set(re.findall(r"\b(CANOPY_[A-Z_]+|DATABASE_URL|CELERY_BROKER_URL)=", DOCKERFILE))
    assert given | built <= read
    assert {"DATABASE_URL", "CELERY_BROKER_URL", "CANOPY_STATIC_DIR"} <= given


def test_no_secret_stands_in_a_file() -> None:
    text = (CLONE_DIR / "compose.yaml").read_text()
    assert re.findall(r"PASSWORD: (?!\$\{)", text) == []
    assert "SECRET" not in text


def test_what_the_image_copies_exists_and_is_all_that_runs() -> None:
    copied = [shlex.split(rest) for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")]
    sources = {source for words in copied for source in words[:-1]}
    assert all((CLONE_DIR / source).exists() for source in sources)
    assert {"accounts", "allocation", "graphql_api", "carbon", "manage.py"} <= sources
    assert not {"tests", "fixtures", "docs"} & sources


def test_the_image_installs_pinned_wheels_and_drops_its_rights() -> None:
    words = [word for word, _ in instructions()]
    assert "--require-hashes --only-binary :all: -r requirements/runtime.txt" in DOCKERFILE
    assert words.index("USER") < words.index("CMD")
    assert [rest for word, rest in instructions() if word == "USER"] == ["canopy"]
