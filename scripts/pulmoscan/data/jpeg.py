"""JPEG files, checked before a decoder sees them.

A decoder fills up what a truncated file lacks with grey, and says nothing. The checks here walk
through the segments (ITU-T T.81, annex B) to the mark of the end. JPEG has no checksums: damage
between the marks changes pixels, and nothing can tell.
"""

import re
import struct

from pulmoscan.data import formats
from pulmoscan.data.formats import Header

MOST_SCANS = 100  # of a progressive file, each of which goes over the whole image; usual are ten

_MODES = {1: "L", 3: "RGB"}
_UNLIKE = {
    0xC3: "lossless JPEG",
    0xC9: "JPEG with arithmetic coding",
    0xCA: "JPEG with arithmetic coding",
    0xCB: "lossless JPEG",
}
_READ = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN, _END, _EXIF = 0xDA, 0xD9, 0xE1
_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a segment
_NEXT = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # the first marker after compressed data
_ORIENTATION = 0x0112


def checked(data: bytes) -> tuple[Header, int]:
    """Return the header of a complete JPEG file as it is shown, and its EXIF orientation, 1 to 8.

    Args:
        data: the content of the file, which begins like a JPEG.

    Raises:
        ValueError: with the reason. The file is cut off, has more than 8 bits or another number of
            channels than 1 or 3, is of a kind that hardly any program writes, or is larger than
            `formats.check_size` allows.
    """
    header, orientation, scans, position = None, 1, 0, 2
    while True:
        marker, position = _marker(data, position)
        if marker in _ALONE:
            continue
        if marker == _END:
            if header is None or not scans:
                raise ValueError("the JPEG file has no image")
            return _turned(header, orientation), orientation
        content = _segment(data, position)
        position += 2 + len(content)
        if marker in _FRAMES:
            if header is not None:
                raise ValueError("the JPEG file has two headers")
            header = _header(marker, content)
        elif marker == _EXIF and content.startswith(b"Exif\0\0"):
            orientation = _orientation(content[6:])
        elif marker == _START_OF_SCAN:
            scans += 1
            if scans > MOST_SCANS:
                raise ValueError(f"it has more than {MOST_SCANS} scans")
            found = _NEXT.search(data, position)
            if found is None:
                raise ValueError("the file is cut off")
            position = found.start()


def frame_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height that the frame of any JPEG or JPEG-LS stream states.

    None without a frame among its first segments.
    """
    position = 2
    try:
        while True:
            marker, position = _marker(data, position)
            content = _segment(data, position)
            if marker in _FRAMES or marker == 0xF7:
                height, width = struct.unpack_from(">HH", content, 1)
                return width, height
            position += 2 + len(content)
    except (ValueError, struct.error):
        return None


def _marker(data: bytes, position: int) -> tuple[int, int]:
    """Return the marker at a position, and where its segment begins."""
    end = len(data)
    if position < end and data[position] != 0xFF:
        raise ValueError("the segments of the JPEG file are damaged")
    while position < end and data[position] == 0xFF:
        position += 1
    if position >= end:
        raise ValueError("the file is cut off")
    return data[position], position + 1


def _segment(data: bytes, position: int) -> bytes:
    length = int.from_bytes(data[position : position + 2])
    if position + max(length, 2) > len(data):
        raise ValueError("the file is cut off")
    if length < 2:
        raise ValueError("the segments of the JPEG file are damaged")
    return data[position + 2 : position + length]


def _header(marker: int, content: bytes) -> Header:
    if marker not in _READ:
        what = _UNLIKE.get(marker, "hierarchical JPEG")
        raise ValueError(f"{what} is not read: save it as PNG")
    if len(content) < 6:
        raise ValueError("the segments of the JPEG file are damaged")
    bits, height, width, channels = struct.unpack_from(">BHHB", content)
    if bits != 8:
        raise ValueError(f"JPEG of {bits} bits is not read: save it as PNG or TIFF of 16 bits")
    if channels == 4:
        raise ValueError("CMYK JPEG, as made for print, is not read: save it as grey or RGB")
    if channels not in _MODES or not (width and height):
        raise ValueError("the JPEG header has values that do not exist")
    formats.check_size(width, height, channels, bits)
    return Header("JPEG", width, height, _MODES[channels], bits)


def _turned(header: Header, orientation: int) -> Header:
    if orientation < 5:
        return header
    return Header(header.format, header.height, header.width, header.mode, header.depth)


def _orientation(exif: bytes) -> int:
    """Return the orientation in the first directory of EXIF data, 1 if it is not there."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for place in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, place)
            if tag == _ORIENTATION:
                return value if kind == 3 and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
