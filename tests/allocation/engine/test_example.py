"""The example package comes out byte for byte."""

from pathlib import Path

import pytest

from tests.allocation.engine.packages import Package, export, settle_all

EXAMPLE = Path(__file__).parents[4] / "shared" / "examples" / "packages" / "b_alibaba_like"


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the examples are not beside the project")
def test_the_example_comes_out_byte_for_byte():
    package = Package.read(EXAMPLE)

    ledgers, _ = settle_all(package)

    assert export(package, ledgers).encode() == (EXAMPLE / "expected_ledger.csv").read_bytes()
