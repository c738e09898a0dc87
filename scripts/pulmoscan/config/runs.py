"""The run table: one row per run of the study, and how a user selects among them.

Read while the Snakefile is parsed, so nothing heavier than pandas is imported here.
"""

import ast
import csv
import io
from collections.abc import Collection, Iterator, Mapping
from itertools import product
from pathlib import Path

import pandas as pd

NAME = ["model", "unfreeze", "variant"]  # of a run, below its split
KEY = ["split", *NAME]
COLUMNS = [*NAME, "tables"]
OPTIONAL = ["split"]
TRAINING = ["split_name", *NAME, "seed"]  # the key of every table about trainings
# What a query may be made of. Anything else pandas would run: names with @, methods that write.
NODES = (
    *(ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.Invert),
    *(ast.BinOp, ast.BitAnd, ast.BitOr, ast.Compare, ast.Eq, ast.NotEq, ast.In, ast.NotIn),
    *(ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.List, ast.Tuple, ast.Constant, ast.Load),
    *(ast.Name, ast.Attribute, ast.Call, ast.keyword),
)
METHODS = ("isin",)
TEXT_METHODS = (
    *("contains", "startswith", "endswith", "match", "fullmatch"),
    *("len", "lower", "upper", "count", "isdecimal"),
)


def read(path: str | Path, split: str) -> pd.DataFrame:
    """Return the run table, all columns as text.

    Columns: ``split`` (a name of the configuration; where the file has no such column, or an empty
    cell, the given one), ``model`` (a name of the configuration), ``unfreeze`` (``0``, a number of
    layers, ``half`` or ``all``), ``variant`` (a name of the configuration) and ``tables`` (the
    published tables that the run stands in, separated by commas; may be empty).

    Raises:
        ValueError: when a column is missing or unknown, a cell is empty or invalid, or a run
            appears twice.
    """
    header, *rows = _cells(path)
    known = [*COLUMNS, *OPTIONAL]
    missing = [column for column in COLUMNS if column not in header]
    unknown = [column for column in header if column not in known or header.count(column) > 1]
    if missing or unknown:
        wrong = f"lacks the column {missing[0]!r}" if missing else f"has a column {unknown[0]!r}"
        wrong += " twice" if unknown and header.count(unknown[0]) > 1 else ""
        raise ValueError(
            f"{path} {wrong}: its columns, between tabs, are {', '.join(COLUMNS)}, and split if "
            "you like"
        )
    if not rows:
        raise ValueError(f"{path} has no run below its header")
    for line, row in enumerate(rows, start=2):
        if any(row[len(header) :]):
            raise ValueError(f"{path}, line {line} has {len(row)} cells, its header {len(header)}")
    # Missing cells are at the end of a line, and empty.
    padded = [(row + [""] * len(header))[: len(header)] for row in rows]
    runs = pd.DataFrame(padded, columns=header, dtype=str)
    for column in NAME:
        if (empty := runs[column].eq("")).any():
            raise ValueError(f"{path}, line {empty.idxmax() + 2}: {column} is empty")
    if "split" not in runs:
        runs["split"] = ""
    runs["split"] = runs["split"].mask(runs["split"].eq(""), split)
    runs = runs[[*KEY, "tables"]]
    readable = runs["unfreeze"].str.fullmatch("0|[1-9][0-9]*|half|all")
    if not readable.all():
        line = readable.idxmin()
        raise ValueError(
            f"{path}, line {line + 2}: unfreeze is {runs['unfreeze'][line]!r}: "
            "write a number of layers, half or all"
        )
    if (twice := runs.duplicated(KEY)).any():
        run = name(**runs[NAME].loc[twice.idxmax()])
        raise ValueError(f"{path}, line {twice.idxmax() + 2}: the run {run} appears twice")
    return runs


def expand(runs: pd.DataFrame, splits: Mapping[str, Mapping]) -> pd.DataFrame:
    """Return one row per run and split file, with its name in a column ``split_name`` in front.

    A run on a split with ``folds: 5`` becomes five rows, whose split names end in ``-1`` to ``-5``;
    any other keeps the name of its split. ``splits`` are those of the configuration.

    >>> table = pd.DataFrame({"split": ["cv", "naive"], "model": ["lenet5", "lenet5"]})
    >>> expand(table, {"cv": {"folds": 2}, "naive": {}})["split_name"].tolist()
    ['cv-1', 'cv-2', 'naive']
    """
    names = runs["split"].map(lambda split: split_names(split, splits[split]))
    expanded = runs.assign(split_name=names).explode("split_name", ignore_index=True)
    return expanded[["split_name", *runs.columns]]


def split_names(split: str, scheme: Mapping) -> list[str]:
    """Return the names of the files that an entry of ``splits`` makes."""
    if "folds" not in scheme:
        return [split]
    return [f"{split}-{fold}" for fold in range(1, scheme["folds"] + 1)]


def _cells(path: str | Path) -> list[list[str]]:
    """Return the lines of a tab-separated file, split into cells without blanks around them."""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True))
    except OSError as error:
        raise OSError(f"runs: cannot read the run table {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"runs: {path} is not text in UTF-8: save it as such") from None
    except csv.Error as error:
        raise ValueError(f"runs: {path} is not a table of tab-separated text: {error}") from None
    while lines and not any(lines[-1]):
        lines.pop()
    if not lines:
        raise ValueError(f"runs: {path} is empty: expected a table of tab-separated text")
    return [[cell.strip() for cell in line] for line in lines]


def select(runs: pd.DataFrame, query: str | None) -> pd.DataFrame:
    """Return the rows of ``runs`` that a pandas query keeps, in their order; all without a query.

    A query compares columns and text, with `in`, `and`, `or`, `not` and the methods that this
    module names. It reads and writes nothing else.

    Raises:
        ValueError: when the query cannot be read, holds something else, or keeps no row.
    """
    if not query or not query.strip():
        return runs
    hint = f"the columns are {', '.join(runs.columns)}, all text, as in \"model == 'mobilenet'\""
    try:
        if reason := next(_foreign(ast.parse(query.strip(), mode="eval"), runs.columns), None):
            raise ValueError(reason)
        kept = runs.eval(query.strip(), engine="python", local_dict={}, global_dict={})
    except SyntaxError:
        raise ValueError(f"run_filter {query!r} cannot be read (no comparison): {hint}") from None
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"run_filter {query!r} cannot be read ({reason}): {hint}") from None
    if not isinstance(kept, pd.Series) or kept.dtype != bool:
        raise ValueError(f"run_filter {query!r} does not say yes or no to each run: {hint}")
    if not kept.any():
        raise ValueError(f"run_filter {query!r} leaves none of the {len(runs)} runs: {hint}")
    return runs[kept]


def _foreign(query: ast.AST, columns: Collection[str]) -> Iterator[str]:
    """Yield what a query contains that it may not."""
    for node in ast.walk(query):
        if isinstance(node, ast.Name) and node.id not in columns:
            yield f"there is no column {node.id!r}"
        elif isinstance(node, ast.Attribute) and not _is_method(node):
            yield f"a query does not use {node.attr!r}"
        elif isinstance(node, ast.Call) and not isinstance(node.func, ast.Attribute):
            yield "a query calls no function"
        elif not isinstance(node, NODES):
            yield f"a query has no {type(node).__name__}"


def _is_method(node: ast.Attribute) -> bool:
    """Return whether a name after a dot is a method that only looks at text."""
    if isinstance(node.value, ast.Attribute) and node.value.attr == "str":
        return node.attr in TEXT_METHODS
    return node.attr in ("str", *METHODS)


def table_names(cell: str) -> list[str]:
    """Return the names in a cell of the column ``tables``."""
    return [name.strip() for name in cell.split(",") if name.strip()]


def of_table(runs: pd.DataFrame, table: str, figures: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that stand in a published table: named there, or published in it.

    Args:
        runs: with the columns of `NAME` and ``tables``.
        table: the name of the published table.
        figures: the published figures, with ``table`` and the columns of `NAME`.
    """
    names = figures.loc[figures["table"] == table, NAME].itertuples(index=False, name=None)
    published = set(names)
    stands = [
        table in table_names(tables) or tuple(name) in published
        for tables, *name in runs[["tables", *NAME]].itertuples(index=False)
    ]
    return runs.loc[stands]


def with_quotes(query: str | None) -> str | None:
    """Return a query with the quotation mark that Snakemake strips from a value of --config.

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
    """Return the name of a run in paths and reports, below its split."""
    return f"{variant}/{model}/unfreeze-{unfreeze}"
