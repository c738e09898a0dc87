"""Quotas add up, stay close to their proportions, and groups find room."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulmoscan.data import placing

STRATA = st.lists(st.integers(0, 60), min_size=1, max_size=6).map(np.array)


@given(STRATA, st.integers(2, 9))
def test_what_is_dealt_out_differs_by_one_image_at_most(strata, parts):
    quotas = placing.dealt_out(strata, parts)
    assert quotas.shape == (len(strata), parts)
    assert quotas.min() >= 0
    np.testing.assert_array_equal(quotas.sum(axis=1), strata)
    assert np.ptp(quotas, axis=1).max() <= 1
    sizes = quotas.sum(axis=0).tolist()
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= 1


def test_images_are_dealt_like_cards():
    assert placing.dealt_out(np.array([4, 3]), 3).tolist() == [[2, 1, 1], [1, 1, 1]]
    assert placing.dealt_out(np.array([2, 5]), 3).tolist() == [[1, 1, 0], [2, 1, 2]]


@given(STRATA, st.data())
def test_what_is_shared_out_has_the_sizes_asked_for(strata, data):
    total = int(strata.sum())
    cuts = sorted(data.draw(st.lists(st.integers(0, total), min_size=1, max_size=3)))
    sizes = np.diff([0, *cuts, total])
    quotas = placing.shared_out(strata, sizes)
    assert quotas.min() >= 0
    np.testing.assert_array_equal(quotas.sum(axis=1), strata)
    np.testing.assert_array_equal(quotas.sum(axis=0), sizes)


def test_shares_are_in_proportion():
    quotas = placing.shared_out(np.array([100, 50, 10]), (102, 26, 32))
    assert quotas.tolist() == [[64, 16, 20], [32, 8, 10], [6, 2, 2]]


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_whole_and_single_images_fill_the_parts(seed):
    drawn = pd.DataFrame({"group": [*"aaabbccc", *map(str, range(12))]})
    strata = pd.Series("A", drawn["group"].unique())
    rng = np.random.default_rng(seed)
    part_of = placing.place(drawn, strata, lambda sizes: placing.dealt_out(sizes, 4), rng)
    assert set(part_of) == set(drawn["group"])
    sizes = drawn["group"].map(part_of).value_counts()
    assert sizes.to_dict() == {0: 5, 1: 5, 2: 5, 3: 5}
