"""What the runs predict of radiographs from elsewhere, gathered, and which of these are copies."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from pulmoscan.config import runs
from pulmoscan.data import copies, groups
from pulmoscan.results.selection import RUN
from pulmoscan.storage import tables

COLUMNS = [
    *("set", *runs.TRAINING, "image", "class", "label", "patient", "group", "copy_of"),
    "predicted",
]


def gather(
    results: Path,
    selection: pd.DataFrame,
    labels: Mapping[str, Mapping[str, str]],
    unpredicted: Mapping[str, Mapping[str, str]],
) -> pd.DataFrame:
    """Return the predictions of all runs for all sets.

    Args:
        results: the folder of the results.
        selection: the selection of runs.
        labels: by variant, what its runs call the classes that they know.
        unpredicted: of every set, by ``model/variant``, why runs cannot predict it.

    Returns:
        One row per set, training and image, with `COLUMNS` and ``p_<label>``, NaN for labels of
        other runs. ``class`` is that of the set, "" where nobody says; ``label`` what the run calls
        it, null where it does not know it; ``patient`` is null where nobody says; ``group`` names
        what belongs together: the images of a patient, and copies of one radiograph; ``copy_of`` is
        the image of the data set trained on that this one is a copy of, null for none;
        ``predicted`` the answer of the run's own decision rule.

    Raises:
        OSError, ValueError: a file is missing or damaged.
    """
    made = selection[selection["selected"] & (selection["status"] == RUN)]
    parts = []
    for name, unable in unpredicted.items():
        images = _images(results / "external" / name)
        for run in made.itertuples():
            if f"{run.model}/{run.variant}" not in unable:
                parts += _predicted(results, name, run, images, labels[run.variant])
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    table = pd.concat(parts, ignore_index=True)
    return table[[*COLUMNS, *(column for column in table if column not in COLUMNS)]]


def duplicates(results: Path, sets: Mapping[str, Mapping]) -> pd.DataFrame:
    """Return the copies in all sets: ``set`` and the columns of `copies.between`."""
    parts = [
        copies.read(results / "external" / name / "copies.parquet").assign(set=name)
        for name in sets
    ]
    table = pd.concat(parts, ignore_index=True)
    return table[["set", *copies.COLUMNS]].round({"correlation": 6})


def _images(folder: Path) -> pd.DataFrame:
    """Return ``class, patient, group, copy_of`` of the images of a set, by name."""
    text = ["image", "class", "defects"]
    audit = tables.read(folder / "audit/images.parquet", "the audit", text)
    images = audit[audit["defects"] == ""].sort_values("image", ignore_index=True)
    if "patient" not in images:
        images["patient"] = pd.Series(pd.NA, images.index, "str")
    images["group"] = groups.named(images, groups.together(images, "patient"))
    closest = copies.closest(copies.read(folder / "copies.parquet"))
    images["copy_of"] = images["image"].map(closest).astype("str")
    return images.set_index("image")[["class", "patient", "group", "copy_of"]]


def _predicted(
    results: Path, name: str, run: tuple, images: pd.DataFrame, labels: Mapping[str, str]
) -> Iterator[pd.DataFrame]:
    """Yield the rows of a training and a set, where there are any."""
    of_run = Path("runs", run.split_name, runs.name(run.model, run.unfreeze, run.variant))
    path = results / "external" / name / of_run / f"seed-{run.seed}" / "predictions.parquet"
    table = tables.read(path, "external_predict", ["image", "predicted"])
    if strangers := sorted({*table["image"]} - {*images.index}):
        raise ValueError(
            f"{path} has the image {strangers[0]}, which the set {name} does not: remove it and "
            "run external_predict again"
        )
    if not len(table):
        return
    known = images.loc[table["image"]].reset_index(drop=True)
    yield table.assign(
        set=name,
        **{column: getattr(run, column) for column in runs.TRAINING},
        **known,
        label=known["class"].map(labels).astype("str"),
    )
