"""What a user names is what it should be, and never lies where the workflow deletes."""

import os
import socket
from pathlib import Path

import pytest
from pulmoscan.config import check, places

LOST = "lies in results/, which the workflow deletes and writes anew: move it elsewhere"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """A working folder with results and, elsewhere, images and weights."""
    for name in ("work/results/raw/COVID/images", "work/results/weights", "data/COVID", "weights"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "work/runs.tsv").touch()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def said(path: object = None, weights: object = None, runs: str = "runs.tsv") -> list[str]:
    """Return what is said of a configuration that names these paths."""
    config = {
        "dataset": {"source": "local" if path else "phantom", "path": path and str(path)},
        "weights": {"source": "folder" if weights else "none", "folder": weights and str(weights)},
        "runs": str(runs),
    }
    return list(places.problems(config)) or list(places.linked(config))


@pytest.mark.parametrize(
    "path",
    [
        *("results", "results/", "results/raw", "./results/raw/.", "../work/results/raw"),
        *("results/weights/../raw", "{folder}/work/results", "{folder}/work/results/raw/COVID"),
    ],
)
def test_images_in_the_results_are_refused(folder, path):
    path = path.replace("{folder}", str(folder))
    assert said(path) == [f"config: dataset.path: {path} {LOST}"]


@pytest.mark.parametrize(
    "path", ["../data", "../data/", "results-of-mine", "../work/resultsx/../x"]
)
def test_images_elsewhere_are_taken(folder, path):
    for name in ("results-of-mine", "resultsx", "x"):
        (folder / "work" / name).mkdir()
    assert said(path) == []


def test_weights_and_a_run_table_in_the_results_are_refused(folder):
    (folder / "work/results/runs.tsv").touch()
    assert said(weights="results/weights") == [f"config: weights.folder: results/weights {LOST}"]
    assert said(runs="results/runs.tsv") == [f"config: runs: results/runs.tsv {LOST}"]
    assert said(weights="../weights") == []


def test_a_path_that_nothing_reads_is_refused_in_the_results_too(folder):
    config = {
        "dataset": {"source": "phantom", "path": "results/raw"},
        "weights": {"source": "none", "folder": None},
        "runs": "runs.tsv",
    }
    assert list(places.problems(config)) == [f"config: dataset.path: results/raw {LOST}"]


def test_links_are_followed_both_ways(folder):
    (folder / "into").symlink_to(folder / "work/results/raw")
    assert said(folder / "into") == [f"config: dataset.path: {folder}/into {LOST}"]
    # The results lie on another disk.
    (folder / "work/results").rename(folder / "disk")
    (folder / "work/results").symlink_to(folder / "disk")
    assert said(folder / "disk/raw") == [f"config: dataset.path: {folder}/disk/raw {LOST}"]
    assert said(folder / "data") == []


def test_a_folder_that_a_link_in_the_results_leads_to_is_refused(folder):
    (folder / "work/results/packed").symlink_to(folder / "data")
    assert said(folder / "data/COVID") == [f"config: dataset.path: {folder}/data/COVID {LOST}"]


@pytest.mark.parametrize("level", ["COVID", "COVID/images", "COVID/images/COVID-1.png"])
def test_links_within_the_images_must_not_lead_there(folder, level):
    (folder / "data/COVID").rmdir()
    target = folder / "work/results/raw" / level
    if target.suffix:
        target.touch()
    link = folder / "data" / level
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)
    expected = f"config: dataset.path: {link} links to a place that {LOST}"
    assert said(folder / "data") == [expected]


def test_a_link_to_a_link_leads_there_too(folder):
    (folder / "work/results/raw/COVID-1.png").touch()
    (folder / "store").mkdir()
    (folder / "store/COVID-1.png").symlink_to("../work/results/raw/COVID-1.png")
    link = folder / "data/COVID/COVID-1.png"
    link.symlink_to("../../data/COVID/../../store/COVID-1.png")
    assert said(folder / "data") == [f"config: dataset.path: {link} links to a place that {LOST}"]
    link.unlink()
    link.symlink_to("COVID-1.png")  # to itself
    assert said(folder / "data") == []


def test_a_file_of_weights_must_not_link_there(folder):
    (folder / "work/results/weights/vgg16.weights.h5").touch()
    link = folder / "weights/vgg16.weights.h5"
    link.symlink_to(folder / "work/results/weights/vgg16.weights.h5")
    expected = f"config: weights.folder: {link} links to a place that {LOST}"
    assert said(weights=folder / "weights") == [expected]


def test_links_in_a_circle_are_no_trouble(folder):
    (folder / "data/COVID/up").symlink_to(folder / "data")
    (folder / "data/none").symlink_to(folder / "nowhere")
    assert said(folder / "data") == []


@pytest.mark.parametrize("path", [".", "..", "../work/"])
def test_the_images_are_not_looked_for_around_the_results(folder, path):
    expected = f"config: dataset.path: {path} holds results/, where the workflow keeps copies of"
    assert said(path)[0].startswith(expected)


def test_a_mounted_or_differently_spelled_folder_is_the_same_folder(folder, monkeypatch):
    """What a file system that ignores case, or a bind mount, shows: two paths, one folder."""
    (folder / "work/RESULTS/raw").mkdir(parents=True)
    shown = places._identity

    def same(path: str) -> tuple[int, int] | None:
        return shown(path.replace("RESULTS", "results"))

    monkeypatch.setattr(places, "_identity", same)
    assert said("RESULTS/raw") == [f"config: dataset.path: RESULTS/raw {LOST}"]


def test_results_that_are_no_folder(folder):
    (folder / "work/results").rename(folder / "gone")
    (folder / "work/results").touch()
    assert said("../data")[0].startswith("results is not a folder: move it away")


@pytest.fixture
def odd(folder: Path) -> dict[str, str]:
    """Things that are not regular files, by their kind; the folder is where they lie."""
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as made:
        os.chdir(folder)  # the path of a socket is short
        made.bind("socket")
        os.chdir(folder / "work")
    return {"pipe": f"{folder}/pipe", "socket": f"{folder}/socket", "device": "/dev/zero"}


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_is_no_file_is_named_and_never_opened(odd, kind):
    path = odd[kind]
    assert said(path) == [f"config: dataset.path: {path} is a {kind}: expected a folder or a zip"]
    assert said(weights=path) == [f"config: weights.folder: {path} is a {kind}: expected a folder"]
    with pytest.raises(OSError, match=f"^it is a {kind}, not a file$"):
        places.content(path, 100)


def test_a_file_for_a_folder_of_weights(folder):
    expected = "config: weights.folder: runs.tsv is a file: expected a folder"
    assert said(weights="runs.tsv") == [expected]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("~/data", "does not exist: YAML does not know ~, write it in full"),
        ("none", "does not exist"),
        ("a\0b", "no path holds the character 0"),
        ("x" * 300, "File name too long"),
    ],
)
def test_a_path_that_cannot_be(folder, path, expected):
    (line,) = said(path)
    assert line.startswith("config: dataset.path: ")
    assert line.endswith(expected)


def test_a_file_larger_than_any_that_a_user_writes(folder):
    (folder / "work/runs.tsv").write_bytes(b"x" * 101)
    with pytest.raises(ValueError, match=r"^it has more than 100 bytes$"):
        places.content("runs.tsv", 100)


def test_a_configuration_among_the_results_is_refused(folder):
    (folder / "work/results/mine.yaml").write_text("seeds: [0]\n")
    with pytest.raises(ValueError, match=f"^results/mine.yaml {LOST}$"):
        check.check_files(["results/mine.yaml"])


def test_a_working_folder_whose_path_is_too_long(folder, monkeypatch):
    monkeypatch.setattr(places, "BELOW", os.pathconf("/", "PC_PATH_MAX") - 10)
    (line,) = said()
    assert line.startswith("the path of the working folder has ")
