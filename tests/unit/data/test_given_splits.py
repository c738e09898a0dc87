"""Splits that the data give, by a column or a held-out source, and the samplings of them."""

import json

import numpy as np
import pandas as pd
import pytest
import sampling
import split
from image_tables import counts, images_table
from pulmoscan.data import given, samplings, schemes, splits

OUT = {"validation": 0.2, "seed": 123, "group": "duplicates"}
SAID = {"train": ["train", "Training", "TRAIN "], "validation": ["val", "valid", "Validation"]}


def given_table(sizes, seed=0, spelled=False):
    """A table whose column ``split`` says so many train, validation and test images per class."""
    images = images_table({name: {"A": sum(parts)} for name, parts in sizes.items()})
    words = np.concatenate([np.repeat(splits.PARTS, parts) for parts in sizes.values()])
    if spelled:
        ways = {"test": ["test", "Testing", " TEST"]} | SAID
        words = [ways[word][row % 3] for row, word in enumerate(words)]
    images["split"] = words
    return images.sample(frac=1, random_state=seed).reset_index(drop=True)


def sites(sizes, groups=(), **columns):
    """A table of images of classes from sites; more columns by their values."""
    return images_table(sizes, groups).assign(**columns)


def test_a_column_is_the_split_however_it_spells_the_parts():
    sizes = {"COVID": (30, 10, 7), "Normal": (50, 5, 20)}
    images = given_table(sizes, spelled=True)
    table = splits.assign(images, column="split")
    assert counts(table) == sizes
    plain = given_table(sizes).set_index("image")["split"]
    assert table["split"].tolist() == plain[table["image"]].tolist()
    for _, part in table.groupby(["class", "split"]):
        assert sorted(part["rank"]) == list(range(len(part)))
    assert not table.sort_values(["class", "split", "rank"])["row"].is_monotonic_increasing
    again = splits.assign(images, column="split", seed=1)
    assert (again["rank"] != table["rank"]).any()
    pd.testing.assert_series_equal(again["split"], table["split"])
    assert list(given.remarks(images, table, {"column": "split"})) == []


def test_a_column_without_validation_has_it_drawn_from_its_training_images():
    sizes = {"COVID": (50, 0, 7), "Normal": (100, 0, 20)}
    images = given_table(sizes)
    table = splits.assign(images, column="split", **OUT)
    assert counts(table) == {"COVID": (40, 10, 7), "Normal": (80, 20, 20)}
    tests = images.loc[images["split"] == "test", "image"]
    assert set(table.loc[table["split"] == "test", "image"]) == set(tests)
    with pytest.raises(
        ValueError, match="no image has validation in the column 'split': give the split validat"
    ):
        splits.assign(images, column="split")


def test_validation_of_a_given_split_is_drawn_by_patient():
    images = given_table({"COVID": (60, 0, 9), "Normal": (90, 0, 9)})
    rng = np.random.default_rng(0)
    images["patient"] = [f"p{number}" for number in rng.integers(70, size=len(images))]
    table = splits.assign(images, column="split", **OUT | {"group": "patient"})
    learnt = table[table["split"] != "test"]
    patients = images["patient"][learnt["row"]].to_numpy()
    assert (learnt.groupby(patients)["split"].nunique() == 1).all()
    crossing = images.assign(part=table["split"]).groupby("patient")["part"].nunique() > 1
    remarks = list(given.remarks(images, table, {"column": "split", "group": "patient"}))
    assert remarks[0] == (
        f"warning: {crossing.sum()} patients have images in several parts of the given split"
    )
    assert (table["split"] == "test").equals(images["split"] == "test")


def test_copies_on_both_sides_of_a_given_split_are_counted():
    images = given_table({"COVID": (30, 10, 7), "Normal": (50, 5, 20)})
    pair = [images.index[images["split"] == part][0] for part in ("train", "test")]
    images.loc[pair, "duplicate_group"] = "twice"
    images.loc[pair, "class"] = "Normal"
    table = splits.assign(images, column="split")
    assert list(given.remarks(images, table, {"column": "split"})) == [
        "warning: 1 group of duplicates lies in several parts of the given split"
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {0: "tset"},
            r"image .*: its column 'split' holds 'tset', which is not one of train",
        ),
        ({0: "", 3: None}, r"holds nothing: write train, validation or test \(2 images in all\)$"),
        (dict.fromkeys(range(75), "train"), r"no image has test in the column 'split': a given"),
    ],
)
def test_cells_that_are_no_part(changes, message):
    images = given_table({"COVID": (30, 10, 10), "Normal": (15, 5, 5)})
    for row, value in changes.items():
        images.loc[row, "split"] = value
    with pytest.raises(ValueError, match=message):
        splits.assign(images, column="split")


def test_a_column_that_is_not_there():
    images = given_table({"COVID": (30, 10, 10)}).assign(view="PA")
    with pytest.raises(
        ValueError,
        match=r"the data set has no column 'splt': did you mean 'split'\? It has source, split, ",
    ):
        splits.assign(images, column="splt")


@pytest.mark.parametrize("lacking", ["train", "validation"])
def test_a_class_that_a_given_split_does_not_train(lacking):
    sizes = {"COVID": (30, 10, 10), "Normal": (15, 5, 5)}
    images = given_table(sizes)
    of_class = (images["class"] == "Normal") & (images["split"] == lacking)
    images.loc[of_class, "split"] = "test"
    with pytest.raises(ValueError, match=f"Normal has no image with {lacking} in the column"):
        splits.assign(images, column="split")


def test_what_is_held_out_tests_and_the_rest_is_cut():
    sizes = {"COVID": {"A": 50, "B": 30, "C": 20}, "Normal": {"A": 100, "B": 40}}
    table = splits.assign(sites(sizes), hold_out={"source": ["B"]}, **OUT)
    assert counts(table) == {"COVID": (56, 14, 30), "Normal": (80, 20, 40)}
    assert ((table["split"] == "test") == (table["source"] == "B")).all()
    both = splits.assign(sites(sizes), hold_out={"source": ["B", "C"]}, **OUT)
    assert counts(both) == {"COVID": (40, 10, 50), "Normal": (80, 20, 40)}


def test_any_column_may_be_held_out_and_numbers_are_those_that_are_read():
    images = sites({"COVID": {"A": 60}, "Normal": {"A": 60}})
    images["site"] = [float(row % 3) for row in range(120)]
    images.loc[0, "site"] = None
    for value in (2, "2"):
        table = splits.assign(images, hold_out={"site": [value]}, **OUT)
        assert set(table.loc[table["split"] == "test", "row"]) == set(range(2, 120, 3))


def test_what_belongs_to_held_out_images_neither_trains_nor_tests():
    images = sites({"COVID": {"A": 40, "B": 20}, "Normal": {"A": 40, "B": 20}}, [(0, 50), (70, 1)])
    images.loc[[1, 70], "duplicate_group"] = None
    images["patient"] = [f"p{row}" for row in range(120)]
    images.loc[[60, 59], "patient"] = "p59"
    by_copies = {"hold_out": {"source": ["B"]}} | OUT
    by_patient = by_copies | {"group": "patient"}
    for scheme, gone in ((by_copies, {0}), (by_patient, {0, 60})):
        table = splits.assign(images, **scheme)
        assert set(range(120)) - set(table["row"]) == gone
        assert (table["split"] == "test").sum() == 40
        left_out = [line for line in given.remarks(images, table, scheme) if "neither" in line]
        assert left_out == [
            "warning: 2 images neither train nor test: each belongs together with a held-out "
            "image, and is not held out itself"
            if len(gone) == 2
            else "warning: 1 image neither train nor test: each belongs together with a held-out "
            "image, and is not held out itself"
        ]
    alone = splits.assign(images, **by_copies | {"group": "image"})
    assert len(alone) == 120


def test_a_value_that_no_image_has_is_answered_with_those_there_are():
    images = sites({"COVID": {"A": 30, "Hannover": 20}, "Normal": {"A": 20, "": 20}})
    with pytest.raises(
        ValueError,
        match=r"no image without defects has the source 'Hanover': did you mean 'Hannover'\? There "
        r"are no value \(20\), A \(50\), Hannover \(20\)$",
    ):
        splits.assign(images, hold_out={"source": ["A", "Hanover"]}, **OUT)
    images["patient"] = [f"p{row:02}" for row in range(90)]
    with pytest.raises(ValueError, match=r"There are p00 \(1\), .*, p09 \(1\) and 80 more$"):
        splits.assign(images, hold_out={"patient": ["x"]}, **OUT)


def test_a_class_with_nothing_left_to_train_is_refused():
    images = sites({"COVID": {"A": 30, "B": 20}, "Normal": {"B": 20}})
    with pytest.raises(
        ValueError, match=r"^class Normal: of 20 images .* 20 test, which leaves 0 "
    ):
        splits.assign(images, hold_out={"source": ["B"]}, **OUT)


def test_a_class_that_does_not_test_is_named():
    images = sites({"COVID": {"A": 30, "B": 20}, "Normal": {"A": 20}})
    scheme = {"hold_out": {"source": ["B"]}} | OUT
    table = splits.assign(images, **scheme)
    assert list(given.remarks(images, table, scheme)) == [
        "warning: no image of Normal tests: no sensitivity is measured for it"
    ]


def test_samplings_of_a_given_split_take_all_test_images():
    table = splits.assign(
        given_table({"COVID": (60, 12, 9), "Normal": (100, 10, 70), "TB": (80, 20, 0)}),
        column="split",
    )
    images, found = samplings.select("x", table, {"per_class": "smallest"})
    assert counts(images) == {"COVID": (60, 10, 9), "Normal": (60, 10, 70), "TB": (60, 10, 0)}
    assert (found["asked"] == found["got"]).all()
    assert len(found) == 9
    # 361 images: 79 test; of the 282 others 42 validate, of 60 that are asked for 9.
    images, _ = samplings.select("x", table, {"total": 180})
    assert counts(images) == {"COVID": (51, 9, 9), "Normal": (51, 9, 70), "TB": (51, 9, 0)}
    images, _ = samplings.select("x", table, {"per_class": 100})
    assert {parts[2] for parts in counts(images).values()} == {9, 70, 0}
    assert {sum(parts[:2]) for parts in counts(images).values()} == {78, 76, 72}
    _, found = samplings.select("x", table, {"per_class": 500})
    assert found["shortfall"].iloc[0].startswith("sampling 'x' asks for 391 training and validati")


def test_the_scripts_take_a_held_out_source(tmp_path, capsys):
    images = sites({"COVID": {"A": 50, "B": 30}, "Normal": {"A": 100}})
    images.to_parquet(tmp_path / "images.parquet")
    scheme = {"hold_out": {"source": ["B"]}} | OUT
    words = ["--images", str(tmp_path / "images.parquet"), "--scheme", json.dumps(scheme)]
    split.main([*words, "--output", str(tmp_path / "split.parquet")])
    assert "warning: no image of Normal tests" in capsys.readouterr().out
    options = {
        "name": "x",
        "split": tmp_path / "split.parquet",
        "settings": '{"per_class": "smallest"}',
        "shares": json.dumps(schemes.shares(scheme)),
        "output": tmp_path / "x.parquet",
        "counts": tmp_path / "x.tsv",
    }
    sampling.main([word for key, value in options.items() for word in (f"--{key}", str(value))])
    taken = counts(pd.read_parquet(tmp_path / "x.parquet"))
    assert taken == {"COVID": (40, 10, 30), "Normal": (40, 10, 0)}


def test_a_masked_sampling_takes_images_with_a_mask_alone():
    images = images_table({"COVID": {"A": 100}, "Normal": {"A": 200}, "TB": {"A": 50}})
    images["mask_width"] = np.where(np.arange(350) % 2, 256, 0)
    scheme = {"test": 0.2, "validation": 0.2, "seed": 1, "group": "image"}
    table = splits.assign(images, **scheme)
    shares = schemes.shares(scheme)
    assert table["masked"].tolist() == [bool(row % 2) for row in range(350)]
    masked, _ = samplings.select("x", table, {"per_class": "smallest", "masked": True}, **shares)
    assert (images["mask_width"][masked["row"]] > 0).all()
    sizes = set(counts(masked).values())
    assert len(sizes) == 1  # balanced in every part
    fewest = table[table["masked"]].groupby(["split", "class"]).size().unstack().min(axis=1)
    assert sizes == {tuple(fewest[list(splits.PARTS)])}
    small, _ = samplings.select("x", table, {"total": 30, "masked": True}, **shares)
    assert set(small["row"]) <= set(masked["row"])
    everything, _ = samplings.select("x", table, {"per_class": 200}, **shares)
    joined = masked.merge(everything, on="image")
    assert (joined["split_x"] == joined["split_y"]).all()
    table.loc[table["class"] == "TB", "masked"] = False
    with pytest.raises(ValueError, match=r"^samplings.x.masked: no image of TB has a mask: leave"):
        samplings.select("x", table, {"per_class": "smallest", "masked": True}, **shares)
