"""What is known of the user's own images before anything is read."""

from pathlib import Path

import pandas as pd
import pytest
from pulmoscan.config import data_set, notices

LINES = "image,class,mask,patient,split\n"


def read(folder: Path, *rows: str, masks: str = "optional", **settings) -> data_set.DataSet:
    for row in rows:
        for name in filter(None, (row.split(",")[0], row.split(",")[2])):
            (folder / name).write_bytes(b"x")
    table = folder / "t.csv"
    table.write_text(LINES + "\n".join(rows) + "\n")
    dataset = {"source": "table", "path": str(table), "masks": masks, "classes": None}
    return data_set.read(dataset | settings)


def config(masks: str = "optional", **splits) -> dict:
    return {
        "dataset": {"masks": masks},
        "splits": splits,
        "models": {"net": {}, "tuned": {"tune": {"variant": "lungs"}}},
        "pixels": {"lungs": {"region": "lungs"}, "full": {"region": "full"}},
        "samplings": {"all": {}, "masked": {"masked": True}},
        "variants": {
            "lungs": {"sampling": "all", "pixels": "lungs"},
            "lungs-masked": {"sampling": "masked", "pixels": "lungs"},
            "full": {"sampling": "all", "pixels": "full"},
        },
    }


RUNS = pd.DataFrame(
    [("net", "lungs"), ("net", "lungs-masked"), ("net", "full"), ("tuned", "full")],
    columns=["model", "variant"],
)
ROWS = ("1.png,sick,m1.png,p1,train", "2.png,well,,p2,test", "3.png,well,m3.png,p3,val")


def test_runs_on_regions_are_not_made_where_an_image_has_no_mask(tmp_path):
    data = read(tmp_path, *ROWS)
    reasons = data_set.unshown(config(), RUNS, data)
    lacking = "1 of 3 images have no mask"
    assert reasons == {"net/lungs": lacking, "tuned/full": lacking}
    assert data_set.shown(RUNS, reasons)["variant"].tolist() == ["lungs-masked", "full"]


def test_without_masks_whole_images_alone_are_shown(tmp_path):
    data = read(tmp_path, *ROWS, masks="none")
    reasons = data_set.unshown(config("none"), RUNS, data)
    assert [*reasons] == ["net/lungs", "net/lungs-masked", "tuned/full"]
    with pytest.raises(ValueError, match="no selected run can be made: masks are not read"):
        data_set.shown(RUNS.iloc[:2], reasons)


def test_where_masks_are_required_or_complete_every_run_is_made(tmp_path):
    assert data_set.unshown(config("required"), RUNS, read(tmp_path, *ROWS)) == {}
    assert data_set.unshown(config(), RUNS, read(tmp_path, ROWS[0], ROWS[2])) == {}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("macro", "'macro' is the name of a mean in the tables by label"),
        ("NA", "'NA' reads as a missing value or a truth in a table"),
        ("a/b", "'a/b' cannot be the name of a folder: map it"),
        ("Well", "'Well' and 'well' look alike"),
    ],
)
def test_classes_that_would_be_taken_for_something_else(tmp_path, name, reason):
    with pytest.raises(ValueError, match=rf"^config: dataset.classes: .*{reason}"):
        read(tmp_path, *ROWS, f"4.png,{name},,p4,train")


def test_one_class_is_not_enough(tmp_path):
    with pytest.raises(ValueError, match="all images are 'sick': a network needs two classes"):
        read(tmp_path, ROWS[0])


@pytest.mark.parametrize(
    ("scheme", "line"),
    [
        ({"column": "splt"}, "splits.s: the data set has no column 'splt': did you mean 'split'?"),
        ({"column": "patient"}, "splits.s: image 1.png: its column 'patient' holds 'p1', which is"),
        ({"hold_out": {"patient": ["p9"]}}, "splits.s: no image without defects has the patient"),
        ({"column": "split"}, None),
        ({"hold_out": {"patient": ["p1"]}, "group": "patient"}, None),
    ],
)
def test_splits_find_what_they_need_in_the_table(tmp_path, scheme, line):
    found = list(data_set.split_problems(config(s=scheme), ["s"], read(tmp_path, *ROWS)))
    assert len(found) == (line is not None)
    assert line is None or found[0].startswith(f"config: {line}")


def test_images_left_out_and_runs_not_made_are_told(tmp_path):
    data = read(tmp_path, *ROWS, "4.png,odd,,p4,train", classes=["sick", "well"])
    assert list(notices._classes("dataset", data)) == [
        "dataset.classes leaves out 1 image: odd (1)"
    ]
    told = "dataset.masks: net/lungs and 1 more runs are not made: 1 of 3 images have no mask"
    assert list(notices._masks(data_set.unshown(config(), RUNS, data))) == [told]


def test_images_to_explain_are_those_that_a_table_lists(tmp_path):
    data = read(tmp_path, *ROWS)
    settings = {"per_class": 1, "images": ["COVID-1214", "3.png", "4.png"]}
    assert data_set.explained(settings, data) == {"per_class": 1, "images": ["3.png"]}
    (line,) = data_set.image_problems(settings["images"], data)
    assert line.startswith("config: explain.images: did you mean ")
    assert line.endswith("t.csv lists no image '4.png'")


def test_images_of_the_database_are_named_as_they_are():
    settings = {"per_class": 1, "images": ["COVID-1214"]}
    assert data_set.explained(settings, data_set.DATABASE) is settings
    assert not [*data_set.image_problems(settings["images"], data_set.DATABASE)]


def test_nothing_was_published_about_other_data(tmp_path):
    assert data_set.DATABASE.of_study
    assert not read(tmp_path, *ROWS).of_study
