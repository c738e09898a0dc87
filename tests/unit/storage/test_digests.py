"""Digests change with the content that they are of, and with nothing else."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from pulmoscan.storage import arrays, digests


def test_the_digest_of_rows_is_that_of_their_pixels_alone(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 255, (6, 4, 4), dtype=np.uint8)
    before = digests.rows_digest(array, np.array([1, 4]))
    assert before == sha256(array[[1, 4]].tobytes()).hexdigest()
    arrays.write(tmp_path / "a.npy", array)
    assert digests.rows_digest(arrays.NpyFile(tmp_path / "a.npy", "x"), np.array([1, 4])) == before
    array[2] += 1
    assert digests.rows_digest(array, np.array([1, 4])) == before
    array[4, 0, 0] += 1
    assert digests.rows_digest(array, np.array([1, 4])) != before


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(1_000_000)
    (tmp_path / "file").write_bytes(content)
    assert digests.file_digest(tmp_path / "file") == sha256(content).hexdigest()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=rf"^cannot read {tmp_path}/file: No such file"):
        digests.file_digest(tmp_path / "file")
