"""Files that unpack to far more than they are do not fill the memory."""

import io
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import mutants
import numpy as np
import pytest
import small_database as small
from fuzzing import BOOK, good_mask
from pulmoscan.data import radiographs

SCRIPTS = Path(radiographs.__file__).resolve().parents[2]
HEADER = struct.pack(">IIBBBBB", 40, 40, 8, 0, 0, 0, 0)
PIXELS = (b"IDAT", dict(mutants.chunks(small.encoded(small.radiograph(0))))[b"IDAT"])
END = (b"IEND", b"")


PEAK = """
import resource, sys
sys.path[:0] = {paths!r}
import cv2, numpy, pandas, openpyxl
from pathlib import Path
from pulmoscan.acquire import archive
from pulmoscan.data import metadata, radiographs, workbook
content = Path(sys.argv[2]).read_bytes()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    if sys.argv[1] == "image":
        mask = Path(sys.argv[3]).read_bytes()
        print(radiographs.read(content, mask, *numpy.zeros((2, 64, 64), "u1")).defects)
    elif sys.argv[1] == "book":
        print(len(workbook.read_rows(content, metadata.NEEDED)))
    else:
        with archive.opened(Path(sys.argv[2]), "a.zip") as opened:
            for file in opened.database("").files:
                print(sum(map(len, file.chunks())))
except ValueError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def megabytes_to_read(kind: str, content: bytes, folder: Path) -> tuple[str, float]:
    """Return what reading says, and how far it raises the peak memory of a process of its own."""
    (folder / "file").write_bytes(content)
    (folder / "mask.png").write_bytes(good_mask())
    script = PEAK.format(paths=[str(SCRIPTS)])
    done = subprocess.run(
        [sys.executable, "-c", script, kind, folder / "file", folder / "mask.png"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    *said, peak = done.stdout.splitlines()
    return " ".join(said), int(peak) / 1024


def zeros_packed(size: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)), packer.flush()])


def bzip2_that_lies() -> bytes:
    """An entry of a few hundred bytes that unpacks to 64 MB and says it has 100."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_BZIP2) as file:
        file.writestr("COVID/images/COVID-1.png", bytes(64 << 20))
    content = bytearray(stream.getvalue())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.index(signature) + offset
        content[at : at + 4] = (100).to_bytes(4, "little")
    return bytes(content)


def wide_rows() -> bytes:
    cell = b'<row r="%d"><c r="XFD%d"><v>1</v></c></row>'
    return mutants.sheet_with(BOOK, b"".join(cell % (row, row) for row in range(50, 9000)))


def large_part() -> bytes:
    return mutants.with_parts(
        BOOK, lambda name, xml: xml + b" " * (80 << 20) if name == mutants.SHEET else xml
    )


def pixels_of(side: int, colour: int, depth: int, channels: int) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, 0)
    rows = zeros_packed(side * (side * channels * depth // 8 + 1) + (1 << 20))
    return mutants.joined([(b"IHDR", header), (b"IDAT", rows), END])


HUGE = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
BOMBS = {
    # What is announced, and refused before anything is decoded.
    "huge header": ("image", lambda: mutants.joined([(b"IHDR", HUGE), PIXELS, END]), 5),
    "16 bits of 4 channels": ("image", lambda: pixels_of(8192, 6, 16, 4), 5),
    # What is read: 64 MB of grey levels, and libpng's 8 MB of text.
    "largest grey image": ("image", lambda: pixels_of(8192, 0, 8, 1), 150),
    "pixels without end": (
        "image",
        lambda: mutants.joined(
            [(b"IHDR", HEADER), (b"IDAT", zeros_packed(128 << 20)), (b"IEND", b"")]
        ),
        20,
    ),
    "text": (
        "image",
        lambda: mutants.joined(
            [(b"IHDR", HEADER), (b"zTXt", b"a\0\0" + zeros_packed(128 << 20)), PIXELS, END]
        ),
        40,
    ),
    "colour profile": (
        "image",
        lambda: mutants.joined(
            [(b"IHDR", HEADER), (b"iCCP", b"a\0\0" + zeros_packed(128 << 20)), PIXELS, END]
        ),
        40,
    ),
    "workbook": ("book", large_part, 20),
    "wide rows": ("book", wide_rows, 100),
    "a row far down": (
        "book",
        lambda: mutants.sheet_with(BOOK, b'<row r="999999999"><c r="A1"><v>1</v></c></row>'),
        20,
    ),
    "entities": ("book", lambda: mutants.entities(np.random.default_rng(0), BOOK), 20),
    "bzip2 in a zip": ("zip", bzip2_that_lies, 5),
    "bzip2 in a workbook": ("book", bzip2_that_lies, 5),
}
SAID = {
    "huge header": "100000x100000 pixels are more than 67,108,864",
    "16 bits of 4 channels": "536,870,912 decoded bytes are more than 268,435,456",
    "largest grey image": "one grey level only",
    "pixels without end": "one grey level only",
    "text": "[]",
    "colour profile": "[]",
    "workbook": "it would unpack to 8",
    "wide rows": "more than 2,097,152 cells",
    "a row far down": "more than 2,097,152 cells",
    "entities": "Unable to read workbook",
    "bzip2 in a zip": "COVID-1.png cannot be unpacked (compression method 12); unpack it yourself",
    "bzip2 in a workbook": "compression method 12, which no xlsx file has",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_does_not_fill_the_memory(name, tmp_path):
    kind, content, most_megabytes = BOMBS[name]
    said, megabytes = megabytes_to_read(kind, content(), tmp_path)
    assert SAID[name] in said
    assert megabytes < most_megabytes
