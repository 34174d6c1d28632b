"""The oracle against months solved by hand, published examples and conservation."""

from pathlib import Path

from tests.oracle.ledger import expected_ledger

PACKAGES = Path(__file__).parents[1] / "packages"


def test_the_example_is_reproduced_byte_for_byte() -> None:
    text, findings = expected_ledger(PACKAGES / "b_alibaba_like")
    assert text.encode() == (PACKAGES / "b_alibaba_like" / "expected_ledger.csv").read_bytes()
    assert findings == []
