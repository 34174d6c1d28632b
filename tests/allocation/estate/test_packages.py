"""Generated packages are packages: the oracle takes them, and they come to what they say."""

import csv
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from allocation.exchange.estate.estates import STYLES, Estate, draw_estate
from allocation.exchange.estate.writing import write_package
from tests.allocation.estate.samples import FIXTURES, ignore, plan
from tests.oracle.ledger import expected_ledger


@pytest.fixture(scope="module")
def estate() -> Estate:
    return draw_estate(plan(), FIXTURES)


@pytest.fixture(scope="module", params=range(len(STYLES)), ids=STYLES)
def folder(request: pytest.FixtureRequest, estate: Estate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("estate")
    return write_package(estate, estate.providers[request.param], 1, out, ignore)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_the_oracle_takes_it_and_finds_what_must_be_found(folder: Path) -> None:
    ledger, findings = expected_ledger(folder)
    assert ledger.count("\n") > 300
    found = {finding.code for finding in findings}
    assert found <= {"NO_RESIDUAL_MIX", "NO_USAGE_FALLBACK", "NEGATIVE_NET_USAGE"}
    assert "NO_RESIDUAL_MIX" in found


def test_source_totals_are_those_of_the_oracle(folder: Path) -> None:
    ledger, _ = expected_ledger(folder)
    totals: Counter[tuple[str, str]] = Counter()
    for row in csv.DictReader(ledger.splitlines()):
        totals[row["cluster"], row["line"]] += int(row["ug"])
    expected = rows_of(folder / "expected_sources.csv")
    assert {row["line"] for row in expected} & {"scope2_lbm"}
    assert all(totals[row["cluster"], row["line"]] == int(row["ug"]) > 0 for row in expected)


def test_usage_truth_is_what_the_file_holds(folder: Path) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    sums: dict[tuple[str, str], Decimal] = {}
    for row in rows_of(folder / "usage.csv"):
        pair = row["cluster"], row["service"]
        counts[pair] += 1
        sums[pair] = sums.get(pair, Decimal(0)) + Decimal(row["quantity"])
    expected = rows_of(folder / "expected_usage.csv")
    assert sum(int(row["rows"]) for row in expected) == counts.total() > 300
    for row in expected:
        pair = row["cluster"], row["service"]
        assert (int(row["rows"]), Decimal(row["quantity"])) == (counts[pair], sums.get(pair, Decimal(0)))


def test_the_same_seed_gives_the_same_bytes_in_any_order_of_months(folder: Path, tmp_path: Path) -> None:
    again = draw_estate(plan(), FIXTURES)
    part = next(part for part in again.providers if part.provider.code == folder.parent.name)
    for month in (2, 0):
        write_package(again, part, month, tmp_path, ignore)
    other = write_package(again, part, 1, tmp_path, ignore)
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    for name in names:
        assert (folder / name).read_bytes() == (other / name).read_bytes()


def test_a_package_takes_the_place_of_an_earlier_one_whole(estate: Estate, tmp_path: Path) -> None:
    folder = write_package(estate, estate.providers[0], 0, tmp_path, ignore)
    (folder / "stray.csv").write_text("left over")
    assert write_package(estate, estate.providers[0], 0, tmp_path, ignore) == folder
    assert not (folder / "stray.csv").exists()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
