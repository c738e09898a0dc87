"""Small studies that the tests of sections read; their figures are small, too."""

import pytest
import small_study
from pulmoscan.report import figures
from pulmoscan.report.study import Study


@pytest.fixture(autouse=True)
def small_figures(monkeypatch):
    monkeypatch.setattr(figures, "DPI", 20)


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """Five runs with two seeds on one split."""
    return Study(small_study.write(tmp_path_factory.mktemp("study") / "results"))


@pytest.fixture(scope="session")
def in_folds(tmp_path_factory):
    """Two runs with one seed on a split and on another one in two folds."""
    splits = {"grouped": {}, "cv": {"folds": 2}}
    runs = [run for run in small_study.RUNS if run[0] in ("lenet5", "knn")]
    folder = tmp_path_factory.mktemp("folds") / "results"
    return Study(small_study.write(folder, splits=splits, seeds=(0,), table=runs))


@pytest.fixture(scope="session")
def without_runs(tmp_path_factory):
    """Runs that the data cannot fill."""
    folder = tmp_path_factory.mktemp("none") / "results"
    return Study(small_study.write(folder, shortfall="too few images"))
