"""A study is read once, from declared files, and its names stay text."""

import numpy as np
import pandas as pd
import pytest
import small_study
from pulmoscan.report.study import KEY, Study, read_tsv


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Study(small_study.write(tmp_path_factory.mktemp("study") / "results"))


@pytest.fixture(scope="module")
def in_folds(tmp_path_factory):
    splits = {"grouped": {}, "cv": {"folds": 2}}
    folder = tmp_path_factory.mktemp("folds") / "results"
    return Study(small_study.write(folder, splits=splits, seeds=(0,)))


def test_names_stay_text_and_numbers_are_numbers(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text("model\tunfreeze\tn\tsd\tshown\nNA\t0\t3\t\tx\n1\t19\t\t\t2\n\tnull\t5\t\t\n")
    table = read_tsv(path)
    assert table["model"].tolist() == ["NA", "1", ""]
    assert table["unfreeze"].tolist() == ["0", "19", "null"]
    assert table["n"].tolist()[::2] == [3, 5]
    assert np.isnan(table["n"][1])
    assert table["sd"].isna().all()
    assert table["shown"].tolist() == ["x", "2", ""]  # one cell is text, so all are


def test_a_table_is_read_once_and_handed_out_as_a_copy(study, monkeypatch):
    for changed in (study.table("classes"), study.gathered("metrics")):
        changed[changed.columns[0]] = "changed"
    monkeypatch.setattr(pd, "read_csv", lambda *_, **__: 1 / 0)
    monkeypatch.setattr(pd, "read_parquet", lambda *_, **__: 1 / 0)
    assert study.table("classes")["class"].tolist() == ["COVID", "Normal", "all"]
    assert set(study.gathered("metrics")["split_name"]) == {"grouped"}


def test_nothing_is_read_before_it_is_needed(tmp_path):
    assert Study(tmp_path / "absent").figures == tmp_path / "absent/report/figures"


def test_arrays_are_mapped_into_memory(study):
    for array in (study.images, study.masks, study.histograms, study.mean_images):
        assert isinstance(array, np.memmap)
    assert len(study.images) == len(study.audit) == 18


def test_runs_have_a_name_and_the_name_of_their_split(study, in_folds):
    assert study.runs["name"].iloc[0] == "lungs/lenet5/unfreeze-all"
    assert set(study.runs["split"]) == {"grouped"}
    names = in_folds.runs.groupby("split")["name"].first().to_dict()
    assert names["cv"] == "cv-1: lungs/lenet5/unfreeze-all"
    assert names["grouped"] == "grouped: lungs/lenet5/unfreeze-all"


def test_made_runs_of_a_published_table(study):
    made = study.made_for("synthesis")
    assert set(made["model"]) == {"lenet5", "lenet5-tuned"}
    assert set(made["variant"]) == {"lungs"}
    assert sorted(set(made["seed"])) == [0, 1]
    assert set(study.first_seed["seed"]) == {0}


def test_rows_of_a_training_are_found_by_its_key(study):
    histories = study.by_training("history")
    networks = study.made[study.made["model"] != "knn"]
    assert set(histories) == set(networks[KEY].itertuples(index=False, name=None))
    assert all(rows["epoch"].tolist() == [1, 2, 3] for rows in histories.values())


def test_panels_are_those_of_the_run_and_its_split(in_folds):
    explained = in_folds.gathered("explained")
    assert set(explained["split_name"]) == {"grouped", "cv-1", "cv-2"}
    for row in explained.itertuples():
        panel = in_folds.panel(row, row.image)
        assert panel.is_file()
        assert row.split_name in panel.parts
        assert panel.stem == row.image


def test_examples_are_usable_images_of_each_class(study, monkeypatch):
    assert list(study.examples) == ["COVID", "Normal"]
    for name, rows in study.examples.items():
        assert len(rows) == 3
        assert set(study.audit["class"][rows]) == {name}
    again = Study(study.folder)
    assert again.examples == study.examples
    defective = Study(study.folder)
    defective.audit.loc[defective.audit["class"] == "COVID", "defects"] = "unreadable"
    assert list(defective.examples) == ["Normal"]


def test_an_image_is_black_outside_a_region(study):
    image = study.images[0]
    np.testing.assert_array_equal(study.masked(0), image)  # the mask is everything
    assert not study.masked(0, "outside").any()


def test_without_runs_everything_is_empty_and_has_reasons(tmp_path):
    study = Study(small_study.write(tmp_path / "results", shortfall="too few images"))
    assert len(study.made) == 0
    assert set(study.runs["reason"]) == {"too few images"}
    assert study.by_training("history") == {}
    assert len(study.gathered("explained")) == 0
