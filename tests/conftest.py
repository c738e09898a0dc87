"""Fixtures that many tests share."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"


def _folder(variable: str, default: Path, what: str) -> Path:
    folder = Path(os.environ.get(variable, default))
    if not folder.is_dir():
        pytest.skip(f"no {what}: set {variable} to a folder that holds them")
    return folder


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of this repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """800 radiographs of the database, 200 a class, in its layout."""
    return _folder("PULMOSCAN_REAL_DATA", SHARED / "data/radiography-sample", "real radiographs")


@pytest.fixture(scope="session")
def weights_folder() -> Path:
    """ImageNet weights of MobileNet 1.0 and 0.25 and MobileNetV2 0.35."""
    return _folder("PULMOSCAN_WEIGHTS", SHARED / "weights", "ImageNet weights")
