"""Fixtures that many tests share."""

import os
from pathlib import Path

import pytest

# Workers that run tests side by side share the first GPU, where there are several: claimed by the
# first of them for itself, the others would wait for theirs.
if "PYTEST_XDIST_WORKER" in os.environ:
    shown = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    os.environ["CUDA_VISIBLE_DEVICES"] = shown.partition(",")[0]

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests share a process where there are several: those of a file, and the workflow's.

    The workflow's share one run of it. They take longest, so they come first.
    """
    items.sort(key=lambda item: item.path.parent.name != "workflow")
    for item in items:
        folder = item.path.parent.name
        group = folder if folder == "workflow" else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))


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
