"""A name is one thing to a reader, to a table and to a file system."""

import itertools
import unicodedata

import pandas as pd
import pytest
from pulmoscan.config import names
from pulmoscan.data.layout import CLASSES


def labels_of(**labels: str) -> list[str]:
    """Return what is said of the labels of a sampling of all classes."""
    config = {kind: {} for kind in names.NAMED} | {"samplings": {"mine": {"labels": labels}}}
    return list(names.problems(config))


def named(key: str, *given: str) -> list[str]:
    """Return what is said of the names of one kind."""
    config = {kind: {} for kind in names.NAMED} | {key: {name: {} for name in given}}
    return list(names.problems(config))


@pytest.mark.parametrize("label", ["macro", "weighted", "Macro", "MICRO", "accuracy", "all"])
def test_a_label_is_not_named_like_a_mean(label):
    assert "is the name of a mean" in labels_of(COVID=label)[0]


@pytest.mark.parametrize(
    "label",
    [
        "sick ",
        " sick",
        "very  sick",
        "very\u00a0sick",
        "very\tsick",
        "si\u200bck",
        "sick\u00ad",
        "",
    ],
)
def test_a_label_has_no_blanks_but_those_that_are_seen(label):
    assert len(labels_of(COVID=label)) == 1


@pytest.mark.parametrize("label", ["Sick", "SICK", "siсk", "sіck", "ｓｉｃｋ", "s-i-c-k", "𝐬𝐢𝐜𝐤"])
def test_a_label_that_looks_like_the_positive_one(label):
    assert "looks like 'sick', the positive label" in labels_of(COVID=label)[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("krank", "Krank"),
        ("krank", "krаnk"),
        ("HEALTHY", "НЕАLТНУ"),
        ("Ο", "O"),
        (unicodedata.normalize("NFC", "Gerät"), unicodedata.normalize("NFD", "Gerät")),
        ("lung opacity", "lung_opacity"),
        ("ﬁne", "fine"),
        ("Straße", "STRASSE"),
    ],
)
def test_labels_that_look_alike(one, other):
    (line,) = labels_of(**{"COVID": one, "Lung_Opacity": other, "Normal": "x"})
    assert line.endswith("look alike: write them in the same way, or apart")


def test_labels_that_can_be_told_apart():
    several = ["krank", "gesund", "正常", "болен", "здоров", "बीमार", "बीमारी", "é", "e", "sick"]
    for one, other in itertools.pairwise(several):
        assert labels_of(**{"COVID": one, "Lung_Opacity": other}) == []
    assert labels_of(COVID="sick", Lung_Opacity="sick", Normal="normal") == []
    assert labels_of(COVID="Lung_Opacity") == []


def test_a_label_that_is_another_class():
    assert labels_of(COVID="Normal", Normal="healthy") == [
        "samplings.mine.labels: COVID is labelled 'Normal', the name of a class that has another "
        "label"
    ]


@pytest.mark.parametrize("kind", names.NAMED)
@pytest.mark.parametrize("name", ["NA", "nan", "NaN", "null", "NULL", "None", "true", "FALSE"])
def test_a_name_that_is_a_missing_value(kind, name):
    assert named(kind, name) == [
        f"{kind}: {name!r} reads as a missing value or a truth in a table: choose another name"
    ]


def test_no_name_that_pandas_takes_for_missing_or_a_number_is_left(tmp_path):
    words = ["NA", "nan", "NaN", "null", "NULL", "None", "n", "N", "x", "inf", "Inf", "1e5", "5"]
    words += ["0x1", "1_0", "infinity", "TRUE", "True", "false", "12", "007", "1.5", "4e", "e4"]
    table = tmp_path / "table.tsv"
    for word in words:
        table.write_text(f"name\n{word}\n")
        read = pd.read_csv(table, sep="\t")["name"].item()
        assert read == word or named("models", word), word


@pytest.mark.parametrize("kind", ["models", "variants", "splits", "pixels", "samplings"])
def test_names_that_differ_in_case(kind):
    (line,) = named(kind, "lungs", "Lungs")
    assert line.startswith(f"{kind}: 'lungs' and 'Lungs' differ in case only")


def test_a_name_that_is_another_with_a_suffix():
    assert len(named("pixels", "lungs", "lungs.rows")) == 1
    assert len(named("pixels", "lungs.rows.npy", "lungs")) == 1
    assert len(named("samplings", "x", "X.json")) == 1
    assert named("pixels", "lungs", "lungs-rows", "lung.s") == []
    # They are folders.
    assert named("models", "mobilenet-0", "mobilenet-0.25") == []


def test_the_names_of_the_database_can_be_told_apart():
    assert len({names.skeleton(name) for name in CLASSES}) == len(CLASSES)
