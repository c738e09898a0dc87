"""Data, trainings and searches that several files of tests share."""

from pathlib import Path

import pytest
from pulmoscan.backends import backend

backend.configure(threads=2)

import small_search  # noqa: E402
import small_training  # noqa: E402
import train  # noqa: E402
import tune  # noqa: E402


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, a sampling, random weights of MobileNet, and its features."""
    folder = tmp_path_factory.mktemp("data")
    small_training.write_data(folder)
    return folder


@pytest.fixture(scope="session")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One uninterrupted training of every case."""
    folder = tmp_path_factory.mktemp("finished")
    for name, (network, unfreeze, changed) in small_training.CASES.items():
        line = small_training.arguments(data, folder / name, network, unfreeze, **changed)
        train.main(line)
    return {name: folder / name for name in small_training.CASES}


@pytest.fixture(scope="session")
def search_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, a sampling, and made-up features."""
    folder = tmp_path_factory.mktemp("search-data")
    small_search.write_data(folder)
    return folder


@pytest.fixture(scope="session")
def finished_search(search_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One uninterrupted search of a head."""
    folder = tmp_path_factory.mktemp("finished-search") / "head"
    head, space = small_search.HEAD, small_search.HEAD_SPACE
    tune.main(small_search.arguments(search_data, folder, head, space))
    return folder
