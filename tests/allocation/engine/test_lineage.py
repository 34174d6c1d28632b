"""Lineages: every step divides exactly, nothing is lost between steps, all multiply back to the engine's number."""

from __future__ import annotations

import copy
import random
from collections import defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from allocation.engine.frames import ENERGY_LINE, PackageRejectedError, Usage
from allocation.engine.lineage.leaves import Target
from allocation.engine.lineage.steps import Driver, InputRow, PlaceKind, Stage
from allocation.engine.lineage.trace import EXTERNAL_REST, INTERNAL_REST, trace
from allocation.engine.plan import prepare
from allocation.engine.settle import Leaf, exact_amounts, settle
from allocation.engine.usage import net
from tests.allocation.engine.packages import Package, code_usage
from tests.allocation.engine.random_months import random_month
from tests.oracle.demand import Leaf as OracleLeaf
from tests.oracle.generator import random_draft

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocation.engine.lineage.trace import Lineage
    from allocation.engine.plan import Plan

METHODS = ("reciprocal", "step_down", "direct", "rounds")
UNUSED = ("cluster_pool_energy", "rack_local", "service_pool", "provider", "account_pool")
EXTENDED = (*range(24), 73, 107, 144, 195, 256, 386)
"""Seeds of the generator; the last ones for what seldom happens."""

TELLING = {2, 4, 5, 6, 8, 11, 13, 15, 16, 17, 20, 22, 23, 107, 144}
"""Those whose lineages take every branch that any of them takes."""

FALLBACKS = (
    ["previous_shares", "cluster_overhead", "unallocated"],
    ["cluster_overhead", "unallocated"],
    ["unallocated"],
)


def varied(seed: int) -> tuple[Package, Package]:
    """A random month in which every option has its turn, and the month before it; some services lost their usage."""
    draw = random.Random(seed)  # noqa: S311 no secret
    month = Package.of(random_draft(seed))
    options = month.manifest["methodology"]["options"]
    options.update(closed_class="overhead", unused=draw.choice(UNUSED), dependencies=draw.choice(METHODS))
    options.update(fallback=draw.choice(FALLBACKS), machines=draw.choice(("share", "subtract")), fallback_months=3)
    for name in ("step_down_order", "rounds"):
        options.pop(name, None)
    if options["unused"] != "account_pool":
        options.pop("pool_base", None)
    if options["dependencies"] == "step_down":
        options["step_down_order"] = [row["service"] for row in month.tables["services"]][:2]
    if options["dependencies"] == "rounds":
        options["rounds"] = draw.choice((1, 2, 5))
    if options["machines"] == "subtract" and month.tables.get("machines"):
        month.tables["machines"] = month.tables["machines"][:1]
        month.tables["machines"][0] |= {"avg_power_w": "0.001", "hours": "1"}
    before = Package(copy.deepcopy(month.manifest), copy.deepcopy(month.tables))
    year, number = map(int, month.manifest["month"].split("-"))
    before.manifest["month"] = f"{year - (number == 1)}-{(number - 2) % 12 + 1:02d}"
    before.manifest.pop("hours", None)
    before.manifest["methodology"]["options"].pop("matching", None)  # it has other hours
    for table in ("site_hours", "instrument_hours"):
        before.tables.pop(table, None)
    for table in ("usage", "assets", "racks", "machines"):
        for row in before.tables.get(table, []):
            row.pop("month", None)
    gone = draw.choice(month.tables["services"])["service"]
    month.tables["usage"] = [row for row in month.tables["usage"] if row["service"] != gone or draw.random() < 0.1]
    return month, before


def prepared(month: Package) -> Plan:
    """The plan of a month; a month whose cluster has less energy than its one machine is not tried."""
    try:
        return prepare(month.activity)
    except PackageRejectedError as error:
        if {one.code for one in error.findings if one.severity == "package"} != {"MACHINE_EXCEEDS_CLUSTER"}:
            raise
        reject()


def targets(ledger_keys: Sequence[Leaf], cluster: str, draw: random.Random) -> list[Target]:
    found = sorted({(leaf.service, leaf.account) for leaf in ledger_keys if not leaf.account.startswith("(")})
    return [Target(cluster, *one) for one in draw.sample(found, min(2, len(found)))]


def check(lineage: Lineage, amounts: dict[Leaf, Fraction], target: Target) -> None:
    """Every equation between the steps, and their end."""
    into: dict[object, Fraction] = defaultdict(Fraction)
    for step in lineage.steps:
        assert step.share * step.total == step.weight
        assert step.amount_out == step.amount_in * step.share
        into[step.target] += step.amount_out
    for step in lineage.steps:
        if step.source.kind is PlaceKind.CLUSTER:
            assert step.amount_in == lineage.x_ug
        elif step.source.kind is not PlaceKind.SOURCE:
            assert step.amount_in == into[step.source], (step, into[step.source])
    for group, exact in lineage.exact.items():
        assert amounts[Leaf(target.service, target.account, group, lineage.line)] == exact
        if lineage.total:
            ends = [
                step.amount_out
                for step in lineage.steps
                if step.stage is Stage.ACCOUNT_TO_RESOURCE_GROUP and step.target.code == group
            ]
            assert ends == [exact]
    of_racks = sum((posting.amount for posting in lineage.postings if posting.rack is not None), Fraction())
    to_cluster = [posting for posting in lineage.postings if posting.rack is None]
    assert sum((posting.amount for posting in to_cluster), Fraction()) == lineage.posted
    assert round(lineage.posted) == lineage.x_ug
    assert lineage.x_ug + of_racks == lineage.source_ug


@pytest.mark.long
@given(st.integers(0, 10**9))
@settings(deadline=None, max_examples=12)
def test_the_steps_of_any_leaf_multiply_back_to_its_exact_amount(seed: int) -> None:
    month, before = varied(seed)
    plan, earlier = prepared(month), prepared(before)
    draw = random.Random(seed)  # noqa: S311 no secret
    for cluster in plan.clusters:
        usage, history = month.usage(cluster, plan), [before.usage(cluster, earlier)]
        elsewhere = month.elsewhere(cluster, plan)
        amounts = {leaf: one.amount for leaf, one in exact_amounts(plan, cluster, usage, history, elsewhere).items()}
        for target in targets(list(amounts), cluster, draw):
            for racks_apart in (50, 1):
                found = trace(month.activity, target, usage, history, elsewhere.__getitem__, racks_apart=racks_apart)
                for lineage in found:
                    check(lineage, amounts, target)


@pytest.mark.parametrize("seed", [pytest.param(it, marks=() if it in TELLING else pytest.mark.long) for it in EXTENDED])
def test_every_lineage_leads_to_the_exact_amount_of_the_oracle(seed: int) -> None:
    """The oracle shares no code with the engine; each of the format's extensions has its turn."""
    package, history, *_, allocation = random_month(seed)
    plan = prepare(package.activity)
    past = [(it, prepare(it.activity)) for it in package.history(history)]
    draw = random.Random(seed)  # noqa: S311 no secret
    for cluster in plan.clusters:
        usage, elsewhere = package.usage(cluster, plan), package.elsewhere(cluster, plan)
        earlier = [it.usage(cluster, its) for it, its in past if cluster in its.clusters]
        known = list(exact_amounts(plan, cluster, usage, earlier, elsewhere))
        for target in targets(known, cluster, draw):
            for lineage in trace(package.activity, target, usage, earlier, elsewhere.__getitem__):
                if lineage.line == ENERGY_LINE:
                    continue
                result = allocation.lines[cluster, lineage.line]
                for group, exact in lineage.exact.items():
                    leaf = OracleLeaf(cluster, target.service, target.account, group)
                    expected = result.leaves[leaf].whole if leaf in result.leaves else 0
                    assert exact == expected, (target, group, lineage.line)


@pytest.mark.long
def test_each_extension_of_the_format_has_its_turn() -> None:
    found: set[str] = set()
    for seed in EXTENDED:
        package = random_month(seed).package
        options = package.activity.header.options
        found |= {f"matching = {options.matching}", f"pool_base = {options.pool_base}", f"unused = {options.unused}"}
        found |= {name for name in ("cross_use", "usage_periods") if package.tables.get(name)}
    assert found >= {
        "matching = hourly",
        "pool_base = all",
        "unused = account_pool",
        "cross_use",
        "usage_periods",
    }


@pytest.mark.long
@given(st.integers(0, 10**9))
@settings(deadline=None, max_examples=6)
def test_leaves_of_others_may_be_brought_together(seed: int) -> None:
    """Unless each has a weight of its own, by periods."""
    month, before = varied(seed)
    for one in (month, before):
        one.tables.pop("usage_periods", None)
    plan, earlier = prepared(month), prepared(before)
    draw = random.Random(seed)  # noqa: S311 no secret
    cluster = draw.choice(list(plan.clusters))
    usage, history = month.usage(cluster, plan), [before.usage(cluster, earlier)]
    elsewhere = month.elsewhere(cluster, plan)
    for target in targets(list(exact_amounts(plan, cluster, usage, history, elsewhere)), cluster, draw):
        together = brought_together(usage, plan, target)
        past = [brought_together(history[0], plan, target)]
        served = {code: brought_together(used, plan, target) for code, used in elsewhere.items()}
        short = trace(month.activity, target, together, past, served.__getitem__)
        assert short == trace(month.activity, target, usage, history, elsewhere.__getitem__)


def brought_together(usage: Usage, plan: Plan, target: Target) -> Usage:
    """The usage with all leaves but the target's added up, by service, internal and external ones apart."""
    netted = net(usage, plan.core_services)
    amounts: dict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
    for position in range(len(netted.leaves)):
        service, account, group = netted.leaves.key(position)
        quantity = int(netted.leaves.quantity[position]) * netted.unit[service]
        if (service, account) != (target.service, target.account):
            account, group = (INTERNAL_REST if account in plan.internal_accounts else EXTERNAL_REST), "rest"
        amounts[service, account, group] += quantity
    rows = [
        {"service": service, "account": account, "resource_group": group, "quantity": "0"}
        for service, account, group in amounts
    ]
    coded = code_usage(rows)
    divisor = int(np.lcm.reduce([value.denominator for value in amounts.values()] or [1]))
    whole = np.array([int(value * divisor) for value in amounts.values()], dtype=object)
    return Usage(
        coded.services, coded.accounts, coded.groups, coded.service, coded.account, coded.group, whole, 0, divisor
    )


def test_every_leaf_gets_the_floor_of_its_exact_amount_or_one_more() -> None:
    month, _ = varied(5)
    plan = prepare(month.activity)
    units = set()
    for cluster in plan.clusters:
        usage = month.usage(cluster, plan)
        ledger = settle(plan, cluster, usage)
        integers = {
            Leaf(
                ledger.services[ledger.service[i]],
                ledger.accounts[ledger.account[i]],
                ledger.groups[ledger.group[i]],
                ledger.lines[ledger.line[i]],
            ): int(ledger.ug[i])
            for i in range(len(ledger.ug))
        }
        for target in targets(list(integers), cluster, random.Random(1)):  # noqa: S311 no secret
            for lineage in trace(month.activity, target, usage):
                for group, exact in lineage.exact.items():
                    ug = integers[Leaf(target.service, target.account, group, lineage.line)]
                    units.add(ug - exact // 1)
    assert units == {0, 1}


def one_month() -> Package:
    """Two services on one rack, 30 of its 40 units used; `web` is built on `disk`; the pool is spread by energy."""
    site = {
        "site": "s",
        "cluster": "k",
        "boundary": "scope2",
        "it_kwh": "100",
        "pue": "1.5",
        "location_g_per_kwh": "400",
    }
    racks = [{"rack": "r", "cluster": "k", "role": "service", "it_kwh": "80"}]
    racks += [{"rack": "n", "cluster": "k", "role": "network", "it_kwh": "20"}]
    used = [("web", "10"), ("disk", "20")]
    quantities = [("a", "web", "3", "x"), ("a", "web", "2", "y"), ("b", "web", "5", ""), ("b", "disk", "30", "")]
    return Package(
        {
            "format_version": 1,
            "provider": "p",
            "month": "2025-06",
            "timezone": "UTC",
            "methodology": {"name": "m", "version": "1", "preset": "aws-v2", "gwp_set": "AR6", "options": {}},
        },
        {
            "clusters": [{"cluster": "k", "kind": "region"}],
            "sites": [site],
            "services": [{"service": name, "unit": "h"} for name in ("web", "disk")],
            "accounts": [{"account": name} for name in ("a", "b")],
            "racks": racks,
            "rack_resources": [{"rack": "r", "resource": "cpu", "weight": "1", "capacity": "40"}],
            "rack_use": [{"rack": "r", "resource": "cpu", "service": name, "used": amount} for name, amount in used],
            "service_use": [{"cluster": "k", "service": "disk", "consumer": "web", "quantity": "10"}],
            "usage": [
                {"cluster": "k", "service": service, "account": account, "resource_group": group, "quantity": quantity}
                for account, service, quantity, group in quantities
            ],
        },
    )


def test_a_small_month_is_explained_as_one_would_by_hand() -> None:
    month = one_month()
    target = Target("k", "web", "a")
    (lineage,) = trace(month.activity, target, month.usage("k", prepare(month.activity)), lines=["scope2_lbm"])
    x = 150 * 400 * 10**6
    assert lineage.x_ug == lineage.posted == x
    (posting,) = lineage.postings
    assert (posting.quantity, posting.unit) == (Fraction(150), "kWh")
    assert posting.rows == (InputRow("sites.csv", 2),)
    assert posting.factor is not None
    factor = posting.factor
    assert (factor.name, factor.value, factor.vintage) == ("location_g_per_kwh", Fraction(400), "2025-06")
    shares = {(step.source.code, step.target.code, step.stage): step.share for step in lineage.steps}
    assert shares == {
        ("k", "r", Stage.CLUSTER_TO_RACK): Fraction(80, 100),
        ("k", "n", Stage.CLUSTER_TO_RACK): Fraction(20, 100),
        ("n", "k", Stage.RACK_TO_OVERHEAD): 1,
        ("k", "r", Stage.OVERHEAD_TO_RACK): 1,
        ("r", "web", Stage.RACK_TO_SERVICE): Fraction(10, 40),
        ("r", "disk", Stage.RACK_TO_SERVICE): Fraction(20, 40),
        ("r", "k", Stage.RACK_TO_POOL): Fraction(10, 40),
        ("k", "web", Stage.POOL_TO_SERVICE): Fraction(10, 30),
        ("k", "disk", Stage.POOL_TO_SERVICE): Fraction(20, 30),
        ("disk", "web", Stage.SERVICE_TO_SERVICE): Fraction(10, 40),
        ("web", "a", Stage.SERVICE_TO_ACCOUNT): Fraction(5, 10),
        ("a", "x", Stage.ACCOUNT_TO_RESOURCE_GROUP): Fraction(3, 5),
        ("a", "y", Stage.ACCOUNT_TO_RESOURCE_GROUP): Fraction(2, 5),
    }
    assert lineage.exact["x"] == x * (Fraction(1, 3) + Fraction(2, 3) / 4) * Fraction(3, 10)
    (use,) = [step for step in lineage.steps if step.stage is Stage.SERVICE_TO_SERVICE]
    assert (use.rows, use.driver) == ((InputRow("service_use.csv", 2),), Driver.SERVICE_UNITS)


def test_a_line_that_nothing_reaches_has_no_steps_but_its_groups() -> None:
    month = one_month()
    month.tables["sites"][0]["green_ratio"] = "1"
    target = Target("k", "web", "a")
    usage = month.usage("k", prepare(month.activity))
    (lineage,) = trace(month.activity, target, usage, lines=["scope2_mbm"])
    assert lineage.exact == {"x": 0, "y": 0}
    assert {step.stage for step in lineage.steps} == {Stage.ACCOUNT_TO_RESOURCE_GROUP}
    assert lineage.postings[0].factor is not None
    assert lineage.postings[0].factor.name == "green_g_per_kwh"


def test_instruments_and_the_rest_are_told_apart() -> None:
    month = one_month()
    month.tables["sites"][0]["residual_g_per_kwh"] = "500"
    month.tables["instruments"] = [
        {"instrument": "late", "market": "k", "type": "contract", "kwh": "1000", "g_per_kwh": "20"},
        {"instrument": "first", "market": "k", "type": "EAC", "kwh": "50", "g_per_kwh": "0", "vintage": "2025-03"},
    ]
    target = Target("k", "web", "a")
    usage = month.usage("k", prepare(month.activity))
    (lineage,) = trace(month.activity, target, usage, lines=["scope2_mbm"])
    found = [(one.quantity, one.factor.name, one.factor.vintage) for one in lineage.postings if one.factor]
    assert found == [(Fraction(50), "EAC first", "2025-03"), (Fraction(100), "contract late", "2025-06")]
    month.tables["instruments"].pop(0)
    month = Package(month.manifest, month.tables)
    (lineage,) = trace(month.activity, target, usage, lines=["scope2_mbm"])
    assert [one.factor.name for one in lineage.postings if one.factor] == ["EAC first", "residual_g_per_kwh"]


@pytest.mark.parametrize("line", ["scope2_lbm", ENERGY_LINE])
def test_lines_can_be_chosen(line: str) -> None:
    month = one_month()
    usage = month.usage("k", prepare(month.activity))
    assert [one.line for one in trace(month.activity, Target("k", "web", "a"), usage, lines=[line])] == [line]
