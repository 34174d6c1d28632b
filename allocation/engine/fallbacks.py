"""Services with emissions and no usage: where their amounts go (section 5, step 8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from allocation.engine.columns import Columns, added, subtracted, total, zeros
from allocation.engine.units import ONE, ZERO

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from allocation.engine.frames import Options

UNUSED_SERVICE: Final = "(unused)"
UNALLOCATED_ACCOUNT: Final = "(unallocated)"
PROVIDER_ACCOUNT: Final = "(provider)"
DEFAULT_GROUP: Final = "default"


@dataclass(slots=True)
class Fallbacks:
    """What step 8 does: whole amounts by service for earlier shares and for `(unallocated)`, and the overhead.

    On each line the overhead multiplies the amount of every leaf by 1 + `overhead[line]`; the estimated part of a leaf
    grows by `overhead[lines + line]` x the leaf's amount. `paths` tells, by service, which fallbacks moved its
    emissions.
    """

    previous: dict[str, Columns] = field(default_factory=dict)
    overhead: Columns = ()
    unallocated: dict[str, Columns] = field(default_factory=dict)
    paths: dict[str, list[str]] = field(default_factory=dict)


def fall_back(
    kept: Mapping[str, Columns],
    allocated: Columns,
    options: Options,
    emission_lines: Collection[int],
    has_previous: Callable[[str], bool],
) -> Fallbacks:
    """Send every kept amount on, in the order of `options.fallback`.

    `allocated` is what the leaves of the cluster have so far, special accounts excepted; `has_previous` tells whether
    an earlier package has positive usage of a service.
    """
    lines = len(allocated) // 2
    result = Fallbacks(overhead=zeros(lines))
    remaining = {service: columns for service, columns in sorted(kept.items()) if any(columns)}
    for step in options.fallback:
        if step == "previous_shares":
            moved = {service: columns for service, columns in remaining.items() if has_previous(service)}
            result.previous |= moved
            allocated = total([allocated, *moved.values()], lines)
        elif step == "cluster_overhead":
            base = [amount > 0 for amount in allocated[:lines]]
            moved = {service: _where(columns, base) for service, columns in remaining.items()}
            result.overhead = rate(total(moved.values(), lines), allocated)
        else:
            moved = dict(remaining)
            result.unallocated |= moved
        for service, columns in moved.items():
            if any(columns[line] for line in emission_lines):
                result.paths.setdefault(service, []).append(step)
        remaining = _less(remaining, moved)
    return result


def _where(columns: Columns, kept: Sequence[bool]) -> Columns:
    """Return the columns of those lines that are `kept`, and 0 on the others."""
    return tuple(value if keep else ZERO for value, keep in zip(columns, [*kept, *kept], strict=True))


def rate(amounts: Columns, allocated: Columns) -> Columns:
    """Return, per line and for the estimated part, how much of `amounts` there is for each µg that leaves have."""
    lines = len(allocated) // 2
    return tuple(amount / base if base else ZERO for amount, base in zip(amounts, allocated[:lines] * 2, strict=True))


def _less(remaining: Mapping[str, Columns], moved: Mapping[str, Columns]) -> dict[str, Columns]:
    rest = {
        service: subtracted(columns, moved[service]) if service in moved else columns
        for service, columns in remaining.items()
    }
    return {service: columns for service, columns in rest.items() if any(columns)}


def with_overhead(columns: Columns, overhead: Columns) -> Columns:
    """Return the columns of a leaf (or of anything in proportion to it) with its part of the overhead."""
    lines = len(columns) // 2
    amounts = tuple(amount * (ONE + extra) for amount, extra in zip(columns[:lines], overhead[:lines], strict=True))
    extra = tuple(amount * part for amount, part in zip(columns[:lines], overhead[lines:], strict=True))
    return (*amounts, *added(columns[lines:], extra))
