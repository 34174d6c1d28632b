"""Random numbers depend on the place alone."""

import numpy as np
import pytest

from allocation.exchange.estate.streams import Purpose, stream


def test_a_place_has_the_same_numbers_whatever_was_drawn_before() -> None:
    alone = stream(1, Purpose.USAGE, 0, 2, 3).random(1000)
    for other in range(50):
        stream(1, Purpose.USAGE, 0, 2, other).random(77)
    assert np.array_equal(stream(1, Purpose.USAGE, 0, 2, 3).random(1000), alone)


def test_streams_of_other_seeds_purposes_and_places_share_nothing() -> None:
    places = [(1, Purpose.USAGE, (0, 0, 0)), (2, Purpose.USAGE, (0, 0, 0)), (1, Purpose.PLANT, (0, 0, 0))]
    places += [(1, Purpose.USAGE, place) for place in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (2, 1, 0))]
    drawn = np.concatenate([stream(seed, purpose, *place).random(10_000) for seed, purpose, place in places])
    assert len(np.unique(drawn)) == len(drawn)


@pytest.mark.parametrize("place", [(-1,), (2**64,), (1, 2, 3, 4)])
def test_a_place_that_has_no_stream_is_refused(place: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a place is"):
        stream(1, Purpose.USAGE, *place)
