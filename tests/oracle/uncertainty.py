"""Section 9, uncertainties.csv: the variance of any amount of the ledger, source by source."""

from collections.abc import Mapping
from fractions import Fraction

from tests.oracle.energy import ZERO
from tests.oracle.ledger import Allocation
from tests.oracle.postings import Pair


def expected_variance(allocation: Allocation, amounts_ug: Mapping[Pair, int]) -> tuple[Fraction, Fraction]:
    """The variance in square micrograms of a sum of parts of (cluster, line), and the covered part of the sum.

    As a double sum over pairs of sources with their correlation: 1 with itself, and for the factor
    part 1 with every source of the same factor.
    """
    stated = {
        (row.text("source"), row.text("code"), row.text("line")): row
        for row in allocation.package.tables["uncertainties"]
    }
    held: dict[tuple[str, str, str], Fraction] = {}
    for (cluster, line), ug in amounts_ug.items():
        rows = allocation.sources[cluster, line].rows
        total = sum((posted for _, _, posted in rows), ZERO)
        for table, code, posted in rows if total else ():
            key = (table, code, line)
            if key in stated:
                held[key] = held.get(key, ZERO) + Fraction(ug) * posted / total
    variance = ZERO
    for one, own_ug in held.items():
        for other, other_ug in held.items():
            a, b = stated[one], stated[other]
            covariance = ZERO
            if one == other:
                covariance += (a.exact("activity_percent", "0") / 100) ** 2
            if a.has("factor") and a.text("factor") == b.text("factor"):
                covariance += a.exact("factor_percent") * b.exact("factor_percent") / 10_000
            variance += own_ug * other_ug * covariance
    return variance, sum(held.values(), ZERO)
