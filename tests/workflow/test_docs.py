"""docs/outputs.md against what the workflow wrote."""

import re

import pandas as pd

KEY = ["split_name", "model", "unfreeze", "variant", "seed"]
ROW = re.compile(
    r"^\| (.*?`(?:gathered|tables)/\w+\.(?:tsv|parquet)`) \|.*\| (.+) \|$", re.MULTILINE
)


def documented(repository) -> dict[str, str]:
    """Return the cell about columns of each table that the page describes."""
    text = (repository / "docs/outputs.md").read_text(encoding="utf-8")
    return {re.findall(r"`([^`]+)`", files)[-1]: columns for files, columns in ROW.findall(text)}


def read(path) -> pd.DataFrame:
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, sep="\t")


def expected(cell: str, columns: list[str], metrics: list[str]) -> list[str]:
    """Return the columns that a cell describes, with those that depend on the data filled in."""
    names = KEY * ("**key**" in cell)
    for name in re.findall(r"`([^`]+)`", cell):
        if name == "p_<label>":
            names += [column for column in columns if column.startswith("p_")]
        elif name == "metrics":
            names += metrics
        else:
            names.append(name)
    if "one column per class" in cell:
        names += ["COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"]
    return names


def test_every_table_is_described(finished, repository):
    results = finished.folder / "results"
    written = {
        path.relative_to(results).as_posix()
        for folder in ("gathered", "tables")
        for path in (results / folder).iterdir()
        if path.is_file()
    }
    published = {f"tables/{path.name}.tsv" for path in (results / "gathered/published").iterdir()}
    assert written - published <= documented(repository).keys() - {"tables/region.tsv"}
    text = (repository / "docs/outputs.md").read_text(encoding="utf-8")
    assert all(
        f"`{path.removeprefix('tables/').removesuffix('.tsv')}`" in text for path in published
    )


def test_the_columns_of_tables_are_those_described(finished, repository):
    results = finished.folder / "results"
    cells = documented(repository)
    metrics = re.findall(r"`([^`]+)`", cells["gathered/metrics.parquet"])
    for name, cell in cells.items():
        if "external" in name and not (results / name).exists():
            continue  # the demo has no external sets; tests/workflow/test_external.py has
        columns = list(read(results / name).columns)
        assert columns == expected(cell, columns, metrics), name
