"""Trainings whose answers are known, and the steps after them, run as the rules run them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import compare
import compare_runs
import evaluate
import gather
import numpy as np
import pandas as pd
import protocol
import selection
from pulmoscan.config import run_file, runs
from pulmoscan.config.plan import Plan
from pulmoscan.results import published
from pulmoscan.results.gather import CLASSIFIER, NETWORK
from pulmoscan.results.selection import RESAMPLING_TEXT
from pulmoscan.storage import tables

FIGURES = Path(__file__).resolve().parents[2] / "workflow/study/published_results.tsv"
FOUR = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")
BINARY = ("normal", "sick")
HEADER = "model\tunfreeze\tvariant\ttables\n"
RUNS = f"""{HEADER}mobilenet\t0\tlungs\tsynthesis
vgg16\t0\tlungs\tsynthesis
vgg19\t0\tlungs-large\tregion
lenet1d-tuned\tall\thistogram-binary\thistogram_binary
"""
SHORTFALL = "large asks for 100 of COVID, there are 0"
# Per split: sampling, class, label, part, images asked for and got, and why the sampling is empty.
RESAMPLING = (
    ("balanced", "COVID", "COVID", "train", 1000, 900, ""),
    ("balanced", "Normal", "Normal", "train", 1000, 1000, ""),
    ("large", "COVID", "COVID", "train", 100, 0, SHORTFALL),
)
SAMPLINGS = {"lungs": "balanced", "lungs-large": "large", "histogram-binary": "binary"}
GATHERED = (
    *("predictions", "history", "stages", "metrics", "per_class", "confusion", "explained"),
    *("searches", "trials"),
)
OF_A_TABLE = ("metrics", "per_class", "searches")
RESAMPLING_COLUMNS = [*RESAMPLING_TEXT[:-1], "asked", "got", RESAMPLING_TEXT[-1]]
# Columns of text in the tables that are written.
TEXT = [
    *("split", "split_name", "model", "unfreeze", "variant", "recommended_model", "metric"),
    *("tables", "published", "status", "reason", "note", "searched_on", "difference_reason"),
    *("published_recommended", "differs_in", "first_trained", "positive"),
]


@dataclass
class Trainings:
    """The results of some runs below ``folder``, which is the folder of the results.

    ``runs`` is the text of the run table, of which ``query`` selects some. ``splits`` are those of
    the configuration, ``split`` that of runs that name none. ``tuned`` are the variants that models
    are searched on, ``models`` what tells them apart, ``thresholds`` those of binary models. All
    models but ``classifiers`` are networks on images.
    """

    folder: Path
    runs: str = RUNS
    query: str = ""
    seeds: Sequence[int] = (0,)
    split: str = "grouped"
    splits: Mapping[str, Mapping] = field(default_factory=lambda: {"grouped": {}})
    samplings: Mapping[str, str] = field(default_factory=lambda: SAMPLINGS)
    resampling: Sequence[tuple] = RESAMPLING
    tuned: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, Mapping] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    classifiers: Sequence[str] = ()

    def place(
        self,
        model: str = "mobilenet",
        unfreeze: str = "0",
        variant: str = "lungs",
        seed: int = 0,
        split_name: str = "grouped",
    ) -> Path:
        """The folder of a training."""
        name = runs.name(model, unfreeze, variant)
        return self.folder / "runs" / split_name / name / f"seed-{seed}"

    def train(
        self,
        right: int | np.ndarray,
        labels: Sequence[str] = FOUR,
        images: int = 100,
        first: int = 0,
        split_name: str = "grouped",
        **run: str | int,
    ) -> pd.DataFrame:
        """Write what a training gives that is right about ``right`` of its images.

        It validates and tests on as many ``images``, test images being numbered from ``first``.
        ``right`` may also be truth values, one for each image of either part.
        """
        right = np.arange(images) < right if np.ndim(right) == 0 else np.asarray(right)
        images = len(right)
        truth = np.arange(2 * images) % len(labels)
        given = np.where(np.tile(right, 2), truth, (truth + 1) % len(labels))
        table = pd.DataFrame(np.eye(len(labels))[given], columns=[f"p_{name}" for name in labels])
        table.insert(0, "label", np.array(labels)[truth])
        table.insert(0, "split", ["validation"] * images + ["test"] * images)
        names = [f"COVID-{i}" for i in range(images)]
        table.insert(0, "image", names + [f"Normal-{i}" for i in range(first, first + images)])
        self.record(table, split_name, **run)
        return table

    def record(self, predictions: pd.DataFrame, split_name: str = "grouped", **run) -> None:
        """Write predictions, history and scores of explained images of a training; evaluate it."""
        run = {"model": "mobilenet", "unfreeze": "0", "variant": "lungs", "seed": 0} | run
        place = self.place(split_name=split_name, **run)
        tables.write(place / "predictions.parquet", predictions)
        common = place / "common.parquet"
        tables.write(common, predictions[["image", "label", "split"]])
        record = {"n_train": 7, "seconds": 1.5}
        if run["model"] not in self.classifiers:
            record |= {"epochs": 2, "parameters": 9, "trainable_parameters": 5, "cached": 64}
            record |= {"trained_layers": ["dense", "logits"], "first_trained": "dense"}
            stage = {"unfreeze": run["unfreeze"], "epochs": 2, "learning_rate": 0.001}
            record["stages"] = [stage | {"trainable_parameters": 5, "cached": True}]
            epochs = {"epoch": [1, 2], "stage": 1, "accuracy": 0.5, "loss": [1.0, 0.5]}
            history = pd.DataFrame(epochs | {"val_accuracy": 0.5, "val_loss": 1.0})
            tables.write(place / "history.tsv", history.assign(learning_rate=0.001))
            self._explain(predictions, split_name, run)
        (place / "training.json").write_text(json.dumps(record))
        key = {"split-name": split_name} | run
        threshold = self.thresholds.get(run["model"], "null")
        evaluate.main(
            [
                *("--predictions", f"{place}/predictions.parquet", "--common", str(common)),
                *("--training", f"{place}/training.json", "--output", str(place)),
                *(word for name, value in key.items() for word in (f"--{name}", str(value))),
                f"--threshold={threshold}",
            ]
        )

    def _explain(self, predictions: pd.DataFrame, split_name: str, run: Mapping) -> None:
        if run["seed"] != self.seeds[0]:
            return
        probabilities = predictions.filter(regex="^p_")
        table = predictions[["image", "label", "split"]].assign(
            **{"class": predictions["label"], "target": predictions["label"]},
            predicted=probabilities.idxmax(axis=1).str.removeprefix("p_"),
            energy_in_lungs=0.5,
            lung_area=0.25,
        )
        name = runs.name(run["model"], run["unfreeze"], run["variant"])
        place = self.folder / "explain" / split_name / name
        tables.write(place / "scores.tsv", pd.concat([table, probabilities], axis=1).tail(2))

    def search(
        self,
        model: str,
        variant: str = "lungs",
        split_name: str = "grouped",
        **found: float | str,
    ) -> None:
        """Write what a search found, and its trials: the best one and one with the same values."""
        place = self.folder / "tuning" / split_name / model / variant
        place.mkdir(parents=True)
        best = {"hyperparameters": found, "val_accuracy": 0.8, "trials": 2, "trial": "0001"}
        (place / "best.json").write_text(json.dumps(best))
        trials = {"trial": ["0000", "0001"], "bracket": 0, "round": [0, 1], "epochs": 2}
        trials |= {"val_accuracy": [0.7, 0.8], "val_loss": 1.0, "status": "completed"}
        tables.write(place / "trials.tsv", pd.DataFrame(trials | {"seconds": 3.0} | found))

    def run_table(self) -> pd.DataFrame:
        """The run table, as a file it is written to."""
        (self.folder / "runs.tsv").write_text(self.runs)
        return run_file.read(self.folder / "runs.tsv", self.split)

    def selected(self) -> pd.DataFrame:
        """The selected runs, one row per run and split file."""
        return runs.expand(runs.select(self.run_table(), self.query), self.splits)

    def select(self) -> Path:
        """Write the table of resampling and the selection, and return the latter's path."""
        table = self.run_table()
        names = sorted(set(runs.expand(table, self.splits)["split_name"]))
        rows = [(name, *row) for name in names for row in self.resampling]
        resampling = pd.DataFrame(rows, columns=RESAMPLING_COLUMNS)
        tables.write(self.folder / "tables/resampling.tsv", resampling)
        samplings, kinds = {}, {}
        for run in table.itertuples():
            searched = [self.tuned[run.model]] if run.model in self.tuned else []
            samplings[f"{run.model}/{run.variant}"] = sorted(
                {self.samplings[variant] for variant in [run.variant, *searched]}
            )
            kinds[run.model] = CLASSIFIER if run.model in self.classifiers else NETWORK
        output = self.folder / "gathered/selection.tsv"
        selection.main(
            [
                *("--runs", f"{self.folder}/runs.tsv", "--split", self.split),
                *("--resampling", f"{self.folder}/tables/resampling.tsv"),
                *(f"--filter={self.query}", "--seeds", *map(str, self.seeds)),
                *("--folds", json.dumps(self.splits), "--samplings", json.dumps(samplings)),
                *("--kinds", json.dumps(kinds), "--output", str(output)),
            ]
        )
        return output

    def gather(self, *names: str) -> dict[str, pd.DataFrame]:
        """Gather tables of all runs, all of them unless named, and return them."""
        folder = self.folder / "gathered"
        self._gather(folder, names or GATHERED, self.tuned)
        return {name: pd.read_parquet(folder / f"{name}.parquet") for name in names or GATHERED}

    def compare(self, table: str, figures: Path = FIGURES) -> pd.DataFrame:
        """Gather what the runs of a published table gave, and put it beside the figures."""
        folder = self.folder / "gathered/published" / table
        standing = Plan({}, self.selected(), {}).of_table(table, published.read(figures))
        names = [
            f"{run.split_name}/{runs.name(run.model, run.unfreeze, run.variant)}"
            for run in standing.itertuples()
        ]
        tuned = {name: self.tuned[name] for name in standing["model"] if name in self.tuned}
        self._gather(folder, OF_A_TABLE, tuned, "--runs", *names)
        compare.main(
            [
                *("--table", table, "--selection", f"{self.folder}/gathered/selection.tsv"),
                *("--metrics", f"{folder}/metrics.parquet"),
                *("--per-class", f"{folder}/per_class.parquet"),
                *("--searches", f"{folder}/searches.parquet"),
                *("--resampling", f"{self.folder}/tables/resampling.tsv"),
                *("--published", str(figures), "--samplings", json.dumps(self.samplings)),
                *("--tuned", json.dumps(tuned), "--output", self._table(table)),
            ]
        )
        return self._read(table)

    def compare_runs(self) -> pd.DataFrame:
        """The table of all selected runs."""
        self.gather("metrics")
        compare_runs.main(
            [
                *("--selection", f"{self.folder}/gathered/selection.tsv"),
                *("--metrics", f"{self.folder}/gathered/metrics.parquet"),
                *("--output", self._table("runs")),
            ]
        )
        return self._read("runs")

    def protocol(self) -> pd.DataFrame:
        """The published protocol beside the recommended one."""
        self.gather("metrics", "predictions")
        protocol.main(
            [
                *("--selection", f"{self.folder}/gathered/selection.tsv"),
                *("--metrics", f"{self.folder}/gathered/metrics.parquet"),
                *("--predictions", f"{self.folder}/gathered/predictions.parquet"),
                *("--resampling", f"{self.folder}/tables/resampling.tsv"),
                *("--published", str(FIGURES), "--samplings", json.dumps(self.samplings)),
                *("--models", json.dumps(self.models), "--output", self._table("protocol")),
            ]
        )
        return self._read("protocol")

    def _gather(
        self, folder: Path, names: Sequence[str], tuned: Mapping[str, str], *options: str
    ) -> None:
        gather.main(
            [
                *("--selection", str(self.select()), "--results", str(self.folder)),
                *("--tables", *names, *options, "--tuned", json.dumps(tuned)),
                *("--output", str(folder)),
            ]
        )

    def _table(self, name: str) -> str:
        return str(self.folder / f"tables/{name}.tsv")

    def _read(self, name: str) -> pd.DataFrame:
        header = Path(self._table(name)).read_text().partition("\n")[0].split("\t")
        return tables.read(self._table(name), "the tests", [x for x in TEXT if x in header])


def row_of(
    table: pd.DataFrame,
    model: str,
    unfreeze: str = "0",
    variant: str = "lungs",
    metric: str = "val_accuracy",
    **more: str,
) -> pd.Series:
    """The one row of a table about a run and a metric."""
    keys = {"model": model, "unfreeze": unfreeze, "variant": variant, "metric": metric} | more
    (row,) = table[(table[list(keys)] == list(keys.values())).all(axis=1)].to_dict("records")
    return pd.Series(row)
