"""Results of one data source are not replaced by those of another unasked."""

import shutil
import zipfile
from pathlib import Path

import pytest
from pulmoscan.acquire import local
from pulmoscan.config import check
from pulmoscan.data import raw_folder
from pulmoscan.data.layout import CLASSES

NO_WEIGHTS = {"source": "none", "folder": None}
ADDRESSES = {"phantom": "phantom", "kaggle": "kaggle:a/b/x.png", "sample": "https://github.com/x"}


def database(folder: Path, images: range = range(1, 5), salt: int = 0) -> Path:
    """Write what looks like a database; ``salt`` changes the size of every image."""
    for name in CLASSES:
        (folder / name / "images").mkdir(parents=True)
        for number in images:
            content = b"x" * (len(name) + 31 * number + salt)
            (folder / name / f"images/{name}-{number}.png").write_bytes(content)
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(path: object) -> None:
    """Make the raw folder of a database, as the download does."""
    with local.database(path) as found:
        raw_folder.write(found.files, Path("results/raw"), Path("results/raw.tsv"), 1)


def made_from(source: str) -> None:
    row = ("COVID/images/COVID-1.png", ADDRESSES[source], "5", "0", "now")
    lines = ("\t".join(cells) for cells in (raw_folder.COLUMNS, row))
    Path("results/raw.tsv").write_text("\n".join(lines) + "\n")


def said(source: str, path: object = None, replace: bool = False) -> str:
    """Return what is said where a configuration asks for this source."""
    dataset = {"source": source, "path": path and str(path)}
    try:
        check.check_results({"dataset": dataset, "weights": NO_WEIGHTS, "replace_results": replace})
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("asked", ADDRESSES)
@pytest.mark.parametrize("before", ADDRESSES)
def test_the_same_source_goes_on_and_another_is_refused(folder, before, asked):
    made_from(before)
    line = said(asked)
    if before == asked:
        assert line == ""
    else:
        assert line == (
            f"config: dataset: results/ was made from dataset.source: {before}, but "
            f"dataset.source is {asked}: what it holds would be replaced. Work in another folder "
            "with --directory, move results/ away, or give --config replace_results=true to "
            "replace it"
        )
    assert said(asked, replace=True) == ""


def test_nothing_is_said_before_there_are_results(folder):
    assert said("phantom") == ""
    Path("results/raw.tsv").write_text("")
    assert said("phantom") == ""


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_a_copy_that_was_moved_corrected_or_extended_is_the_same_source(folder, packed):
    path = database(folder / "data")
    if packed:
        path = Path(shutil.make_archive(str(folder / "data"), "zip", path))
    made(path)
    assert said("local", path) == ""
    assert said("local", f"{path}/" if path.is_dir() else path) == ""
    moved = path.rename(path.with_stem("moved"))
    assert said("local", moved) == ""
    assert said("local", database(folder / "more", range(1, 40))) == ""
    corrected = database(folder / "corrected")
    (corrected / "COVID/images/COVID-2.png").write_bytes(b"better")
    (corrected / "COVID/images/COVID-3.png").unlink()
    assert said("local", corrected) == ""


def test_other_images_are_another_source(folder):
    path = database(folder / "data")
    made(path)
    line = said("local", database(folder / "other", salt=1))
    assert "results/ was made from other images of yours, but" in line
    assert "other has 0 of its 16 images" in line
    assert said("local", folder / "other", replace=True) == ""
    assert "dataset.source is phantom" in said("phantom")
    # In the same folder, too.
    shutil.rmtree(path)
    assert "has 0 of its 16 images" in said("local", database(path, salt=1))


def test_a_copy_of_what_was_downloaded_is_the_same_source(folder):
    path = database(folder / "data")
    made(path)
    table = Path("results/raw.tsv")
    table.write_text(table.read_text().replace(str(path), "kaggle:a/b"))
    assert said("local", path) == ""
    assert said("kaggle") == ""
    assert "made from dataset.source: kaggle" in said("local", database(folder / "b", salt=1))


def test_what_is_no_database_is_left_to_the_download(folder):
    made(database(folder / "data"))
    (folder / "empty").mkdir()
    assert said("local", folder / "empty") == ""
    with zipfile.ZipFile(folder / "empty.zip", "w"):
        pass
    assert said("local", folder / "empty.zip") == ""
