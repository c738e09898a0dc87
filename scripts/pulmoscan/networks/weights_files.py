"""What a file of weights is, by its content: its name may say something else.

h5py is imported only where a file is looked at: the Snakefile is parsed without files, too.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

CURRENT = ".weights.h5"  # Keras chooses by a file's name how it reads it
OLDER = ".h5"
# How files begin that are saved under the name of weights by mistake, and what to do.
OTHERS = (
    (b"version https://git-lfs", "is a pointer of Git LFS: fetch the file with git lfs pull"),
    (b"<", "is a web page: download the file itself"),
    (b"{", "is an answer of a web server: download the file itself"),
    (b"PK", "is a zip, such as a whole .keras model: save its weights with model.save_weights"),
    (b"\x1f\x8b", "is compressed: unpack it"),
)
BEGINNING = 512  # bytes that are looked at


def check(path: Path) -> None:
    """Raise ``ValueError`` with what a file is, unless it looks like weights of Keras.

    Raises ``OSError`` where it cannot be read.
    """
    import h5py

    if not path.is_file():
        raise ValueError(f"{path} is not a file: it should hold weights of Keras")
    try:
        with path.open("rb") as file:
            beginning = file.read(BEGINNING).lstrip(b"\xef\xbb\xbf \t\r\n")
    except OSError as error:
        raise OSError(f"cannot read {path}: {error.strerror}") from None
    if not path.stat().st_size:
        raise ValueError(f"{path} is empty: replace it")
    if not h5py.is_hdf5(path):
        known = [what for first, what in OTHERS if beginning.startswith(first)]
        what = known[0] if known else "is not HDF5, the format of Keras' weights"
        raise ValueError(f"{path} {what}")
    _suffix(path)


def load(model: "keras.Model", path: Path) -> None:
    """Read weights in Keras' current or its older format, whichever the file is in.

    Raises ``ValueError`` for a file that holds no weights, and what Keras raises where they do not
    fit the model.
    """
    suffix = _suffix(path)
    if (CURRENT if path.name.endswith(CURRENT) else OLDER) == suffix:
        model.load_weights(path)
        return
    with tempfile.TemporaryDirectory(prefix="pulmoscan-") as folder:
        link = Path(folder, f"file{suffix}")
        link.symlink_to(path.resolve())
        model.load_weights(link)


def _suffix(path: Path) -> str:
    """Return how the name of such a file should end."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if "layer_names" in file.attrs or "model_weights" in file:
                return OLDER
            if "layers" in file or "_layer_checkpoint_dependencies" in file:
                return CURRENT
    except OSError as error:
        reason = "it ends too early" if "truncated" in str(error) else str(error)
        raise ValueError(f"{path} is damaged ({reason}): replace it") from None
    raise ValueError(f"{path} is HDF5, but holds no weights of Keras")
