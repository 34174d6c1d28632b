"""Steps 6 to 9 for one cluster: from its usage to the integers of its leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from allocation.engine import quality as classes
from allocation.engine.findings import Findings
from allocation.engine.frames import Finding, Ledger, PackageRejectedError
from allocation.engine.hamilton import LeafTooLargeError, apportion, estimated_integers, shares_ppm
from allocation.engine.products import Quantities, Scale
from allocation.engine.recipients import NOWHERE, find_recipients

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from fractions import Fraction

    import numpy.typing as npt

    from allocation.engine.blocks import Settlement
    from allocation.engine.frames import Usage
    from allocation.engine.plan import Plan


def settle(
    plan: Plan,
    cluster: str,
    usage: Usage,
    history: Sequence[Usage] = (),
    elsewhere: Mapping[str, Usage] = NOWHERE,
) -> Ledger:
    """Allocate the amounts of one cluster to its leaves.

    `usage` is that of `cluster` (see `usage.combine` for rows of its region). `history` is needed by `previous_shares`:
    the usage of the same cluster in the newest package of each earlier month, latest month first, as far back as
    `options.fallback_months` allows. `elsewhere` is needed where services serve other clusters: the usage of those
    that `reach_of` names.

    Raises:
        PackageRejectedError: CLOSED_CLASS, if the options call it an error; LEAF_TOO_LARGE, if an integer is above
            2⁶³ - 1.
    """
    findings = Findings()
    return _ledger(find_recipients(plan, cluster, usage, history, elsewhere, findings), findings)


class Leaf(NamedTuple):
    """The key of a leaf within its cluster, and a line."""

    service: str
    account: str
    group: str
    line: str


class Exact(NamedTuple):
    """The exact amount of a leaf on a line and the estimated part of it, in µg (Wh on the energy line)."""

    amount: Fraction
    estimated: Fraction


def exact_amounts(
    plan: Plan,
    cluster: str,
    usage: Usage,
    history: Sequence[Usage] = (),
    elsewhere: Mapping[str, Usage] = NOWHERE,
) -> dict[Leaf, Exact]:
    """Return what `settle` rounds, leaf by leaf: for explaining single figures and for tests, not for large clusters.

    Raises:
        PackageRejectedError: CLOSED_CLASS, if the options call it an error.
    """
    settlement = find_recipients(plan, cluster, usage, history, elsewhere, Findings())
    leaves, quantities = settlement.leaves()
    lines = settlement.place.lines
    amounts: dict[Leaf, Exact] = {}
    for position, number in enumerate(quantities.block.tolist()):
        block, quantity = settlement.blocks[number], quantities.whole(position)
        service, account, group = leaves.key(position)
        for index, line in enumerate(lines):
            if block.lines is None or index in block.lines:
                values = block.columns[index], block.columns[len(lines) + index]
                amounts[Leaf(service, account, group, line)] = Exact(quantity * values[0], quantity * values[1])
    return amounts


def _ledger(settlement: Settlement, findings: Findings) -> Ledger:
    place = settlement.place
    leaves, quantities = settlement.leaves()
    lines = list(_rows_of_lines(settlement, quantities))
    positions = _joined([rows.positions for rows in lines], np.intp)
    return Ledger(
        cluster=place.cluster,
        services=leaves.services,
        accounts=leaves.accounts,
        groups=leaves.groups,
        lines=place.lines,
        service=leaves.service[positions],
        account=leaves.account[positions],
        group=leaves.group[positions],
        line=np.repeat(np.arange(len(lines), dtype=np.int16), [len(rows.positions) for rows in lines]),
        ug=_joined([rows.ug for rows in lines], np.int64),
        estimated_ug=_joined([rows.estimated_ug for rows in lines], np.int64),
        estimated_ppm=_joined([rows.estimated_ppm for rows in lines], np.int32),
        quality=_joined([rows.quality for rows in lines], np.int16),
        source_ug=dict(zip(place.lines, place.source_ug, strict=True)),
        findings=findings.as_tuple(),
    )


_Number = TypeVar("_Number", bound=np.generic)


def _joined(parts: Sequence[npt.NDArray[_Number]], kind: type[_Number]) -> npt.NDArray[_Number]:
    return np.concatenate([np.zeros(0, dtype=kind), *parts])


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of one line: positions of its leaves, and what they get."""

    positions: npt.NDArray[np.intp]
    ug: npt.NDArray[np.int64]
    estimated_ug: npt.NDArray[np.int64]
    estimated_ppm: npt.NDArray[np.int32]
    quality: npt.NDArray[np.int16]


def _rows_of_lines(settlement: Settlement, quantities: Quantities) -> Iterator[_Rows]:
    """Yield the rows of every line.

    Raises:
        PackageRejectedError: LEAF_TOO_LARGE.
    """
    place, blocks = settlement.place, settlement.blocks
    positions = np.arange(len(quantities))
    scale = Scale.of(quantities, len(blocks))
    for line in range(len(place.lines)):
        absent = [block.lines is not None and line not in block.lines for block in blocks]
        if any(absent):
            some = np.flatnonzero(~np.array(absent, dtype=bool)[quantities.block])
            yield _rows_of_line(settlement, Scale.of(quantities.take(some), len(blocks)), some, line)
        else:
            yield _rows_of_line(settlement, scale, positions, line)


def _rows_of_line(settlement: Settlement, scale: Scale, positions: npt.NDArray[np.intp], line: int) -> _Rows:
    place, blocks = settlement.place, settlement.blocks
    factors = [block.columns[line] for block in blocks]
    estimated = [block.columns[len(place.lines) + line] for block in blocks]
    try:
        products, integers = apportion(scale, factors, place.source_ug[line])
    except LeafTooLargeError as error:
        message = f"a leaf of cluster {place.cluster} is too large on the line {place.lines[line]}: above 2^63 - 1"
        finding = Finding("LEAF_TOO_LARGE", "package", "usage.csv", None, message)
        raise PackageRejectedError((finding,)) from error
    block = scale.quantities.block
    ppm = np.array(shares_ppm(factors, estimated), dtype=np.int32)[block]
    ppm[scale.quantities.are_zero()] = 0
    ranks = [max(place.line_quality[line], classes.weakest(part.classes)) for part in blocks]
    return _Rows(
        positions=positions,
        ug=integers,
        estimated_ug=estimated_integers(scale, factors, estimated, integers, products),
        estimated_ppm=ppm,
        quality=np.array(ranks, dtype=np.int16)[block],
    )
