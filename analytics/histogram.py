"""Durations as counts in buckets, so that percentiles can be read from sums: of a minute, of a month, of any mix of calls.

Bucket 0 holds what is at most 1 ms; each further bound is 2**(1/4) (about 19 %) above the one before, and the last bucket holds
the rest, from about 15 minutes up. A percentile is interpolated inside its bucket: at most 19 % off, mostly far less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

STEPS_PER_DOUBLING = 4
BUCKETS = 80
_LONGEST_MS = 2 ** ((BUCKETS - 1) / STEPS_PER_DOUBLING)


def bucket(duration_ms: float) -> int:
    """Which bucket a duration falls into; what is no number goes into the last."""
    if duration_ms <= 1:
        return 0
    if not duration_ms <= _LONGEST_MS:
        return BUCKETS - 1
    return math.ceil(STEPS_PER_DOUBLING * math.log2(duration_ms))


def upper_ms(index: int) -> float:
    """The largest duration of a bucket; of the last one, where it would end if it did."""
    return float(2 ** (index / STEPS_PER_DOUBLING))


def percentile(counts: Sequence[int], share: float) -> float | None:
    """The duration in milliseconds that `share` (0 to 1) of the calls did not pass; None where there were none."""
    total = sum(counts)
    if not total:
        return None
    wanted, seen = share * total, 0
    for index, count in enumerate(counts):
        if count and seen + count >= wanted:
            lower = upper_ms(index - 1) if index else 0.0
            return lower + (upper_ms(index) - lower) * max(0.0, wanted - seen) / count
        seen += count
    raise AssertionError("the counts hold their own total")


def merged(several: Sequence[Sequence[int]]) -> list[int]:
    """The sum of histograms."""
    return [sum(column) for column in zip(*several, strict=True)] or [0] * BUCKETS
