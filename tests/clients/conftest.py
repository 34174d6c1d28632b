"""A published world behind a real API server, a token for it, and Node."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.utils import timezone
from oauth2_provider.models import AccessToken, Application

from tests.read_model.world import World, small_world

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Node:
    """Runs programs of the folder's node_modules with Node."""

    environment: dict[str, str]

    def run(self, *command: str, timeout_seconds: float = 120) -> str:
        """Run a program to its end and return what it printed; what it complained of fails the test."""
        done = subprocess.run(
            command,
            cwd=FOLDER,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def node() -> Node:
    """Node as it is, without a server."""
    assert shutil.which("node"), "these tests need Node: make clients"
    path = f"{FOLDER / 'node_modules' / '.bin'}{os.pathsep}{os.environ['PATH']}"
    return Node({**os.environ, "PATH": path, "NO_COLOR": "1"})


@pytest.fixture
def published_world(committed: None) -> World:  # noqa: ARG001 the server sees committed rows only
    """The small world, committed."""
    return small_world()


@pytest.fixture
def client_node(node: Node, live_api: str, published_world: World) -> Node:
    """Node with the address of the API and a token of the world's owner."""
    owner = published_world.made["owner"]
    application = Application.objects.create(
        name="front end", client_type="public", authorization_grant_type="authorization-code", user=owner
    )
    expires = timezone.now() + dt.timedelta(hours=1)
    token = AccessToken.objects.create(
        user=owner, application=application, token="token-of-the-front-end", expires=expires, scope="emissions:read"
    )
    return Node({**node.environment, "CANOPY_URL": f"{live_api}/graphql/", "CANOPY_TOKEN": token.token})
