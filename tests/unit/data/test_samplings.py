"""Samplings: published sizes, nesting, the common test set, and what is short."""

import json

import numpy as np
import pandas as pd
import pytest
import sampling
from hypothesis import given, settings
from hypothesis import strategies as st
from pulmoscan.data import samplings, splits

SHARES = {"test": 0.2, "validation": 0.2}
CLASSES = ["COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"]
SICK = {"COVID": "sick", "Lung_Opacity": "sick", "Viral Pneumonia": "sick", "Normal": "normal"}
SETTINGS = {
    "balanced": {"per_class": "smallest"},
    "large": {"per_class": 3616},
    "three-class": {"per_class": "smallest", "classes": ["COVID", "Normal", "Viral Pneumonia"]},
    "size-1000": {"total": 1000},
    "size-2000": {"total": 2000},
    "size-3000": {"total": 3000},
    "size-4000": {"total": 4000},
    "size-4576": {"total": 4576},
    "binary": {"per_class": "smallest", "times": {"Normal": 3}, "labels": SICK},
}


def split_of(sizes, seed=123):
    """The split of a data set with so many images in each class."""
    names = [f"{class_name}-{i}" for class_name, size in sizes.items() for i in range(size)]
    table = pd.DataFrame({"image": names, "source": "A", "defects": ""})
    table["class"] = table["image"].str.rpartition("-")[0]
    return splits.assign(table, **SHARES, seed=seed, group="image")


@pytest.fixture(scope="module")
def published():
    """The split of a data set with the published counts of images."""
    return split_of(dict(zip(CLASSES, (3616, 6012, 10192, 1345), strict=True)))


def chosen(published, name):
    images, counts = samplings.select(name, published, SETTINGS[name], **SHARES)
    sizes = images.groupby(["class", "split"]).size().unstack(fill_value=0)
    got = counts.pivot(index="class", columns="split", values="got")
    pd.testing.assert_frame_equal(got, sizes, check_dtype=False)
    assert (counts["shortfall"] == "").all()
    return images, {key: tuple(row[list(splits.PARTS)]) for key, row in sizes.iterrows()}, counts


def test_balanced_is_the_published_1076_and_269_a_class(published):
    images, sizes, _ = chosen(published, "balanced")
    assert sizes == dict.fromkeys(CLASSES, (861, 215, 269))
    assert len(images) == 5380
    assert list(images.columns) == list(samplings.COLUMNS)
    assert (images["label"] == images["class"]).all()


def test_large_gives_9755_and_a_test_set(published):
    # 0.2 x 3616 = 723.2; 0.2 x 2893 = 578.6; Viral Pneumonia has 1,345 and gives them all.
    images, sizes, counts = chosen(published, "large")
    full = (2314, 579, 723)
    expected = {"COVID": full, "Lung_Opacity": full, "Normal": full}
    assert sizes == expected | {"Viral Pneumonia": (861, 215, 269)}
    assert len(images) == 12193
    assert (images["split"] != "test").sum() == 9755
    short = counts[counts["asked"] != counts["got"]]
    assert short["class"].unique().tolist() == ["Viral Pneumonia"]
    assert short.set_index("split")["asked"].to_dict() == {
        "train": 2314,
        "validation": 579,
        "test": 723,
    }


def test_three_classes_are_those_of_balanced(published):
    images, sizes, _ = chosen(published, "three-class")
    assert sizes == dict.fromkeys(["COVID", "Normal", "Viral Pneumonia"], (861, 215, 269))
    balanced = chosen(published, "balanced")[0]
    balanced = balanced[balanced["class"] != "Lung_Opacity"].reset_index(drop=True)
    pd.testing.assert_frame_equal(images, balanced)


def test_smallest_is_that_of_the_sampling_s_own_classes(published):
    wanted = {"per_class": "smallest", "classes": ["COVID", "Normal"]}
    images, _ = samplings.select("two", published, wanted, **SHARES)
    assert images["class"].value_counts().to_dict() == {"COVID": 3616, "Normal": 3616}
    # All published samplings have the smallest class, so it is that of the whole split in each.
    assert all("Viral Pneumonia" in SETTINGS[name].get("classes", CLASSES) for name in SETTINGS)


def test_binary_has_three_times_as_many_normal_images(published):
    # Normal 4,035: 0.2 x 4035 = 807; 0.2 x 3228 = 645.6. Published: 5,164 + 1,292 + 1,614.
    images, sizes, _ = chosen(published, "binary")
    assert sizes == dict.fromkeys(CLASSES, (861, 215, 269)) | {"Normal": (2582, 646, 807)}
    assert images["label"].value_counts().to_dict() == {"normal": 4035, "sick": 4035}
    assert images["split"].value_counts().to_dict() == {
        "train": 5165,
        "validation": 1291,
        "test": 1614,
    }


@pytest.mark.parametrize(
    ("name", "train", "validation"),
    [
        ("size-1000", 200, 50),
        ("size-2000", 400, 100),
        ("size-3000", 600, 150),
        ("size-4000", 800, 200),
    ],
)
def test_sizes_cut_training_and_validation_only(published, name, train, validation):
    _, sizes, _ = chosen(published, name)
    assert sizes == dict.fromkeys(CLASSES, (train, validation, 269))


def test_the_largest_size_is_68_viral_pneumonia_images_short(published):
    # 4576 / 4 = 1144; 0.2 x 1144 = 228.8.
    _, sizes, counts = chosen(published, "size-4576")
    assert sizes == dict.fromkeys(CLASSES, (915, 229, 269)) | {"Viral Pneumonia": (861, 215, 269)}
    missing = (counts["asked"] - counts["got"]).groupby(counts["class"]).sum()
    assert missing.to_dict() == dict.fromkeys(CLASSES, 0) | {"Viral Pneumonia": 68}


def test_every_test_set_of_four_classes_contains_the_balanced_one(published):
    balanced = chosen(published, "balanced")[0]
    common = set(balanced.loc[balanced["split"] == "test", "image"])
    assert len(common) == 1076
    fewer, _ = samplings.select("few", published, {"per_class": 100}, **SHARES)
    tables = [chosen(published, name)[0] for name in SETTINGS if name != "three-class"]
    for images in [*tables, fewer]:
        assert common <= set(images.loc[images["split"] == "test", "image"])


def test_no_test_image_of_one_sampling_trains_another(published):
    tables = [chosen(published, name)[0] for name in SETTINGS]
    everything = pd.concat(tables)
    assert everything.groupby("image")["split"].nunique().max() == 1


def requests(split):
    largest = int(split["class"].value_counts().max())
    return st.one_of(
        st.fixed_dictionaries({"per_class": st.integers(10, largest)}),
        st.fixed_dictionaries({"total": st.integers(30, 4 * largest)}),
    )


SMALL = split_of({"COVID": 60, "Lung_Opacity": 90, "Normal": 151, "Viral Pneumonia": 33})


@settings(max_examples=80, deadline=None)
@given(requests(SMALL), requests(SMALL), st.sampled_from([{}, {"Normal": 2, "COVID": 0.5}]))
def test_the_smaller_of_two_samplings_lies_within_the_larger(first, second, times):
    """With the same unit (a class or in total) part by part; whatever they ask, nothing crosses."""
    pair = [
        samplings.select("x", SMALL, wanted | {"times": times}, **SHARES)[0]
        for wanted in (first, second)
    ]
    crossing = pd.concat(pair).groupby("row")["split"].nunique()
    assert crossing.empty or crossing.max() == 1
    if first.keys() == second.keys() and all(len(images) for images in pair):
        smaller, larger = sorted(
            zip((first, second), pair, strict=True), key=lambda item: [*item[0].values()]
        )
        assert set(smaller[1]["row"]) <= set(larger[1]["row"])


def test_an_odd_total_is_shared_equally():
    images, _ = samplings.select("odd", SMALL, {"total": 103}, **SHARES)
    learnt = images[images["split"] != "test"]["class"].value_counts()
    assert set(learnt[["COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"]]) == {26}


def test_a_sampling_that_no_class_can_fill_is_empty_and_says_so():
    split = split_of(dict(zip(CLASSES, (199, 198, 200, 150), strict=True)))
    images, counts = samplings.select("large", split, {"per_class": 3616}, **SHARES)
    assert images.empty
    assert list(images.columns) == list(samplings.COLUMNS)
    assert counts["got"].sum() == 0
    assert counts["asked"].sum() == 4 * 3616
    assert counts["shortfall"].unique().tolist() == [
        "sampling 'large' asks for 3616 images per class; the largest class, Normal, has 200"
    ]
    _, counts = samplings.select("size", split, {"total": 1000}, **SHARES)
    assert counts["shortfall"].iloc[0] == (
        "sampling 'size' asks for 250 training and validation images per class; "
        "the largest class, Normal, has 160"
    )
    wanted = {"per_class": 300, "times": {"COVID": 2}}
    _, counts = samplings.select("uneven", split, wanted, **SHARES)
    assert "asks for 300 images of Normal, which has 200, and no" in counts["shortfall"].iloc[0]


def test_one_class_that_reaches_what_is_asked_is_enough():
    split = split_of({"COVID": 100, "Normal": 200})
    images, counts = samplings.select("x", split, {"per_class": 200}, **SHARES)
    assert images["class"].value_counts().to_dict() == {"COVID": 100, "Normal": 200}
    assert (counts["shortfall"] == "").all()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"per_class": 30, "classes": ["Covid"]}, r"classes names 'Covid': the classes of the spl"),
        ({"per_class": 30, "times": {"Flu": 2}}, r"samplings.x.times names 'Flu'"),
        ({"per_class": 2}, r"asks for 2 training and 0 validation images of COVID: .* x.per_class"),
        ({"total": 4}, r"asks for 1 training and 0 validation .*Raise samplings.x.total"),
    ],
)
def test_settings_that_do_not_fit_the_split_say_why(wanted, message):
    with pytest.raises(ValueError, match=message.replace("x.per_class", r"samplings.x.per_class")):
        samplings.select("x", SMALL, wanted, **SHARES)


@pytest.fixture
def script(tmp_path):
    """Runs the script with settings, in a folder that holds a split of 40 and 60 images."""
    split_of({"COVID": 40, "Normal": 60}).to_parquet(tmp_path / "split.parquet")

    def run(wanted, *more):
        arguments = ["--name", "x", "--split", str(tmp_path / "split.parquet")]
        arguments += ["--settings", json.dumps(wanted), "--shares", json.dumps(SHARES)]
        arguments += ["--output", str(tmp_path / "out/x.parquet")]
        sampling.main([*arguments, "--counts", str(tmp_path / "out/x.counts.tsv"), *more])
        counts = pd.read_csv(tmp_path / "out/x.counts.tsv", sep="\t", keep_default_na=False)
        return pd.read_parquet(tmp_path / "out/x.parquet"), counts

    return run


def test_the_script_writes_images_and_counts(script):
    images, counts = script({"per_class": "smallest"})
    assert images["class"].value_counts().to_dict() == {"COVID": 40, "Normal": 40}
    assert list(counts.columns) == list(samplings.COUNT_COLUMNS)
    np.testing.assert_array_equal(counts["asked"], counts["got"])


def test_a_shortfall_fails_or_is_skipped(script, tmp_path):
    with pytest.raises(
        ValueError,
        match=r"asks for 90 images per class; the largest class, Normal, has 60. "
        r"Lower samplings.x.per_class or set dataset.on_shortfall: skip$",
    ):
        script({"per_class": 90}, "--on-shortfall", "fail")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match=r"Lower samplings.x.times"):
        script({"per_class": "smallest", "times": {"COVID": 2, "Normal": 2}})
    images, counts = script({"per_class": 90}, "--on-shortfall", "skip")
    assert images.empty
    assert list(images.columns) == list(samplings.COLUMNS)
    assert counts["shortfall"].str.startswith("sampling 'x' asks for 90 images per class").all()
