"""The split: exact counts, whole duplicate groups, sources in proportion, seeded."""

import json

import numpy as np
import pandas as pd
import pytest
import split
from hypothesis import given, settings
from hypothesis import strategies as st
from image_tables import counts, grouped_tables, images_table
from pulmoscan.data import cutting, schemes, splits

SCHEME = {"test": 0.2, "validation": 0.2, "seed": 123, "group": "duplicates"}

# Images of the published data set by class and source, normalised as its report counts them.
PUBLISHED = {
    "COVID": {
        "BIMCV": 2474,
        "EURORAD": 258,
        "COVID-CXNet": 400,
        "covid-chestxray-dataset": 182,
        "covid-19-image-repository": 183,
        "SIRM": 119,
    },
    "Lung_Opacity": {"RSNA": 6012},
    "Normal": {"RSNA": 8851, "chest-xray-pneumonia": 1341},
    "Viral Pneumonia": {"chest-xray-pneumonia": 1345},
}


@pytest.mark.parametrize(
    ("images", "parts"),
    [(200, (128, 32, 40)), (1345, (861, 215, 269)), (10192, (6523, 1631, 2038)), (5, (3, 1, 1))],
)
def test_part_sizes(images, parts):
    assert schemes.part_sizes(images, 0.2, 0.2) == parts


def test_the_published_data_set_is_cut_exactly_by_class_and_source():
    table = splits.assign(images_table(PUBLISHED), **SCHEME)
    assert len(table) == 21165
    assert counts(table) == {
        "COVID": (2314, 579, 723),
        "Lung_Opacity": (3848, 962, 1202),
        "Normal": (6523, 1631, 2038),
        "Viral Pneumonia": (861, 215, 269),
    }
    for (class_name, source), parts in counts(table, ("class", "source")).items():
        expected = np.array([0.64, 0.16, 0.2]) * PUBLISHED[class_name][source]
        np.testing.assert_allclose(parts, expected, atol=1.5, err_msg=source)


def test_small_sources_are_pooled():
    # 20 x 0.16 = 3.2 images expected in validation: too few to be a stratum of its own.
    table = images_table({"COVID": {"A": 100, "B": 20, "C": 20}})
    parts = counts(splits.assign(table, **SCHEME), ("source",))
    assert parts["A"] == (64, 16, 20)
    assert tuple(np.add(parts["B"], parts["C"])) == (26, 6, 8)  # 40 pooled
    draws = {
        counts(splits.assign(table, **SCHEME | {"seed": seed}), ("source",))["B"]
        for seed in range(20)
    }
    assert len(draws) > 5


def test_images_with_defects_are_left_out_and_rows_are_those_of_the_input():
    images = images_table({"Normal": {"A": 40}, "COVID": {"B": 41}})
    images.loc[[3, 50], "defects"] = "black mask"
    table = splits.assign(images, **SCHEME)
    assert list(table.columns) == list(splits.COLUMNS)
    assert table["row"].tolist() == [row for row in range(81) if row not in (3, 50)]
    np.testing.assert_array_equal(table["image"], images["image"].to_numpy()[table["row"]])
    np.testing.assert_array_equal(table["source"], images["source"].to_numpy()[table["row"]])


def test_ranks_count_up_within_class_and_split():
    table = splits.assign(images_table({"Normal": {"A": 40}, "COVID": {"B": 50}}), **SCHEME)
    for _, part in table.groupby(["class", "split"]):
        assert sorted(part["rank"]) == list(range(len(part)))


def test_duplicates_come_no_earlier_in_the_ranks_than_others():
    groups = [(2 * i, 2 * i + 1) for i in range(100)]
    table = splits.assign(images_table({"Normal": {"A": 1000}}, groups), **SCHEME)
    table["place"] = table["rank"] / table.groupby("split")["rank"].transform("max")
    grouped = table[table["group"].duplicated(keep=False)]
    assert len(grouped) == 200
    assert grouped["place"].mean() == pytest.approx(0.5, abs=0.08)  # 0.02 standard error
    assert (grouped["split"] == "test").mean() == pytest.approx(0.2, abs=0.12)


def test_naive_lets_duplicates_fall_apart():
    groups = [(2 * i, 2 * i + 1) for i in range(50)]
    images = images_table({"Normal": {"A": 100}}, groups)
    table = splits.assign(images, **SCHEME | {"group": "image"})
    assert table["group"].tolist() == table["image"].tolist()
    assert (table["split"].to_numpy()[::2] != table["split"].to_numpy()[1::2]).any()
    grouped = splits.assign(images, **SCHEME)
    assert (grouped["split"].to_numpy()[::2] == grouped["split"].to_numpy()[1::2]).all()
    assert grouped["group"].tolist()[:2] == ["Normal-1", "Normal-1"]


def test_groups_across_strata_keep_the_counts():
    # Every image of source B has a copy, so its groups cannot be cut as finely as its quota.
    groups = [tuple(range(60 + 6 * i, 66 + 6 * i)) for i in range(6)]
    table = images_table({"COVID": {"A": 60, "B": 36}}, groups)
    assert counts(splits.assign(table, **SCHEME)) == {"COVID": schemes.part_sizes(96, 0.2, 0.2)}


def test_groups_that_fit_nowhere_go_where_they_exceed_least():
    # 12 images are to be cut 8, 2, 2, and there are only groups of three.
    groups = [tuple(range(3 * i, 3 * i + 3)) for i in range(4)]
    table = splits.assign(images_table({"Normal": {"A": 12}}, groups), **SCHEME | {"test": 0.17})
    assert counts(table) == {"Normal": (6, 3, 3)}


@settings(max_examples=60, deadline=None)
@given(grouped_tables(), st.integers(0, 2**32), st.sampled_from([0.1, 0.2, 0.33]))
def test_every_group_is_whole_and_every_count_exact(images, seed, validation):
    scheme = SCHEME | {"seed": seed, "validation": validation}
    table = splits.assign(images, **scheme)
    assert sorted(table["image"]) == sorted(images["image"])
    assert (table.groupby("group")["split"].nunique() == 1).all()
    together = images.assign(split=table["split"]).dropna(subset="duplicate_group")
    assert (together.groupby("duplicate_group")["split"].nunique() == 1).all()
    for class_name, parts in counts(table).items():
        total = (images["class"] == class_name).sum()
        assert parts == schemes.part_sizes(total, 0.2, validation)


@settings(max_examples=25, deadline=None)
@given(grouped_tables(), st.integers(0, 1000), st.randoms())
def test_the_order_of_rows_changes_nothing(images, seed, random):
    scheme = SCHEME | {"seed": seed}
    order = list(range(len(images)))
    random.shuffle(order)
    shuffled = images.iloc[order].reset_index(drop=True)
    shuffled["duplicate_group"] = shuffled["duplicate_group"].map(
        lambda group: group and f"other {group}"
    )
    expected = splits.assign(images, **scheme).drop(columns="row").sort_values("image")
    got = splits.assign(shuffled, **scheme).drop(columns="row").sort_values("image")
    pd.testing.assert_frame_equal(
        got.reset_index(drop=True), expected.reset_index(drop=True), check_dtype=False
    )


def test_a_class_is_cut_the_same_whatever_the_others_hold():
    small = splits.assign(images_table({"Normal": {"A": 50}}), **SCHEME)
    both = splits.assign(images_table({"Normal": {"A": 50}, "COVID": {"A": 30}}), **SCHEME)
    both = both[both["class"] == "Normal"].reset_index(drop=True)
    pd.testing.assert_frame_equal(small, both)


def test_another_seed_is_another_split():
    images = images_table({"Normal": {"A": 100}})
    first, second = (splits.assign(images, **SCHEME | {"seed": seed}) for seed in (1, 2))
    assert (first["split"] != second["split"]).mean() > 0.3
    pd.testing.assert_frame_equal(first, splits.assign(images, **SCHEME | {"seed": 1}))


@pytest.mark.parametrize(
    ("images", "scheme", "message"),
    [
        (
            images_table({"Normal": {"A": 50}, "COVID": {"B": 4}}),
            {"test": 0.1},
            r"class COVID has 4 images without defects, which gives 3 train, 1 validation, 0 test:",
        ),
        (
            images_table({"Normal": {"A": 20}}, [range(0, 10), range(10, 20)]),
            {},
            r"class Normal has 20 images in 2 groups that stay together, none left for",
        ),
        (
            images_table({"Normal": {"A": 20}, "COVID": {"A": 20}}, [(3, 25)]),
            {},
            r"duplicates COVID-6, Normal-4 are of different classes",
        ),
        (images_table({"Normal": {}}), {}, r"no image without defects"),
        (pd.concat([images_table({"Normal": {"A": 20}})] * 2), {}, r"Normal-1 .*more than once"),
    ],
)
def test_what_cannot_be_split_says_why(images, scheme, message):
    with pytest.raises(ValueError, match=message):
        splits.assign(images, **SCHEME | scheme)


def test_the_script_writes_the_split(tmp_path, capsys):
    images_table({"Normal": {"A": 200}}).to_parquet(tmp_path / "images.parquet")
    output = tmp_path / "splits" / "grouped.parquet"
    arguments = ["--images", str(tmp_path / "images.parquet"), "--output", str(output)]
    split.main([*arguments, "--scheme", json.dumps(SCHEME)])
    assert counts(pd.read_parquet(output)) == {"Normal": (128, 32, 40)}
    assert "128" in capsys.readouterr().out
    output.unlink()
    with pytest.raises(ValueError, match="0 validation"):
        split.main([*arguments, "--scheme", json.dumps(SCHEME | {"validation": 0.001})])
    assert list(output.parent.iterdir()) == []


def test_the_real_images_are_cut_by_class_and_source(real_data):
    tables = []
    for path in sorted(real_data.glob("*.metadata.xlsx")):
        metadata = pd.read_excel(path)
        class_name = path.name.removesuffix(".metadata.xlsx").replace("_P", " P")
        numbers = metadata["FILE NAME"].str.rpartition("-")[2]
        tables.append(
            pd.DataFrame(
                {
                    "image": class_name + "-" + numbers,
                    "class": class_name,
                    "source": metadata["URL"],
                }
            )
        )
    images = pd.concat(tables, ignore_index=True).assign(defects="", duplicate_group=None)
    copies = [("COVID-2419", "COVID-2420"), ("COVID-1544", "COVID-658")]
    for number, names in enumerate(copies):
        images.loc[images["image"].isin(names), "duplicate_group"] = number
    table = splits.assign(images, **SCHEME)
    assert counts(table) == dict.fromkeys(sorted(PUBLISHED), (128, 32, 40))
    for names in copies:
        assert table[table["image"].isin(names)]["split"].nunique() == 1
    sources = table.groupby(["class", "source"])
    for _, members in sources:
        if len(members) * 0.16 >= cutting.ENOUGH:
            assert (members["split"] == "test").mean() == pytest.approx(0.2, abs=1 / len(members))
