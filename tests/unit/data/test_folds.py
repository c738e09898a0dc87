"""Folds: every image tests once, and each fold is a split like any other."""

import json

import numpy as np
import pandas as pd
import pytest
import sampling
import split
from hypothesis import given, settings
from hypothesis import strategies as st
from image_tables import counts, grouped_tables, images_table
from pulmoscan.data import samplings, schemes, splits

SCHEME = {"folds": 5, "validation": 0.2, "seed": 123, "group": "duplicates"}


def fold_splits(images, **changes):
    """The splits of all folds, in their order."""
    expanded = schemes.expand({"cv": SCHEME | changes})
    return [splits.assign(images, **scheme) for scheme in expanded.values()]


def test_an_entry_with_folds_is_one_split_per_fold():
    other = {"test": 0.2, "validation": 0.2, "seed": 1, "group": "image"}
    expanded = schemes.expand({"grouped": other, "cv": SCHEME | {"folds": 3}, "x-1": other})
    assert list(expanded) == ["grouped", "cv-1", "cv-2", "cv-3", "x-1"]
    assert expanded["grouped"] == other
    assert expanded["cv-2"] == SCHEME | {"folds": 3, "fold": 2}
    assert schemes.shares(expanded["grouped"]) == {"test": 0.2, "validation": 0.2}
    assert schemes.shares(expanded["cv-2"]) == {
        "test": pytest.approx(1 / 3),
        "validation": 0.2,
        "folds": 3,
        "fold": 2,
    }


@pytest.mark.parametrize("names", [("cv", "cv-2"), ("cv-2", "cv"), ("cv", "cv-2", "other")])
def test_a_fold_with_the_name_of_another_split_is_an_error(names):
    entries = {name: SCHEME if name == "cv" else {"test": 0.2} for name in names}
    with pytest.raises(ValueError, match=r"splits\.cv has a fold 'cv-2', the name of another"):
        schemes.expand(entries)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([2, 3, 5, 7]).flatmap(
        lambda folds: st.tuples(grouped_tables(largest_group=4, parts=folds), st.just(folds))
    ),
    st.integers(0, 2**32),
    st.sampled_from([0.1, 0.2, 0.33]),
)
def test_every_image_tests_once_and_every_count_is_exact(images_and_folds, seed, validation):
    images, folds = images_and_folds
    tables = fold_splits(images, seed=seed, folds=folds, validation=validation)
    tested = pd.concat([table.loc[table["split"] == "test", "image"] for table in tables])
    assert sorted(tested) == sorted(images["image"])
    for fold, table in enumerate(tables, 1):
        assert sorted(table["image"]) == sorted(images["image"])
        assert (table.groupby("group")["split"].nunique() == 1).all()
        together = images.assign(split=table["split"]).dropna(subset="duplicate_group")
        assert (together.groupby("duplicate_group")["split"].nunique() == 1).all()
        for class_name, parts in counts(table).items():
            total = int((images["class"] == class_name).sum())
            expected = schemes.part_sizes(total, 1 / folds, validation, folds, fold)
            assert parts[2] == expected[2]
            assert parts[2] in (total // folds, -(-total // folds))
            learnt = table[(table["class"] == class_name) & (table["split"] != "test")]
            groups = learnt["group"].value_counts()
            if (groups == 1).sum() >= groups.max():  # enough single images are left
                assert parts == expected
            else:
                assert abs(parts[1] - expected[1]) < groups.max()
        for _, part in table.groupby(["class", "split"]):
            assert sorted(part["rank"]) == list(range(len(part)))


def test_every_fold_tests_and_validates_its_share_of_every_source():
    sources = {"COVID": {"A": 103, "B": 57, "C": 222}, "Normal": {"A": 251, "D": 90}}
    for table in fold_splits(images_table(sources)):
        for (class_name, source), parts in counts(table, ("class", "source")).items():
            expected = np.array([0.64, 0.16, 0.2]) * sources[class_name][source]
            np.testing.assert_allclose(parts, expected, atol=1.5, err_msg=source)


def test_validation_images_are_drawn_anew_in_every_fold():
    tables = fold_splits(images_table({"Normal": {"A": 500}}))
    validated = pd.DataFrame([table["split"] == "validation" for table in tables]).sum()
    # 0.2 of the four folds in which an image does not test: a binomial distribution of 4 draws.
    assert validated.sum() == 5 * 80
    shares = validated.value_counts(normalize=True)
    np.testing.assert_allclose(shares[[0, 1, 2]], [0.41, 0.41, 0.15], atol=0.06)


@settings(max_examples=15, deadline=None)
@given(grouped_tables(), st.integers(0, 1000), st.randoms())
def test_the_order_of_rows_changes_nothing(images, seed, random):
    order = list(range(len(images)))
    random.shuffle(order)
    shuffled = images.iloc[order].reset_index(drop=True)
    for expected, got in zip(
        fold_splits(images, seed=seed), fold_splits(shuffled, seed=seed), strict=True
    ):
        expected, got = (
            table.drop(columns="row").sort_values("image", ignore_index=True)
            for table in (expected, got)
        )
        pd.testing.assert_frame_equal(got, expected, check_dtype=False)


def test_a_class_is_cut_the_same_whatever_the_others_hold():
    small = fold_splits(images_table({"Normal": {"A": 53}}))
    both = fold_splits(images_table({"Normal": {"A": 53}, "COVID": {"A": 31}}))
    for alone, table in zip(small, both, strict=True):
        table = table[table["class"] == "Normal"].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, table)


def test_the_same_seed_gives_the_same_folds_and_another_seed_others():
    images = images_table({"Normal": {"A": 100}})
    first, again, other = (fold_splits(images, seed=seed) for seed in (1, 1, 2))
    for one, two in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(one, two)
    assert (first[0]["split"] != other[0]["split"]).mean() > 0.3


def test_images_with_defects_are_left_out_of_every_fold():
    images = images_table({"Normal": {"A": 40}})
    images.loc[[3, 30], "defects"] = "mask is all black"
    for table in fold_splits(images):
        assert len(table) == 38
        assert not set(table["row"]) & {3, 30}


def test_groups_that_fit_no_fold_leave_every_image_tested_once():
    # 24 images in three folds of eight, and there are only groups of three.
    groups = [tuple(range(3 * i, 3 * i + 3)) for i in range(8)]
    tables = fold_splits(images_table({"Normal": {"A": 24}}, groups), folds=3, validation=0.4)
    sizes = [(table["split"] == "test").sum() for table in tables]
    assert sorted(sizes) == [6, 9, 9]
    tested = pd.concat([table.loc[table["split"] == "test", "image"] for table in tables])
    assert tested.is_unique
    assert len(tested) == 24


@pytest.mark.parametrize(
    ("images", "groups", "message"),
    [
        (
            4,
            (),
            r"class Normal has 4 images .*, which gives 3 train, 1 validation, 0 test in a fol",
        ),
        (3, (), r"in a fold: every part needs at least one. Add images, change the folds of the"),
        (12, [range(0, 6), range(6, 12)], r"in 2 groups that stay together, none left for"),
    ],
)
def test_what_cannot_be_cut_into_folds_says_why(images, groups, message):
    table = images_table({"Normal": {"A": images}}, groups)
    with pytest.raises(ValueError, match=message):
        fold_splits(table)


@pytest.mark.parametrize("smallest", range(25, 36))
@pytest.mark.parametrize("wanted", [{"per_class": "smallest"}, {"per_class": 35}, {"total": 40}])
def test_a_sampling_asks_a_fold_for_what_it_has(smallest, wanted):
    images = images_table({"COVID": {"A": smallest}, "Normal": {"A": 60}})
    tested = []
    for scheme in schemes.expand({"cv": SCHEME}).values():
        table = splits.assign(images, **scheme)
        chosen, found = samplings.select("x", table, wanted, **schemes.shares(scheme))
        assert (found["shortfall"] == "").all()
        if wanted.get("per_class") != 35 or smallest == 35:
            np.testing.assert_array_equal(found["asked"], found["got"])
        tested.append(chosen.loc[chosen["split"] == "test", "class"])
    # Of the smallest class every image tests once, whatever the sampling.
    assert (pd.concat(tested) == "COVID").sum() == smallest


@pytest.fixture
def folds(tmp_path):
    """The folder with the split of every fold, made by the script."""
    images = images_table({"COVID": {"A": 33}, "Normal": {"A": 60}})
    images.to_parquet(tmp_path / "images.parquet")
    for name, scheme in schemes.expand({"cv": SCHEME}).items():
        arguments = ["--images", str(tmp_path / "images.parquet"), "--scheme", json.dumps(scheme)]
        split.main([*arguments, "--output", str(tmp_path / f"{name}.parquet")])
    return tmp_path


def test_the_scripts_take_a_fold(folds):
    sizes = []
    for name, scheme in schemes.expand({"cv": SCHEME}).items():
        options = {
            "name": "x",
            "split": folds / f"{name}.parquet",
            "settings": '{"per_class": "smallest"}',
            "shares": json.dumps(schemes.shares(scheme)),
            "output": folds / "x.parquet",
            "counts": folds / "x.tsv",
        }
        sampling.main([word for key, value in options.items() for word in (f"--{key}", str(value))])
        sizes.append(counts(pd.read_parquet(folds / "x.parquet")))
    assert [parts["COVID"][2] for parts in sizes] == [7, 7, 7, 6, 6]
    assert all(parts["COVID"] == parts["Normal"] for parts in sizes)
