"""The run table: what is read, what a filter keeps, and what the user is told."""

from pathlib import Path

import pandas as pd
import pytest
from pulmoscan.config import run_file, runs
from pulmoscan.data import schemes

HEADER = "model\tunfreeze\tvariant\ttables\n"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "runs.tsv"
    path.write_text(
        HEADER
        + "mobilenet\t0\tlungs\tsynthesis\n"
        + "mobilenet\t19\tlungs\tsynthesis\n"
        + "vgg19\tall\tlungs\tsynthesis,more_images\n"
        + "mobilenet\t0\tfull\t\n"
    )
    return path


def written(tmp_path, text):
    path = tmp_path / "runs.tsv"
    path.write_text(text)
    return path


def test_every_cell_is_text(table):
    read = run_file.read(table, "grouped")
    assert list(read.columns) == ["split", "model", "unfreeze", "variant", "tables"]
    assert list(read["unfreeze"]) == ["0", "19", "all", "0"]
    assert read["tables"][3] == ""


def test_names_that_look_like_missing_numbers_stay_text(tmp_path):
    path = written(tmp_path, HEADER + "NA\t0\tnan\t\nnull\tall\t1\tNone\n")
    assert run_file.read(path, "NaN").to_numpy().tolist() == [
        ["NaN", "NA", "0", "nan", ""],
        ["NaN", "null", "all", "1", "None"],
    ]


def test_runs_that_name_no_split_are_on_the_given_one(table):
    assert set(run_file.read(table, "grouped")["split"]) == {"grouped"}


def test_a_run_may_name_its_split(tmp_path):
    """The column may stand anywhere, and its last cells may be missing."""
    text = "model\tunfreeze\tvariant\ttables\tsplit\n"
    text += "m\t0\tlungs\t\tnaive\nm\t0\tlungs\t\t\nn\t0\tlungs\t\n"
    read = run_file.read(written(tmp_path, text), "grouped")
    assert list(read.columns) == [*runs.KEY, "tables"]
    assert read["split"].tolist() == ["naive", "grouped", "grouped"]


def test_a_run_on_two_splits_is_two_runs_and_on_one_split_twice_an_error(tmp_path):
    header, run = f"split\t{HEADER}", "\tm\t0\tlungs\t\n"
    two = written(tmp_path, f"{header}naive{run}{run}")
    assert run_file.read(two, "grouped")["split"].tolist() == ["naive", "grouped"]
    with pytest.raises(ValueError, match="line 3: the run lungs/m/unfreeze-0 appears twice"):
        run_file.read(two, "naive")


def test_a_filter_may_name_the_split(tmp_path):
    path = written(tmp_path, f"split\t{HEADER}naive\tm\t0\tlungs\t\n\tm\t0\tlungs\t\n")
    read = run_file.read(path, "grouped")
    assert list(runs.select(read, "split == 'naive'").index) == [0]


def test_a_run_on_folds_is_one_row_per_fold(tmp_path):
    text = f"split\t{HEADER}cv\tm\t0\tlungs\tsynthesis\n\tm\t0\tlungs\t\n"
    read = run_file.read(written(tmp_path, text), "grouped")
    expanded = runs.expand(read, {"cv": {"folds": 3}, "grouped": {}})
    assert list(expanded.columns) == ["split_name", *runs.KEY, "tables"]
    assert list(expanded["split_name"]) == ["cv-1", "cv-2", "cv-3", "grouped"]
    assert list(expanded["split"]) == ["cv", "cv", "cv", "grouped"]
    assert list(expanded["tables"]) == ["synthesis"] * 3 + [""]
    assert list(expanded.index) == [0, 1, 2, 3]


def test_split_files_are_named_as_they_are_made():
    entries = {
        "cv": {"folds": 2, "validation": 0.2, "seed": 1, "group": "image"},
        "grouped": {"test": 0.2, "validation": 0.2, "seed": 1, "group": "image"},
    }
    named = [name for split in entries for name in runs.split_names(split, entries[split])]
    assert named == list(schemes.expand(entries))


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        (None, [0, 1, 2, 3]),
        ("", [0, 1, 2, 3]),
        ("model == 'mobilenet'", [0, 1, 3]),
        ("not (unfreeze != '0' or variant == 'full')", [0]),
        ("model.str.upper().str.startswith('VGG') | variant.isin(('full',))", [2, 3]),
        ("unfreeze == '0' and variant != 'full'", [0]),
        ("variant in ['full', 'outside']", [3]),
        ("tables.str.contains('more_images')", [2]),
        ("tables == ''", [3]),
        ("model == 'vgg19' or\n  variant == 'full'\n", [2, 3]),
    ],
)
def test_filter_keeps_the_runs_it_names(table, query, kept):
    assert list(runs.select(run_file.read(table, "grouped"), query).index) == kept


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("model = 'mobilenet'", "cannot be read .no comparison"),
        ("model ==", "cannot be read"),
        (
            "network == 'mobilenet'",
            "cannot be read.*network.*split, model, unfreeze, variant, tables",
        ),
        ("model", "yes or no"),
        ("model == 'mobilnet'", "leaves none of the 4 runs"),
        ("unfreeze == 0", "leaves none.*all text"),
        ("model == '\0'", "cannot be read"),
        ("(" * 3000, "cannot be read"),
        ("not " * 30000 + "model", "cannot be read"),
        ("model.str.contains('(')", "cannot be read"),
        ("@__import__('os').system('x') == model", "cannot be read"),
        ("model == `vgg16`", "cannot be read"),
        ("lambda: model", "cannot be read"),
        ("[x for x in model]", "cannot be read"),
        ("model := 'x'", "cannot be read"),
    ],
)
def test_filter_that_cannot_work_is_explained(table, query, message):
    with pytest.raises(ValueError, match=message) as error:
        runs.select(run_file.read(table, "grouped"), query)
    assert "\n" not in str(error.value)
    assert repr(query)[:30] in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model\tunfreeze\tvariant\nm\t0\tlungs\n", "lacks the column 'tables'"),
        (HEADER.replace("tables", "tables\tnote") + "m\t0\tlungs\t\t\n", "has a column 'note'"),
        (f"split\tsplit\t{HEADER}\t\tm\t0\tlungs\t\n", "has a column 'split' twice"),
        (HEADER + "m\t0\tlungs\t\nm\t0\tlungs\t\n", "line 3: the run lungs/m/unfreeze-0 .* twice"),
        (HEADER + "m\t\tlungs\t\n", "line 2: unfreeze is empty"),
        (HEADER + "m\tquarter\tlungs\t\n", "line 2: unfreeze is 'quarter'"),
    ],
)
def test_wrong_table_is_explained(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        run_file.read(written(tmp_path, text), "grouped")


def test_name():
    assert runs.name("vgg19", "half", "lungs-large") == "lungs-large/vgg19/unfreeze-half"


def test_runs_of_the_study_stand_where_their_figures_were_published(repository):
    """Each run of the study names the tables in which its figures were published."""
    study = run_file.read(repository / "workflow/study/runs.tsv", "grouped")
    published = pd.read_csv(
        repository / "workflow/study/published_results.tsv",
        sep="\t",
        dtype=str,
        keep_default_na=False,
    )
    tables = published.groupby(runs.NAME)["table"].agg(lambda names: set(names))
    for run in study.itertuples():
        expected = tables.get((run.model, run.unfreeze, run.variant), set())
        assert expected <= set(run.tables.split(",")), run


@pytest.mark.parametrize(
    "query",
    [
        "model == 'mobilenet'",
        'variant == "lungs" and model == "mobilenet"',
        "'mobilenet' == model",
        "'mobilenet' == model and variant == 'lungs'",
        "model.str.startswith('res')",
        "unfreeze in ['0', 'all']",
        "tables == ''",
        "'' == tables",
        "tables != '' and model == 'vgg16'",
        "model == 'vgg16' and tables == ''",
    ],
)
def test_a_query_that_lost_its_outer_quotes_gets_them_back(query: str) -> None:
    assert runs.with_quotes(query.strip("'\"")) == query


def test_a_query_that_is_none_stays_as_it_is() -> None:
    assert runs.with_quotes("model = = x") == "model = = x"
    assert runs.with_quotes(None) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEADER, "has no run below its header"),
        ("", "is empty: expected a table of tab-separated text"),
        (HEADER + "m\t007\tlungs\t\n", "line 2: unfreeze is '007'"),
        (HEADER + "\n\t0\tlungs\t\n", "line 3: model is empty"),
    ],
)
def test_tables_that_cannot_be_a_run_table(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "runs.tsv"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        run_file.read(path, "grouped")


def test_a_run_table_that_is_not_there_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"runs: cannot read the run table .*none\.tsv: No such file"):
        run_file.read(tmp_path / "none.tsv", "grouped")
