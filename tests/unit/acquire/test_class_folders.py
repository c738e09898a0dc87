"""Folders of classes, as Keras reads them and in the layout of the database."""

from pathlib import Path

import pytest
from pulmoscan.acquire import class_folders, listing, own
from pulmoscan.config import data_set
from pulmoscan.data.layout import CLASSES


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def read(folder: Path, source: str = "folders", **settings) -> listing.Listing | None:
    return own.listing({"source": source, "path": str(folder)} | settings)


def test_the_first_folder_is_the_class(tmp_path):
    write(tmp_path, "sick/1.png", "sick/deeper/2.jpg", "well/1.png", "well/notes.txt", "README.md")
    found = read(tmp_path)
    assert [(image.name, image.class_name) for image in found.images] == [
        ("sick/1.png", "sick"),
        ("sick/deeper/2.jpg", "sick"),
        ("well/1.png", "well"),
    ]
    assert found.unread == []
    assert found.without_mask == 3


def test_folders_of_a_split_lie_above_those_of_the_classes(tmp_path):
    write(tmp_path, "Train/sick/1.png", "val/sick/1.png", "test/well/1.png", "train/well/2.png")
    found = read(tmp_path)
    assert [(image.class_name, image.columns["split"]) for image in found.images] == [
        ("sick", "train"),
        ("well", "test"),
        ("well", "train"),
        ("sick", "validation"),
    ]


def test_what_is_not_read_is_listed(tmp_path):
    write(tmp_path, "sick/1.png", "sick/2.bmp", "well/1.png", "well/more.zip", "loose.png")
    (tmp_path / "well/gone.png").symlink_to(tmp_path / "nothing")
    assert {file.file: file.reason for file in read(tmp_path).unread} == {
        "sick/2.bmp": "BMP: only PNG, JPEG, TIFF or DICOM files are read",
        "well/more.zip": "an archive inside the data set: unpack it",
        "well/gone.png": "a link that leads nowhere (No such file or directory)",
        "loose.png": "does not lie in the folder of a class",
    }


def test_an_unlabelled_folder(tmp_path):
    write(tmp_path, "1.png", "2.png")
    assert {image.class_name for image in read(tmp_path).images} == {""}


def test_classes_are_renamed_merged_and_left_out(tmp_path):
    write(tmp_path, "a/1.png", "b/1.png", "c/1.png", "d/1.png")
    found = read(tmp_path, classes={"a": "sick", "b": "sick", "c": "well", "d": None})
    assert [image.class_name for image in found.images] == ["sick", "sick", "well"]
    assert found.left_out == {"d": 1}


def test_other_classes_in_the_layout_of_the_database(tmp_path):
    names = ("Flu/images/1.png", "Flu/masks/1.PNG", "Cold/Images/1.png", "Cold/masks/9.png")
    write(tmp_path, *(f"outer/{name}" for name in names), "outer/Flu.metadata.csv")
    found = read(tmp_path, "local")
    assert [(image.name, image.class_name) for image in found.images] == [
        ("outer/Cold/1.png", "Cold"),
        ("outer/Flu/1.png", "Flu"),
    ]
    assert [image.mask and image.mask.name for image in found.images] == [None, "1.PNG"]
    assert [file.reason for file in found.unread] == ["mask without image"]
    files = {str(file.path) for file in listing.database(found).files}
    assert "Flu.metadata.csv" in files


def test_of_two_files_of_one_name_none_is_lost(tmp_path):
    write(tmp_path, "Flu/images/1.png", "Flu/masks/1.png", "Flu/masks/1.jpg", "Cold/images/1.png")
    found = read(tmp_path, "local")
    assert [(file.file, file.reason) for file in found.unread] == [
        ("Flu/masks/1.png", class_folders.SECOND_MASK)
    ]
    write(tmp_path, "Flu/Images/1.png")
    with pytest.raises(ValueError, match=r"lists the image Flu/1.png twice"):
        read(tmp_path, "local")


def test_the_database_is_read_as_such(tmp_path):
    write(tmp_path, *(f"{name}/images/{name}-1.png" for name in CLASSES))
    assert read(tmp_path, "local") is None
    assert read(tmp_path, "local", classes=["COVID", "Normal"]) is None
    asked = {"source": "local", "path": str(tmp_path), "masks": "required"}
    assert data_set.read(asked).classes == [*CLASSES]
    renamed = dict.fromkeys(CLASSES, "sick") | {"Normal": "well"}
    assert read(tmp_path, "local", classes=renamed).classes == ["sick", "well"]


@pytest.mark.parametrize("source", ["folders", "local"])
def test_an_empty_folder(tmp_path, source):
    with pytest.raises(ValueError, match=r"holds no image that is read$"):
        read(tmp_path, source)


def test_folders_of_classes_are_found_below_others(tmp_path):
    write(tmp_path, "a/b/Flu/images/1.png", "a/Cold/images/1.png", ".hidden/X/images/1.png")
    (tmp_path / "a/circle").symlink_to(tmp_path)
    assert class_folders.names(tmp_path) == {"Flu", "Cold"}
