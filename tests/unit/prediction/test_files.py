"""The files of radiographs that somebody names."""

from pathlib import Path

import pytest
from pulmoscan.prediction import files


def write(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def test_folders_are_searched_and_files_are_taken_as_they_are(tmp_path: Path) -> None:
    names = ("b.png", "deep/a.PNG", "notes.txt", "IM1", "1.2.840.4711")
    one, two, other, empty, dicom = write(tmp_path / "in", *names)
    dicom.write_bytes(bytes(128) + b"DICM")
    (named,) = write(tmp_path, "no-suffix")
    found, left_out = files.find([named, tmp_path / "in", one])
    assert found == [named, dicom, one, two]
    assert left_out == [empty, other]


def test_the_suffixes_of_all_formats_are_found(tmp_path: Path) -> None:
    written = write(tmp_path, "a.JPEG", "b.jpg", "c.TIF", "d.tiff", "e.dcm", "f.DICOM", "g.jpe")
    assert files.find([tmp_path]) == (written, [])


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*/nowhere"):
        files.find([tmp_path / "nowhere"])


def test_masks_belong_to_the_images_of_their_name(tmp_path: Path) -> None:
    images = write(tmp_path / "images", "a.png", "b.png")
    (mask,) = write(tmp_path / "masks", "b.PNG")
    assert files.pair(images, [mask]) == [files.Pair(images[0], None), files.Pair(images[1], mask)]
    assert files.pair(images[:1], [mask]) == [files.Pair(images[0], mask)]
    (same,) = write(tmp_path / "more", "b.png")
    with pytest.raises(ValueError, match=r"two masks are named b: .*b\.PNG and .*b\.png"):
        files.pair(images, [mask, same])
