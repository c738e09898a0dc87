"""The published protocol beside a recommended one: the same network, trained in stages.

The study unfreezes layers at one learning rate from the start. A model that is ``like`` another and
trains in ``stages`` is that network under another protocol; here its runs are put beside those of
the model without stages that unfreeze as much and see the same images.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from pulmoscan.config import runs
from pulmoscan.results import metrics, published

METRICS = ("val_accuracy", "test_accuracy")
COLUMNS = [
    *runs.KEY,
    "recommended_model",
    "metric",
    "published",
    "published_low",
    "published_high",
    "n",
    "reproduced",
    "sd",
    "low",
    "high",
    "reproduced_difference",
    "recommended_n",
    "recommended",
    "recommended_sd",
    "recommended_low",
    "recommended_high",
    "recommended_difference",
    "pairs",
    "images",
    "difference",
    "difference_sd",
    "difference_low",
    "difference_high",
    "status",
    "note",
]
Run = tuple[str, str, str]


def pairs(selected: pd.DataFrame, models: Mapping[str, Mapping]) -> list[tuple[Run, Run]]:
    """Return each selected run that is staged, behind the run without stages that it is put beside.

    Args:
        selected: rows of the run table.
        models: ``like`` and ``stages`` of the selected models, each of which may be None or absent.
            A model that is not among them counts as one without stages.

    Returns:
        Pairs of (model, unfreeze, variant). The first of a pair may not be a run of the table.
    """
    found = []
    for model, unfreeze, variant in map(tuple, selected[runs.KEY].to_numpy()):
        like = models.get(model, {}).get("like")
        staged = models.get(model, {}).get("stages")
        if like and staged and not models.get(like, {}).get("stages"):
            found.append(((like, unfreeze, variant), (model, unfreeze, variant)))
    return found


def confounded(base: Mapping, staged: Mapping) -> str:
    """Return what two models differ in beside their training, "" for nothing that is known.

    Each holds its ``network``, a mapping, or does not say it.
    """
    one, other = (model.get("network") or {} for model in (base, staged))
    keys = sorted(key for key in one.keys() & other.keys() if one[key] != other[key])
    return f"the two also differ in {', '.join(keys)}" if keys else ""


def difference_by_image(
    first: Sequence[pd.DataFrame], second: Sequence[pd.DataFrame], split: str
) -> pd.Series | None:
    """Return by how much more often the second run's trainings are right, for each image.

    Args:
        first: ``image, split, right`` of the first run, one table a seed.
        second: those of the second run with the same seeds.
        split: ``validation`` or ``test``.

    Returns:
        A value from -1 to 1 an image; None where the two were not scored on the same images.
    """
    differences = []
    for tables in zip(first, second, strict=True):
        one, other = (
            table[table["split"] == split].set_index("image")["right"].astype(float)
            for table in tables
        )
        if set(one.index) != set(other.index):
            return None
        differences.append(other - one)
    return pd.concat(differences, axis=1).mean(axis=1)


def row(
    base: Run,
    staged: Run,
    metric: str,
    printed: str,
    images: float,
    scores: tuple[Mapping[int, published.Training], Mapping[int, published.Training]],
    answers: tuple[Mapping[int, pd.DataFrame], Mapping[int, pd.DataFrame]],
) -> dict[str, object]:
    """Return one metric of a published run, of its reproduction, and of the recommended protocol.

    Args:
        base: the run as published.
        staged: the run under the recommended protocol.
        metric: one of `METRICS`.
        printed: the published figure, "" for none.
        images: how many images it was measured on, NaN where the study does not say.
        scores: trainings of both runs by seed.
        answers: ``image, split, right`` of both by seed.

    Returns:
        A row of the columns of this module but for ``status``. ``difference`` is recommended minus
        reproduced over the seeds that both have (``pairs``), ``difference_sd`` its standard
        deviation between them, and its interval that of the images, see `metrics.paired_interval`.
    """
    value = published.number(printed)
    result: dict[str, object] = dict(zip(runs.KEY, base, strict=True))
    result |= {"recommended_model": staged[0], "metric": metric, "published": printed}
    result["published_low"], result["published_high"] = published.interval(value, images)
    for which, name in ((0, "reproduced"), (1, "recommended")):
        prefix = "" if which == 0 else "recommended_"
        trainings = list(scores[which].values())
        measured = published.measure(metric, trainings) if trainings else None
        result[f"{prefix}n"] = len(measured.values) if measured else 0
        if measured:
            result |= {name: measured.mean, f"{prefix}sd": measured.sd}
            result[f"{prefix}low"], result[f"{prefix}high"] = measured.interval
            result[f"{name}_difference"] = measured.mean - value
    seeds = sorted(set(scores[0]) & set(scores[1]))
    result |= {"pairs": len(seeds), "note": ""}
    if not seeds:
        return result
    gains = pd.Series(
        [scores[1][s].metrics[metric].item() - scores[0][s].metrics[metric].item() for s in seeds]
    )
    result |= {"difference": gains.mean(), "difference_sd": gains.std()}
    if not all(seed in table for table in answers for seed in seeds):
        result["note"] = "no interval of the difference: predictions are missing"
        return result
    by_image = difference_by_image(
        *([table[seed] for seed in seeds] for table in answers),
        published.SPLIT_OF[metric.partition("_")[0]],
    )
    if by_image is None:
        result["note"] = "no interval of the difference: the two were scored on other images"
        return result
    low, high = metrics.paired_interval(by_image.to_numpy())
    return result | {"images": len(by_image), "difference_low": low, "difference_high": high}
