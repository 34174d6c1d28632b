"""Quality classes and sets of them (sections 1 and 5).

A quality is its index in `QUALITIES`, from strongest to weakest. A set of classes is a bit mask, so that "the classes
of energy reaching a service" travel through the pipeline with `|`.
"""

from __future__ import annotations

from typing import Final

from allocation.engine.frames import FIRST_ESTIMATED, QUALITIES

METERED: Final = QUALITIES.index("metered")
ESTIMATED_PROFILE: Final = QUALITIES.index("estimated_profile")
REGIONAL_EQUAL_SPLIT: Final = QUALITIES.index("regional_equal_split")
NO_CLASS: Final = 0

_RANK: Final = {quality: rank for rank, quality in enumerate(QUALITIES)}


def rank(quality: str) -> int:
    """Return the index of a quality: 0 is the strongest."""
    return _RANK[quality]


def is_estimated(quality: int) -> bool:
    """Tell whether a quality counts as estimated."""
    return quality >= FIRST_ESTIMATED


def mask(quality: int) -> int:
    """Return the set that holds `quality` alone."""
    return 1 << quality


def weakest(classes: int) -> int:
    """Return the weakest quality of a set; that of the empty set is the strongest quality there is."""
    return max(classes.bit_length() - 1, METERED)
