"""What the handbook says is true of the code: queries, links, commands, targets, variables, limits, codes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.core.management import get_commands
from graphql import build_schema, parse, validate

from carbon.environment import CLONE_DIR
from graphql_api import limits
from graphql_api.errors import Code
from graphql_api.management.commands.export_schema import COMMITTED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGES = sorted(
    [CLONE_DIR / name for name in ("README.md", "CHANGELOG.md", "fixtures/README.md", "tests/oracle/README.md")]
    + list((CLONE_DIR / "docs").rglob("*.md"))
)
NAMES = [str(page.relative_to(CLONE_DIR)) for page in PAGES]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"manage\.py ([a-z_]+)")
# A target is named where commands stand: in code spans and in fences, not in prose ("make sure").
TARGET = re.compile(r"(?:^|`)make ([a-z-]+)", re.MULTILINE)
VARIABLE = re.compile(r"\b(?:CANOPY_[A-Z_]+|DATABASE_URL|CELERY_BROKER_URL)\b")
LIMIT = re.compile(r"^\| [^|]* \| ([\d ]+)[^|]* \| [^|]* \| `(MAX_[A-Z_]+)` \|$", re.MULTILINE)
# Read by processes that other processes of ours start, never set by an operator.
INTERNAL_VARIABLES = {"CANOPY_SERVICES"}

pages = pytest.mark.parametrize("page", PAGES, ids=NAMES)


def fences(page: Path, language: str) -> Iterator[str]:
    """The texts of a page's fences in one language."""
    return (text for found, text in FENCE.findall(page.read_text()) if found == language)


@pages
def test_every_query_fits_the_committed_schema(page: Path) -> None:
    schema = build_schema(COMMITTED.read_text())
    for text in fences(page, "graphql"):
        document = parse(text)
        assert validate(schema, document) == [], text
        assert list(limits.refusals(document)) == [], text


def test_the_handbook_has_queries() -> None:
    counts = {str(page.relative_to(CLONE_DIR)): len(list(fences(page, "graphql"))) for page in PAGES}
    assert counts["README.md"] >= 1
    assert counts["docs/api.md"] >= 8


@pages
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text())
    missing = []
    for target in LINK.findall(text):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        if not aim.exists() or not aim.is_relative_to(CLONE_DIR) or (anchor and anchor not in anchors(aim)):
            missing.append(target)
    assert missing == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_every_command_exists(page: Path) -> None:
    assert set(COMMAND.findall(page.read_text())) - set(get_commands()) == set()


def test_the_handbook_names_every_command_of_ours() -> None:
    ours = {name for name, app in get_commands().items() if app in {"accounts", "allocation", "graphql_api", "carbon"}}
    told = {name for page in PAGES for name in COMMAND.findall(page.read_text())}
    assert ours - told == set()


@pages
def test_every_target_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (CLONE_DIR / "Makefile").read_text(), re.MULTILINE))
    assert set(TARGET.findall(page.read_text())) - targets == set()


def test_every_variable_is_in_the_table_and_every_variable_of_the_table_is_read() -> None:
    code = "".join(path.read_text() for path in (CLONE_DIR / "carbon").rglob("*.py") if "ENV." in path.read_text())
    read = set(re.findall(r'ENV\.\w+\(\s*"([A-Z_]+)"', code))
    rows = (line for line in (CLONE_DIR / "docs/operators.md").read_text().splitlines() if line.startswith("| `"))
    told = {name for row in rows for name in VARIABLE.findall(row.split("|")[1])}
    assert told == read


@pages
def test_no_page_names_a_variable_that_nothing_reads(page: Path) -> None:
    told = {name for name in VARIABLE.findall(page.read_text()) if not name.endswith("_")}
    operators = (CLONE_DIR / "docs/operators.md").read_text()
    assert told - set(VARIABLE.findall(operators)) - INTERNAL_VARIABLES == set()


def test_the_api_page_has_every_error_code() -> None:
    text = (CLONE_DIR / "docs/api.md").read_text()
    assert [code for code in Code if f"`{code}`" not in text] == []


def test_the_api_page_has_the_limits_of_the_code() -> None:
    rows = LIMIT.findall((CLONE_DIR / "docs/api.md").read_text())
    told = {name: int(number.replace(" ", "")) for number, name in rows}
    assert told == {name: getattr(limits, name) for name in told}
    assert told.keys() == {name for name in vars(limits) if name.startswith("MAX_")}


def test_the_index_links_every_page() -> None:
    handbook, decisions = CLONE_DIR / "docs", CLONE_DIR / "docs" / "adr"
    for folder in (handbook, decisions):
        linked = set(LINK.findall((folder / "README.md").read_text()))
        there = {path.name for path in folder.glob("*.md")} - {"README.md"}
        assert there - linked == set()


@pytest.mark.parametrize("page", sorted((CLONE_DIR / "docs/adr").glob("0*.md")), ids=lambda path: path.name)
def test_a_decision_has_its_four_parts(page: Path) -> None:
    text = page.read_text()
    absent = [
        part
        for part in ("Context", "Decision", "Consequence", "Rejected")
        if not re.search(rf"^(\*\*|## ){part}", text, re.MULTILINE)
    ]
    assert absent == []
