"""How well networks do on parts of the test images: a source, a sex, a range of ages.

Within one label, the share of right answers is the sensitivity for it, which parts with another mix
of classes can be compared in. A network that misses more of the sick among some patients does so
whatever its accuracy on all (Seyyed-Kalantari et al. 2021, "Underdiagnosis bias of artificial
intelligence algorithms applied to chest radiographs", Nature Medicine 27).
"""

from collections.abc import Collection, Iterator

import numpy as np
import pandas as pd

from pulmoscan.data import groups, stated
from pulmoscan.results import bootstrap, gather
from pulmoscan.results.weighted import FEWEST

ALL = "all"  # labels together
NETWORK = ["split", "model", "unfreeze", "variant"]
COLUMNS = [
    *NETWORK,
    "column",
    "value",
    "label",
    "images",
    "trainings",
    "accuracy",
    "low",
    "high",
    "accuracy_rest",
    "difference",
    "difference_low",
    "difference_high",
]
COUNTS = ("images", "trainings")


def table(
    selection: pd.DataFrame,
    predictions: pd.DataFrame,
    images: pd.DataFrame,
    columns: Collection[str],
    resamples: int,
) -> pd.DataFrame:
    """Return the accuracy of every network on every part of its test images, and on the rest.

    Args:
        selection: ``split_name, split`` of every run.
        predictions: gathered predictions.
        images: one row per image with ``image, duplicate_group``, ``patient`` where known, and
            the ``columns``.
        columns: those by which images are told apart; one with a single value, or with many that
            are no numbers, tells nothing.
        resamples: of the bootstrap, which draws groups of images and seeds.

    Returns:
        One row per network, column, value and label, `ALL` of them or one, with `COLUMNS`:
        ``accuracy`` is the share of right answers on the part (0 to 1), the mean over the
        ``trainings`` (seeds), ``low`` and ``high`` its interval, ``difference`` how much larger it
        is than on the rest of the images of that label, with an interval of its own. Parts and
        rests of fewer than `FEWEST` images are not compared, and of fewer groups have no interval.
    """
    rows: list[dict] = []
    if len(predictions):
        parts = {
            name: told
            for name in columns
            if (told := stated.categories(images[name])) is not None and told.nunique() > 1
        }
        known = images.assign(**{f"part {name}": told for name, told in parts.items()})
        known["drawn"] = groups.known(images)
        test = gather.of_test(predictions, selection).merge(
            known[["image", "drawn", *(f"part {name}" for name in parts)]], on="image"
        )
        for network, answers in test.groupby(NETWORK, sort=False, observed=True):
            key = dict(zip(NETWORK, network, strict=True))
            rows += [key | row for row in _of_network(answers, list(parts), resamples)]
    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(COUNTS, "int64"))


def _of_network(
    answers: pd.DataFrame, names: Collection[str], resamples: int
) -> Iterator[dict[str, object]]:
    right = answers.pivot_table("correct", "seed", "image", aggfunc="mean", observed=True)
    right = right.loc[:, right.notna().all()].astype(float)
    about = answers.drop_duplicates("image").set_index("image").loc[right.columns]
    labels = about["label"].to_numpy(str)
    keys, parts = [], []
    for name in names:
        values = about[f"part {name}"].to_numpy(str)
        for value in sorted(set(values) - {""}):
            for label in (ALL, *sorted(set(labels))):
                of_label = np.ones(len(labels), bool) if label == ALL else labels == label
                inside = of_label & (values == value)
                if inside.any():
                    keys.append({"column": name, "value": value, "label": label})
                    # Images of which nothing is stated belong to no part and to no rest.
                    parts += [inside, of_label & (values != value) & (values != "")]
    if not parts:
        return
    scores = right.to_numpy()
    drawn = about["drawn"].to_numpy()
    means = bootstrap.means(scores, drawn, np.array(parts), resamples)
    # An interval from a handful of patients is one of width zero as often as not.
    means[:, [len(np.unique(drawn[part])) < FEWEST for part in parts]] = np.nan
    for number, key in enumerate(keys):
        yield key | _compared(scores, parts, means, 2 * number)


def _compared(
    scores: np.ndarray, parts: list[np.ndarray], means: np.ndarray, part: int
) -> dict[str, float]:
    """Return what is said of a part of the images, and of the rest, which follows it."""
    own, rest = scores[:, parts[part]], scores[:, parts[part + 1]]
    comparable = min(own.shape[1], rest.shape[1]) >= FEWEST
    low, high = bootstrap.ends(means[:, part])
    ends = bootstrap.ends(means[:, part] - means[:, part + 1]) if comparable else (np.nan, np.nan)
    return {
        "images": own.shape[1],
        "trainings": len(scores),
        "accuracy": own.mean(),
        "low": low,
        "high": high,
        "accuracy_rest": rest.mean() if rest.size else np.nan,
        "difference": own.mean() - rest.mean() if comparable else np.nan,
        "difference_low": ends[0],
        "difference_high": ends[1],
    }
