"""What looks wrong is named: inverted images, masks of other images, masks that are too large."""

import cv2
import numpy as np
import pandas as pd
import pytest
import small_database as small
from pulmoscan.data import duplicates, findings, plausibility
from pulmoscan.phantom import database

FEWEST = plausibility.FEWEST
COUNT, SIDE = 18, 96
CLASSES = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")


class Images:
    """Radiographs and masks in memory, as the audit has them."""

    def __init__(self, files: list[tuple[str, str, np.ndarray, np.ndarray]]) -> None:
        self.table = pd.DataFrame([file[:2] for file in files], columns=["class", "image"])
        self.formats = ["PNG"] * len(files)
        self.images = [cv2.resize(file[2], (SIDE, SIDE)) for file in files]
        self.masks = [
            cv2.resize(file[3], (SIDE, SIDE), interpolation=cv2.INTER_NEAREST) // 255
            for file in files
        ]

    def warnings(self) -> list[tuple[str, str, str]]:
        thumbnails = np.array([duplicates.reduced(image) for image in self.images])
        bits = np.array([plausibility.reduced_mask(mask) for mask in self.masks])
        table = self.table.assign(
            defects="",
            format=self.formats[: len(self.table)],
            mask_form="0, 255",
            duplicate_group=None,
            useful_area=[mask.mean() for mask in self.masks],
            mask_contrast=[
                plausibility.edge_contrast(*pair) for pair in zip(thumbnails, bits, strict=True)
            ],
        )
        found = plausibility.warnings(table, thumbnails, bits)
        return list(found.itertuples(index=False, name=None))


def read(folder, stride=1, without=()) -> Images:
    files = []
    for name in CLASSES:
        for path in sorted((folder / name / "images").glob("*.png"))[::stride]:
            grey, mask = (
                cv2.imread(str(folder / name / part / path.name), cv2.IMREAD_GRAYSCALE)
                for part in ("images", "masks")
            )
            if path.stem not in without:
                files.append((name, path.stem, grey, mask))
    return Images(files)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    database.write_database(folder, COUNT, SIDE, 0)
    return folder


@pytest.fixture
def images(folder):
    planted = database.planted(COUNT, 0)
    return read(folder, without={copy for _, copy in (*planted.exact, *planted.near)})


def test_nothing_is_said_of_phantoms(images):
    assert images.warnings() == []


def test_a_class_with_files_of_another_format_is_named(images):
    classes = images.table["class"]
    first = classes.index[classes == "COVID"][: FEWEST // 2]
    images.formats = ["JPEG" if row in first else "PNG" for row in range(len(classes))]
    told = f"{len(first)} of {(classes == 'COVID').sum()} images are JPEG, of other classes 0%"
    cause = "a network can tell the class by the traces of its format"
    try:
        assert images.warnings() == [("COVID", "", f"{told}: {cause}")]
    finally:
        images.formats = ["PNG"] * len(classes)


def test_real_radiographs_look_as_they_should(real_data, tmp_path):
    assert read(small.canonical_copy(real_data, tmp_path), stride=5).warnings() == []


def test_a_class_of_inverted_images_is_named_once(images):
    for row in np.flatnonzero(images.table["class"] == "Normal"):
        images.images[row] = 255 - images.images[row]
    (warning,) = images.warnings()
    assert warning[:2] == ("Normal", "")
    assert warning[2].startswith("most images look inverted: in ")


def test_one_inverted_image_is_named(images):
    images.images[5] = 255 - images.images[5]
    (warning,) = images.warnings()
    assert warning[1] == images.table["image"][5]
    assert warning[2] == "looks inverted, or its mask belongs to another image"


def test_masks_moved_on_by_one_are_named_for_the_class(images):
    rows = np.flatnonzero(images.table["class"] == "COVID")
    masks = [cv2.flip(images.masks[row], 0) for row in rows]
    for row, mask in zip(rows, masks[1:] + masks[:1], strict=True):
        images.masks[row] = mask
    said = [text for name, image, text in images.warnings() if (name, image) == ("COVID", "")]
    assert len(said) == 1
    assert said[0].startswith(("the masks do not follow the lungs", "most images look inverted"))


def test_two_masks_that_are_exchanged_are_named_as_a_pair(images):
    shift = np.float32([[1, 0, 12], [0, 1, -14]])
    for part in (images.images, images.masks):  # an unlike patient
        part[3] = cv2.warpAffine(part[3], shift, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    images.masks[3], images.masks[20] = images.masks[20], images.masks[3]
    first, second = images.table["image"][[3, 20]]
    assert ("COVID", first, f"mask and that of {second} seem exchanged") in images.warnings()


def test_one_mask_of_two_images_is_named_unless_they_are_copies(images):
    images.masks[1] = images.masks[0]
    first, second = images.table["image"][:2]
    said = [text for _, image, text in images.warnings() if image == first]
    assert f"mask is that of {second}, too" in said


def test_a_mask_of_most_of_the_image_is_named(images):
    images.masks[7][6:-6, 6:-6] = 1
    said = [text for _, image, text in images.warnings() if image == images.table["image"][7]]
    assert "mask covers 77% of the image" in said


def test_images_with_defects_and_small_classes_are_left_out(images):
    images.table = images.table[:5]
    images.images = [255 - image for image in images.images[:5]]
    images.masks = images.masks[:5]
    assert {image for _, image, _ in images.warnings()} == {*images.table["image"]}


def test_a_mask_without_edge_has_no_contrast():
    image = small.radiograph(0)[:32, :32].repeat(2, 0).repeat(2, 1)
    for mask in (np.zeros((64, 64), np.uint8), np.ones((64, 64), np.uint8)):
        assert np.isnan(plausibility.edge_contrast(image, plausibility.reduced_mask(mask)))


def test_the_summary_says_everything_in_few_lines(tmp_path):
    images = pd.DataFrame(
        {
            "class": ["COVID", "COVID", "Normal", "Normal"],
            "defects": ["", "no mask", "", "mask looks inverted: it covers all corners and 71% of"],
            "mask_form": ["0, 1: the brighter is lung", "", "0, 255", "0, 255"],
            "scale": ["bits in use: 0 to 4095"] * 2 + ["window of the file: 1 to 2", ""],
            "width": [299, 299, 299, 2000],
            "height": [299, 299, 299, 1000],
            "mask_width": [256, 0, 128, 2000],
            "mask_height": [256, 0, 128, 1000],
            "source": ["SIRM", "unknown", "unknown", "RSNA"],
        }
    )
    tables = {
        "defects": pd.DataFrame(
            {"defect": ["no mask", "not read: JPEG", "not read: JPEG", "duplicate group a spans b"]}
        ),
        "metadata_errors": pd.DataFrame(
            [("COVID", "COVID-1", "wrong SIZE", "1*1", "2*2"), ("Normal", "", *["damaged"] * 3)],
            columns=["class", "image", "error", "value", "expected"],
        ).replace({"error": {"damaged": "damaged metadata file"}}),
        "warnings": pd.DataFrame(
            [("COVID", "", "w")] + [("COVID", f"COVID-{n}", "w") for n in range(5)],
            columns=["class", "image", "warning"],
        ),
    }
    lines = list(findings.summary(images, tables, tmp_path))
    assert lines[0] == (
        f"warning: 4 images in 2 classes; 2 defective; 2 files not read ({tmp_path}/defects.tsv): "
        "not read: JPEG (2); no mask (1); duplicate group spans b (1)"
    )
    assert lines[1].endswith("images of unknown source: 2")
    assert lines[2] == "warning: metadata of Normal: damaged metadata file: damaged"
    assert "0, 1: the brighter is lung (1)" in lines[3]
    scales = "bits in use: 0 to 4095 (2); window of the file (1)"
    assert lines[4] == f"what becomes 0 to 255 in deeper images: {scales}"
    assert lines[5] == "masks of another size than their image, scaled to it: 1"
    assert lines[6] == "warning: COVID: w"
    assert lines[-1] == f"warning: 2 more in {tmp_path}/warnings.tsv"
