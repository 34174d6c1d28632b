"""Broken packages: uncertainty."""

from collections.abc import Iterable

from tests.oracle.broken.case import Broken, broken, rejection, together, with_row


def uncertainty_cases() -> Iterable[Broken]:
    first = {"source": "sites", "code": "i1", "line": "scope2_lbm", "activity_percent": "2"}
    grid = {"factor": "grid", "factor_percent": "10"}
    second = first | {"code": "i2"} | grid
    file = "uncertainties.csv"
    yield broken(
        "uncertainties", change=together(with_row("uncertainties", **first), with_row("uncertainties", **second))
    )
    yield broken(
        "uncertainty of nothing",
        rejection("UNKNOWN_SOURCE", file, 2),
        change=with_row("uncertainties", **first | {"code": "i9"}),
    )
    yield broken(
        "factor of two minds",
        rejection("FACTOR_CONFLICT", file, 3),
        change=together(
            with_row("uncertainties", **first | grid), with_row("uncertainties", **second | {"factor_percent": "10.1"})
        ),
    )
    yield broken(
        "factor alike",
        change=together(
            with_row("uncertainties", **first | grid), with_row("uncertainties", **second | {"factor_percent": "10.0"})
        ),
    )
    for name, cells in {
        "factor without": {"factor": "grid"},
        "percentage of no factor": {"factor_percent": "1"},
    }.items():
        yield broken(name, rejection("MISSING_VALUE", file, 2), change=with_row("uncertainties", **first | cells))
