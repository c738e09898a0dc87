"""How much more a network gets right when it is shown another part of the same images.

The study trains on lungs alone, and wonders that hiding them helps. Trainings on lungs, on what is
outside them, and on whole images are scored on the same test images here, so their differences are
known far better than the accuracies themselves.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pulmoscan.data import groups
from pulmoscan.results import bootstrap, gather

PAIRS = (("full", "lungs"), ("outside", "lungs"), ("outside", "full"))
NETWORK = ["split", "model", "unfreeze"]
COLUMNS = [
    *NETWORK,
    "sampling",
    "region",
    "against",
    "images",
    "groups",
    "trainings",
    "accuracy",
    "accuracy_against",
    "difference",
    "difference_sd",
    "low",
    "high",
]
COUNTS = ("images", "groups", "trainings")


def table(
    selection: pd.DataFrame,
    predictions: pd.DataFrame,
    images: pd.DataFrame,
    variants: Mapping[str, Mapping[str, str]],
    resamples: int,
) -> pd.DataFrame:
    """Return the differences between regions of every network that was trained on several.

    Args:
        selection: ``split_name, split`` of every run.
        predictions: gathered predictions.
        images: ``image, duplicate_group`` of every image, and ``patient`` where they are known; ""
            or a missing value for none.
        variants: of each variant its ``region``, its ``sampling``, and ``apart`` from the region
            everything that it shows and does; only variants equal in the last two are compared.
        resamples: of the bootstrap.

    Returns:
        One row per network, sampling and pair of regions, with `COLUMNS`: ``difference`` is the
        accuracy on the test images with ``region`` minus that with ``against``, the mean over the
        ``trainings`` (seeds) that both have, ``difference_sd`` its standard deviation between them,
        ``low`` and ``high`` the interval of `bootstrap.interval`. Test images of several folds
        count as one test set. A pair without a common seed or image has no row.
    """
    if not len(predictions):  # it has the columns of its key alone
        return pd.DataFrame(columns=COLUMNS).astype(dict.fromkeys(COUNTS, "int64"))
    group = images.set_index("image")["duplicate_group"].replace("", np.nan)
    if "patient" in images:
        group[:] = groups.together(images, "patient").astype(str)
    shown = predictions[predictions["variant"].isin(list(variants))]
    test = gather.of_test(shown, selection)
    kinds = pd.DataFrame.from_dict(variants, orient="index")
    test = test.merge(kinds, left_on="variant", right_index=True)
    rows = []
    for (*network, sampling, _), shown in test.groupby([*NETWORK, "sampling", "apart"], sort=False):
        by_region = {
            region: answers.pivot_table("correct", "seed", "image", aggfunc="mean", observed=True)
            for region, answers in shown.groupby("region")
        }
        for region, against in PAIRS:
            if region in by_region and against in by_region:
                pair = by_region[region], by_region[against]
                if found := compared(*pair, group, resamples):
                    key = dict(zip(NETWORK, network, strict=True))
                    named = {"sampling": sampling, "region": region, "against": against}
                    rows.append(key | named | found)
    result = pd.DataFrame(rows, columns=COLUMNS)
    return result.astype(dict.fromkeys(COUNTS, "int64"))


def compared(
    region: pd.DataFrame, against: pd.DataFrame, group: pd.Series, resamples: int
) -> dict[str, float]:
    """Return the difference between two kinds of trainings, empty without a common seed or image.

    Args:
        region: seeds x images, 1 where a training is right.
        against: the same of the other kind.
        group: by image, what it belongs to; a missing value for an image by itself.
        resamples: of the bootstrap.
    """
    seeds = region.index.intersection(against.index)
    both = region.columns.intersection(against.columns)
    one, other = (part.loc[seeds, both].astype(float) for part in (region, against))
    complete = one.notna().all() & other.notna().all()
    one, other = one.loc[:, complete], other.loc[:, complete]
    if not one.size:
        return {}
    alone = one.columns.to_series().radd("image ")
    drawn = group.reindex(one.columns)
    drawn = drawn.where(drawn.notna(), alone).to_numpy(str)
    differences = one.to_numpy() - other.to_numpy()
    low, high = bootstrap.interval(differences, drawn, resamples)
    by_training = differences.mean(axis=1)
    return {
        "images": one.shape[1],
        "groups": len(np.unique(drawn)),
        "trainings": len(seeds),
        "accuracy": one.to_numpy().mean(),
        "accuracy_against": other.to_numpy().mean(),
        "difference": by_training.mean(),
        "difference_sd": by_training.std(ddof=1) if len(seeds) > 1 else np.nan,
        "low": low,
        "high": high,
    }
