"""Months solved by hand come out byte for byte: one of each style, and the published example."""

from pathlib import Path

import pytest

from tests.allocation.engine.packages import Package, export, settle_all

TESTS = Path(__file__).parents[2]
EXAMPLE = TESTS.parents[1] / "shared" / "examples" / "packages" / "b_alibaba_like"


def comes_out(folder: Path) -> bool:
    package = Package.read(folder)
    ledgers, _ = settle_all(package)
    return export(package, ledgers).encode() == (folder / "expected_ledger.csv").read_bytes()


@pytest.mark.parametrize("style", ["a_aws_like", "b_alibaba_like", "c_ibm_like"])
def test_a_month_of_each_style_comes_out_byte_for_byte(style: str) -> None:
    assert comes_out(TESTS / "packages" / style)


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the examples are not beside the project")
def test_the_published_example_comes_out_byte_for_byte() -> None:
    assert comes_out(EXAMPLE)
