"""Bootstrap intervals of what several trainings say of the same images.

Images that belong together, such as copies of one radiograph, are drawn together: they are not
independent of one another. Trainings that differ in their seed are drawn too, so an interval says
how far both other images and other seeds could move a mean. Drawing both at once widens it where
each answer has a chance of its own: it covers the truth at least as often as it says.

Sources: Davison and Hinkley 1997, "Bootstrap methods and their application", section 5.3.1
(percentiles); Owen 2007, "The pigeonhole bootstrap" (drawing rows and columns).
"""

import math

import numpy as np

BLOCK = 200  # resamples at a time


def interval(
    values: np.ndarray,
    groups: np.ndarray,
    resamples: int,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Return the percentile interval of the mean over trainings and images.

    Args:
        values: trainings x images, such as 1 where a training is right, or a difference of that.
        groups: of each image, what it belongs to; images of one group are drawn together.
        resamples: how often images and trainings are drawn, with replacement.
        seed: of these draws.
        confidence: of the interval (0 to 1).

    Returns:
        Both ends, NaN without images.
    """
    trainings, images = values.shape
    if not images or not trainings:
        return math.nan, math.nan
    everything = np.ones((1, images), bool)
    return ends(means(values, groups, everything, resamples, seed)[:, 0], confidence)


def means(
    values: np.ndarray, groups: np.ndarray, parts: np.ndarray, resamples: int, seed: int = 0
) -> np.ndarray:
    """Return the means of several parts of the images in each resample.

    All parts are taken from the same draws, so that the difference of two columns is one of means
    of the same resample.

    Args:
        values: see `interval`, as ``groups``.
        groups: see ``values``.
        parts: parts x images, whether an image belongs to a part.
        resamples: how often images and trainings are drawn, with replacement.
        seed: of these draws.

    Returns:
        resamples x parts, NaN where no image of a part was drawn.
    """
    trainings = len(values)
    _, of_image = np.unique(groups, return_inverse=True)
    count = int(of_image.max()) + 1
    sizes = np.stack([np.bincount(of_image, part, count) for part in parts], axis=1)
    values = np.asarray(values, float)
    # of each part trainings x groups
    sums = [
        np.stack([np.bincount(of_image, row * part, count) for row in values]) for part in parts
    ]
    random = np.random.default_rng(seed)
    found = []
    for start in range(0, resamples, BLOCK):
        block = min(BLOCK, resamples - start)
        of_groups = drawn(count, block, random).astype(float)
        seeds = drawn(trainings, block, random) / trainings
        total = [
            np.einsum("rg,tg,rt->r", of_groups, of_part, seeds, optimize=True) for of_part in sums
        ]
        images = of_groups @ sizes
        found.append(np.where(images > 0, np.transpose(total) / np.maximum(images, 1), np.nan))
    return np.concatenate(found)


def ends(means: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of what resamples gave, NaN where they gave nothing."""
    known = means[~np.isnan(means)]
    if not len(known):
        return math.nan, math.nan
    low, high = np.quantile(known, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return float(low), float(high)


def drawn(units: int, count: int, random: np.random.Generator) -> np.ndarray:
    """Return how often each of some units is drawn in each resample (``count`` x ``units``)."""
    return random.multinomial(units, np.full(units, 1 / units), count)
