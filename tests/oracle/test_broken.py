"""Every code of the format is triggered by a package, and the oracle finds exactly that."""

import re
from pathlib import Path

import pytest

from tests.oracle.broken.case import Broken
from tests.oracle.broken.cases import CASES
from tests.oracle.broken.codes import BEYOND, CODES
from tests.oracle.ledger import expected_ledger

FORMATS = [
    Path(__file__).parents[2] / "docs" / "package-format.md",
    Path(__file__).parents[3] / "shared" / "design" / "package-format.md",
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_findings_are_exact(case: Broken, tmp_path: Path) -> None:
    package, history = case.write(tmp_path)
    text, findings = expected_ledger(package, history)
    assert set(findings) == case.findings
    rejected = any(finding.severity == "package" for finding in case.findings)
    assert (text == "") == rejected


def test_every_code_has_a_case() -> None:
    assert {(finding.code, finding.severity) for case in CASES for finding in case.findings} == CODES | BEYOND


def test_case_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_codes_are_those_of_the_format() -> None:
    papers = [path for path in FORMATS if path.exists()]
    if not papers:
        pytest.skip("the format is not at hand")
    for paper in papers:
        assert named(paper.read_text(encoding="utf-8").split("## 7. Checks")[1].split("## 8.")[0]) == CODES


def test_codes_beyond_version_1_are_those_of_the_handbook() -> None:
    of_the_run = {("LEAF_TOO_LARGE", "package"), ("WITHHELD", "flag")}
    assert named(FORMATS[0].read_text(encoding="utf-8").split("## 9. Beyond version 1")[1]) == BEYOND | of_the_run


def named(section: str) -> set[tuple[str, str]]:
    """The (code, severity) of the table of codes in a section."""
    table = re.findall(r"^\| ([A-Z_, †]+) \| ([a-z/]+) \|", section, re.MULTILINE)
    return {
        (code, severity)
        for codes, severities in table
        for code in re.findall("[A-Z_]{4,}", codes)
        for severity in severities.split("/")
    }
