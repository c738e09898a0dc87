"""What the settings of a split mean: the splits that an entry makes, and the sizes of its parts."""

from collections.abc import Mapping
from typing import Any

PARTS = ("train", "validation", "test")
SMALL = 0.05  # of a class: with less for training or validation, a split is what is wrong


def expand(schemes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the splits that the configuration's ``splits`` describe, by name.

    A scheme with ``folds: n`` is n splits, in each of which another fold tests. Other schemes are
    one split each.

    Example:
        >>> expand({"cv": {"folds": 2, "validation": 0.2, "seed": 1, "group": "image"}})
        {'cv-1': {'folds': 2, 'fold': 1, 'validation': 0.2, 'seed': 1, 'group': 'image'},
         'cv-2': {'folds': 2, 'fold': 2, 'validation': 0.2, 'seed': 1, 'group': 'image'}}

    Raises:
        ValueError: the split of a fold has the name of another split.
    """
    splits: dict[str, dict[str, Any]] = {}
    for name, scheme in schemes.items():
        folds = range(1, scheme["folds"] + 1) if "folds" in scheme else ()
        made = {f"{name}-{fold}": {"folds": len(folds), "fold": fold} | scheme for fold in folds}
        for split, settings in (made or {name: dict(scheme)}).items():
            if split in splits or (made and split in schemes):
                raise ValueError(f"splits.{name} has a fold {split!r}, the name of another split")
            splits[split] = settings
    return splits


def shares(scheme: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides how many images each part of a split gets, as `part_sizes` takes it.

    Args:
        scheme: an entry of what `expand` returns.

    Returns:
        ``test`` and ``validation``; for a fold also ``folds`` and ``fold``. Without ``test`` the
        data say what tests.
    """
    if "folds" in scheme:
        scheme = {"test": 1 / scheme["folds"]} | scheme
    return {key: scheme[key] for key in ("test", "validation", "folds", "fold") if key in scheme}


def unbalanced(test: float, validation: float, **fold: int) -> str:
    """Return what to change in a split that leaves hardly anything to training or validation.

    Arguments are those of `part_sizes`. "" where each of them gets 5 % of a class or more.

    Example:
        >>> unbalanced(test=0.99, validation=0.2)
        'lower test'
    """
    learnt = 1 - test
    if min(learnt * validation, learnt * (1 - validation)) >= SMALL:
        return ""
    changes = [] if fold or learnt >= 2 * SMALL else ["lower test"]
    if not 2 * SMALL <= validation <= 1 - 2 * SMALL:
        changes.append(f"{'raise' if validation < 0.5 else 'lower'} validation")
    return " and ".join(changes)


def part_sizes(
    images: int, test: float, validation: float, folds: int | None = None, fold: int | None = None
) -> tuple[int, int, int]:
    """Return how many of ``images`` of a class train, validate and test.

    Args:
        images: how many there are.
        test: share that tests; a half is rounded to even. Ignored for a fold.
        validation: share of what the test leaves that validates, rounded in the same way.
        folds: number of folds, whose sizes differ by one image at most; None without folds.
        fold: the fold that tests, from 1. The first ones are the larger ones.
    """
    tested = round(test * images) if folds is None else (images + folds - fold) // folds
    validated = round(validation * (images - tested))
    return images - tested - validated, validated, tested
