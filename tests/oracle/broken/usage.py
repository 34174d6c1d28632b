"""Broken packages: usage and rejected rows."""

from collections.abc import Iterable

from tests.oracle.broken.case import (
    Broken,
    append_bytes,
    broken,
    flag,
    rejection,
    together,
    with_cell,
    with_key,
    with_options,
    with_row,
)
from tests.oracle.table import Finding


def usage_cases() -> Iterable[Broken]:
    rejected = flag("ROWS_REJECTED", "usage.csv")
    cells = {
        "MISSING_VALUE": {"quantity": ""},
        "BAD_NUMBER": {"quantity": "ten"},
        "BAD_CODE": {"resource_group": "a|b"},
        "UNKNOWN_CLUSTER": {"cluster": "k9"},
        "UNKNOWN_SERVICE": {"service": "s9"},
        "UNKNOWN_ACCOUNT": {"account": "a9"},
        "MONTH_MISMATCH": {"month": "2025-05"},
    }
    for code, values in cells.items():
        row = Finding(code, "row", "usage.csv", 3)
        yield broken(f"usage {code}", row, rejected, change=with_cell("usage", 3, **values))
        yield broken(
            f"usage {code} is one too many",
            row,
            rejection("TOO_MANY_REJECTED", "usage.csv"),
            change=together(with_cell("usage", 3, **values), with_key("max_rejected_rows", 0)),
        )
    row = Finding("BAD_ROW", "row", "usage.csv", 6)
    yield broken("usage BAD_ROW", row, rejected, file=append_bytes("usage.csv", b"k1,s1,a1\n"))
    two = [Finding("UNKNOWN_SERVICE", "row", "usage.csv", line) for line in (3, 5)]
    yield broken(
        "as many as allowed",
        *two,
        rejected,
        change=together(
            with_cell("usage", 3, service="s9"),
            with_cell("usage", 5, service="s9"),
            with_row("usage", cluster="k2", service="s1", account="a1", quantity="1"),
            with_key("max_rejected_rows", 2),
        ),
    )
    yield broken("usage of its month", change=with_cell("usage", 3, month="2025-06"))
    yield broken(
        "credit",
        flag("NEGATIVE_NET_USAGE", "usage.csv"),
        change=with_row("usage", cluster="k1", service="s1", account="a2", quantity="-5.000000000001"),
    )
    yield broken(
        "credit that leaves nothing",
        change=with_row("usage", cluster="k1", service="s1", account="a2", quantity="-5"),
    )
    yield broken(
        "closed class",
        rejection("CLOSED_CLASS", "service_use.csv"),
        change=with_row("service_use", cluster="k1", service="s3", consumer="s3", quantity="1"),
    )
    yield broken(
        "closed class as overhead",
        flag("CLOSED_CLASS", "service_use.csv"),
        change=together(
            with_options(closed_class="overhead"),
            with_row("service_use", cluster="k1", service="s3", consumer="s3", quantity="1"),
        ),
    )
    yield broken(
        "service without usage",
        flag("NO_USAGE_FALLBACK", "usage.csv"),
        change=with_cell("racks", 3, service="s3"),
    )
