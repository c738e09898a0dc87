"""Images that stay together: copies of a radiograph, patients, and patients in several classes."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_tables import counts, images_table
from pulmoscan.data import given as given_parts
from pulmoscan.data import groups, schemes, splits

SCHEME = {"test": 0.2, "validation": 0.2, "seed": 123, "group": "patient"}
FOLDS = {"folds": 4, "validation": 0.25, "seed": 5, "group": "patient"}


def patients_table(sizes, patients, copies=(), missing=0.1, seed=0):
    """A table of images in classes of these sizes, of which most have one of so many patients."""
    images = images_table({name: {"A": size} for name, size in sizes.items()}, copies)
    rng = np.random.default_rng(seed)
    names = np.array([f"patient {number}" for number in range(patients)], object)
    drawn = names[rng.integers(patients, size=len(images))]
    return images.assign(patient=np.where(rng.random(len(images)) < missing, None, drawn))


def linked(images):
    """The groups by another way: each image takes the smallest number that it is linked to."""
    number = pd.Series(range(len(images)))
    while True:
        before = number.copy()
        for column in ("patient", "duplicate_group"):
            known = images[column].notna() & (images[column] != "")
            number[known] = number[known].groupby(images[column][known]).transform("min")
        if number.equals(before):
            return number


def is_together(images, table):
    """Whether no group of images lies in two parts."""
    parts = table.set_index("row")["split"].reindex(range(len(images)))
    return (parts.groupby(linked(images)).nunique() <= 1).all()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_images_are_linked_by_patients_and_by_copies(data):
    names = st.sampled_from([None, "", *"abcdef"])
    size = data.draw(st.integers(1, 30))
    images = pd.DataFrame(
        {
            column: data.draw(st.lists(names, min_size=size, max_size=size))
            for column in ("patient", "duplicate_group")
        }
    )
    numbers = groups.together(images, "patient")
    pd.testing.assert_series_equal(
        pd.Series(pd.factorize(numbers)[0]), pd.Series(pd.factorize(linked(images))[0])
    )
    assert len(set(groups.together(images, "image"))) == size


def test_a_patient_under_two_names_is_one_by_a_copy():
    images = images_table({"Normal": {"A": 50}}, [(0, 1)])
    images["patient"] = None
    images.loc[[0, 2], "patient"] = "a"
    images.loc[[1, 3], "patient"] = "b"
    for seed in range(10):
        table = splits.assign(images, **SCHEME | {"seed": seed})
        assert table["split"][:4].nunique() == 1
        assert set(table["group"][:4]) == {"Normal-1"}
        assert table["group"][4:].is_unique


def test_a_defective_image_links_what_it_belongs_to():
    images = images_table({"Normal": {"A": 50}}, [(0, 1)])
    images["patient"] = None
    images.loc[[1, 2], "patient"] = "a"
    images.loc[1, "defects"] = "mask is all black"
    parts = [splits.assign(images, **SCHEME | {"seed": seed})["split"][:2] for seed in range(20)]
    assert all(part.nunique() == 1 for part in parts)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([40, 90, 150]), st.booleans())
def test_patients_of_several_classes_stay_whole_and_counts_exact(seed, patients, in_folds):
    """With as many single images as these, also where most patients have images of two classes."""
    images = patients_table({"COVID": 90, "Normal": 140, "TB": 60}, patients, [(3, 4)], 0.4, seed)
    schemes_of = {"x": SCHEME | {"seed": seed}} if not in_folds else {"cv": FOLDS | {"seed": seed}}
    tested = []
    for scheme in schemes.expand(schemes_of).values():
        table = splits.assign(images, **scheme)
        assert len(table) == len(images)
        assert is_together(images, table)
        tested.extend(table.loc[table["split"] == "test", "image"])
        for name, parts in counts(table).items():
            expected = schemes.part_sizes((images["class"] == name).sum(), **schemes.shares(scheme))
            assert np.abs(np.subtract(parts, expected)).max() <= 2, (name, parts, expected)
        for _, part in table.groupby(["class", "split"]):
            assert sorted(part["rank"]) == list(range(len(part)))
    assert not in_folds or sorted(tested) == sorted(images["image"])


def test_the_order_of_rows_changes_nothing():
    images = patients_table({"COVID": 60, "Normal": 80}, 50)
    shuffled = images.sample(frac=1, random_state=3).reset_index(drop=True)
    one, two = (
        splits.assign(table, **SCHEME).drop(columns="row").sort_values("image", ignore_index=True)
        for table in (images, shuffled)
    )
    pd.testing.assert_frame_equal(one, two)


def test_a_class_without_shared_patients_is_cut_as_if_alone():
    alone = patients_table({"Normal": 80}, 30)
    with_others = pd.concat(
        [patients_table({"COVID": 50}, 20).replace("patient", "other", regex=True), alone],
        ignore_index=True,
    )
    first = splits.assign(alone, **SCHEME).drop(columns="row")
    second = splits.assign(with_others, **SCHEME).drop(columns="row")
    second = second[second["class"] == "Normal"].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, second)


def test_copies_of_several_classes_are_a_defect_whoever_they_show():
    images = patients_table({"COVID": 30, "Normal": 30}, 20, [(3, 40)])
    with pytest.raises(ValueError, match=r"duplicates COVID-4, Normal-11 are of different classes"):
        splits.assign(images, **SCHEME)


def test_without_patients_there_is_no_split_by_patient():
    with pytest.raises(ValueError, match=r"^the data set has no column of patients, which"):
        splits.assign(images_table({"Normal": {"A": 30}}), **SCHEME)


def test_a_class_of_two_patients_has_none_left_to_test():
    images = patients_table({"COVID": 20, "Normal": 60}, 40)
    images.loc[images["class"] == "COVID", "patient"] = ["x", "y"] * 10
    with pytest.raises(ValueError, match=r"COVID has 20 images in 2 groups that stay together, no"):
        splits.assign(images, **SCHEME)


def test_the_log_says_what_crosses():
    images = patients_table({"COVID": 60, "Normal": 80}, 30)
    by_copies = SCHEME | {"group": "duplicates"}
    table = splits.assign(images, **by_copies)
    known = images.assign(split=table["split"]).dropna(subset="patient").groupby("patient")
    crossing, several = ((known[name].nunique() > 1).sum() for name in ("split", "class"))
    assert list(given_parts.remarks(images, table, by_copies)) == [
        f"warning: {crossing} patients have images in several parts of the split: set its group "
        "to patient",
        f"{several} patients have images of several classes",
    ]
    table = splits.assign(images, **SCHEME)
    assert list(given_parts.remarks(images, table, SCHEME)) == [
        f"{several} patients have images of several classes"
    ]
    without = images.drop(columns="patient")
    assert not list(given_parts.remarks(without, splits.assign(without, **by_copies), by_copies))
