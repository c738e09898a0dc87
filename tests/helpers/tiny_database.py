"""Databases of a few bytes, for tests of code that handles files without looking into them."""

import io
import zipfile
from pathlib import Path

from pulmoscan.data import layout


def contents(images: int = 2, kaggle: bool = True) -> dict[str, bytes]:
    """The files of a database by path, in the spelling of Kaggle or of the authors' sample."""
    files = {}
    for name in layout.CLASSES:
        folder = name if kaggle else name.replace(" ", "_")
        stem = "NORMAL" if name == "Normal" and not kaggle else name
        for number in range(1, images + 1):
            for part in layout.PARTS:
                files[f"{folder}/{part}/{stem}-{number}.png"] = f"{name} {part} {number}".encode()
        files[f"{folder}.metadata.xlsx"] = f"{name} metadata".encode()
    return files


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def read_folder(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def zipped(files: dict[str | zipfile.ZipInfo, bytes], prefix: str = "") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name if isinstance(name, zipfile.ZipInfo) else prefix + name, content)
    return stream.getvalue()
