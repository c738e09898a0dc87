"""Fixtures that many tests share."""

import os
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# Workers that run tests side by side share the first GPU, where there are several: claimed by the
# first of them for itself, the others would wait for theirs.
if "PYTEST_XDIST_WORKER" in os.environ:
    shown = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    os.environ["CUDA_VISIBLE_DEVICES"] = shown.partition(",")[0]

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"


class ByFile(LoadScopeScheduling):
    """Tests of a file share a process, and all of the workflow's, for they share one run of it."""

    def _split_scope(self, nodeid: str) -> str:
        path = Path(nodeid.partition("::")[0])
        return path.parent.name if path.parent.name == "workflow" else str(path)


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist nobody asks
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Say which tests share a process where there are several."""
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests of the workflow come first: they take longest."""
    items.sort(key=lambda item: item.path.parent.name != "workflow")


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
