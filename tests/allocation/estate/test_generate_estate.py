"""The command: files on disk, JSON lines on stdout, progress on stderr."""

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command


def run(out: Path, *arguments: str) -> tuple[list[dict[str, object]], str]:
    stdout, stderr = io.StringIO(), io.StringIO()
    common = ["--accounts", "40", "--rows", "500", "--months", "3", "--seed", "5", "--clusters", "4"]
    call_command("generate_estate", *common, "--out", str(out), *arguments, stdout=stdout, stderr=stderr)
    return [json.loads(line) for line in stdout.getvalue().splitlines()], stderr.getvalue()


def test_a_month_alone_is_the_month_of_the_whole(tmp_path: Path) -> None:
    found, progress = run(tmp_path / "all", "--styles", "alibaba", "ibm")
    assert len(found) == 1 + 2 * 3
    assert "rows/s" in progress
    alone, _ = run(tmp_path / "one", "--styles", "alibaba", "ibm", "--only-month", "2025-07")
    assert len(alone) == 1 + 2
    for line in alone[1:]:
        folder = Path(str(line["package"]))
        twin = tmp_path / "all" / folder.relative_to(tmp_path / "one")
        assert folder.name == "2025-07"
        for path in folder.iterdir():
            assert path.read_bytes() == (twin / path.name).read_bytes()


def test_the_hierarchy_places_every_account_of_a_directory(tmp_path: Path) -> None:
    found, _ = run(tmp_path)
    document = json.loads(Path(str(found[0]["hierarchy"])).read_text())
    assert len(document["accounts"]) == 40
    assert len(document["directories"]) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only-month", "2030-01"], "not one of the estate's months"),
        (["--first-month", "June"], "not a month"),
        (["--accounts", "2"], "at least 4 accounts"),
        (["--rows", "3"], "one row for each cluster"),
        (["--clusters", "99"], "has places for 16 clusters"),
    ],
)
def test_a_plan_that_cannot_be_met_is_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run(tmp_path, *arguments)
