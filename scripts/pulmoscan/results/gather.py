"""What all selected runs gave, each kind of it as one table with the key of a training first."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pandas as pd

from pulmoscan.config import runs
from pulmoscan.results import metrics, scores
from pulmoscan.storage import tables

KEY = runs.TRAINING
SEARCH = ["split_name", "model", "variant"]  # the key of a search
CLASSIFIER, NETWORK = "classifier", "network"  # kinds of models in a selection
_KEY_TEXT = ["split_name", *runs.NAME]


def gather(
    name: str, selection: pd.DataFrame, tuned: Mapping[str, str], results: Path
) -> pd.DataFrame:
    """Return one gathered table.

    Args:
        name: a key of `TABLES`.
        selection: one row per training that was made, see `selection`.
        tuned: the variant that each tuned model was searched on.
        results: the folder of the results, whose files are read by the names that rules declare.

    Returns:
        The rows of all trainings, in the order of ``selection``. Where no training has any, a table
        with the key's columns alone.

    Raises:
        ValueError, OSError: for a file that is damaged or missing.
    """
    rows, key = TABLES[name]
    parts = [part for part in rows(selection, tuned, results) if len(part)]
    if not parts:
        return pd.DataFrame(columns=key)
    table = pd.concat(parts, ignore_index=True)
    return table[[*key, *(column for column in table if column not in key)]]


def folder(results: Path, run: tuple) -> Path:
    """Return where the files of a training lie; ``run`` has the attributes of its key."""
    name = runs.name(run.model, run.unfreeze, run.variant)
    return results / "runs" / run.split_name / name / f"seed-{run.seed}"


def _predictions(selection: pd.DataFrame, _: Mapping, results: Path) -> Iterator[pd.DataFrame]:
    for run in selection.itertuples():
        place = folder(results, run)
        predictions = tables.read(place / "predictions.parquet", "the training")
        threshold = _metrics(place)["threshold"].item()
        predicted = metrics.predicted(predictions, None if pd.isna(threshold) else threshold)
        answers = predictions[["image", "split", "label"]].assign(
            predicted=predicted, correct=predicted == predictions["label"]
        )
        probabilities = predictions.filter(regex=f"^{metrics.PREFIX}")
        yield _keyed(pd.concat([answers, probabilities], axis=1), run)


def _history(selection: pd.DataFrame, _: Mapping, results: Path) -> Iterator[pd.DataFrame]:
    for run in selection[selection["kind"] != CLASSIFIER].itertuples():
        yield _keyed(tables.read(folder(results, run) / "history.tsv", "the training"), run)


def _metrics(place: Path) -> pd.DataFrame:
    return tables.read(place / "metrics.tsv", "evaluate", [*_KEY_TEXT, "first_trained"])


def _all_metrics(selection: pd.DataFrame, _: Mapping, results: Path) -> Iterator[pd.DataFrame]:
    for run in selection.itertuples():
        whole = dict.fromkeys(scores.COUNTS, "Int64")
        # An accuracy that nobody has must not lose its type.
        shares = {name: float for name in scores.METRICS if name not in {*whole, "first_trained"}}
        yield _metrics(folder(results, run)).astype(shares | whole)


def _evaluated(file: str, *text: str, **types: str) -> Callable[..., Iterator[pd.DataFrame]]:
    """Return a reader of one of the tables of ``evaluate``, whose rows have their key already."""

    def read(selection: pd.DataFrame, _: Mapping, results: Path) -> Iterator[pd.DataFrame]:
        for run in selection.itertuples():
            part = tables.read(folder(results, run) / file, "evaluate", [*_KEY_TEXT, *text])
            yield part.astype({name: kind for name, kind in types.items() if len(part)})

    return read


def _explained(selection: pd.DataFrame, _: Mapping, results: Path) -> Iterator[pd.DataFrame]:
    text = ["image", "class", "label", "split", "target", "predicted"]
    of_images = selection[selection["kind"] == NETWORK]
    for run in of_images.drop_duplicates(_KEY_TEXT).itertuples():
        place = results / "explain" / run.split_name
        place /= runs.name(run.model, run.unfreeze, run.variant)
        yield _keyed(tables.read(place / "scores.tsv", "gradcam", text), run)


def _searched(
    selection: pd.DataFrame, tuned: Mapping, results: Path
) -> Iterator[tuple[dict, Path]]:
    """Yield the key of each search, with its folder."""
    pairs = selection[["split_name", "model"]].drop_duplicates()
    for split_name, model in pairs.itertuples(index=False):
        if model in tuned:
            key = {"split_name": split_name, "model": model, "variant": tuned[model]}
            yield key, results / "tuning" / Path(*key.values())


def _searches(selection: pd.DataFrame, tuned: Mapping, results: Path) -> Iterator[pd.DataFrame]:
    for key, place in _searched(selection, tuned, results):
        found = tables.read_json(place / "best.json", "tune")["hyperparameters"]
        values = [
            value if isinstance(value, str) else json.dumps(value) for value in found.values()
        ]
        yield pd.DataFrame(key | {"setting": list(found), "value": values})


def _trials(selection: pd.DataFrame, tuned: Mapping, results: Path) -> Iterator[pd.DataFrame]:
    for key, place in _searched(selection, tuned, results):
        best = tables.read_json(place / "best.json", "tune")
        trials = tables.read(place / "trials.tsv", "tune", ["trial", "status"])
        names = list(best["hyperparameters"])
        yield trials.drop(columns=names).assign(
            **key,
            hyperparameters=[
                json.dumps(values) for values in trials[names].to_dict(orient="records")
            ],
            best=trials["trial"] == best["trial"],
        )


def _keyed(table: pd.DataFrame, run: tuple) -> pd.DataFrame:
    return table.assign(**{name: getattr(run, name) for name in KEY})


# The tables by name: how their rows are read, and the columns of their key.
TABLES: Mapping[str, tuple[Callable[..., Iterator[pd.DataFrame]], list[str]]] = {
    "predictions": (_predictions, KEY),
    "history": (_history, KEY),
    "stages": (_evaluated("stages.tsv", "stage_unfreeze", cached="bool", augmented="bool"), KEY),
    "metrics": (_all_metrics, KEY),
    "per_class": (
        _evaluated(
            "per_class.tsv",
            "split",
            "label",
            **dict.fromkeys(("support", "tp", "fn", "fp", "tn"), "Int64"),
        ),
        KEY,
    ),
    "confusion": (_evaluated("confusion.tsv", "split", "label", "predicted"), KEY),
    "explained": (_explained, KEY),
    "searches": (_searches, SEARCH),
    "trials": (_trials, SEARCH),
}
