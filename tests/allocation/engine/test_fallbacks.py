"""Where amounts go that no usage takes, and how what goes there is written down."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from allocation.engine.fallbacks import fall_back
from allocation.engine.findings import Findings
from allocation.engine.plan import prepare
from allocation.engine.pools import reject_pool
from allocation.engine.sources import Sources
from allocation.engine.units import ZERO
from tests.allocation.engine.test_lineage import one_month


def test_a_leaf_with_less_than_a_microgram_bears_overhead() -> None:
    options = replace(one_month().activity.header.options, fallback=("cluster_overhead", "unallocated"))
    half = Fraction(1, 2)
    found = fall_back({"disk": (Fraction(3), ZERO)}, (half, ZERO), options, [0], lambda _service: False)
    assert found.overhead == (Fraction(6), ZERO)
    assert (found.unallocated, found.paths) == ({}, {"disk": ["cluster_overhead"]})


def test_rows_that_post_twice_to_a_line_add_up() -> None:
    sources = Sources()
    origin = ("sites", "s")
    for amount in (Fraction(1, 3), Fraction(2, 3)):
        sources.post("k", "scope1", amount, 0, origin)
    ((_, source),) = sources.items()
    assert (source.origins, source.total_ug) == ({origin: Fraction(1)}, 1)


def test_what_belongs_to_the_whole_provider_is_called_so() -> None:
    findings = Findings()
    reject_pool("assets.csv", 2, None, findings)
    (finding,) = findings.as_tuple()
    assert finding.message == "the provider has no active cluster, or the drivers of its clusters add up to 0"


def test_a_plan_knows_the_energy_of_its_sites() -> None:
    sites = prepare(one_month().activity).sites
    assert [(code, int(site.it_kwh), int(site.facility_kwh)) for code, site in sites.items()] == [("s", 100, 150)]
