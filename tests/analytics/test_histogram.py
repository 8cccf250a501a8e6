from __future__ import annotations

import math
import random

import pytest

from analytics import histogram


@pytest.mark.parametrize("duration_ms", [-1.0, 0.0, 0.5, 1.0])
def test_what_is_at_most_a_millisecond_is_in_the_first_bucket(duration_ms):
    assert histogram.bucket(duration_ms) == 0


@pytest.mark.parametrize("duration_ms", [1e9, math.inf, math.nan])
def test_what_is_too_long_or_no_number_is_in_the_last_bucket(duration_ms):
    assert histogram.bucket(duration_ms) == histogram.BUCKETS - 1


@pytest.mark.parametrize("index", range(1, histogram.BUCKETS - 1))
def test_a_bound_belongs_to_its_own_bucket(index):
    upper = histogram.upper_ms(index)
    assert histogram.bucket(upper * 0.999) == index
    assert histogram.bucket(upper * 1.001) == index + 1


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_a_percentile_is_near_the_true_one(share):
    draw = random.Random(7)
    durations = sorted(draw.lognormvariate(6, 1) for _ in range(20_000))
    counts = [0] * histogram.BUCKETS
    for duration in durations:
        counts[histogram.bucket(duration)] += 1
    true = durations[int(share * len(durations))]
    assert histogram.percentile(counts, share) == pytest.approx(true, rel=0.05)


def test_the_percentile_of_nothing_is_nothing():
    assert histogram.percentile([0] * histogram.BUCKETS, 0.5) is None


def test_histograms_add_up():
    assert histogram.merged([[1, 0, 2], [0, 3, 1]]) == [1, 3, 3]
    assert histogram.merged([]) == [0] * histogram.BUCKETS
