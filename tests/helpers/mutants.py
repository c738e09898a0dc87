"""Damaged files: PNGs, workbooks and zips, each changed in one of many ways.

Every function takes a random generator and returns the content of a file. The same generator gives
the same file.
"""

import io
import itertools
import struct
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
import small_database as small

Change = Callable[[np.random.Generator, bytes], bytes]
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunks(file: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a whole PNG as (kind, content)."""
    found, position = [], len(SIGNATURE)
    while position < len(file):
        length, kind = struct.unpack_from(">I4s", file, position)
        found.append((kind, file[position + 8 : position + 8 + length]))
        position += 12 + length
    return found


def joined(parts: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG of these chunks, each with the right checksum."""
    return SIGNATURE + b"".join(small.chunk(kind, content) for kind, content in parts)


def flipped(random: np.random.Generator, file: bytes) -> bytes:
    changed = bytearray(file)
    for place in random.integers(0, len(file), random.integers(1, 9)):
        changed[place] ^= random.integers(1, 256)
    return bytes(changed)


def cut(random: np.random.Generator, file: bytes) -> bytes:
    return file[: random.integers(0, len(file))]


def zeroed(random: np.random.Generator, file: bytes) -> bytes:
    """The file with a block of zeros, as lost by a disk."""
    start, end = sorted(random.integers(0, len(file), 2))
    return file[:start] + bytes(end - start) + file[end:]


def spliced(random: np.random.Generator, file: bytes) -> bytes:
    start, end = sorted(random.integers(0, len(file), 2))
    return file[:start] + file[end:]


def trailing(random: np.random.Generator, file: bytes) -> bytes:
    return file + random.bytes(random.integers(1, 100))


def mended(change: Change) -> Change:
    """A change of the content of one chunk, whose checksum is then corrected."""

    def changed(random: np.random.Generator, file: bytes) -> bytes:
        parts = chunks(file)
        at = random.integers(len(parts))
        kind, content = parts[at]
        parts[at] = kind, change(random, content) if content else b""
        return joined(parts)

    return changed


def dropped(random: np.random.Generator, file: bytes) -> bytes:
    parts = chunks(file)
    del parts[random.integers(len(parts))]
    return joined(parts)


def doubled(random: np.random.Generator, file: bytes) -> bytes:
    parts = chunks(file)
    parts.insert(random.integers(len(parts) + 1), parts[random.integers(len(parts))])
    return joined(parts)


def reordered(random: np.random.Generator, file: bytes) -> bytes:
    parts = chunks(file)
    return joined([parts[at] for at in random.permutation(len(parts))])


def split_data(random: np.random.Generator, file: bytes) -> bytes:
    """The pixels in several chunks, sometimes out of order or with another chunk between them."""
    parts = chunks(file)
    at = next(index for index, (kind, _) in enumerate(parts) if kind == b"IDAT")
    data = parts[at][1]
    places = [0, *sorted(random.integers(0, len(data) + 1, 3)), len(data)]
    pieces = [(b"IDAT", data[a:b]) for a, b in itertools.pairwise(places)]
    if random.random() < 0.3:
        pieces.insert(2, (b"tEXt", b"Comment\0between"))
    if random.random() < 0.3:
        pieces.reverse()
    return joined(parts[:at] + pieces + parts[at + 1 :])


def other_header(random: np.random.Generator, file: bytes) -> bytes:
    """Another size, depth, colour type, method or interlacing, usually with the right checksum."""
    parts = chunks(file)
    fields = list(struct.unpack(">IIBBBBB", parts[0][1]))
    for _ in range(random.integers(1, 3)):
        at = random.integers(7)
        if at < 2:
            sizes = (0, 1, fields[at] - 1, fields[at] + 1, fields[at] // 2, 2 * fields[at])
            fields[at] = int(random.choice([*sizes, 100_000, 2**31 - 1]))
        else:
            fields[at] = int(random.choice([0, 1, 2, 3, 4, 6, 8, 16]))
    header = struct.pack(">IIBBBBB", *fields)
    if random.random() < 0.2:  # the checksum of the former header
        return file[:16] + header + file[29:]
    return joined([(b"IHDR", header), *parts[1:]])


def other_data(random: np.random.Generator, file: bytes) -> bytes:
    """Pixels compressed again after a change: too few, too many, different, or incomplete."""
    parts = chunks(file)
    rows = zlib.decompress(b"".join(content for kind, content in parts if kind == b"IDAT"))
    packed = zlib.compress(random.choice(np.array([cut, flipped, trailing]))(random, rows))
    if random.random() < 0.3:
        packed = packed[: -random.integers(1, 9)]
    rest = [part for part in parts[1:] if part[0] not in (b"IDAT", b"IEND")]
    return joined([parts[0], *rest, (b"IDAT", packed), (b"IEND", b"")])


def another_chunk(random: np.random.Generator, file: bytes) -> bytes:
    """One more chunk of a kind that decoders read, with content that may be nonsense."""
    kinds = [b"PLTE", b"tRNS", b"gAMA", b"bKGD", b"sBIT", b"cHRM", b"sRGB", b"pHYs", b"hIST"]
    kinds += [b"eXIf", b"acTL", b"fcTL", b"fdAT", b"cICP", b"ABCD", b"abcd", b"\0BCD", b"IEND"]
    parts = chunks(file)
    content = random.bytes(random.choice([0, 1, 2, 4, 6, 8, 9, 12, 26, 32, 48, 768]))
    kind = kinds[random.integers(len(kinds))]
    parts.insert(random.integers(1, len(parts)), (kind, content))
    return joined(parts)


def animation(random: np.random.Generator, file: bytes) -> bytes:
    """An animation of two frames; the first may be the image, a part of it, or another one."""
    parts = chunks(file)
    width, height = struct.unpack_from(">II", parts[0][1])
    at = next(index for index, (kind, _) in enumerate(parts) if kind == b"IDAT")
    part = int(random.choice([1, 2]))
    frame = struct.pack(">IIIIIHHBB", 0, width // part, height // part, 0, 0, 1, 10, 0, 0)
    before = [(b"acTL", struct.pack(">II", 2, 0))]
    if random.random() < 0.5:
        before.append((b"fcTL", frame))
    data = struct.pack(">I", 2) + zlib.compress(bytes((width * 4 + 1) * height))
    after = [(b"fcTL", struct.pack(">I", 1) + frame[4:]), (b"fdAT", data)]
    return joined(parts[:at] + before + [parts[at]] + after + parts[at + 1 :])


def text_bomb(random: np.random.Generator, file: bytes, size: int = 1 << 24) -> bytes:
    """A compressed text or colour profile that unpacks to ``size`` bytes."""
    bomb = zlib.compress(bytes(size), 9)
    kinds = [(b"zTXt", b"a\0\0"), (b"iCCP", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0")]
    kind, start = kinds[random.integers(3)]
    parts = chunks(file)
    return joined([parts[0], (kind, start + bomb), *parts[1:]])


PNG_CHANGES: tuple[Change, ...] = (
    flipped,
    cut,
    zeroed,
    spliced,
    trailing,
    mended(flipped),
    mended(cut),
    mended(trailing),
    dropped,
    doubled,
    reordered,
    split_data,
    other_header,
    other_header,
    other_data,
    other_data,
    another_chunk,
    animation,
    text_bomb,
)


def interlaced(pixels: np.ndarray) -> bytes:
    """A grey PNG of the pixels in the seven passes of Adam7 (PNG specification, section 8.2)."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)]
    passes += [(2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    shown = [pixels[y::dy, x::dx] for y, x, dy, dx in passes]
    rows = b"".join(b"\0" + row.tobytes() for part in shown if part.size for row in part)
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 0, 0, 0, 1)
    return joined([(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")])


def with_parts(
    book: bytes, change: Callable[[str, bytes], bytes | None], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """The zip with the content of each of its parts changed; None removes one."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(stream, "w", method) as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return stream.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


def sheet_with(book: bytes, rows: bytes) -> bytes:
    """The workbook with more rows of XML at the end of its sheet."""
    end = b"</sheetData>"
    return with_parts(
        book, lambda name, xml: xml.replace(end, rows + end) if name == SHEET else xml
    )


def part_changed(random: np.random.Generator, book: bytes) -> bytes:
    """One part of the workbook cut, flipped, or removed; the zip around it is intact."""
    with zipfile.ZipFile(io.BytesIO(book)) as parts:
        names = parts.namelist()
    chosen = SHEET if random.random() < 0.5 else names[random.integers(len(names))]
    change = random.choice(np.array([cut, flipped, spliced, lambda random, content: None]))
    return with_parts(
        book, lambda name, content: change(random, content) if name == chosen else content
    )


def strange_cells(random: np.random.Generator, book: bytes) -> bytes:
    cells = [
        b'<row r="%d"><c r="A%d"><f>"COVID-"&amp;1</f></c></row>',
        b'<row r="%d"><c r="A%d" t="s"><v>99</v></c></row>',
        b'<row r="%d"><c r="A%d" t="e"><v>#REF!</v></c></row>',
        b'<row r="%d"><c r="A%d" t="b"><v>1</v></c></row>',
        b'<row r="%d"><c r="A%d" t="d"><v>2020-13-45</v></c></row>',
        b'<row r="%d"><c r="A%d" t="n"><v>1e999</v></c></row>',
        b'<row r="%d"><c r="XFD%d"><v>7</v></c></row>',
        b'<row r="%d"><c r="ZZZZ%d"><v>7</v></c></row>',
        b'<row r="%d"><c r="?%d"><v>7</v></c></row>',
        b'<row r="-%d"><c r="A%d"><v>7</v></c></row>',
        b'<row r="%d"><c r="A%d" s="4000"><v>7</v></c></row>',
    ]
    number = int(random.choice([0, 1, 7, 100, 5000]))
    return sheet_with(book, cells[random.integers(len(cells))] % (number, number))


def other_encoding(random: np.random.Generator, book: bytes) -> bytes:
    """The sheet in another encoding than it declares, or a text table that is called xlsx."""
    encoding = str(random.choice(["utf-16", "utf-32", "cp037", "utf-16-le"]))
    if random.random() < 0.5:
        return with_parts(
            book, lambda name, xml: xml.decode().encode(encoding) if name == SHEET else xml
        )
    return "FILE NAME,FORMAT,SIZE,URL\nCOVID-1,PNG,299*299,é\n".encode(encoding)


def entities(random: np.random.Generator, book: bytes) -> bytes:
    """A document whose entities grow tenfold at each of nine steps ("billion laughs")."""
    steps = b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 10))
    start = b'<!DOCTYPE worksheet [<!ENTITY e0 "lol">' + steps + b"]>"
    return with_parts(
        book,
        lambda name, xml: start + xml.replace(b"COVID-2", b"&e9;") if name == SHEET else xml,
    )


BYTE_CHANGES: tuple[Change, ...] = (flipped, cut, zeroed)
BOOK_CHANGES: tuple[Change, ...] = (
    *BYTE_CHANGES,
    part_changed,
    part_changed,
    strange_cells,
    other_encoding,
    entities,
)


def directory_flipped(random: np.random.Generator, archive: bytes) -> bytes:
    """The zip with changed bytes in its list of entries."""
    start = archive.index(b"PK\x01\x02")
    return archive[:start] + flipped(random, archive[start:])


def entry_added(random: np.random.Generator, archive: bytes) -> bytes:
    """The zip with one more entry, which a good archive does not have."""
    stream = io.BytesIO(archive)
    names = ["/COVID/images/COVID-7.png", "../COVID/images/COVID-7.png", "C:\\COVID-7.png"]
    names += ["COVID/images/COVID-7.png", "COVID/images/COVID-1.png", "COVID/images/covid-1.PNG"]
    entry = zipfile.ZipInfo(names[random.integers(len(names))])
    entry.external_attr = int(random.choice([0o100644, 0o120777, 0o010644])) << 16
    entry.compress_type = int(random.choice([0, 8, 12, 14]))
    size = int(random.choice([0, 30, 3 << 20]))
    with zipfile.ZipFile(stream, "a") as file:
        file.writestr(entry, bytes(size))
    return stream.getvalue()


ZIP_CHANGES: tuple[Change, ...] = (
    flipped,
    cut,
    zeroed,
    spliced,
    trailing,
    directory_flipped,
    directory_flipped,
    entry_added,
)
