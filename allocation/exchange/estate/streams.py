"""Random numbers that depend on where they are used, never on the order of use.

Each place (provider, cluster, chunk, month ...) has a stream of its own: Philox is a counter-based generator, the place
sets the counter's high words and the purpose its key. So any month or chunk can be drawn alone and gives the same.
"""

from __future__ import annotations

import enum

import numpy as np


class Purpose(enum.IntEnum):
    """What a stream is for; streams of different purposes are independent."""

    ENTERPRISES = 1
    ACCOUNTS = 2
    TREE = 3
    USAGE = 4
    MONTHLY_NOISE = 5
    PLANT = 6


_WORD = 2**64


def stream(seed: int, purpose: Purpose, *place: int) -> np.random.Generator:
    """Random numbers of one place.

    Args:
        seed: of the whole estate.
        purpose: what they are for.
        place: up to three whole numbers in [0, 2**64).

    Returns:
        A generator with 2**64 numbers before it would meet another place's.

    Raises:
        ValueError: more than three numbers, or one out of range.
    """
    if len(place) > 3 or any(not 0 <= number < _WORD for number in place):  # noqa: PLR2004 words of a counter
        raise ValueError(f"a place is up to three numbers in [0, 2**64), not {place}")
    words = [0, *place, *([0] * (3 - len(place)))]  # the generator itself counts in the first word
    key = np.array([seed % _WORD, int(purpose)], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=np.array(words, dtype=np.uint64)))
