"""The package rules of the architecture, for people who run only the tests."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import allocation
import graphql_api
from carbon.environment import CLONE_DIR

MAY_OPEN_THE_ENGINE = {"services", "exchange", "engine"}
WITHOUT_RULES = {"apps", "migrations", "__init__", "__pycache__"}


def test_the_contracts_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=CLONE_DIR, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_module_of_allocation_has_its_place_in_the_engine_contract() -> None:
    # The linter refuses names that do not exist and cannot say "all but these": the list is kept by this test.
    text = (CLONE_DIR / "pyproject.toml").read_text()
    contracts = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    contract = next(each for each in contracts if each["name"].startswith("5 "))
    listed = {name.split(".")[1] for name in contract["source_modules"] if name.startswith("allocation.")}
    folder = Path(allocation.__path__[0])
    present = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert listed == present - MAY_OPEN_THE_ENGINE - WITHOUT_RULES


def test_graphql_api_cannot_build_a_queryset() -> None:
    # The linter knows outside packages only as a whole, and `django.http` is needed.
    found = [
        f"{path.name}: {name}"
        for path in Path(graphql_api.__path__[0]).rglob("*.py")
        for name in imported(path)
        if name.startswith("django.db.models")
    ]
    assert found == []


def imported(path: Path) -> list[str]:
    """The dotted names that a module imports, wherever in it."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names
