"""Arrays are written as NumPy does, and damaged ones are refused."""

import io

import mutants
import numpy as np
import pytest
from pulmoscan.storage import arrays
from refusals import refusal


@pytest.mark.parametrize("shape", [(3, 2, 2), (0,), (5,)])
def test_an_array_is_written_as_numpy_does(shape, tmp_path):
    array = np.random.default_rng(0).random(shape).astype(np.float32)
    arrays.write(tmp_path / "a.npy", array)
    expected = io.BytesIO()
    np.save(expected, array)
    assert (tmp_path / "a.npy").read_bytes() == expected.getvalue()


@pytest.mark.filterwarnings("ignore:invalid escape sequence")  # NumPy evaluates the header
def test_mutated_arrays_are_refused_or_hold_what_fits_their_header(tmp_path):
    path = tmp_path / "array.npy"
    np.save(path, np.arange(64, dtype=np.uint8).reshape(4, 4, 4))
    good = path.read_bytes()
    refused = 0
    for number in range(300):
        random = np.random.default_rng([6, number])
        start = mutants.flipped(random, good[:80]) if number % 2 else good[:80]
        text = bytearray(start + good[80:])
        text[random.integers(10, 80)] = random.choice(list(b"0123456789()[]{},'\"\\: \n\0"))
        path.write_bytes(text)
        found, sentence = refusal(lambda: arrays.NpyFile(path, "x")[[0]])
        refused += sentence is not None
        assert sentence is not None or found.size
    assert refused > 200


def test_rows_of_a_file_are_those_of_its_array(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (9, 3, 4), dtype=np.uint8)
    np.save(tmp_path / "a.npy", values)
    file = arrays.NpyFile(tmp_path / "a.npy", "x")
    assert (file.shape, file.dtype, len(file)) == (values.shape, values.dtype, 9)
    for rows in ([8, 0, 8], [], 5, [[1, 2], [3, 4]]):
        found = file[np.array(rows, int)]
        np.testing.assert_array_equal(found, values[np.array(rows, int)])
    with pytest.raises(ValueError, match="it has no row 9, only 9"):
        file[[3, 9]]


def test_files_that_cannot_be_read_by_row(tmp_path):
    path = tmp_path / "a.npy"
    with pytest.raises(OSError, match=r"cannot read .*a\.npy: No such file"):
        arrays.NpyFile(path, "x")
    np.save(path, np.zeros((5, 4)))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        ValueError,
        match=r"a\.npy is damaged \(it is not as long as its header says\): remove it and run x",
    ):
        arrays.NpyFile(path, "x")
    path.write_bytes(b"image,label")
    with pytest.raises(ValueError, match=r"a\.npy is damaged"):
        arrays.NpyFile(path, "x")
    np.save(path, np.zeros((5, 4)).T)
    with pytest.raises(ValueError, match="C order"):
        arrays.NpyFile(path, "x")
