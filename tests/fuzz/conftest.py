"""A published world behind a real API server, a token for everything, and the environment of the fuzzers."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from oauth2_provider.models import AccessToken, Application
from oauth2_provider.settings import oauth2_settings

from carbon.environment import CLONE_DIR
from tests.journeys.visitor import Visitor
from tests.read_model.world import World, small_world

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Fuzzers:
    """Runs programs of the fuzzers' own environment.

    Attributes:
        server: address of the API server.
        token: of an operator, with every scope.
        world: what is in the database.
    """

    server: str
    token: str
    world: World

    def ask(self, query: str) -> dict[str, Any]:
        """Ask the server; fails on errors."""
        answer = Visitor().ask(self.server, query, self.token).json
        assert "errors" not in answer, answer
        return dict(answer["data"])

    def run(self, program: str, *arguments: str, timeout_seconds: float, **variables: str) -> tuple[int, str]:
        """Run a program to its end; its exit status and what it said."""
        path = Path(os.environ["CANOPY_FUZZERS"]).absolute() / program
        done = subprocess.run(
            [path, *arguments],
            cwd=FOLDER,
            env={**os.environ, **variables, "NO_COLOR": "1", "PYTHONPATH": str(CLONE_DIR)},
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def fuzzers(committed: None, live_api: str) -> Fuzzers:  # noqa: ARG001 the server sees committed rows only
    """The programs that `make fuzz` installed."""
    assert "CANOPY_FUZZERS" in os.environ, "these tests need Schemathesis and Clairvoyance: make fuzz"
    world = small_world()
    operator = world.made["operator"]
    world.grant("operator", "acme", role="administrator")
    application = Application.objects.create(
        name="fuzzers", client_type="public", authorization_grant_type="authorization-code", user=operator
    )
    token = AccessToken.objects.create(
        user=operator,
        application=application,
        token="token-of-the-fuzzers",
        expires=timezone.now() + dt.timedelta(hours=2),
        scope=" ".join(oauth2_settings.SCOPES),
    )
    return Fuzzers(live_api, token.token, world)
