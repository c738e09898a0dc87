"""The published protocol beside a recommended one: the same network, trained in stages.

The study unfreezes layers at one learning rate from the start. A model that is ``like`` another and
trains in ``stages`` is that network under another protocol; here its runs are put beside those of
the model without stages that unfreeze as much and see the same images.
"""

from collections.abc import Collection, Mapping

import pandas as pd

from pulmoscan.config import runs
from pulmoscan.results import metrics, published
from pulmoscan.results.selection import NOT_RUN, RUN, asked_and_got, shortened

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
    "difference_reason",
    "status",
    "reason",
    "note",
    "published_recommended",
    "differs_in",
    "asked",
    "got",
]
TEXT = ["difference_reason", "reason", "note", "published_recommended", "differs_in"]
Run = tuple[str, str, str, str]  # as `runs.KEY`
PAIR = ["split_name", "seed"]  # trainings that are compared with one another


def table(
    selection: pd.DataFrame,
    models: Mapping[str, Mapping],
    figures: pd.DataFrame,
    scores: pd.DataFrame,
    predictions: pd.DataFrame,
    resampling: pd.DataFrame,
    samplings: Mapping[str, str],
) -> pd.DataFrame:
    """Return the published protocol beside the recommended one, two metrics per pair of runs.

    Args:
        selection: every run of the run table.
        models: ``like``, ``stages`` and ``network`` of the selected models.
        figures: the published figures.
        scores: gathered metrics.
        predictions: gathered predictions, of which ``correct`` is used.
        resampling: images asked for and got.
        samplings: the sampling of each variant.

    Returns:
        The columns `COLUMNS`, see `row`; ``reason`` says which of the two was not run and why, and
        ``asked`` and ``got`` are those of a sampling that got fewer images than it asked for.
    """
    printed = figures.drop_duplicates([*runs.NAME, "metric"]).set_index([*runs.NAME, "metric"])
    short = asked_and_got(resampling)
    rows = []
    for base, staged in pairs(selection[selection["selected"]], models):
        split_names = selection.loc[selection["split"] == base[0], "split_name"].unique()
        of_runs = [_of(scores, run, split_names) for run in (base, staged)]
        missing = [
            f"{run[1]}: {_reason(selection, run)}"
            for run, trainings in zip((base, staged), of_runs, strict=True)
            if not len(trainings)
        ]
        facts = {
            "status": NOT_RUN if missing else RUN,
            "reason": "; ".join(missing),
            "differs_in": differing(models.get(base[1], {}), models[staged[1]]),
        }
        if not missing:
            facts |= shortened(short, split_names, samplings.get(base[3], ""))
        answers = [_of(predictions, run, split_names) for run in (base, staged)]
        for metric in METRICS:
            key = (*base[1:], metric)
            value, n, note = ("", "", "")
            if key in printed.index:
                value, n, note = printed.loc[key, ["value", "n", "note"]]
            result = row(base, staged, metric, (value, published.number(n)), of_runs, answers)
            of_staged = printed["value"].get((*staged[1:], metric), "")
            rows.append(result | facts | {"note": note, "published_recommended": of_staged})
    result = pd.DataFrame(rows).reindex(columns=COLUMNS)
    result[TEXT] = result[TEXT].fillna("")
    counts = ("n", "recommended_n", "pairs", "images", "asked", "got")
    return result.astype(dict.fromkeys(counts, "Int64"))


def pairs(selected: pd.DataFrame, models: Mapping[str, Mapping]) -> list[tuple[Run, Run]]:
    """Return each selected run that is staged, after the run without stages that it belongs to.

    Args:
        selected: rows of the run table or of a selection of it, with the columns of `runs.KEY`.
        models: ``like`` and ``stages`` of the selected models, each of which may be None or absent.
            A model that is not among them counts as one without stages.

    Returns:
        Pairs of (split, model, unfreeze, variant). The first of a pair may not be in the table.
    """
    found = []
    for run in selected[runs.KEY].drop_duplicates().itertuples(index=False):
        like = models.get(run.model, {}).get("like")
        staged = models.get(run.model, {}).get("stages")
        if like and staged and not models.get(like, {}).get("stages"):
            found.append((tuple(run._replace(model=like)), tuple(run)))
    return found


def differing(base: Mapping, staged: Mapping) -> str:
    """Return what two models differ in beside their training, as in "head, input_size".

    Each holds its ``network``, a mapping, or lacks it.
    """
    one, other = (model.get("network") or {} for model in (base, staged))
    return ", ".join(sorted(key for key in one.keys() & other.keys() if one[key] != other[key]))


def row(
    base: Run,
    staged: Run,
    metric: str,
    printed: tuple[str, float],
    scores: list[pd.DataFrame],
    answers: list[pd.DataFrame],
) -> dict[str, object]:
    """Return one metric of a published run, of its reproduction, and of the recommended protocol.

    Args:
        base: the run as published.
        staged: the run under the recommended protocol.
        metric: one of `METRICS`.
        printed: the published figure, "" for none, and how many images it was measured on, NaN
            where the study does not say.
        scores: gathered metrics of both runs.
        answers: gathered predictions of both.

    Returns:
        The columns of this module up to ``difference_reason``. ``difference`` is recommended minus
        reproduced over the seeds that both have (``pairs``), ``difference_sd`` its standard
        deviation between them, and its interval that of the images, see `metrics.paired_interval`.
    """
    value = published.number(printed[0])
    result: dict[str, object] = dict(zip(runs.KEY, base, strict=True))
    result |= {"recommended_model": staged[1], "metric": metric, "published": printed[0]}
    result["published_low"], result["published_high"] = published.interval(value, printed[1])
    for trainings, name, prefix in zip(
        scores, ("reproduced", "recommended"), ("", "recommended_"), strict=True
    ):
        measured = None
        if len(trainings):
            measured = published.measure(metric, trainings, pd.DataFrame())
        result[f"{prefix}n"] = len(measured.values) if measured else 0
        if measured:
            result |= {name: measured.mean, f"{prefix}sd": measured.sd}
            result[f"{prefix}low"], result[f"{prefix}high"] = measured.interval
            result[f"{name}_difference"] = measured.mean - value
    both = scores[0].merge(scores[1], on=PAIR, suffixes=("", "_staged"))
    result |= {"pairs": len(both), "difference_reason": ""}
    if not len(both):
        return result
    gains = both[f"{metric}_staged"] - both[metric]
    result |= {"difference": gains.mean(), "difference_sd": gains.std()}
    part = published.SPLIT_OF[metric.partition("_")[0]]
    by_image = difference_by_image(
        *(table[table["split"] == part] for table in answers), both[PAIR]
    )
    if by_image is None:
        result["difference_reason"] = "the two were scored on different images"
        return result
    low, high = metrics.paired_interval(by_image.to_numpy())
    return result | {"images": len(by_image), "difference_low": low, "difference_high": high}


def difference_by_image(
    first: pd.DataFrame, second: pd.DataFrame, trainings: pd.DataFrame
) -> pd.Series | None:
    """Return by how much more often the second run's trainings are right, for each image.

    Args:
        first: ``split_name, seed, image, correct`` of the first run's trainings.
        second: those of the second run.
        trainings: ``split_name, seed`` of the trainings to compare.

    Returns:
        A value from -1 to 1 per image; None where the two were not scored on the same images.
    """
    differences = []
    for split_name, seed in trainings.itertuples(index=False):
        one, other = (
            table[(table["split_name"] == split_name) & (table["seed"] == seed)]
            .set_index("image")["correct"]
            .astype(float)
            for table in (first, second)
        )
        if set(one.index) != set(other.index):
            return None
        differences.append(other - one)
    return pd.concat(differences, axis=1).mean(axis=1)


def _of(gathered: pd.DataFrame, run: Run, split_names: Collection[str]) -> pd.DataFrame:
    """Return the rows of a run on some split files."""
    on_split = gathered["split_name"].isin(split_names)
    return gathered[on_split & (gathered[runs.NAME] == list(run[1:])).all(axis=1)]


def _reason(selection: pd.DataFrame, run: Run) -> str:
    rows = selection[(selection[runs.KEY] == list(run)).all(axis=1)]
    return (
        next(filter(None, rows["reason"]), "no scores found")
        if len(rows)
        else "not in the run table"
    )
