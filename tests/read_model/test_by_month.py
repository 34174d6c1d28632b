import datetime as dt

from accounts.months import Period
from accounts.policies import viewer_of
from allocation.policies import Kind, NodeKey, Question
from allocation.selectors import emissions, publications
from allocation.selectors.amounts import Method
from allocation.selectors.statuses import Presence
from tests.read_model.world import World, month

NOW = dt.datetime(2025, 7, 1, tzinfo=dt.UTC)
MONTHS = [month(f"2025-0{n}") for n in range(1, 5)]


def ask(world, who, start="2025-01", until="2025-05"):
    viewer = viewer_of(world.made[who], now=NOW)
    return Question(viewer, publications.current(), Period(month(start), month(until)))


def node(world, kind, code):
    return NodeKey(kind, world.made[code].pk)


def series(world, who, kind, code, **period):
    key = node(world, kind, code)
    return emissions.by_month(question=ask(world, who, **period), nodes=[key])[key]


def test_viewer_of_directory(world: World):
    found = series(world, "northerner", Kind.RESOURCE_DIRECTORY, "north")
    for point in found.points:
        want = world.total_ug(month=[point.month], account=["mover", "deep", "still", "direct"])
        assert point.figure.ug(Method.LOCATION_BASED) == want
        assert point.figure.presence == Presence.WHOLE
    assert found.omissions == ()


def test_a(world: World):
    found = series(world, "viewer-a", Kind.ACCOUNT_GROUP, "a")
    for point in found.points:
        inside = ["deep", "mover"] if point.month < month("2025-03") else ["deep"]
        assert point.figure.ug(Method.MARKET_BASED) == world.total_ug(
            "market_based", month=[point.month], account=inside
        )


def test_all(world: World):
    for who in ("owner", "northerner", "viewer-a", "viewer-b", "viewer-mover", "viewer-team", "nobody", "operator"):
        for kind, code in (
            (Kind.ENTERPRISE_PARENT, "acme"),
            (Kind.RESOURCE_DIRECTORY, "north"),
            (Kind.ACCOUNT_GROUP, "a"),
            (Kind.ACCOUNT_GROUP, "a1"),
            (Kind.ACCOUNT_GROUP, "b"),
            (Kind.MISCELLANEOUS, "north"),
            (Kind.ACCOUNT, "mover"),
            (Kind.ACCOUNT, "deep"),
            (Kind.ACCOUNT, "alone"),
            (Kind.RESOURCE_GROUP, "deep/team"),
        ):
            found = series(world, who, kind, code)
            print(
                who,
                code,
                [(p.figure.presence.value, p.figure.ug(Method.LOCATION_BASED)) for p in found.points],
                found.omissions,
            )
