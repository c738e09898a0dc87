"""The images of a sampling as batches."""

from pathlib import Path

import numpy as np
import pytest
from pulmoscan.backends import backend

backend.configure(threads=2)

from pulmoscan.inputs import batches  # noqa: E402
from pulmoscan.storage.arrays import NpyFile  # noqa: E402
from pulmoscan.training import examples  # noqa: E402
from small_search import FEATURES  # noqa: E402


def test_features_are_held_in_memory_where_they_fit(
    search_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.array([7, 2, 2, 40])
    values = np.load(search_data / "f.npy")
    held = examples.held(search_data / "f.npy", rows)
    assert isinstance(held.values, np.ndarray)
    assert held.values.nbytes == 3 * 4 * FEATURES
    np.testing.assert_array_equal(held.read(rows), values[rows])
    monkeypatch.setattr(batches, "IN_MEMORY", 3 * 4 * FEATURES - 1)
    assert isinstance(examples.held(search_data / "f.npy", rows).values, NpyFile)
