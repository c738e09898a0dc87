"""Whatever is done to a file, it is refused in a sentence or read right, in bounded memory.

The environment variable PULMOSCAN_FUZZ sets the number of damaged files in all (150 if it is not
set; 2,500 for the record). Mutant ``n`` is the same in every run. What became of them is printed:

    PULMOSCAN_FUZZ=2500 pytest -rP tests/unit/test_fuzz.py
"""

import hashlib
import io
import os
import re
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import download
import mutants
import numpy as np
import pandas as pd
import pytest
import small_database as small
from PIL import Image
from pulmoscan.data import metadata, radiographs
from pulmoscan.phantom import database as phantom
from refusals import refusal
from tiny_database import contents, read_folder, zipped

MUTANTS = int(os.environ.get("PULMOSCAN_FUZZ", "150"))
SCRIPTS = Path(radiographs.__file__).resolve().parents[2]
SIDE = 64

warnings.filterwarnings("ignore", category=UserWarning)  # of what damaged files hold


def strictly_decoded(content: bytes) -> tuple[tuple[int, int], np.ndarray] | None:
    """Return size and grey levels as Pillow reads them, None where it refuses.

    Grey of colours: libpng's ``png_set_rgb_to_gray`` with the weights 0.299 and 0.587 that OpenCV
    gives it, in 15 bits. Of 16 bits the upper 8 count.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.verify()
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            size, mode = image.size, image.mode
            pixels = np.asarray(image.convert("RGB") if mode == "P" else image)
    except Exception:  # Pillow raises whatever its parts do
        return None
    if mode == "1":
        pixels = pixels.astype(np.uint8) * 255
    if mode.startswith("I"):
        pixels = pixels >> 8
    if pixels.ndim == 2:
        return size, pixels.astype(np.uint8)
    if pixels.shape[2] == 2:
        return size, pixels[..., 0]
    red, green, blue = (pixels[..., channel].astype(np.int64) for channel in range(3))
    return size, ((9797 * red + 19234 * green + 3737 * blue) >> 15).astype(np.uint8)


def good_mask() -> bytes:
    return small.encoded(small.mask())


def forms(pixels: np.ndarray) -> list[bytes]:
    """PNG files of all modes that show these grey levels or something made of them."""
    side = len(pixels)
    random = np.random.default_rng(0)
    pairs = np.dstack([pixels, 255 - pixels])
    sixteen = (pixels.astype(np.uint16) * 257).astype(">u2")
    bits = np.packbits(pixels > 127, axis=1)
    scan = [b"".join(b"\0" + row.tobytes() for row in rows) for rows in (pairs, sixteen, bits)]
    palette = b"".join(b"\0" + (row // 8).tobytes() for row in pixels)
    return [
        small.encoded(pixels),
        small.encoded(np.dstack([pixels] * 3)),
        small.encoded(np.dstack([pixels, pixels[::-1], pixels.T])),
        small.encoded(np.dstack([pixels, pixels[::-1], pixels.T, pixels])),
        small.png(side, side, 8, 4, scan[0]),
        small.png(side, side, 16, 0, scan[1]),
        small.png(side, side, 1, 0, scan[2]),
        small.png(side, side, 8, 3, palette, random.bytes(96)),
        mutants.interlaced(pixels),
    ]


@pytest.fixture(scope="module")
def phantom_files(tmp_path_factory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("phantoms")
    phantom.write_database(folder, 12, SIDE, 0)
    paths = sorted(folder.glob("*/images/*-[12].png"))
    grey = cv2.imread(str(paths[0]), cv2.IMREAD_GRAYSCALE)
    return [path.read_bytes() for path in paths] + forms(grey)


def share(part: float) -> range:
    return range(max(round(part * MUTANTS), 1))


def mutated(
    number: int, files: Sequence[bytes], changes: Sequence[mutants.Change], seed: int
) -> tuple[bytes, bytes]:
    """Return a file and what became of it."""
    random = np.random.default_rng([seed, number])
    file = files[random.integers(len(files))]
    return file, changes[number % len(changes)](random, file)


def outcome_of_image(file: bytes, mutant: bytes) -> str:
    """Read a damaged image; return what is said of it after comparing what is read of it."""
    arrays = np.full((2, SIDE, SIDE), 77, np.uint8)
    pair = radiographs.read(mutant, good_mask(), *arrays)
    unreadable = [defect for defect in pair.defects if defect.startswith("unreadable image: ")]
    if unreadable:
        assert not arrays[0].any()
        assert (pair.width, pair.mode, pair.pixel_sha256) == (0, "", "")
        reason = unreadable[0].partition(": ")[2]
        return f"refused: {re.sub(r'[0-9][0-9,]*', 'N', reason)}"
    # Pillow refuses long texts; then the pixels must be those before the damage.
    size, grey = strictly_decoded(mutant) or strictly_decoded(file)
    assert (pair.width, pair.height) == size
    assert pair.pixel_sha256 == hashlib.sha256(np.ascontiguousarray(grey)).hexdigest()
    assert np.array_equal(arrays[0], cv2.resize(grey, (SIDE, SIDE)))
    return "read equal" + (", with other pixels" if mutant_shows_other(file, grey) else "")


def mutant_shows_other(file: bytes, grey: np.ndarray) -> bool:
    return not np.array_equal(strictly_decoded(file)[1], grey)


def outcome_of_mask(mutant: bytes) -> str:
    arrays = np.full((2, 256, 256), 77, np.uint8)
    pair = radiographs.read(small.encoded(small.radiograph(0)), mutant, *arrays)
    if any(defect.startswith(("unreadable mask", "mask is 2")) for defect in pair.defects):
        assert not arrays[1].any()
        return "refused"
    decoded = strictly_decoded(mutant)
    if decoded is not None and decoded[0] == (256, 256):
        assert np.array_equal(arrays[1], decoded[1] > 127)
    return "read equal"


def report(what: str, outcomes: Counter[str]) -> None:
    print(f"\n{what}: {outcomes.total()} mutants")
    for reason, count in outcomes.most_common():
        print(f"  {count:5}  {reason}")


def test_mutated_phantoms(phantom_files):
    outcomes = Counter()
    for number in share(0.45):
        outcomes[
            outcome_of_image(*mutated(number, phantom_files, mutants.PNG_CHANGES, seed=1))
        ] += 1
    report("phantoms", outcomes)
    assert {"read equal", "refused: a checksum in the file is wrong"} <= set(outcomes)


def test_mutated_real_radiographs(real_data):
    paths = [sorted(folder.glob("*.png"))[7] for folder in sorted(real_data.glob("*/images"))]
    paths.append(next((real_data / "Viral_Pneumonia/images").glob("*-1*.png")))
    files = [path.read_bytes() for path in paths]
    outcomes = Counter()
    for number in share(0.2):
        outcomes[outcome_of_image(*mutated(number, files, mutants.PNG_CHANGES, seed=2))] += 1
    report("real radiographs", outcomes)
    assert {"read equal", "refused: a checksum in the file is wrong"} <= set(outcomes)


def test_mutated_masks():
    outcomes = Counter()
    for number in share(0.05):
        _, mutant = mutated(number, [good_mask()], mutants.PNG_CHANGES, seed=3)
        outcomes[outcome_of_mask(mutant)] += 1
    report("masks", outcomes)


@pytest.mark.parametrize("form", range(9))
def test_every_form_is_read_equal_before_any_damage(form):
    file = forms(small.radiograph(0))[form]
    assert outcome_of_image(file, file) == "read equal"


HEADER = struct.pack(">IIBBBBB", 40, 40, 8, 0, 0, 0, 0)
DATA = dict(mutants.chunks(small.encoded(small.radiograph(0))))[b"IDAT"]
PIXELS = (b"IDAT", DATA)
END = (b"IEND", b"")


@pytest.mark.parametrize(
    "parts",
    [
        [PIXELS, (b"tEXt", b"Comment\0" + b"a" * (9 << 20)), END],
        [(b"zTXt", b"a\0\0" + zlib.compress(bytes(9 << 20))), PIXELS, END],
        [(b"IDAT", DATA[:100]), (b"IDAT", b""), (b"IDAT", DATA[100:]), END],
        [(b"gAMA", struct.pack(">I", 1)), PIXELS, END],
        [(b"tRNS", b"\0\1"), PIXELS, END],
    ],
)
def test_what_lies_beside_the_pixels_does_not_matter(parts):
    file = small.encoded(small.radiograph(0))
    assert outcome_of_image(file, mutants.joined([(b"IHDR", HEADER), *parts])) == "read equal"


@pytest.mark.parametrize("seed", range(4))
def test_an_animation_is_refused(seed):
    file = mutants.animation(np.random.default_rng(seed), small.encoded(small.radiograph(0)))
    assert outcome_of_image(file, file) == "refused: it is an animation, not one image"


BOOK = small.workbook(
    [small.HEADER, *((f"COVID-{n}", "PNG", "299*299", "https://eurorad.org") for n in range(1, 30))]
)


def test_mutated_workbooks():
    rows = metadata.read_rows(BOOK)
    images = pd.DataFrame({"image": ["COVID-2"], "class": "COVID", "width": 299, "height": 299})
    outcomes = Counter()
    for number in share(0.15):
        _, mutant = mutated(number, [BOOK], mutants.BOOK_CHANGES, seed=4)
        found, sentence = refusal(metadata.read_rows, mutant)
        source, errors = metadata.check(images, {"COVID": mutant})
        assert len(source) == 1
        if sentence is not None:
            assert errors["value"].tolist()[0] == sentence
            assert errors["error"].tolist()[0] == "damaged metadata file"
        elif mutants.BOOK_CHANGES[number % len(mutants.BOOK_CHANGES)] in mutants.BYTE_CHANGES:
            assert found == rows  # the zip's checksums hold
        kind = "read" if sentence is None else f"refused: {sentence.partition(':')[0]}"
        outcomes[kind + (" equal" if found == rows else "")] += 1
        assert not errors["value"].str.contains("\n").any()
    report("workbooks", outcomes)
    assert {"read equal", "refused: BadZipFile"} <= set(outcomes)


def test_mutated_archives(tmp_path):
    database = {name: content * 9 for name, content in contents().items()}
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as file:
        for name, content in database.items():
            with file.open(name, "w", force_zip64=True) as entry:
                entry.write(content)
    good = [zipped(database), stored.getvalue()]
    path, results = tmp_path / "database.zip", tmp_path / "results"
    command = ["--source", "local", "--path", str(path), "--cache", str(results / "cache")]
    command += ["--raw", str(results / "raw"), "--table", str(results / "raw.tsv")]
    outcomes = Counter()
    for number in share(0.15):
        path.write_bytes(mutated(number, good, mutants.ZIP_CHANGES, seed=5)[1])
        (results / "raw.tsv").unlink(missing_ok=True)
        _, sentence = refusal(download.main, [*command, "--threads", "1"])
        assert sorted(entry.name for entry in tmp_path.iterdir()) in (
            ["database.zip"],
            ["database.zip", "results"],
        )
        if sentence is not None:
            assert not (results / "raw.tsv").exists()
            words = ("not a zip", "damaged", "refused", "cannot be unpacked", "encrypted")
            words += ("holds no image", "twice", "more than")
            outcomes[
                "refused: " + next((word for word in words if word in sentence), sentence)
            ] += 1
            continue
        # A name that the damage makes a stranger's is passed over, as the audit will notice; what
        # is copied is what was packed.
        copied = read_folder(results / "raw")
        added = copied.pop("COVID/images/COVID-7.png", b"")
        assert not added.strip(b"\0")
        assert copied.items() <= database.items()
        outcomes["read " + ("all" if copied == database else "without renamed files")] += 1
    report("archives", outcomes)
    assert {"refused: not a zip", "refused: damaged"} <= set(outcomes)


PEAK = """
import resource, sys
sys.path[:0] = {paths!r}
import cv2, numpy, pandas, openpyxl
from pathlib import Path
from pulmoscan import archive, metadata, radiographs, sources
content = Path(sys.argv[2]).read_bytes()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    if sys.argv[1] == "image":
        mask = Path(sys.argv[3]).read_bytes()
        print(radiographs.read(content, mask, *numpy.zeros((2, 64, 64), "u1")).defects)
    elif sys.argv[1] == "book":
        print(len(metadata.read_rows(content)))
    else:
        with archive.opened(Path(sys.argv[2]), "a.zip") as opened:
            for file in opened.database_files(""):
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
