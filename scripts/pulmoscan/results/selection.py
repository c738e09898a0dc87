"""Which runs of the run table are made, and why the others are not."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from pulmoscan.config import runs
from pulmoscan.storage import tables

RUN, NOT_RUN = "run", "not_run"
COLUMNS = [*runs.TRAINING, "split", "tables", "kind", "selected", "status", "reason"]
TEXT = ["split_name", *runs.NAME, "split", "tables", "kind", "status", "reason"]
# Columns of text in the table of resampling.
RESAMPLING_TEXT = ["split_name", "sampling", "class", "label", "split", "shortfall"]
LEFT_OUT = "left out by run_filter"


def read_selection(path: str | Path, *, unchanged: bool = True) -> pd.DataFrame:
    """Return what `selection` returned, from its file; ``unchanged`` is that of `tables.read`.

    Raises ``OSError`` or ``ValueError`` for a file that is missing or damaged.
    """

    def check(table: pd.DataFrame) -> None:
        told = table["status"].isin([RUN, NOT_RUN]).all() and "selected" in table
        if len(table) and not (told and pd.api.types.is_bool_dtype(table["selected"])):
            raise ValueError("it does not say of every run whether it is made")

    return tables.read(path, "selection", TEXT, whole=["seed"], then=check, unchanged=unchanged)


def read_resampling(path: str | Path) -> pd.DataFrame:
    """Return the images that samplings asked for and got.

    Raises ``OSError`` or ``ValueError`` for a file that is missing or damaged.
    """
    return tables.read(path, "resampling", RESAMPLING_TEXT, whole=["asked", "got"])


def selection(
    table: pd.DataFrame,
    query: str,
    seeds: Sequence[int],
    splits: Mapping[str, Mapping],
    samplings: Mapping[str, Sequence[str]],
    kinds: Mapping[str, str],
    resampling: pd.DataFrame,
    unshown: Mapping[str, str] = MappingProxyType({}),
) -> pd.DataFrame:
    """Return one row per run of the run table, split file and seed, in their order.

    Args:
        table: the run table, see `runs.read`.
        query: the filter over it, "" for all.
        seeds: of the trainings.
        splits: the splits that the run table names, for their ``folds``.
        samplings: by ``model/variant`` of the selected runs, the samplings that each reads.
        kinds: by selected model ``network``, ``histogram network`` or ``classifier``.
        resampling: images asked for and got, with a ``shortfall`` where a sampling is empty.
        unshown: by ``model/variant`` why runs cannot be made for want of masks.

    Returns:
        The columns `COLUMNS`: the key of a training, the name of its ``split`` in the run table
        (``cv`` for the split file ``cv-1``), ``tables``, ``kind`` ("" unless selected),
        ``selected``, ``status`` (`RUN` or `NOT_RUN`) and ``reason`` (why not, else "").
    """
    chosen = runs.select(table, query).index
    expanded = runs.expand(table.assign(selected=table.index.isin(chosen)), splits)
    empty = shortfalls(resampling)
    reasons = []
    for run in expanded.itertuples():
        names = samplings.get(f"{run.model}/{run.variant}", ())
        masks = unshown.get(f"{run.model}/{run.variant}", "")
        missing = (empty.get((run.split_name, name), "") for name in names)
        reasons.append(next(filter(None, (masks, *missing)), "") if run.selected else LEFT_OUT)
    expanded["reason"] = reasons
    expanded["status"] = [NOT_RUN if reason else RUN for reason in reasons]
    expanded["kind"] = expanded["model"].map(kinds).fillna("").where(expanded["selected"], "")
    return expanded.merge(pd.DataFrame({"seed": list(seeds)}), how="cross")[COLUMNS]


def shortfalls(resampling: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Return by (split_name, sampling) why the data cannot fill it; only those that are empty."""
    short = resampling[resampling["shortfall"] != ""]
    groups = short.groupby(["split_name", "sampling"])["shortfall"]
    return {key: "; ".join(reasons.unique()) for key, reasons in groups}


def asked_and_got(resampling: pd.DataFrame) -> pd.DataFrame:
    """Return ``asked`` and ``got``, in images, of the samplings that got fewer than they asked for.

    The index is (split_name, sampling).
    """
    sums = resampling.groupby(["split_name", "sampling"])[["asked", "got"]].sum()
    return sums[sums["got"] < sums["asked"]]


def shortened(
    asked_and_got: pd.DataFrame, split_names: Iterable[str], sampling: str
) -> dict[str, int]:
    """Return ``asked`` and ``got`` of a sampling that got fewer images than it asked for, else {}.

    Of several split files, the first one where it did counts. See `asked_and_got`.
    """
    for split_name in split_names:
        if (split_name, sampling) in asked_and_got.index:
            return asked_and_got.loc[(split_name, sampling)].to_dict()
    return {}
