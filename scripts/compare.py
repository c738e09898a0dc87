"""Put every published figure beside what the runs of this project give.

Settings: the filter over the run table, the seeds, the variants of the configuration (which name
the sampling of each), what the selected models are like and in which stages they train, and the
variant on which each tuned model was searched.
Inputs: the run table, the scores of every run (``metrics.tsv``, ``per_class.tsv`` under
``<variant>/<model>/unfreeze-<unfreeze>/seed-<seed>``, and there for models that are like another
``predictions.parquet``), what the searches found (``<model>/<variant>/best.json``), the table of
resampling with its shortfalls, and the published figures.
Outputs: ``runs.tsv`` (one row a selected run and seed), one file for each published table, one row
a published figure: the mean over seeds with its 95 % interval (Wilson, on the images of one
evaluation), the standard deviation between seeds, and where the run was not made, why; and
``protocol.tsv``, the published protocol beside the recommended one (see
`pulmoscan.results.protocols`).
"""

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from pulmoscan import command
from pulmoscan.config import runs
from pulmoscan.results import comparison, metrics, protocols, published
from pulmoscan.storage.atomic import replacing


def read_trainings(folder: Path, seeds: Sequence[int]) -> dict[int, published.Training]:
    """Return the scores of a run by seed, without the seeds that have none."""
    trainings = {}
    for seed in seeds:
        path = folder / f"seed-{seed}"
        if not (path / "metrics.tsv").is_file():
            continue
        scores = pd.read_csv(
            path / "metrics.tsv", sep="\t", dtype={"model": str, "unfreeze": str, "variant": str}
        )
        if len(scores):
            classes = pd.read_csv(
                path / "per_class.tsv",
                sep="\t",
                # An empty cell is no number; a label may be spelled NA.
                keep_default_na=False,
                na_values=[""],
                dtype={"split": str, "label": str},
            )
            trainings[seed] = published.Training(scores, classes)
    return trainings


def read_answers(
    folder: Path, trainings: Mapping[int, published.Training]
) -> dict[int, pd.DataFrame]:
    """Return ``image, split, right`` of a run's trainings by seed, without those not at hand."""
    answers = {}
    for seed, training in trainings.items():
        path = folder / f"seed-{seed}" / "predictions.parquet"
        if path.is_file():
            predictions = pd.read_parquet(path)
            threshold = training.metrics["threshold"].item()
            given = metrics.predicted(predictions, None if math.isnan(threshold) else threshold)
            answers[seed] = predictions[["image", "split"]].assign(
                right=given == predictions["label"]
            )
    return answers


def read_searches(folder: Path, tuned: Mapping[str, str]) -> dict[str, dict]:
    """Return the hyperparameters that each model's search found, without those not made."""
    files = {model: folder / model / variant / "best.json" for model, variant in tuned.items()}
    return {
        model: json.loads(path.read_text(encoding="utf-8"))["hyperparameters"]
        for model, path in files.items()
        if path.is_file()
    }


def main(argv: Sequence[str]) -> None:
    """Read the scores of all selected runs and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True, help="run table")
    parser.add_argument("--filter", default="", help="pandas query over the run table")
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--variants", type=json.loads, default={}, help="of the configuration")
    parser.add_argument(
        "--models", type=json.loads, default={}, help="like, stages, network of each"
    )
    parser.add_argument("--tuned", type=json.loads, default={}, help="variant of each tuned model")
    parser.add_argument("--tuning", type=Path, default=Path("results/tuning"), help="folder")
    parser.add_argument("--results", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--resampling", type=Path, required=True, help="asked, got, shortfall")
    parser.add_argument("--published", type=Path, required=True, help="published figures")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    arguments = parser.parse_args(argv)

    table = runs.read(arguments.runs)
    found = read_searches(arguments.tuning, arguments.tuned)
    figures = comparison.with_own_runs(published.read(arguments.published), table, found)
    selected = runs.select(table, arguments.filter)
    resampling = pd.read_csv(arguments.resampling, sep="\t", dtype=str, keep_default_na=False)
    empty, smaller = comparison.shortfalls(resampling, arguments.variants)
    trainings = {
        # Scores of a run that the data cannot fill are those of an earlier configuration.
        run: {}
        if empty.get(run[2])
        else read_trainings(arguments.results / runs.name(*run), arguments.seeds)
        for run in map(tuple, selected[runs.KEY].to_numpy())
    }

    def reason(run: tuple[str, ...]) -> str:
        return comparison.reason_not_run(run, table, set(trainings), empty.get(run[2], ""))

    def row_of(figure: pd.Series) -> dict[str, object]:
        run = tuple(figure[runs.KEY])
        if not published.is_setting(figure["metric"]):
            scores = list(trainings.get(run, {}).values())
            return comparison.figure_row(figure, scores, reason(run), smaller.get(run[2], ""))
        variant = arguments.tuned.get(run[0], "")
        missing = reason(run) if run not in trainings else empty.get(variant) or "no search found"
        return comparison.setting_row(figure, found.get(run[0]), variant, missing)

    pairs = protocols.pairs(selected, arguments.models)
    written = {
        "runs": comparison.table_of_runs(selected, arguments.seeds, trainings, empty),
        "protocol": comparison.protocol_table(
            pairs,
            arguments.models,
            figures,
            trainings,
            {
                run: read_answers(arguments.results / runs.name(*run), trainings[run])
                for pair in pairs
                for run in pair
                if trainings.get(run)
            },
            {run: reason(run) for pair in pairs for run in pair},
            smaller,
        ),
    }
    for name, part in figures.groupby("table", sort=False):
        rows = [row_of(figure) for _, figure in part.iterrows()]
        written[name] = pd.DataFrame(rows).reindex(columns=comparison.COLUMNS)
    for name, result in written.items():
        with replacing(arguments.output / f"{name}.tsv") as path:
            result.to_csv(path, sep="\t", index=False)


if __name__ == "__main__":
    command.run(main)
