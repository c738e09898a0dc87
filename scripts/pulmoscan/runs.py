"""The run table: one row a run of the study, and how a user chooses among them.

Read while the Snakefile is parsed, so nothing heavier than pandas is imported here.
"""

import ast
from itertools import product
from pathlib import Path

import pandas as pd

KEY = ["model", "unfreeze", "variant"]
COLUMNS = [*KEY, "tables"]


def read(path: str | Path) -> pd.DataFrame:
    """Return the run table, all columns as text.

    Columns: ``model`` (a name of the configuration), ``unfreeze`` (``0``, a number of layers,
    ``half`` or ``all``), ``variant`` (a name of the configuration) and ``tables`` (the published
    tables that the run stands in, separated by commas; may be empty).

    Raises:
        ValueError: when a column is missing or not known, a cell is empty or holds what it
            cannot, or a run stands twice.
    """
    try:
        runs = pd.read_csv(
            path,
            sep="\t",
            dtype=str,
            keep_default_na=False,
            index_col=False,
            skip_blank_lines=False,
            on_bad_lines="error",
        )
    except OSError as error:
        raise OSError(f"runs: cannot read the run table {path}: {error.strerror}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"runs: {path} is no table of tab-separated text: {error}") from None
    missing = [column for column in COLUMNS if column not in runs.columns]
    unknown = [column for column in runs.columns if column not in COLUMNS]
    if missing or unknown:
        wrong = f"lacks the column {missing[0]!r}" if missing else f"has a column {unknown[0]!r}"
        raise ValueError(f"{path} {wrong}: its columns are {', '.join(COLUMNS)}")
    if not len(runs):
        raise ValueError(f"{path} has no run below its header")
    runs = runs[COLUMNS].fillna("").apply(lambda column: column.str.strip())
    for column in KEY:
        if (empty := runs[column].eq("")).any():
            raise ValueError(f"{path}, line {empty.idxmax() + 2}: {column} is empty")
    readable = runs["unfreeze"].str.fullmatch(r"0|[1-9]\d*|half|all")
    if not readable.all():
        line = readable.idxmin()
        raise ValueError(
            f"{path}, line {line + 2}: unfreeze is {runs['unfreeze'][line]!r}: "
            "write a number of layers, half or all"
        )
    if (twice := runs.duplicated(KEY)).any():
        raise ValueError(
            f"{path}, line {twice.idxmax() + 2}: the run {name(**runs[KEY].loc[twice.idxmax()])} "
            "stands in the table twice"
        )
    return runs


def select(runs: pd.DataFrame, query: str | None) -> pd.DataFrame:
    """Return the rows of ``runs`` that a pandas query keeps, in their order; all without a query.

    Raises:
        ValueError: when the query cannot be read or keeps no row.
    """
    if not query:
        return runs
    hint = f"the columns are {', '.join(runs.columns)}, all text, as in \"model == 'mobilenet'\""
    try:
        kept = runs.eval(query, engine="python")
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"run_filter {query!r} cannot be read ({reason}): {hint}") from None
    if not isinstance(kept, pd.Series) or kept.dtype != bool:
        raise ValueError(f"run_filter {query!r} does not say yes or no to each run: {hint}")
    if not kept.any():
        raise ValueError(f"run_filter {query!r} leaves none of the {len(runs)} runs: {hint}")
    return runs[kept]


def table_names(cell: str) -> list[str]:
    """Return the names in a cell of the column ``tables``."""
    return [name.strip() for name in cell.split(",") if name.strip()]


def with_quotes(query: str | None) -> str | None:
    """Return a query with the quotation mark that Snakemake takes off the end of a --config value.

    ``--config run_filter="model == 'mobilenet'"`` arrives as ``model == 'mobilenet``. The first
    completion that is an expression is taken; a query that is one, or cannot become one, stays.
    """
    if not isinstance(query, str):
        return query
    marks = ("", "'", '"')
    for start, end in product(marks, marks):
        try:
            expression = ast.parse(f"{start}{query}{end}", mode="eval").body
        except SyntaxError:
            continue
        if not isinstance(expression, ast.Constant):  # the whole query between marks
            return f"{start}{query}{end}"
    return query


def name(model: str, unfreeze: str, variant: str) -> str:
    """Return the name of a run in paths and reports."""
    return f"{variant}/{model}/unfreeze-{unfreeze}"
