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
        found, sentence = refusal(lambda: arrays.NpyFile(path)[[0]])
        refused += sentence is not None
        assert sentence is not None or found.size
    assert refused > 200
