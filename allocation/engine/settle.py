"""Steps 6 to 9 for one cluster: from its usage to the integers of its leaves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from allocation.engine import quality as classes
from allocation.engine.columns import Columns, scaled, total, zeros
from allocation.engine.dependencies import Network, resolve
from allocation.engine.fallbacks import (
    DEFAULT_GROUP,
    PROVIDER_ACCOUNT,
    UNALLOCATED_ACCOUNT,
    UNUSED_SERVICE,
    fall_back,
    with_overhead,
)
from allocation.engine.findings import Findings
from allocation.engine.frames import Finding, Ledger, PackageRejectedError
from allocation.engine.hamilton import LeafTooLargeError, apportion, estimated_integers, shares_ppm
from allocation.engine.leaves import Leaves, merge
from allocation.engine.products import Quantities, Scale, split
from allocation.engine.usage import CORE_GROUP, net

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from allocation.engine.dependencies import Throughput
    from allocation.engine.fallbacks import Fallbacks
    from allocation.engine.frames import Usage
    from allocation.engine.leaves import Merged
    from allocation.engine.plan import ClusterPlan, Plan
    from allocation.engine.usage import NetUsage

_QUANTITY_BITS: Final = 126


@dataclass(frozen=True, slots=True)
class Block:
    """Leaves that share an exact rational per unit of quantity.

    `lines` are those on which the leaves exist; `None` for all.
    """

    columns: Columns
    classes: int
    lines: frozenset[int] | None = None


@dataclass(slots=True)
class _Settlement:
    """Blocks and leaves of a cluster as they are put together."""

    place: ClusterPlan
    blocks: list[Block] = field(default_factory=list)
    parts: list[Leaves] = field(default_factory=list)
    block_of: dict[str, int] = field(default_factory=dict)
    """Block of every service with usage rows."""

    def add_block(self, block: Block) -> int:
        self.blocks.append(block)
        return len(self.blocks) - 1

    def add_leaves(self, rows: Sequence[tuple[str, str, str, int, int]]) -> None:
        if rows:
            self.parts.append(Leaves.of(rows))


def settle(plan: Plan, cluster: str, usage: Usage, history: Sequence[Usage] = ()) -> Ledger:
    """Allocate the amounts of one cluster to its leaves.

    `usage` is that of `cluster` (see `usage.combine` for rows of its region). `history` is needed by `previous_shares`:
    the usage of the same cluster in the newest package of each earlier month, latest month first, as far back as
    `options.fallback_months` allows.

    Raises:
        PackageRejectedError: CLOSED_CLASS, if the options call it an error; LEAF_TOO_LARGE, if an integer exceeds int64.
    """
    findings = Findings()
    place = plan.clusters[cluster]
    netted = net(usage, plan.core_services)
    _flag_usage(place, netted, findings)
    services = {node: columns for node, columns in place.direct.items() if isinstance(node, str)}
    reached = {node: found for node, found in place.classes.items() if isinstance(node, str)}
    network = Network(services, reached, netted.total, place.flows, len(place.lines))
    throughput = resolve(network, plan.options)
    _report_closed(place, throughput, plan, findings)
    earlier = _Earlier([net(past, plan.core_services) for past in history])
    kept = dict(throughput.kept)
    if plan.options.unused != "provider":
        kept[UNUSED_SERVICE] = place.pool
    fallbacks = fall_back(
        kept, _allocated(place, netted, throughput), plan.options, place.emission_lines, earlier.has_usage_of
    )
    _flag_fallbacks(place, fallbacks, findings)

    settlement = _Settlement(place)
    _add_usage(settlement, netted, throughput, fallbacks)
    _add_machines(settlement, plan, fallbacks)
    _add_earlier(settlement, throughput, fallbacks, earlier)
    _add_special(settlement, throughput, fallbacks, plan)
    return _ledger(settlement, findings)


@dataclass(frozen=True, slots=True)
class _Earlier:
    """Usage of earlier packages, latest first."""

    months: Sequence[NetUsage]

    def month_of(self, service: str) -> NetUsage | None:
        """Return the latest month in which usage of `service` is positive."""
        return next((month for month in self.months if month.total.get(service)), None)

    def has_usage_of(self, service: str) -> bool:
        return self.month_of(service) is not None


def _flag_usage(place: ClusterPlan, netted: NetUsage, findings: Findings) -> None:
    if netted.negative:
        named = ", ".join(name for name in netted.negative if name)
        message = f"{len(netted.negative)} leaves of cluster {place.cluster} have negative net usage, which counts as 0: {named}"
        findings.flag("NEGATIVE_NET_USAGE", "usage.csv", None, message)
    if len(netted.leaves) and not place.emission_lines:
        message = f"cluster {place.cluster} has usage but no line: its usage gets no ledger rows"
        findings.flag("NO_SOURCE", "clusters.csv", place.row, message)


def _report_closed(place: ClusterPlan, throughput: Throughput, plan: Plan, findings: Findings) -> None:
    report = findings.reject if plan.options.closed_class == "error" else findings.flag
    for members in throughput.closed:
        message = f"in cluster {place.cluster} these services feed only each other: {', '.join(members)}"
        report("CLOSED_CLASS", "service_use.csv", None, message)
    findings.raise_if_rejected()


def _flag_fallbacks(place: ClusterPlan, fallbacks: Fallbacks, findings: Findings) -> None:
    for service, steps in fallbacks.paths.items():
        if service == UNUSED_SERVICE:
            message = f"cluster {place.cluster} has emissions but no used energy"
            findings.flag("EMPTY_CLUSTER", "clusters.csv", place.row, message)
        message = f"service {service} of cluster {place.cluster} has emissions and no usage: {', '.join(steps)}"
        findings.flag("NO_USAGE_FALLBACK", "usage.csv", None, message)


def _allocated(place: ClusterPlan, netted: NetUsage, throughput: Throughput) -> Columns:
    """Return what leaves with usage and machines get in step 7."""
    parts = [scaled(throughput.per_unit[service], quantity) for service, quantity in netted.total.items() if quantity]
    parts += [columns for node, columns in place.direct.items() if not isinstance(node, str)]
    return total(parts, len(place.lines))


def _add_usage(settlement: _Settlement, netted: NetUsage, throughput: Throughput, fallbacks: Fallbacks) -> None:
    """Add the leaves with usage: one block per service."""
    leaves = netted.leaves
    numbers = np.zeros(len(leaves.services), dtype=np.int32)
    nothing = zeros(len(settlement.place.lines))
    for index, service in enumerate(leaves.services):
        columns = nothing
        if netted.total[service]:
            per_unit = scaled(throughput.per_unit[service], netted.unit[service])
            columns = with_overhead(per_unit, fallbacks.overhead)
        reached = throughput.classes.get(service, classes.NO_CLASS)
        numbers[index] = settlement.block_of[service] = settlement.add_block(Block(columns, reached))
    settlement.parts.append(replace(leaves, block=numbers[leaves.service]))


def _add_machines(settlement: _Settlement, plan: Plan, fallbacks: Fallbacks) -> None:
    """Add the leaves of dedicated machines: one block per quality, shared by p."""
    place = settlement.place
    for rank in sorted({machine.quality for machine in place.machines}):
        machines = [machine for machine in place.machines if machine.quality == rank]
        denominator = lcm(*(machine.p.denominator for machine in machines))
        whole = [int(machine.p * denominator) for machine in machines]
        every = sum(whole)
        columns = scaled(place.direct[rank], Fraction(1, every)) if every else zeros(len(place.lines))
        block = settlement.add_block(Block(with_overhead(columns, fallbacks.overhead), place.classes[rank]))
        settlement.add_leaves(
            [
                (m.service, m.account, CORE_GROUP if m.service in plan.core_services else m.group, block, p)
                for m, p in zip(machines, whole, strict=True)
            ]
        )


def _add_earlier(settlement: _Settlement, throughput: Throughput, fallbacks: Fallbacks, earlier: _Earlier) -> None:
    """Add the leaves that take a service's amounts by their shares in an earlier month."""
    place = settlement.place
    for service, columns in fallbacks.previous.items():
        month = earlier.month_of(service)
        if month is None:
            continue
        leaves = month.leaves
        mine = leaves.take((leaves.service == leaves.services.index(service)) & (leaves.quantity > 0))
        every = sum(int(quantity) for quantity in mine.quantity)
        emits = any(columns[line] for line in place.emission_lines)
        lines = None if emits else frozenset(range(len(place.lines))) - set(place.emission_lines)
        per_unit = with_overhead(scaled(columns, Fraction(1, every)), fallbacks.overhead)
        block = Block(per_unit, throughput.classes.get(service, classes.NO_CLASS), lines)
        if emits and service in settlement.block_of:
            # The quantities of this month are all 0 and stay so in the unit of the earlier one.
            number = settlement.block_of[service]
            settlement.blocks[number] = block
        else:
            number = settlement.add_block(block)
        settlement.parts.append(replace(mine, block=np.full(len(mine), number, dtype=np.int32)))


def _add_special(settlement: _Settlement, throughput: Throughput, fallbacks: Fallbacks, plan: Plan) -> None:
    """Add `(unallocated)` and `(provider)`: leaves that exist only where their exact amount is positive."""
    place = settlement.place
    special = [(service, UNALLOCATED_ACCOUNT, columns) for service, columns in fallbacks.unallocated.items()]
    if plan.options.unused == "provider":
        special.append((UNUSED_SERVICE, PROVIDER_ACCOUNT, place.pool))
    for service, account, columns in special:
        lines = frozenset(line for line in range(len(place.lines)) if columns[line])
        reached = place.cluster_classes if service == UNUSED_SERVICE else throughput.classes[service]
        if lines:
            block = settlement.add_block(Block(columns, reached, lines))
            settlement.add_leaves([(service, account, DEFAULT_GROUP, block, 1)])


def _ledger(settlement: _Settlement, findings: Findings) -> Ledger:
    place = settlement.place
    merged = merge(settlement.parts)
    leaves = merged.leaves
    lines = list(_rows_of_lines(settlement, _quantities(settlement, merged)))
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
    return np.concatenate([np.zeros(0, dtype=kind), *parts], dtype=kind)


def _quantities(settlement: _Settlement, merged: Merged) -> Quantities:
    """Return quantities below 2¹²⁶; a leaf with more, or with parts of several blocks, becomes a block of its own."""
    block, quantity = merged.leaves.block, merged.leaves.quantity
    alone = dict(merged.mixed)
    if quantity.dtype == object:
        large = (i for i, q in enumerate(quantity) if q.bit_length() > _QUANTITY_BITS and i not in alone)
        alone |= {position: [(int(block[position]), int(quantity[position]))] for position in large}
    if alone:
        block, quantity = block.copy(), quantity.copy()
    for position, entries in alone.items():
        block[position] = settlement.add_block(_together(settlement, entries))
        quantity[position] = 1
    if quantity.dtype == object:
        low, high = split([int(q) for q in quantity])
        return Quantities(low, high, block)
    return Quantities(quantity, None, block)


def _together(settlement: _Settlement, entries: Sequence[tuple[int, int]]) -> Block:
    """Return a block for the one leaf that adds up quantities of other blocks."""
    parts = [settlement.blocks[number] for number, _ in entries]
    amounts = [scaled(part.columns, Fraction(quantity)) for part, (_, quantity) in zip(parts, entries, strict=True)]
    reached = classes.NO_CLASS
    lines: frozenset[int] | None = frozenset()
    for part in parts:
        reached |= part.classes
        lines = None if lines is None or part.lines is None else lines | part.lines
    return Block(total(amounts, len(settlement.place.lines)), reached, lines)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of one line: positions of its leaves, and what they get."""

    positions: npt.NDArray[np.intp]
    ug: npt.NDArray[np.int64]
    estimated_ug: npt.NDArray[np.int64]
    estimated_ppm: npt.NDArray[np.int32]
    quality: npt.NDArray[np.int16]


def _rows_of_lines(settlement: _Settlement, quantities: Quantities) -> Iterator[_Rows]:
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


def _rows_of_line(settlement: _Settlement, scale: Scale, positions: npt.NDArray[np.intp], line: int) -> _Rows:
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
