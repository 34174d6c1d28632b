"""Usage rows: reproducible in any order, and distributed as the real ones that they are fitted to."""

import numpy as np
import pytest

from allocation.exchange.estate.enterprises import enterprise_weights
from allocation.exchange.estate.estates import EstatePlan, draw_estate
from allocation.exchange.estate.marginals import Marginals, read_marginals
from allocation.exchange.estate.population import FOREVER
from allocation.exchange.estate.usage import CHUNK_ROWS, QUANTITY_SCALE, Demand, Rows
from tests.allocation.estate.samples import FIXTURES, plan


@pytest.fixture(scope="module")
def marginals() -> Marginals:
    return read_marginals(FIXTURES)


def demand_of(given: EstatePlan) -> Demand:
    return draw_estate(given, FIXTURES).providers[0].demand


@pytest.fixture(scope="module")
def large() -> Demand:
    return demand_of(plan(accounts=2000, rows=400_000, styles=("aws-v2",), enterprises=1))


def all_rows(demand: Demand, month: int) -> Rows:
    parts = [
        demand.rows(cluster, chunk, month)
        for cluster in range(len(demand.clusters))
        for chunk in demand.chunks(cluster)
    ]
    names = ("account", "product", "group", "quantity_micro")
    return Rows(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def test_a_chunk_drawn_alone_and_last_is_the_one_drawn_in_turn(large: Demand) -> None:
    in_turn = {(chunk, month): large.rows(0, chunk, month) for month in range(3) for chunk in large.chunks(0)}
    assert len(large.chunks(0)) >= 2
    for (chunk, month), rows in sorted(in_turn.items(), reverse=True):
        fresh = demand_of(plan(accounts=2000, rows=400_000, styles=("aws-v2",), enterprises=1))
        again = fresh.rows(0, chunk, month)
        assert np.array_equal(again.account, rows.account)
        assert np.array_equal(again.product, rows.product)
        assert np.array_equal(again.group, rows.group)
        assert np.array_equal(again.quantity_micro, rows.quantity_micro)


def test_months_share_their_rows_but_not_their_quantities(large: Demand) -> None:
    open_ended = plan(accounts=3, rows=5000, styles=("aws-v2",), enterprises=3)  # management accounts: always open
    demand = demand_of(open_ended)
    first, second = demand.rows(0, 0, 0), demand.rows(0, 0, 1)
    assert np.array_equal(first.account, second.account)
    ratio = second.quantity_micro / np.maximum(1, first.quantity_micro)
    clear = np.abs(first.quantity_micro) > 10**6
    assert 0.5 < np.median(ratio[clear]) < 1.5
    assert not np.array_equal(first.quantity_micro, second.quantity_micro)
    chunks = [large.rows(0, chunk, 0) for chunk in large.chunks(0)]
    assert not np.array_equal(chunks[0].quantity_micro[:1000], chunks[1].quantity_micro[:1000])


def test_another_seed_gives_other_rows() -> None:
    first = demand_of(plan(seed=1)).rows(0, 0, 0)
    second = demand_of(plan(seed=2)).rows(0, 0, 0)
    assert first.quantity_micro[:50].tolist() != second.quantity_micro[:50].tolist()


def test_there_are_as_many_rows_as_asked_while_all_accounts_are_open() -> None:
    demand = demand_of(plan(accounts=3, rows=CHUNK_ROWS * 2 + 1, styles=("aws-v2",), enterprises=3))
    assert int(demand.row_counts.sum()) == CHUNK_ROWS * 2 + 1
    assert len(all_rows(demand, 0).account) == CHUNK_ROWS * 2 + 1


def test_accounts_have_rows_when_they_are_open_and_only_then() -> None:
    demand = demand_of(plan(accounts=3000, rows=30_000, months=6, styles=("aws-v2",)))
    population = demand.population
    late = np.flatnonzero(population.opened > 2)
    gone = np.flatnonzero(population.closed <= 3)
    assert len(late) > 5
    assert len(gone) > 2
    for month in range(6):
        seen = np.zeros(3000, dtype=bool)
        seen[all_rows(demand, month).account] = True
        assert np.array_equal(seen, (population.opened <= month) & (month < population.closed))


def test_rows_per_account_follow_zipf_and_mandelbrot_within_an_enterprise(large: Demand, marginals: Marginals) -> None:
    population = large.population
    always = (population.opened == 0) & (population.closed == FOREVER)
    counts = np.bincount(all_rows(large, 0).account, minlength=2000)
    expected = marginals.rank_weights(2000) * 400_000
    # One row each is certain; the rest are drawn. Four standard deviations.
    drawn = expected * (1 - 2000 / 400_000)
    for rank in (rank for rank in range(50) if always[rank]):
        assert abs(counts[rank] - 1 - drawn[rank]) < 4 * np.sqrt(drawn[rank]) + 0.02 * drawn[rank]
    ranks = np.flatnonzero(always[:300])
    slope = np.polyfit(np.log(ranks + 1 + 0.30), np.log(counts[ranks]), 1)[0]
    assert slope == pytest.approx(-1.282, abs=0.04)


def test_products_have_their_share_of_rows(large: Demand, marginals: Marginals) -> None:
    counts = np.bincount(all_rows(large, 0).product, minlength=len(marginals.products))
    rows = np.array([product.rows for product in marginals.products])
    expected = rows / rows.sum() * counts.sum()
    assert len(counts) == 20
    # Chi-squared with 19 degrees of freedom: 43.8 is exceeded once in a thousand seeds.
    assert ((counts - expected) ** 2 / expected).sum() < 43.8


def test_quantities_have_the_medians_of_their_units(large: Demand, marginals: Marginals) -> None:
    rows = all_rows(large, 0)
    units = np.array([product.unit for product in large.products])[rows.product]
    quantity = np.abs(rows.quantity_micro) / 10**6 / QUANTITY_SCALE
    requests = marginals.quantities["Requests"].components[0]
    # ceil() of a lognormal whose median is e^mu: between it and one more, give or take season and growth.
    assert np.exp(requests.mu) * 0.9 < np.median(quantity[units == "Requests"]) < (np.exp(requests.mu) + 1) * 1.2
    whole_hours = (quantity[units == "Hours"] > 0.8).mean()
    assert 0.746 < whole_hours < 0.90
    logs = np.log(quantity[units == "GB"][quantity[units == "GB"] > 0])
    assert np.quantile(logs, 0.9) > -5  # the third component of the mixture: the tail that carries the sum
    assert np.quantile(logs, 0.1) < -14  # the first: crumbs


def test_some_rows_are_credits_and_some_untagged(large: Demand, marginals: Marginals) -> None:
    rows = all_rows(large, 0)
    assert (rows.quantity_micro < 0).mean() == pytest.approx(marginals.credit_share, rel=0.2)
    assert (rows.group > 0).mean() == pytest.approx(marginals.tagged_share, abs=0.01)
    assert rows.group.max() <= large.population.group_count.max()


def test_enterprises_weigh_lognormally(marginals: Marginals) -> None:
    logs = np.log(enterprise_weights(3, 5000, marginals))
    assert logs.std() == pytest.approx(1.43, abs=0.05)
    assert np.exp(logs).sum() == pytest.approx(1)
