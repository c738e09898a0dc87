"""Too little disk space is reported before anything is written."""

import shutil

import pytest
from pulmoscan.storage import disk


@pytest.fixture
def free(monkeypatch):
    """Sets how many bytes the disk of every folder seems to have."""

    def set_free(size):
        usage = shutil.disk_usage("/")._replace(free=size)
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)

    return set_free


def test_what_fits_exactly_is_no_error(free, tmp_path):
    free(5_000_000)
    disk.check_space(tmp_path / "not/yet/there", 5_000_000, "the data set")


@pytest.mark.parametrize(
    ("size", "there", "said"),
    [
        (5_000_001, 5_000_000, "the data set needs 5 MB, 5 MB are free"),
        (2_500_000_000, 700_000, "the data set needs 2.5 GB, 1 MB are free"),
        (1_234_560_000_000, 10**9, "the data set needs 1,234.6 GB, 1.0 GB are free"),
    ],
)
def test_what_does_not_fit_is_named_with_the_folder_that_exists(free, tmp_path, size, there, said):
    free(there)
    with pytest.raises(OSError, match=rf"^not enough disk space in {tmp_path}: {said}$"):
        disk.check_space(tmp_path / "not/yet/there", size, "the data set")


def test_a_relative_folder_is_shown_in_full(free, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    free(0)
    with pytest.raises(OSError, match=f"in {tmp_path}: "):
        disk.check_space(tmp_path.relative_to(tmp_path) / "results", 1, "the data set")
