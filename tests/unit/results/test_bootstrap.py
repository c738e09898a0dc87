"""Bootstrap intervals, against formulas and against what is known of the data drawn."""

import math

import numpy as np
import pytest
from pulmoscan.results import bootstrap


def test_one_training_on_independent_images_has_the_interval_of_a_proportion() -> None:
    right = np.zeros((1, 400))
    right[0, :300] = 1
    low, high = bootstrap.interval(right, np.arange(400), resamples=8000)
    half = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    assert low == pytest.approx(0.75 - half, abs=0.004)
    assert high == pytest.approx(0.75 + half, abs=0.004)


def test_copies_of_one_radiograph_count_once() -> None:
    right = np.repeat(np.arange(100) < 75, 4)[None].astype(float)
    groups = np.repeat(np.arange(100), 4)
    low, high = bootstrap.interval(right, groups, resamples=8000)
    half = 1.96 * math.sqrt(0.75 * 0.25 / 100)
    assert high - low == pytest.approx(2 * half, rel=0.06)
    alone = bootstrap.interval(right, np.arange(400), resamples=8000)
    assert alone[1] - alone[0] == pytest.approx(half, rel=0.06)


def test_trainings_that_differ_widen_the_interval() -> None:
    """With all images alike, only the trainings vary: the deviation of a mean of five."""
    levels = np.array([0.2, 0.4, 0.5, 0.6, 0.8])
    low, high = bootstrap.interval(np.tile(levels[:, None], 50), np.arange(50), resamples=20000)
    half = 1.96 * levels.std() / math.sqrt(5)
    assert (high - low) / 2 == pytest.approx(half, rel=0.05)


def test_an_interval_covers_the_truth_at_least_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(300):
        groups = random.integers(0, 120, 150)
        chance = random.beta(7, 3, 120)  # right in 70 % of cases, alike within a group
        right = (random.random((3, 150)) < chance[groups]).astype(float)
        low, high = bootstrap.interval(right, groups, resamples=400)
        covered += low <= 0.7 <= high
    assert covered / 300 >= 0.93


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(0).random((2, 30))
    first = bootstrap.interval(values, np.arange(30), resamples=500)
    assert first == bootstrap.interval(values, np.arange(30), resamples=500)
    assert first != bootstrap.interval(values, np.arange(30), resamples=500, seed=1)


@pytest.mark.parametrize("shape", [(0, 5), (3, 0)])
def test_nothing_has_no_interval(shape: tuple[int, int]) -> None:
    low, high = bootstrap.interval(np.zeros(shape), np.arange(shape[1]), resamples=100)
    assert math.isnan(low)
    assert math.isnan(high)
