"""The steps of ``enhance``, against formulas worked by hand."""

import doctest

import cv2
import numpy as np
import pytest
from pulmoscan.inputs import enhancement


@pytest.fixture
def image() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    return cv2.resize(coarse, (64, 64))


def test_blur_is_the_studys_unless_a_size_is_given(image: np.ndarray) -> None:
    study = cv2.GaussianBlur(image, (5, 5), 0)
    for entry in ("blur", {"blur": 5}, {"blur": {"size": 5}}, {"blur": {}}):
        np.testing.assert_array_equal(enhancement.apply(image, [entry]), study)
    wider = enhancement.apply(image, [{"blur": 9}])
    np.testing.assert_array_equal(wider, cv2.GaussianBlur(image, (9, 9), 0))


def test_gamma_raises_grey_levels_as_shares_of_white(image: np.ndarray) -> None:
    changed = enhancement.apply(image, [{"gamma": 0.5}])
    np.testing.assert_array_equal(changed, np.rint(255 * np.sqrt(image / 255)))
    np.testing.assert_array_equal(enhancement.apply(image, [{"gamma": 1}]), image)


def test_clahe_raises_contrast_no_more_than_its_limit(image: np.ndarray) -> None:
    flat = (image // 8 + 100).astype(np.uint8)
    spread = [
        np.ptp(enhancement.apply(flat, [{"clahe": {"clip": clip, "tiles": 2}}]))
        for clip in (1.0, 4.0, 40.0)
    ]
    assert np.ptp(flat) < spread[0] < spread[1] <= spread[2]


def test_clahe_of_one_tile_without_a_limit_equalises_the_histogram(image: np.ndarray) -> None:
    changed = enhancement.apply(image, [{"clahe": {"clip": 100, "tiles": 1}}])
    levels, counts = np.unique(image, return_counts=True)
    expected = dict(zip(levels, np.rint(255 * np.cumsum(counts) / image.size), strict=True))
    np.testing.assert_allclose(changed, np.vectorize(expected.get)(image), atol=1)


def test_steps_follow_their_order(image: np.ndarray) -> None:
    steps: list = [{"gamma": 2}, "equalize", {"blur": 3}]
    by_hand = image
    for step in steps:
        by_hand = enhancement.apply(by_hand, [step])
    np.testing.assert_array_equal(enhancement.apply(image, steps), by_hand)
    assert (enhancement.apply(image, steps[::-1]) != by_hand).any()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("sharpen", "no step 'sharpen'"),
        ("equalise", "no step 'equalise': did you mean 'equalize'?"),
        (5, "5 is neither a word nor a mapping"),
        ({"blur": 5, "gamma": 2}, "neither a word nor a mapping of one step"),
        ({}, "neither a word nor a mapping of one step"),
        ({"equalize": 5}, "equalize takes no 'value': it takes none"),
        ({"blur": 4}, "size of blur is 4: expected an odd number from 1 to 99"),
        ({"blur": "5"}, "size of blur is '5': expected an odd number"),
        ({"gamma": True}, "exponent of gamma is True: expected a number from 0.01 to 100"),
        ({"gamma": float("nan")}, "exponent of gamma is nan"),
        ({"clahe": {"tiles": 2.5}}, "tiles of clahe is 2.5: expected a whole number from 1 to 64"),
        ({"clahe": {"limit": 2}}, "clahe takes no 'limit': it takes clip, tiles"),
        ("gamma", "gamma needs a value, as in {gamma: 0.8}"),
    ],
)
def test_what_is_wrong_with_a_step(entry: object, message: str) -> None:
    (problem,) = enhancement.problems(["equalize", entry])
    assert problem.startswith(f"step 2: {message}") or message in problem


def test_valid_steps_have_no_problems() -> None:
    steps = ["equalize", "clahe", {"clahe": {"clip": 2.0, "tiles": 8}}, "blur", {"gamma": 0.8}]
    assert not list(enhancement.problems(steps))


def test_a_new_step_needs_an_entry_in_the_registry_only(
    image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    invert = enhancement.Step(lambda image: 255 - image)
    monkeypatch.setattr(enhancement, "STEPS", enhancement.STEPS | {"invert": invert})
    np.testing.assert_array_equal(enhancement.apply(image, ["invert"]), 255 - image)


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(enhancement)
    assert result.attempted
    assert not result.failed
