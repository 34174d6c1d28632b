"""The oracle against months solved by hand, published examples and its own invariants."""

import csv
import random
from fractions import Fraction
from pathlib import Path

import pytest

from tests.oracle.demand import Leaf
from tests.oracle.draft import Draft, TomlValue
from tests.oracle.generator import random_draft, write_random_history, write_random_package
from tests.oracle.ledger import (
    allocate,
    apportion,
    expected_energy_wh,
    expected_ledger,
    six_decimals,
)
from tests.oracle.postings import embodied_ug
from tests.oracle.table import Finding, Row

PACKAGES = Path(__file__).parents[1] / "packages"
UG_PER_KG = 10**9
SEEDS = range(40)

SOLVED = {
    "a_aws_like": [Finding("INELIGIBLE_INSTRUMENT", "flag", "instruments.csv", 4)],
    "b_alibaba_like": [],
    "c_ibm_like": [
        Finding("SURPLUS_INSTRUMENT", "flag", "instruments.csv", 3),
        Finding("BOTTOM_UP_SITE", "flag", "sites.csv", 4),
        Finding("BOTTOM_UP_SITE", "flag", "sites.csv", 5),
        Finding("NO_RESIDUAL_MIX", "flag", "sites.csv", 5),
    ],
}


def ledger_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def kg_by(text: str, *columns: str) -> dict[str, Fraction]:
    """Kilograms summed by some columns of a ledger, joined by a blank."""
    sums: dict[str, Fraction] = {}
    for row in ledger_rows(text):
        key = " ".join(row[column] for column in columns)
        sums[key] = sums.get(key, Fraction(0)) + Fraction(row["ug"]) / UG_PER_KG
    return sums


def one_cluster(**options: TomlValue) -> Draft:
    """A cluster with a site of 1000 kWh and services and accounts to choose from."""
    draft = Draft(
        {"format_version": 1, "provider": "test", "month": "2025-06", "timezone": "UTC"},
        {"name": "test", "version": "1", "preset": "custom", "gwp_set": "AR6"},
        {"lines": ["scope3_other", "scope3_embodied"], "closure_tolerance": "999", **options},
    )
    draft.add("clusters", {"cluster": "k", "kind": "region"})
    site = {"site": "i", "cluster": "k", "boundary": "scope2", "it_kwh": "1000", "pue": "1"}
    draft.add("sites", site | {"location_g_per_kwh": "1"})
    draft.add("services", *({"service": s, "unit": "h"} for s in ("s1", "s2", "s3")))
    draft.add("accounts", *({"account": a} for a in ("a1", "a2", "a3")))
    return draft.add("racks").add("usage")


def dedicated(draft: Draft, **kwh: str) -> Draft:
    for service, it_kwh in kwh.items():
        rack = {"rack": f"rack {service}", "cluster": "k", "role": "service", "service": service}
        draft.add("racks", rack | {"it_kwh": it_kwh})
    return draft


def sold(draft: Draft, service: str, **quantities: str) -> Draft:
    for account, quantity in quantities.items():
        row = {"cluster": "k", "service": service, "account": account, "quantity": quantity}
        draft.add("usage", row)
    return draft


def pool(draft: Draft, kg: str, line: str = "scope3_other") -> Draft:
    return draft.add("shared_pools", {"pool": "p", "line": line, "kg_co2e": kg})


@pytest.mark.parametrize("name", SOLVED)
def test_months_solved_by_hand(name: str) -> None:
    text, findings = expected_ledger(PACKAGES / name)
    assert text.encode() == (PACKAGES / name / "expected_ledger.csv").read_bytes()
    assert findings == SOLVED[name]


def castleford(**options: TomlValue) -> Draft:
    """A textbook's company: two support departments serve each other and two others.

    Horngren, Datar, Rajan, Cost Accounting, chapter on support-department cost allocation: plant
    maintenance 6 300 000, information systems 1 452 150.
    """
    draft = dedicated(one_cluster(**options), s1="6300000", s2="1452150")
    pool(draft, "7752150")
    sold(draft, "s1", a1="2400", a2="4000")
    sold(draft, "s2", a1="1600", a2="200")
    use = {"cluster": "k", "quantity": "1600", "service": "s1", "consumer": "s2"}
    draft.add("service_use", use, use | {"quantity": "200", "service": "s2", "consumer": "s1"})
    return draft


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"s1 a1": 1973025, "s1 a2": 3288375, "s2 a1": 2214000, "s2 a2": 276750}),
        (
            {"dependencies": "step_down", "step_down_order": ["s1"]},
            {"s1 a1": 1890000, "s1 a2": 3150000, "s2 a1": 2410800, "s2 a2": 301350},
        ),
        (
            {"dependencies": "direct"},
            {"s1 a1": 2362500, "s1 a2": 3937500, "s2 a1": 1290800, "s2 a2": 161350},
        ),
    ],
    ids=["reciprocal", "step_down", "direct"],
)
def test_textbook_support_departments(options: dict[str, TomlValue], expected: dict[str, int], tmp_path: Path) -> None:
    text, _ = expected_ledger(castleford(**options).write(tmp_path / "p"))
    assert kg_by(text, "service", "account") == expected


def test_using_oneself_changes_nothing(tmp_path: Path) -> None:
    plain, _ = expected_ledger(castleford().write(tmp_path / "plain"))
    draft = castleford()
    itself = {"cluster": "k", "service": "s1", "consumer": "s1", "quantity": "12345.6"}
    again, _ = expected_ledger(draft.add("service_use", itself).write(tmp_path / "again"))
    assert again == plain


def leaves(weights: dict[str, int], total: int) -> dict[Leaf, Fraction]:
    whole = sum(weights.values())
    return {Leaf("k", "s", a, "g"): Fraction(total * w, whole) for a, w in weights.items()}


# Populations of 1791 and the 120 seats that Hamilton's method gives (Balinski and Young, Fair
# Representation).
STATES = {
    "Virginia": (630_560, 21),
    "Massachusetts": (475_327, 16),
    "Pennsylvania": (432_879, 14),
    "North Carolina": (353_523, 12),
    "New York": (331_589, 11),
    "Maryland": (278_514, 9),
    "Connecticut": (236_841, 8),
    "South Carolina": (206_236, 7),
    "New Jersey": (179_570, 6),
    "New Hampshire": (141_822, 5),
    "Vermont": (85_533, 3),
    "Georgia": (70_835, 2),
    "Kentucky": (68_705, 2),
    "Rhode Island": (68_446, 2),
    "Delaware": (55_540, 2),
}


def test_hamiltons_own_table() -> None:
    seats = apportion(120, leaves({state: people for state, (people, _) in STATES.items()}, 120))
    assert {leaf.account: n for leaf, n in seats.items()} == {s: n for s, (_, n) in STATES.items()}


@pytest.mark.parametrize(("total", "expected"), [(10, [4, 4, 2]), (11, [5, 5, 1])])
def test_alabama_paradox(total: int, expected: list[int]) -> None:
    assert list(apportion(total, leaves({"A": 6, "B": 6, "C": 2}, total)).values()) == expected


def test_ties_go_to_the_smallest_joined_key() -> None:
    # As tuples "a" comes before "a!"; as keys "a!|..." comes before "a|...".
    tied = leaves({"a": 1, "a!": 1, "a~": 1}, 2)
    assert {leaf.account: n for leaf, n in apportion(2, tied).items()} == {"a!": 1, "a": 1, "a~": 0}


def half_used(**options: TomlValue) -> Draft:
    """R1 400 kWh half used by s1, R2 400 kWh all s2's, R3 200 kWh used by nobody."""
    draft = dedicated(one_cluster(**options), s2="400")
    half = {"rack": "R1", "cluster": "k", "role": "service", "it_kwh": "400"}
    draft.add("racks", half, half | {"rack": "R3", "it_kwh": "200"})
    cpu = {"rack": "R1", "resource": "cpu"}
    draft.add("rack_resources", cpu | {"weight": "2", "capacity": "10"})
    draft.add("rack_use", cpu | {"service": "s1", "used": "5"})
    # With the 100 kg of R1's own asset on its line, 1100 kg; 1000 kg on the other.
    life = {"life_months": "1", "in_service": "2025-06", "embodied_kg": "100"}
    draft.add("assets", {"asset": "x", "owner_kind": "rack", "owner": "R1", "category": "other"} | life)
    pool(pool(draft, "1000"), "1000", "scope3_embodied")
    return sold(sold(draft, "s1", a1="1"), "s2", a1="1")


THIRD = Fraction(1000, 3)


@pytest.mark.parametrize(
    ("unused", "other", "embodied"),
    [
        # pools of 200 + 200 and 250 + 200 kg, spread 200 : 400 kWh
        ("cluster_pool_energy", (THIRD, 2 * THIRD), (400, 700)),
        # R1's half stays with s1; the 200 kg of R3 are spread 200 : 400 kWh
        ("rack_local", (400 + THIRD / 5, 600 - THIRD / 5), (500 + THIRD / 5, 600 - THIRD / 5)),
        # spread 200 : 400 kg and 250 : 400 kg
        ("service_pool", (THIRD, 2 * THIRD), (Fraction(5500, 13), Fraction(8800, 13))),
        ("provider", (200, 400, 400), (250, 400, 450)),
    ],
)
def test_unused_capacity(
    unused: str, other: tuple[Fraction, ...], embodied: tuple[Fraction, ...], tmp_path: Path
) -> None:
    text, findings = expected_ledger(half_used(unused=unused).write(tmp_path / "p"))
    assert {finding.code for finding in findings} == {"NO_RESIDUAL_MIX", "LINE_EXCLUDED"}
    services = ["s1", "s2", "(unused)"]
    kg = kg_by(text, "line", "service")
    for line, amounts in (("scope3_other", other), ("scope3_embodied", embodied)):
        for service, amount in zip(services, amounts, strict=False):
            assert abs(kg[f"{line} {service}"] - amount) < Fraction(1, UG_PER_KG)
    accounts = {row["account"] for row in ledger_rows(text)}
    assert accounts == ({"a1", "(provider)"} if unused == "provider" else {"a1"})


def unsold(**options: TomlValue) -> Draft:
    """s1 has 300 kg and sells, s2 has 100 kg and sells nothing."""
    draft = pool(dedicated(one_cluster(**options), s1="300", s2="100"), "400")
    return sold(draft, "s1", a1="2", a2="1")


def test_service_without_usage_becomes_overhead_of_the_cluster(tmp_path: Path) -> None:
    text, _ = expected_ledger(unsold().write(tmp_path / "p"))
    assert kg_by(text, "service", "account") == pytest.approx(
        {"s1 a1": Fraction(800, 3), "s1 a2": Fraction(400, 3)}, abs=1e-8
    )


def test_service_without_usage_stays_unallocated(tmp_path: Path) -> None:
    text, findings = expected_ledger(unsold(fallback=["unallocated"]).write(tmp_path / "p"))
    assert kg_by(text, "service", "account") == {"s1 a1": 200, "s1 a2": 100, "s2 (unallocated)": 100}
    assert Finding("NO_USAGE_FALLBACK", "flag", "usage.csv", None) in findings


def test_service_without_usage_takes_earlier_shares(tmp_path: Path) -> None:
    options: dict[str, TomlValue] = {
        "fallback": ["previous_shares", "unallocated"],
        "fallback_months": 2,
    }
    history = []
    months = [("2025-03", "1", "1"), ("2025-04", "9", "1"), ("2025-04", "3", "1"), ("2025-05", "0", "0")]
    for n, (month, of_a1, of_a3) in enumerate(months):
        earlier = unsold(**options)
        earlier.identity["month"] = month
        sold(earlier, "s2", a1=of_a1, a3=of_a3)
        history.append(earlier.write(tmp_path / f"{n}"))
    package = unsold(**options).write(tmp_path / "p")
    # May has no shares, April's newest package has 3 : 1.
    text, _ = expected_ledger(package, history)
    expected = {"s1 a1": 200, "s1 a2": 100, "s2 a1": 75, "s2 a3": 25}
    assert kg_by(text, "service", "account") == expected
    # March is too far away.
    text, _ = expected_ledger(package, history[:1])
    assert kg_by(text, "service", "account")["s2 (unallocated)"] == 100


def test_closed_class_moves_on_as_overhead(tmp_path: Path) -> None:
    draft = pool(dedicated(one_cluster(closed_class="overhead"), s1="300", s2="100"), "400")
    sold(draft, "s1", a1="1")
    use = {"cluster": "k", "quantity": "1"}
    draft.add("service_use", use | {"service": "s1", "consumer": "s2"})
    draft.add("service_use", use | {"service": "s2", "consumer": "s3"})
    draft.add("service_use", use | {"service": "s3", "consumer": "s2"})
    draft.options["fallback"] = ["unallocated"]
    text, _ = expected_ledger(draft.write(tmp_path / "p"))
    # s1 sells half; s2 keeps its own 100 kg and the other half.
    assert kg_by(text, "service", "account") == {"s1 a1": 150, "s2 (unallocated)": 250}


ASSET = {"embodied_kg": "0.000000100", "life_months": "7", "in_service": "2025-01"}


@pytest.mark.parametrize(
    ("policy", "retired", "posted"),
    [
        ("continue", "", [14, 14, 14, 15, 14, 14, 15, 0]),
        ("continue", "2025-03", [14, 14, 14, 15, 14, 14, 15, 0]),
        ("transfer", "2025-03", [14, 14, 14, 0, 0, 0, 0, 0]),
        ("write_off", "2025-03", [14, 14, 72, 0, 0, 0, 0, 0]),
        ("write_off", "2025-08", [14, 14, 14, 15, 14, 14, 15, 0]),
    ],
)
def test_embodied_months(policy: str, retired: str, posted: list[int]) -> None:
    row = Row(2, ASSET | ({"retired": retired} if retired else {}))
    months = [f"2025-{month:02d}" for month in range(1, 9)]
    assert [embodied_ug(row, month, policy) for month in months] == posted
    assert embodied_ug(row, "2024-12", policy) == 0


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (Fraction(0), "0.000000"),
        (Fraction(1), "1.000000"),
        (Fraction(1, 2 * 10**6), "0.000000"),
        (Fraction(3, 2 * 10**6), "0.000002"),
        (Fraction(2, 3), "0.666667"),
    ],
)
def test_shares_are_rounded_half_to_even(share: Fraction, text: str) -> None:
    assert six_decimals(share) == text


def test_energy_of_a_month_solved_by_hand() -> None:
    wh = expected_energy_wh(PACKAGES / "b_alibaba_like")
    assert wh[Leaf("cn-test-a", "ECS", "T1", "default")] == 16_000_000
    assert wh[Leaf("cn-test-b", "OSS", "T2", "default")] == 8_100_000
    assert Leaf("cn-test-a", "CDN", "T2", "default") not in wh
    assert sum(wh.values()) == 90_000_000


@pytest.mark.parametrize("seed", SEEDS)
def test_random_packages_are_valid_and_nothing_is_lost(seed: int, tmp_path: Path) -> None:
    package = write_random_package(tmp_path / "package", seed)
    history = write_random_history(tmp_path, seed)
    text, findings = expected_ledger(package, history)
    assert {finding.severity for finding in findings} <= {"flag"}
    allocation = allocate(package, history)
    sums: dict[tuple[str, str], int] = {}
    for row in ledger_rows(text):
        assert int(row["ug"]) >= 0
        assert 0 <= Fraction(row["estimated_share"]) <= 1
        pair = (row["cluster"], row["line"])
        sums[pair] = sums.get(pair, 0) + int(row["ug"])
    totals = {pair: source.total_ug for pair, source in allocation.sources.items()}
    assert sums == {pair: total for pair, total in totals.items() if pair in sums}
    assert not any(total for pair, total in totals.items() if pair not in sums)
    energy = sum((site.energy_kwh for site in allocation.energy.sites.values()), Fraction(0))
    wh = sum(expected_energy_wh(package, history).values())
    assert abs(wh - energy * 1000) <= len(allocation.clusters)


@pytest.mark.parametrize("seed", SEEDS[:15])
def test_style_and_order_of_the_files_change_nothing(seed: int, tmp_path: Path) -> None:
    draft = random_draft(seed)
    plain, _ = expected_ledger(draft.write(tmp_path / "plain"))
    style = random.Random(seed)  # noqa: S311 -- repeatable test data, nothing secret
    styled, _ = expected_ledger(draft.write(tmp_path / "styled", style))
    assert styled == plain
    assert plain


def test_a_seed_gives_the_same_package_again(tmp_path: Path) -> None:
    first, second = (write_random_package(tmp_path / name, 7) for name in ("first", "second"))
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in second.iterdir())
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)
