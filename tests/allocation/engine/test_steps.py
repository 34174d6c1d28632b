"""Steps of a lineage that are brought together: nothing is lost, and what differs stays apart."""

from __future__ import annotations

from fractions import Fraction

from allocation.engine.lineage.steps import (
    WHOLE,
    Division,
    Driver,
    Graph,
    Place,
    PlaceKind,
    Stage,
    brought_together,
)

HERE = Place(PlaceKind.CLUSTER, "k")
WEB, DISK = Place(PlaceKind.SERVICE, "web"), Place(PlaceKind.SERVICE, "disk")
OTHERS = Place(PlaceKind.RACK, "(3 others)")
HALF = Division(Driver.UTILISATION, Fraction(1), Fraction(2))


def four_racks() -> Graph:
    """100 µg over racks of 4, 3, 2 and 1 kWh; each serves `web` and `disk` alike, the smallest an asset more."""
    graph = Graph()
    graph.begin(HERE, Fraction(100))
    for kwh in (4, 3, 2, 1):
        rack = Place(PlaceKind.RACK, f"r{kwh}")
        graph.add(Stage.CLUSTER_TO_RACK, HERE, rack, Division(Driver.IT_KWH, Fraction(kwh), Fraction(10)))
    smallest = Place(PlaceKind.RACK, "r1")
    graph.add(Stage.ASSET_TO_RACK, Place(PlaceKind.SOURCE, "a"), smallest, WHOLE, amount_in=Fraction(6))
    for kwh in (4, 3, 2, 1):
        for service in (WEB, DISK):
            graph.add(Stage.RACK_TO_SERVICE, Place(PlaceKind.RACK, f"r{kwh}"), service, HALF)
    return graph


def test_smaller_places_become_one_by_where_their_amounts_come_from_and_go_to() -> None:
    steps = brought_together(four_racks().steps, PlaceKind.RACK, 1)
    together = {
        (step.stage, step.source, step.target): (step.weight, step.total, step.amount_in, step.members)
        for step in steps
        if OTHERS in {step.source, step.target}
    }
    # 60 µg by energy and 6 of the asset come in; 33 go to each service.
    assert {key: (int(w), int(t), int(a), members) for key, (w, t, a, members) in together.items()} == {
        (Stage.CLUSTER_TO_RACK, HERE, OTHERS): (6, 10, 100, 3),
        (Stage.ASSET_TO_RACK, Place(PlaceKind.SOURCE, "a"), OTHERS): (1, 1, 6, 1),
        (Stage.RACK_TO_SERVICE, OTHERS, WEB): (33, 66, 66, 3),
        (Stage.RACK_TO_SERVICE, OTHERS, DISK): (33, 66, 66, 3),
    }
    apart = [step for step in steps if OTHERS not in {step.source, step.target}]
    assert {place for step in apart for place in (step.source, step.target)} == {
        HERE,
        Place(PlaceKind.RACK, "r4"),
        WEB,
        DISK,
    }


def test_where_there_are_few_nothing_is_brought_together() -> None:
    steps = four_racks().steps
    assert brought_together(steps, PlaceKind.RACK, 4) == steps
