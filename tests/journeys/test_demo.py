"""A month of the demo, end to end: files, database, worker, publication, and two people who ask over HTTP.

The figures that come back are compared with those of the oracle, which shares no code with any part on the way.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest
from django.conf import settings
from django.utils import timezone

from allocation.exchange.estate.demo import TEAM_GROUP
from allocation.exchange.estate.writing import package_folder
from carbon.demo.logins import demo_operator, prepare_logins
from carbon.demo.months import import_hierarchy, load_month, publish_months, read_demo, unpublished_months
from carbon.demo.questions import ask, roll_up
from tests.oracle.ledger import expected_ledger

if TYPE_CHECKING:
    from allocation.exchange.estate.estates import Estate

JUNE = {"from": "2025-06", "until": "2025-07"}
QUERY = """
query ($period: PeriodInput!) {
  viewer { roles { node {
    name
    emissions(period: $period) { total { location: microgramsCO2e market: microgramsCO2e(method: MARKET_BASED) } }
  } } }
  neighbour: hierarchyNode(by: {kind: ENTERPRISE_PARENT, externalId: "osterfeld"}) { name }
}
"""


def expected_ug(estate: Estate, groups: set[str] | None) -> dict[str, int]:
    """What the company's accounts have to come to in June 2025, by method; only those in some groups, if given."""
    chosen = {
        account.external_id
        for account in estate.organisation.accounts
        if account.directory and "lindenmark" in account.directory
        if groups is None or account.stays[0].group in groups
    }
    sums = {"location": 0, "market": 0}
    for part in estate.providers:
        folder = package_folder(settings.STATE_DIR / "demo", part.provider.code, "2025-06")
        ledger, _ = expected_ledger(folder)
        for row in csv.DictReader(ledger.splitlines()):
            if row["account"] in chosen:
                sums["location"] += 0 if row["line"].endswith("_mbm") else int(row["ug"])
                sums["market"] += 0 if row["line"].endswith("_lbm") else int(row["ug"])
    return sums


@pytest.mark.usefixtures("live_worker")
def test_a_month_of_the_demo_is_what_the_oracle_says_and_each_sees_their_part(
    live_api: str,
) -> None:
    estate = read_demo()
    months = [month for month in unpublished_months(estate) if month.index == 0]
    assert {month.part.provider.code for month in months} == {"tarn", "aldermoor"}
    import_hierarchy(estate)
    for month in months:
        load_month(estate, month)
    published = list(publish_months(months, demo_operator(), lambda: None))
    assert sorted(month.label for month in published) == ["Aldermoor Computing 2025-06", "Tarn Cloud 2025-06"]
    assert all(month.index > 0 for month in unpublished_months(estate))

    _, viewer, lead = prepare_logins(timezone.now())
    url = f"{live_api}/graphql/"
    below = {group.external_id for group in estate.organisation.groups if group.external_id.startswith(TEAM_GROUP)}
    assert len(below) == 3
    for login, groups in ((viewer, None), (lead, below)):
        answer = ask(url, login.token, QUERY, {"period": JUNE})
        (role,) = answer["viewer"]["roles"]
        total = role["node"]["emissions"]["total"]
        assert {method: int(ug) for method, ug in total.items()} == expected_ug(estate, groups)
        assert answer["neighbour"] is None

    top, *children = roll_up(url, viewer.token, "2025-06", "2025-07")
    assert [child.name for child in children] == ["Lindenmark at Tarn Cloud", "Lindenmark at Aldermoor"]
    assert top.location_kg == pytest.approx(sum(child.location_kg or 0 for child in children))
