"""Accuracy, sensitivity, specificity and AUC of resamples: images and trainings have weights.

A bootstrap draws images and trainings; how often each was drawn is its weight. A measure is made of
answers once, and then gives one value per resample. With equal weights it is the measure itself.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pulmoscan.results import bootstrap

ACCURACY, BALANCED, SENSITIVITY = "accuracy", "balanced_accuracy", "sensitivity"
SPECIFICITY, AUC, PREDICTED = "specificity", "auc", "predicted"
FEWEST = 5  # groups that an interval is made of, at least
CELLS = 4_000_000  # weights of images at a time, at most


@dataclass(frozen=True)
class Answers:
    """What the trainings of a run say of the same images.

    Attributes:
        labels: of the run, whether or not an image has them.
        truth: the label of each image.
        predicted: trainings x images, by the run's own decision rule.
        probabilities: trainings x images x labels.
        groups: of each image, the number of what it is drawn together with, from 0.
    """

    labels: Sequence[str]
    truth: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    groups: np.ndarray

    @property
    def units(self) -> int:
        """How many groups a resample draws."""
        return int(self.groups.max(initial=-1)) + 1

    def groups_among(self, chosen: np.ndarray) -> int:
        """Return how many groups some of the images are of."""
        return len(np.unique(self.groups[chosen]))


class Share:
    """The share of some images that is answered in a certain way, as sensitivity is.

    ``images`` is the number of images that it is a share of, ``groups`` that of their groups, and
    ``enough`` the number of groups that decides how well it is known.
    """

    def __init__(self, answers: Answers, among: np.ndarray, counted: np.ndarray) -> None:
        """Take ``among`` (images) and ``counted`` (trainings x images), both bool."""
        self.among = among
        self.counted = counted[:, among].T.astype(float)
        self.images = int(among.sum())
        self.groups = self.enough = answers.groups_among(among)

    def __call__(self, images: np.ndarray, trainings: np.ndarray) -> np.ndarray:
        """Return one value per resample, NaN for one without any of the images.

        Args:
            images: resamples x images, how often each was drawn.
            trainings: resamples x trainings, the weights of each, which sum to 1.
        """
        weights = images[:, self.among]
        with np.errstate(invalid="ignore"):
            return ((weights @ self.counted) * trainings).sum(axis=1) / weights.sum(axis=1)


class Mean:
    """The plain mean of several shares, such as that of the sensitivities."""

    def __init__(self, answers: Answers, parts: Sequence[Share]) -> None:
        self.parts = parts
        self.images = sum(part.images for part in parts)
        self.groups = answers.units
        self.enough = min(part.enough for part in parts)

    def __call__(self, images: np.ndarray, trainings: np.ndarray) -> np.ndarray:
        """Return one value per resample, see `Share`."""
        return np.mean([part(images, trainings) for part in self.parts], axis=0)


class Auc:
    """The area under the ROC curve of a label against the rest, the mean over trainings.

    It is the chance that an image with the label has a higher probability of it than one without,
    where equal probabilities count as half (Mann and Whitney 1947).
    """

    def __init__(self, answers: Answers, label: str) -> None:
        positive = answers.truth == label
        self.images = len(positive)
        self.groups = answers.units
        self.enough = min(answers.groups_among(positive), answers.groups_among(~positive))
        self.ranked = []  # rows by probability, which have the label, first row of each probability
        for scores in answers.probabilities[:, :, list(answers.labels).index(label)]:
            order = np.argsort(scores, kind="stable")
            firsts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
            self.ranked.append((order, positive[order], firsts))

    def __call__(self, images: np.ndarray, trainings: np.ndarray) -> np.ndarray:
        """Return one value per resample, NaN for one without both kinds of images; see `Share`."""
        values = np.stack([self._of(images, *ranked) for ranked in self.ranked], axis=1)
        return (values * trainings).sum(axis=1)

    def _of(
        self, images: np.ndarray, order: np.ndarray, positive: np.ndarray, firsts: np.ndarray
    ) -> np.ndarray:
        weights = images[:, order]
        with_label = np.add.reduceat(weights * positive, firsts, axis=1)
        without = np.add.reduceat(weights * ~positive, firsts, axis=1)
        below = np.cumsum(without, axis=1) - without / 2
        with np.errstate(invalid="ignore"):
            return (with_label * below).sum(axis=1) / (with_label.sum(axis=1) * without.sum(axis=1))


Measure = Share | Mean | Auc
Key = tuple[str, str]  # a measure, and its label, "" for all


def measures(answers: Answers) -> dict[Key, Measure]:
    """Return what can be measured of answers about images whose labels the run knows.

    The keys are pairs of measure and label, "" for those of all labels: the accuracy; the mean of
    the sensitivities, where there are images of two labels or more; and of every label of the run
    its sensitivity where there are images with it, its specificity where there are others, and its
    AUC where there are both.
    """
    found: dict[Key, Measure] = {}
    if not len(answers.truth):
        return found
    everything = np.ones(len(answers.truth), bool)
    found[ACCURACY, ""] = Share(answers, everything, answers.predicted == answers.truth)
    present = [label for label in answers.labels if (answers.truth == label).any()]
    given = {label: answers.predicted == label for label in answers.labels}
    sensitivities = {
        label: Share(answers, answers.truth == label, given[label]) for label in present
    }
    if len(present) > 1:
        found[BALANCED, ""] = Mean(answers, list(sensitivities.values()))
    for label in answers.labels:
        others = answers.truth != label
        if label in sensitivities:
            found[SENSITIVITY, label] = sensitivities[label]
        if others.any():
            found[SPECIFICITY, label] = Share(answers, others, ~given[label])
            if label in sensitivities:
                found[AUC, label] = Auc(answers, label)
    return found


def measured(part: Answers, of: Mapping[Key, Measure]) -> dict[Key, float]:
    """Return measures of all images and trainings, each of the same weight."""
    trainings = len(part.predicted)
    images, weights = np.ones((1, len(part.truth))), np.full((1, trainings), 1 / trainings)
    return {key: measure(images, weights).item() for key, measure in of.items()}


def resampled(
    sides: Sequence[tuple[Answers, Mapping[Key, Measure]]], seeds: int, resamples: int
) -> list[dict[Key, np.ndarray]]:
    """Return the values of each measure of all sides in all resamples.

    Images are drawn on each side by itself, group by group, and seeds for all at once: they are of
    the same trainings. Of several folds, the trainings of the first come first, each with all
    seeds.
    """
    samples = [{key: np.empty(resamples) for key in of} for _, of in sides]
    of_seeds, *of_images = (np.random.default_rng(number) for number in range(len(sides) + 1))
    most = max(1, *(len(part.truth) for part, _ in sides))
    block = max(1, min(bootstrap.BLOCK, CELLS // most))
    for start in range(0, resamples, block):
        count = min(block, resamples - start)
        drawn = bootstrap.drawn(seeds, count, of_seeds)
        for (part, of), random, values in zip(sides, of_images, samples, strict=True):
            folds = len(part.predicted) // seeds
            trainings = np.tile(drawn, folds) / (folds * seeds)
            images = bootstrap.drawn(part.units, count, random)[:, part.groups].astype(float)
            for key, measure in of.items():
                values[key][start : start + count] = measure(images, trainings)
    return samples


def varied(samples: np.ndarray, value: float, groups_of: int, seed: int) -> np.ndarray:
    """Return the values of resamples, NaN of too few groups.

    Where all are alike, as where every answer is right, the bootstrap would be certain of what it
    saw. Then they are drawn from what Jeffreys' prior makes of as many right and wrong groups
    (Brown, Cai and DasGupta 2001, "Interval estimation for a binomial proportion").
    """
    if groups_of < FEWEST:
        return np.full(len(samples), math.nan)
    if np.nanmax(samples) - np.nanmin(samples) > 1e-12:
        return samples
    right = value * groups_of
    return np.random.default_rng(seed).beta(right + 0.5, groups_of - right + 0.5, len(samples))
