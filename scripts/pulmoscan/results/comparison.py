"""Rows of the tables that put published figures beside what the runs of this project give."""

from collections.abc import Mapping, Sequence

import pandas as pd

from pulmoscan.config import runs
from pulmoscan.results import protocols, published

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
COUNTS = (
    "n_train",
    "n_validation",
    "n_test",
    "epochs",
    "trainable_parameters",
    "trained_layers",
    "parameters",
    "cached_bytes",
)
RUN = "run"
NOT_RUN = "not run: "
NO_FIGURE = "not in the report of the study, found by the search"


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


def with_own_runs(
    figures: pd.DataFrame, table: pd.DataFrame, found: Mapping[str, dict]
) -> pd.DataFrame:
    """Return the published figures with rows for what was not published.

    A run that stands in a table without a published figure gets rows there: their published value
    is empty, and their metrics are the accuracies of that table, or else its first metric. In the
    table of searches, every setting that one found and the study does not give has a row.

    Raises:
        ValueError: for a table that was not published.
    """
    named = {name for names in table["tables"] for name in runs.table_names(names)}
    if strangers := sorted(named - set(figures["table"])):
        raise ValueError(
            f"the run table: no published table {strangers[0]!r}; "
            f"there are {', '.join(figures['table'].unique())}"
        )
    identity = ["table", *runs.KEY]
    known = set(map(tuple, figures[identity].to_numpy()))
    standing = [
        (name, *run[runs.KEY])
        for _, run in table.iterrows()
        for name in runs.table_names(run["tables"])
    ]
    of_table = figures.groupby("table")["metric"].unique()
    own = [
        dict(zip(identity, place, strict=True)) | {"metric": metric, "note": "not in the study"}
        for place in standing
        if place not in known
        for metric in _own_metrics(of_table[place[0]], found.get(place[1]))
    ]
    published_settings = figures[figures["metric"].map(published.is_setting)]
    for place, part in published_settings.groupby(identity, sort=False):
        others = [f"{published.SETTING}{name}" for name in found.get(place[1], ())]
        own += [
            dict(zip(identity, place, strict=True)) | {"metric": metric, "note": NO_FIGURE}
            for metric in others
            if metric not in set(part["metric"])
        ]
    return pd.concat([figures, pd.DataFrame(own, columns=figures.columns)]).fillna("")


def _own_metrics(names: Sequence[str], found: Mapping[str, object] | None) -> list[str]:
    if found and published.is_setting(names[0]):
        return [f"{published.SETTING}{name}" for name in found]
    return [name for name in names if name.endswith("_accuracy")] or [names[0]]


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


def figure_row(
    figure: pd.Series, trainings: list[published.Training], reason: str, smaller: str
) -> dict[str, object]:
    """Return the row of one published figure."""
    value = published.number(figure["value"])
    row = {key: figure[key] for key in [*runs.KEY, "metric"]} | {"published": figure["value"]}
    row["published_low"], row["published_high"] = published.interval(
        value, published.number(figure["n"])
    )
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


def setting_row(
    figure: pd.Series, found: Mapping[str, object] | None, variant: str, reason: str
) -> dict[str, object]:
    """Return the row of one setting that a search found.

    ``found`` holds the settings of the model's search, None where there was none, ``variant`` what
    it was searched on. Numbers are compared as numbers; a setting may also be text.
    """
    row = {key: figure[key] for key in [*runs.KEY, "metric"]} | {"published": figure["value"]}
    name = figure["metric"].removeprefix(published.SETTING)
    notes = [figure["note"]]
    if found is None:
        row |= {"n": 0, "status": NOT_RUN + reason}
    elif name not in found:
        row |= {"n": 0, "status": NOT_RUN + "not in the search space"}
    else:
        row |= {"n": 1, "reproduced": found[name], "status": RUN}
        if isinstance(found[name], int | float):
            row["difference"] = found[name] - published.number(figure["value"])
        notes += [f"searched on {variant}"] if variant != figure["variant"] else []
    row["note"] = "; ".join(filter(None, notes))
    return row


def protocol_table(
    pairs: Sequence[tuple[tuple, tuple]],
    models: Mapping[str, Mapping],
    figures: pd.DataFrame,
    trainings: Mapping[tuple, dict],
    answers: Mapping[tuple, dict],
    reasons: Mapping[tuple, str],
    smaller: Mapping[str, str],
) -> pd.DataFrame:
    """Return the published protocol beside the recommended one, two metrics a pair of runs.

    ``reasons`` says for each run why it has no scores, should it have none.
    """
    printed = figures.drop_duplicates([*runs.KEY, "metric"]).set_index([*runs.KEY, "metric"])
    rows = []
    for base, staged in pairs:
        for metric in protocols.METRICS:
            key = (*base, metric)
            value, n = printed.loc[key, ["value", "n"]] if key in printed.index else ("", "")
            row = protocols.row(
                *(base, staged, metric, value, published.number(n)),
                *((table.get(base, {}), table.get(staged, {})) for table in (trainings, answers)),
            )
            missing = [
                f"{run[0]}: {reasons[run]}" for run in (base, staged) if not trainings.get(run)
            ]
            row["status"] = NOT_RUN + "; ".join(missing) if missing else RUN
            of_staged = printed["value"].get((*staged, metric), "")
            notes = [
                row["note"],
                f"the study gives {of_staged} for {staged[0]} itself" if of_staged else "",
                protocols.confounded(models.get(base[0], {}), models[staged[0]]),
                "" if missing else smaller.get(base[2], ""),
            ]
            rows.append(row | {"note": "; ".join(filter(None, notes))})
    return pd.DataFrame(rows).reindex(columns=protocols.COLUMNS)
