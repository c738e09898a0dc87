"""What all selected runs gave, each kind of it as one table with the key of a training first."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from pulmoscan.config import runs
from pulmoscan.data import labelling
from pulmoscan.results import metrics, scores
from pulmoscan.storage import tables
from pulmoscan.training import found

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


def read(path: Path, name: str, *, unchanged: bool = True) -> pd.DataFrame:
    """Return a gathered table from its file; ``unchanged`` is that of `tables.read`.

    Raises ``OSError`` or ``ValueError`` for a file that is missing or damaged.
    """
    _, key = TABLES[name]
    text, numbers = CONTENT[name]

    def check(table: pd.DataFrame) -> None:
        if len(table):  # else there is the key alone
            tables.check_columns(table, text, numbers, {"seed"}.intersection(key))
            _check_shares(table)
            if name == "predictions" and not pd.api.types.is_bool_dtype(table["correct"]):
                raise ValueError("it does not say which predictions are correct")

    key_text = [column for column in key if column != "seed"]
    return tables.read(path, "gather", key_text, then=check, unchanged=unchanged)


def _check_shares(table: pd.DataFrame) -> None:
    for name in SHARES.intersection(table):
        if not (table[name].isna() | table[name].between(0, 1)).all():
            raise ValueError(f"not all cells of its column {name!r} are from 0 to 1")


def folder(results: Path, run: tuple) -> Path:
    """Return where the files of a training lie; ``run`` has the attributes of its key."""
    name = runs.name(run.model, run.unfreeze, run.variant)
    return results / "runs" / run.split_name / name / f"seed-{run.seed}"


def _predictions(selection: pd.DataFrame, _: Mapping, results: Path) -> Iterator[pd.DataFrame]:
    for run in selection.itertuples():
        place = folder(results, run)
        predictions = labelling.read_predictions(place / "predictions.parquet")
        of_run = _metrics(place)
        threshold, positive = of_run["threshold"].item(), of_run["positive"].item()
        threshold = None if pd.isna(threshold) else threshold
        try:
            predicted = metrics.predicted(predictions, threshold, positive)
        except ValueError as error:
            raise ValueError(
                f"{place / 'metrics.tsv'} does not fit the predictions beside it ({error}): "
                "remove it and run evaluate again"
            ) from error
        answers = predictions[["image", "split", "label"]].assign(
            predicted=predicted, correct=predicted == predictions["label"]
        )
        probabilities = predictions.filter(regex=f"^{metrics.PREFIX}")
        yield _keyed(pd.concat([answers, probabilities], axis=1), run)


def _history(selection: pd.DataFrame, _: Mapping, results: Path) -> Iterator[pd.DataFrame]:
    for run in selection[selection["kind"] != CLASSIFIER].itertuples():
        _, numbers = CONTENT["history"]
        path = folder(results, run) / "history.tsv"
        yield _keyed(tables.read(path, "the training", numbers=numbers), run)


def _metrics(place: Path) -> pd.DataFrame:
    """Return the one row of metrics of a training."""

    def check(table: pd.DataFrame) -> None:
        if len(table) != 1:
            raise ValueError(f"it has {len(table)} rows and not one")
        _check_shares(table)
        table.astype(dict.fromkeys(scores.COUNTS, "Int64"))

    text, numbers = CONTENT["metrics"]
    return tables.read(
        place / "metrics.tsv", "evaluate", [*_KEY_TEXT, *text], numbers, ["seed"], then=check
    )


def _all_metrics(selection: pd.DataFrame, _: Mapping, results: Path) -> Iterator[pd.DataFrame]:
    for run in selection.itertuples():
        whole = dict.fromkeys(scores.COUNTS, "Int64")
        # An accuracy that nobody has must not lose its type.
        shares = {name: float for name in scores.METRICS if name not in {*whole, *scores.TEXT}}
        yield _metrics(folder(results, run)).astype(shares | whole)


def _evaluated(name: str, *flags: str, whole: Sequence[str] = ()) -> Callable:
    """Return a reader of one of the tables of ``evaluate``, whose rows have their key already.

    ``flags`` are columns of truth values; numbers in ``whole`` are whole, but some may be missing.
    """
    text, numbers = CONTENT[name]
    types = dict.fromkeys(flags, "bool") | dict.fromkeys(whole, "Int64")

    def read(selection: pd.DataFrame, _: Mapping, results: Path) -> Iterator[pd.DataFrame]:
        def check(table: pd.DataFrame) -> None:
            if len(table):
                tables.check_columns(table.astype(types), numbers=numbers, whole=["seed"])
                _check_shares(table)
            if any(len(table) and table[flag].dtype != bool for flag in flags):
                raise ValueError(f"{' or '.join(flags)} is neither True nor False")

        for run in selection.itertuples():
            path = folder(results, run) / f"{name}.tsv"
            part = tables.read(path, "evaluate", [*_KEY_TEXT, *text], then=check)
            yield part.astype(types) if len(part) else part

    return read


def _explained(selection: pd.DataFrame, _: Mapping, results: Path) -> Iterator[pd.DataFrame]:
    text, numbers = CONTENT["explained"]
    of_images = selection[selection["kind"] == NETWORK]
    for run in of_images.drop_duplicates(_KEY_TEXT).itertuples():
        place = results / "explain" / run.split_name
        place /= runs.name(run.model, run.unfreeze, run.variant)
        yield _keyed(tables.read(place / "scores.tsv", "gradcam", text, numbers), run)


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
        chosen = found.read_best(place / "best.json")["hyperparameters"]
        values = [
            value if isinstance(value, str) else json.dumps(value) for value in chosen.values()
        ]
        yield pd.DataFrame(key | {"setting": list(chosen), "value": values})


def _trials(selection: pd.DataFrame, tuned: Mapping, results: Path) -> Iterator[pd.DataFrame]:
    for key, place in _searched(selection, tuned, results):
        best = found.read_best(place / "best.json")
        names = list(best["hyperparameters"])
        text, numbers = CONTENT["trials"]

        def check(table: pd.DataFrame, names: Sequence[str] = names) -> None:
            if lacking := [name for name in names if name not in table]:
                raise ValueError(f"it has no column {lacking[0]!r}")

        trials = tables.read(place / "trials.tsv", "tune", text[:2], numbers, then=check)
        yield trials.drop(columns=names).assign(
            **key,
            hyperparameters=[
                json.dumps(values) for values in trials[names].to_dict(orient="records")
            ],
            best=trials["trial"] == best["trial"],
        )


def _keyed(table: pd.DataFrame, run: tuple) -> pd.DataFrame:
    return table.assign(**{name: getattr(run, name) for name in KEY})


# Columns of numbers from 0 to 1.
SHARES = frozenset(
    [
        *("val_accuracy", "test_accuracy", "test_accuracy_common", "macro_f1"),
        *("val_low", "val_high", "test_low", "test_high"),
        *("precision", "recall", "specificity", "f1", "energy_in_lungs", "lung_area"),
    ]
)
# What each table holds beside its key: columns of text, and of numbers.
_COUNTED = ("support", "tp", "fn", "fp", "tn")
CONTENT: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "predictions": (["image", "split", "label", "predicted"], []),
    "history": (
        [],
        ["epoch", "stage", "accuracy", "loss", "val_accuracy", "val_loss", "learning_rate"],
    ),
    "stages": (
        ["stage_unfreeze"],
        ["stage", "epochs", "learning_rate", "trainable_parameters"],
    ),
    "metrics": (scores.TEXT, [name for name in scores.METRICS if name not in scores.TEXT]),
    "per_class": (
        ["split", "label"],
        ["precision", "recall", "specificity", "f1", *_COUNTED],
    ),
    "confusion": (["split", "label", "predicted"], ["images"]),
    "explained": (
        ["image", "class", "label", "split", "target", "predicted"],
        ["energy_in_lungs", "lung_area"],
    ),
    "searches": (["setting", "value"], []),
    "trials": (
        ["trial", "status", "hyperparameters"],
        ["bracket", "round", "epochs", "val_accuracy", "val_loss", "seconds"],
    ),
}
# The tables by name: how their rows are read, and the columns of their key.
TABLES: Mapping[str, tuple[Callable[..., Iterator[pd.DataFrame]], list[str]]] = {
    "predictions": (_predictions, KEY),
    "history": (_history, KEY),
    "stages": (_evaluated("stages", "cached", "augmented"), KEY),
    "metrics": (_all_metrics, KEY),
    "per_class": (_evaluated("per_class", whole=_COUNTED), KEY),
    "confusion": (_evaluated("confusion"), KEY),
    "explained": (_explained, KEY),
    "searches": (_searches, SEARCH),
    "trials": (_trials, SEARCH),
}


def of_test(predictions: pd.DataFrame, selection: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions of test images, with the ``split`` that gives each run its name.

    In ``predictions``, ``split`` is the part that an image plays; all are of the test set here.

    Args:
        predictions: gathered predictions.
        selection: ``split_name, split`` of every run.
    """
    test = predictions[predictions["split"] == "test"].drop(columns="split")
    return test.merge(selection[["split_name", "split"]].drop_duplicates(), on="split_name")
