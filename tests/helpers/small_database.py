"""Databases of a few small radiographs, and the two stages that read them, run on one."""

import csv
import hashlib
import shutil
import struct
import zlib
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path

import audit
import cv2
import numpy as np
import openpyxl
import pack
from pulmoscan.data import layout, raw_folder, unread

SIDE = 40
HEADER = ("FILE NAME", "FORMAT", "SIZE", "URL")
URLS = {
    "COVID": "https://eurorad.org",
    "Lung_Opacity": "https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data",
    "Normal": "https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data",
    "Viral Pneumonia": "https://www.kaggle.com/paultimothymooney/chest-xray-pneumonia",
}


def radiograph(seed: int) -> np.ndarray:
    """An image of smooth spots, unlike that of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
    return cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def mask(side: int = 256) -> np.ndarray:
    """A rectangle of an eighth of the image."""
    pixels = np.zeros((side, side), np.uint8)
    pixels[side // 4 : side // 2, side // 4 : 3 * side // 4] = 255
    return pixels


def encoded(pixels: np.ndarray) -> bytes:
    """The pixels as a PNG file."""
    return cv2.imencode(".png", pixels)[1].tobytes()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(
    width: int, height: int, depth: int, colour: int, rows: bytes, palette: bytes = b""
) -> bytes:
    """A PNG file of the given scan lines, each with its filter byte; they are not checked."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + (chunk(b"PLTE", palette) if palette else b"")
    end = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks + end


def workbook(rows: Iterable[Iterable[object]]) -> bytes:
    """An xlsx file whose only sheet has these rows."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    content = BytesIO()
    book.save(content)
    return content.getvalue()


def write(folder: Path, changes: Mapping[str, bytes | None] | None = None) -> Path:
    """Write two images per class with masks and metadata; replace or remove (None) some files."""
    seed = 0
    for class_name in layout.CLASSES:
        for part in layout.PARTS:
            (folder / class_name / part).mkdir(parents=True)
        names = [f"{class_name}-{number}" for number in (2, 10)]
        for name in names:
            seed += 1
            (folder / class_name / "images" / f"{name}.png").write_bytes(encoded(radiograph(seed)))
            (folder / class_name / "masks" / f"{name}.png").write_bytes(encoded(mask()))
        rows = [(name, "PNG", f"{SIDE}*{SIDE}", URLS[class_name]) for name in names]
        (folder / f"{class_name}.metadata.xlsx").write_bytes(workbook([HEADER, *rows]))
    for path, content in (changes or {}).items():
        if content is None:
            (folder / path).unlink()
        else:
            (folder / path).write_bytes(content)
    return folder


def canonical_copy(source: Path, folder: Path) -> Path:
    """Copy a database into ``folder`` under its canonical spelling."""
    for path in source.rglob("*.*"):
        canonical = layout.canonical_path(path.relative_to(source).as_posix())
        if canonical is not None:
            (folder / canonical).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / canonical)
    return folder


def list_files(folder: Path, table: Path) -> Path:
    """Write the table of the files below ``folder`` as the download does."""
    with table.open("w", newline="") as stream:
        rows = csv.writer(stream, delimiter="\t", lineterminator="\n")
        rows.writerow(raw_folder.COLUMNS)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            content = path.read_bytes()
            sha256 = hashlib.sha256(content).hexdigest()
            name = path.relative_to(folder).as_posix()
            rows.writerow((name, "test", len(content), sha256, "2020-01-01T00:00:00+00:00"))
    return table


def pack_arguments(raw: Path, results: Path, size: int = 256, threads: int = 2) -> list[str]:
    """The command line of the packing; the files are listed in ``raw.tsv`` beside ``raw``."""
    options = {"raw": raw, "files": raw.with_suffix(".tsv"), "size": size, "threads": threads}
    outputs = ("images.npy", "masks.npy", "decoded.parquet")
    options |= {name.split(".")[0]: results / "packed" / name for name in outputs}
    return [text for name, value in options.items() for text in (f"--{name}", str(value))]


def audit_arguments(raw: Path, results: Path, on_defect: str = "exclude") -> list[str]:
    """The command line of the audit after the packing of `pack_arguments`."""
    unread_files = raw.with_name("unread.tsv")
    if not unread_files.exists():
        unread.write(unread_files, [])
    options = {"raw": raw, "files": raw.with_suffix(".tsv"), "on-defect": on_defect, "threads": 2}
    options["unread"] = unread_files
    inputs = ("images.npy", "masks.npy", "decoded.parquet")
    options |= {name.split(".")[0]: results / "packed" / name for name in inputs}
    options |= {"audit": results / "audit", "tables": results / "tables"}
    return [text for name, value in options.items() for text in (f"--{name}", str(value))]


def packed(
    raw: Path, results: Path, size: int = 256, threads: int = 2, options: Iterable[str] = ()
) -> Path:
    """List the files of ``raw``, pack them, and return ``results``."""
    list_files(raw, raw.with_suffix(".tsv"))
    pack.main([*pack_arguments(raw, results, size, threads), *options])
    return results


def audited(raw: Path, results: Path, size: int = 256) -> Path:
    """Pack and audit ``raw``, and return ``results``."""
    packed(raw, results, size)
    audit.main(audit_arguments(raw, results))
    return results
