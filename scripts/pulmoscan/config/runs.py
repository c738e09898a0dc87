"""The run table: one row per run of the study, and how a user selects among them.

Read while the Snakefile is parsed, so nothing heavier than pandas is imported here.
"""

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import product

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


MOST = 10_000  # characters of a query
LONGEST = 100  # characters of a query that a message shows


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


def select(runs: pd.DataFrame, query: str | None) -> pd.DataFrame:
    """Return the rows of ``runs`` that a pandas query keeps, in their order; all without a query.

    A query compares columns and text, with `in`, `and`, `or`, `not` and the methods that this
    module names. It reads and writes nothing else.

    Raises:
        ValueError: when the query cannot be read, holds something else, or keeps no row.
    """
    if not query or not query.strip():
        return runs
    query = " ".join(query.splitlines())
    shown = repr(query) if len(query) <= LONGEST else f"{query[:LONGEST]!r}..."
    hint = f"the columns are {', '.join(runs.columns)}, all text, as in \"model == 'mobilenet'\""
    try:
        if len(query) > MOST:
            raise ValueError(f"it has more than {MOST:,} characters")
        if reason := next(_foreign(ast.parse(query.strip(), mode="eval"), runs.columns), None):
            raise ValueError(reason)
        kept = runs.eval(query.strip(), engine="python", local_dict={}, global_dict={})
    except SyntaxError:
        raise ValueError(f"run_filter {shown} cannot be read (no comparison): {hint}") from None
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"run_filter {shown} cannot be read ({reason}): {hint}") from None
    if not isinstance(kept, pd.Series) or kept.dtype != bool:
        raise ValueError(f"run_filter {shown} does not say yes or no to each run: {hint}")
    if not kept.any():
        raise ValueError(f"run_filter {shown} leaves none of the {len(runs)} runs: {hint}")
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
    """Return a query with the quotation marks that Snakemake strips from a value of --config.

    ``--config run_filter="model == 'mobilenet'"`` arrives as ``model == 'mobilenet``, and
    ``tables == ''`` as ``tables ==``. The first completion that is an expression is taken; a query
    that is one, or cannot become one, stays.
    """
    if not isinstance(query, str):
        return query
    marks = ("", "'", '"')
    starts = (*marks, "''") if re.match(r"\s*[=!]=", query) else marks
    ends = (*marks, "''") if re.search(r"[=!]=\s*$", query) else marks
    for start, end in product(starts, ends):
        try:
            expression = ast.parse(f"{start}{query}{end}", mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if not isinstance(expression, ast.Constant):  # the whole query between marks
            return f"{start}{query}{end}"
    return query


def name(model: str, unfreeze: str, variant: str) -> str:
    """Return the name of a run in paths and reports, below its split."""
    return f"{variant}/{model}/unfreeze-{unfreeze}"
