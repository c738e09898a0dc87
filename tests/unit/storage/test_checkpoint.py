"""A checkpoint that cannot be read is no checkpoint, whatever is wrong with it."""

import os
from pathlib import Path

import numpy as np
import pytest
from pulmoscan.storage import checkpoint


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(np.arange(9.0).tobytes()) + 20] ^= 1
    path.write_bytes(content)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


@pytest.mark.parametrize(
    "damage",
    [
        truncated,
        flipped,
        pipe,
        folder,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"text"),
        lambda path: np.save(path.open("wb"), np.zeros(3)),
        lambda path: np.savez(path.open("wb"), header=np.array('{"identity": "a"}')),
        lambda path: np.savez(path.open("wb"), header=np.array("[1]")),
    ],
)
def test_a_damaged_checkpoint_is_removed_and_the_training_begins_anew(tmp_path, damage):
    checkpoint.save(tmp_path, "a", {"epoch": 1}, {"model": [np.arange(9.0)]})
    values, arrays = checkpoint.load(tmp_path, "a")
    assert values == {"epoch": 1}
    np.testing.assert_array_equal(arrays["model"], [np.arange(9.0)])
    damage(tmp_path / checkpoint.FILE)
    assert checkpoint.load(tmp_path, "a") is None
    assert list(tmp_path.iterdir()) == []
