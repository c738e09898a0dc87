"""Published figures beside what the runs of this project give, one table of the study at a time."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from pulmoscan.config import runs
from pulmoscan.results import published, scores
from pulmoscan.results.selection import NOT_RUN, RUN, asked_and_got, shortened

COLUMNS = [
    *runs.KEY,
    "metric",
    "published",
    "published_low",
    "published_high",
    "n",
    "folds",
    "reproduced",
    "sd",
    "low",
    "high",
    "difference",
    "status",
    "reason",
    "note",
    "asked",
    "got",
    "searched_on",
]
NOT_IN_STUDY = "not in the study"
NO_FIGURE = "not in the report of the study, found by the search"
NOT_IN_TABLE = "not in the run table"
_FIGURE = ["metric", "value", "n", "note"]


@dataclass(frozen=True)
class Gathered:
    """What the runs of a published table gave.

    ``selection`` has every run of the run table; ``metrics`` and ``per_class`` have the trainings
    that were made; ``searches`` one row per setting that a search found; ``resampling`` the images
    that samplings asked for and got.
    """

    selection: pd.DataFrame
    metrics: pd.DataFrame
    per_class: pd.DataFrame
    searches: pd.DataFrame
    resampling: pd.DataFrame


def compare(
    table: str,
    figures: pd.DataFrame,
    gathered: Gathered,
    samplings: Mapping[str, str],
    tuned: Mapping[str, str],
) -> pd.DataFrame:
    """Return a published table with what was reproduced of it, with the columns `COLUMNS`.

    One row per published figure and split that its run is on; then rows of the runs that stand in
    the table though the study has no figure of them, with an empty published value; then settings
    that a search found and the study does not give. ``n`` counts trainings.

    Args:
        table: its name.
        figures: all published figures, see `published.read`.
        gathered: what the runs gave.
        samplings: the sampling of each variant.
        tuned: the variant that each tuned model was searched on.

    Raises:
        ValueError: for a table that was not published.
    """
    printed = figures[figures["table"] == table]
    if not len(printed):
        raise ValueError(
            f"no published table {table!r}; there are {', '.join(figures['table'].unique())}"
        )
    standing = runs.of_table(gathered.selection, table, figures)
    short = asked_and_got(gathered.resampling)
    rows = []
    for figure in _figures(printed, standing, gathered.searches):
        run = tuple(figure[name] for name in runs.NAME)
        trainings = standing[_is_run(standing, run)]
        if published.is_setting(figure["metric"]):
            rows += _setting_rows(figure, trainings, gathered.searches, tuned.get(run[0], ""))
            continue
        for split, part in trainings.groupby("split", sort=False):
            made = part.loc[part["status"] == RUN, ["split_name", "seed"]]
            key = {"split_name": made["split_name"], "seed": made["seed"]}
            row = _figure_row(
                figure,
                part,
                *(_of(table_, run, key) for table_ in (gathered.metrics, gathered.per_class)),
            )
            if row["status"] == RUN:
                row |= shortened(short, part["split_name"], samplings.get(run[2], ""))
            rows.append({"split": split} | row)
        if not len(trainings):
            rows.append(
                {"split": "", **_printed(figure), "n": 0, "folds": 0}
                | {"status": NOT_RUN, "reason": NOT_IN_TABLE}
            )
    result = pd.DataFrame(rows).reindex(columns=COLUMNS)
    return result.astype(dict.fromkeys(("n", "folds", "asked", "got"), "Int64"))


def runs_table(selection: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """Return one row per selected run and seed: its key, tables, status, reason, and metrics."""
    selected = selection.loc[selection["selected"], [*runs.TRAINING, "tables", "status", "reason"]]
    return selected.merge(
        metrics.reindex(columns=[*runs.TRAINING, *scores.METRICS]), on=runs.TRAINING, how="left"
    )


def _figures(
    printed: pd.DataFrame, standing: pd.DataFrame, searches: pd.DataFrame
) -> Iterator[dict[str, str]]:
    """Yield the figures of a table: the published ones, those of other runs, further settings."""
    yield from printed.to_dict(orient="records")
    known = set(printed[runs.NAME].itertuples(index=False, name=None))
    found = {
        model: list(dict.fromkeys(part["setting"])) for model, part in searches.groupby("model")
    }
    metrics = list(printed["metric"].unique())
    for run in standing[runs.NAME].drop_duplicates().itertuples(index=False, name=None):
        if run not in known:
            for metric in _own_metrics(metrics, found.get(run[0])):
                yield _figure(run, metric, NOT_IN_STUDY)
    settings = printed[printed["metric"].map(published.is_setting)]
    for run, part in settings.groupby(runs.NAME, sort=False):
        for metric in (f"{published.SETTING}{name}" for name in found.get(run[0], ())):
            if metric not in set(part["metric"]):
                yield _figure(run, metric, NO_FIGURE)


def _figure(run: tuple[str, ...], metric: str, note: str) -> dict[str, str]:
    return dict(zip(runs.NAME, run, strict=True)) | dict(
        zip(_FIGURE, (metric, "", "", note), strict=True)
    )


def _own_metrics(metrics: list[str], found: list[str] | None) -> list[str]:
    """Return the metrics of a run without published figures: the accuracies of its table."""
    if found and published.is_setting(metrics[0]):
        return [f"{published.SETTING}{name}" for name in found]
    return [name for name in metrics if name.endswith("_accuracy")] or [metrics[0]]


def _is_run(table: pd.DataFrame, run: tuple[str, ...]) -> pd.Series:
    return (table[runs.NAME] == list(run)).all(axis=1)


def _of(table: pd.DataFrame, run: tuple[str, ...], key: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Return the rows of some trainings of a run."""
    kept = _is_run(table, run)
    for column, values in key.items():
        kept &= table[column].isin(values)
    return table[kept]


def _printed(figure: Mapping[str, str]) -> dict[str, object]:
    """Return the columns that are known without any run."""
    low, high = published.interval(published.number(figure["value"]), published.number(figure["n"]))
    return {name: figure[name] for name in [*runs.NAME, "metric", "note"]} | {
        "published": figure["value"],
        "published_low": low,
        "published_high": high,
        "searched_on": "",
    }


def _figure_row(
    figure: Mapping[str, str],
    trainings: pd.DataFrame,
    metrics: pd.DataFrame,
    per_class: pd.DataFrame,
) -> dict[str, object]:
    """Return the row of one figure that is not a setting, for the trainings on one split."""
    row = _printed(figure)
    measured = published.measure(figure["metric"], metrics, per_class) if len(metrics) else None
    if measured is None:
        reason = next(filter(None, trainings["reason"]), "not measured by it")
        return row | {"n": 0, "folds": 0, "status": NOT_RUN, "reason": reason}
    low, high = measured.interval
    return row | {
        "n": len(measured.values),
        "folds": measured.folds,
        "reproduced": measured.mean,
        "sd": measured.sd,
        "low": low,
        "high": high,
        "difference": measured.mean - published.number(figure["value"]),
        "status": RUN,
        "reason": "",
    }


def _setting_rows(
    figure: Mapping[str, str], trainings: pd.DataFrame, searches: pd.DataFrame, variant: str
) -> Iterator[dict[str, object]]:
    """Yield the rows of one setting that a search was to find, one per search.

    Numbers are compared as numbers; a setting may also be text.
    """
    setting = figure["metric"].removeprefix(published.SETTING)
    row = _printed(figure) | {"n": 0, "folds": 0, "status": NOT_RUN}
    row |= {"published_low": math.nan, "published_high": math.nan}
    if not len(trainings):
        yield {"split": "", **row, "reason": NOT_IN_TABLE}
    for split_name, part in trainings.groupby("split_name", sort=False):
        row["split"] = split_name
        of_search = searches[
            (searches["split_name"] == split_name) & (searches["model"] == figure["model"])
        ]
        if not len(of_search):
            yield row | {"reason": next(filter(None, part["reason"]), "no search found")}
        elif not len(value := of_search.loc[of_search["setting"] == setting, "value"]):
            yield row | {"reason": "not in the search space"}
        else:
            yield row | {
                "n": 1,
                "folds": 1,
                "reproduced": value.item(),
                "difference": published.number(value.item()) - published.number(figure["value"]),
                "status": RUN,
                "reason": "",
                "searched_on": variant if variant != figure["variant"] else "",
            }
