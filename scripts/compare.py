"""Put every published figure beside what the runs of this project give.

Settings: the filter over the run table, the seeds, and the variants of the configuration (which
name the sampling of each).
Inputs: the run table, the scores of every run (``metrics.tsv``, ``per_class.tsv`` under
``<variant>/<model>/unfreeze-<unfreeze>/seed-<seed>``), the table of resampling with its shortfalls,
and the published figures.
Outputs: ``runs.tsv`` (one row a selected run and seed) and one file for each published table, one
row a published figure: the mean over seeds with its 95 % interval (Wilson, on the images of one
evaluation), the standard deviation between seeds, and where the run was not made, why.
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pulmoscan import command, metrics, published, runs
from pulmoscan.atomic import replacing

COLUMNS = [
    *runs.KEY,
    "metric",
    "published",
    "published_low",
    "published_high",
    "n",
    "reproduced",
    "sd",
    "low",
    "high",
    "difference",
    "status",
    "note",
]
COUNTS = ("n_train", "n_validation", "n_test", "epochs", "trainable_parameters")
RUN = "run"
NOT_RUN = "not run: "


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
            classes = pd.read_csv(path / "per_class.tsv", sep="\t", keep_default_na=False)
            measured = classes.columns.drop(["split", "label"])
            classes[measured] = classes[measured].apply(pd.to_numeric, errors="coerce")
            trainings[seed] = published.Training(scores, classes)
    return trainings


def shortfalls(resampling: pd.DataFrame, variants: dict[str, dict]) -> tuple[dict, dict]:
    """Return for each variant why its sampling is empty, and how far it is short though it is not.

    Both map the names of variants to a sentence, "" for nothing to say.
    """
    empty, smaller = {}, {}
    for name, part in resampling.groupby("sampling"):
        asked, got = (part[column].astype(int).sum() for column in ("asked", "got"))
        empty[name] = "; ".join(part["shortfall"][part["shortfall"] != ""].unique())
        if got < asked:
            smaller[name] = f"sampling {name!r} got {got:,} of the {asked:,} images asked for"
    return tuple(
        {variant: sentences.get(entry["sampling"], "") for variant, entry in variants.items()}
        for sentences in (empty, smaller)
    )


def with_own_runs(figures: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Return the published figures with a row for every run that stands in a table without one.

    Its published value is empty, and its metric the first of that table. Raises ``ValueError`` for
    a table that was not published.
    """
    named = {name for names in table["tables"] for name in runs.table_names(names)}
    if strangers := sorted(named - set(figures["table"])):
        raise ValueError(
            f"the run table: no published table {strangers[0]!r}; "
            f"there are {', '.join(figures['table'].unique())}"
        )
    known = set(map(tuple, figures[["table", *runs.KEY]].to_numpy()))
    own = [
        {
            "table": name,
            **{key: run[key] for key in runs.KEY},
            "metric": figures.loc[figures["table"] == name, "metric"].iloc[0],
            "note": "not in the study",
        }
        for _, run in table.iterrows()
        for name in runs.table_names(run["tables"])
        if (name, *run[runs.KEY]) not in known
    ]
    return pd.concat([figures, pd.DataFrame(own, columns=figures.columns)]).fillna("")


def reason_not_run(run: tuple[str, ...], table: pd.DataFrame, selected: set, empty: str) -> str:
    """Return why a run (model, unfreeze, variant) has no scores."""
    if run not in set(map(tuple, table[runs.KEY].to_numpy())):
        return "not in the run table"
    if run not in selected:
        return "left out by run_filter"
    return empty or "no scores found"


def table_of_runs(
    selected: pd.DataFrame, seeds: Sequence[int], trainings: dict, empty: dict[str, str]
) -> pd.DataFrame:
    """Return one row a selected run and seed: its metrics and status."""
    rows = []
    for run in map(tuple, selected[runs.KEY].to_numpy()):
        missing = empty.get(run[2]) or "no scores found"
        for seed in seeds:
            training = trainings[run].get(seed)
            if training:
                rows.append(training.metrics.assign(status=RUN))
            else:
                row = dict(zip(runs.KEY, run, strict=True), seed=seed, status=NOT_RUN + missing)
                rows.append(pd.DataFrame([row]))
    result = pd.concat(rows, ignore_index=True)
    # A run without scores must not turn the counts of the others into fractions.
    return result.astype({column: "Int64" for column in COUNTS if column in result})


def compare(
    figure: pd.Series, trainings: list[published.Training], reason: str, smaller: str
) -> dict[str, object]:
    """Return the row of one published figure."""
    value = published.number(figure["value"])
    images = published.number(figure["n"])
    row = {key: figure[key] for key in [*runs.KEY, "metric"]} | {"published": figure["value"]}
    if not math.isnan(value * images):
        # A printed share is rounded; the nearest whole number of images is what was counted.
        counted = round(value * images) / images
        row["published_low"], row["published_high"] = metrics.wilson(counted, images)
    notes = [figure["note"]]
    measured = published.measure(figure["metric"], trainings) if trainings else None
    if measured is None:
        row |= {"n": 0, "status": NOT_RUN + (reason if not trainings else "not measured by it")}
    else:
        row |= {"n": len(measured.values), "reproduced": measured.mean, "sd": measured.sd}
        row["low"], row["high"] = measured.interval
        row |= {"difference": measured.mean - value, "status": RUN}
        notes.append(smaller)
    row["note"] = "; ".join(filter(None, notes))
    return row


def main(argv: Sequence[str]) -> None:
    """Read the scores of all selected runs and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True, help="run table")
    parser.add_argument("--filter", default="", help="pandas query over the run table")
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--variants", type=json.loads, default={}, help="of the configuration")
    parser.add_argument("--results", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--resampling", type=Path, required=True, help="asked, got, shortfall")
    parser.add_argument("--published", type=Path, required=True, help="published figures")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    arguments = parser.parse_args(argv)

    table = runs.read(arguments.runs)
    figures = with_own_runs(published.read(arguments.published), table)
    selected = runs.select(table, arguments.filter)
    resampling = pd.read_csv(arguments.resampling, sep="\t", dtype=str, keep_default_na=False)
    empty, smaller = shortfalls(resampling, arguments.variants)
    trainings = {
        # Scores of a run that the data cannot fill are those of an earlier configuration.
        run: {}
        if empty.get(run[2])
        else read_trainings(arguments.results / runs.name(*run), arguments.seeds)
        for run in map(tuple, selected[runs.KEY].to_numpy())
    }
    written = {"runs": table_of_runs(selected, arguments.seeds, trainings, empty)}
    for name, part in figures.groupby("table", sort=False):
        rows = []
        for _, figure in part.iterrows():
            run = tuple(figure[runs.KEY])
            reason = reason_not_run(run, table, set(trainings), empty.get(run[2], ""))
            scores = list(trainings.get(run, {}).values())
            rows.append(compare(figure, scores, reason, smaller.get(run[2], "")))
        written[name] = pd.DataFrame(rows).reindex(columns=COLUMNS)
    for name, result in written.items():
        with replacing(arguments.output / f"{name}.tsv") as path:
            result.to_csv(path, sep="\t", index=False)


if __name__ == "__main__":
    command.run(main)
