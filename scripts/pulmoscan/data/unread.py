"""Files of a data set that look like data and are not read, each with the reason.

A file is either part of the database (``layout.canonical_path``), or looks like data and is listed,
or is of another kind (a README, what an operating system leaves behind) and is passed over.
"""

import csv
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pulmoscan.data import formats, layout
from pulmoscan.storage import atomic

COLUMNS = ("file", "class", "reason")
DEFECT = "not read"
METADATA_REASON = "metadata are read from <class>.metadata.xlsx, .csv or .tsv"

_FORMATS = {
    "JPEG File Interchange": "jfif",
    "BMP": "bmp dib",
    "GIF": "gif",
    "WebP": "webp",
    "HEIC": "heic heif avif",
    "JPEG 2000": "jp2 j2k jpx",
    "Netpbm": "pgm ppm pnm pbm",
    "DICOM of Siemens": "ima",
    "NIfTI": "nii nrrd mha mhd",
    "NumPy": "npy npz",
}
_IMAGES = {f".{suffix}": name for name, text in _FORMATS.items() for suffix in text.split()}
_ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz", ".zst"}
# Beside images these are no data.
_DOCUMENT_SUFFIXES = (
    "txt md rst csv tsv json xml yaml yml html htm pdf doc docx xls xlsx ods log ini db url lnk md5"
    " sha1 sha256 py ipynb"
)
_DOCUMENTS = {f".{suffix}" for suffix in _DOCUMENT_SUFFIXES.split()}
_SHEETS = {".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".csv", ".tsv", ".numbers"}
_LEFT_BEHIND = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "icon\r"}
_KINDS_NAMED = 4  # in a summary
_NOT_READ = f"only {formats.NAMED} files are read"
_ARCHIVE = "an archive inside the data set: unpack it"
PART = "does not lie in <class>/images or <class>/masks"


@dataclass(frozen=True)
class UnreadFile:
    """A file that looks like data and is not read.

    Attributes:
        file: Its path below the data set, as text that can be printed.
        class_name: The class it seems to be of; "" where neither folder nor name says.
        reason: Why it is not read, in words that other files of the same kind share.
    """

    file: str
    class_name: str
    reason: str


def judge(path: str, reason: str | None = None) -> UnreadFile | None:
    """Return what is wrong with a file that is not part of the database, None if it is no data.

    Args:
        path: its path below the data set, with ``/`` between its parts.
        reason: why it cannot be read, where its kind says so; None if its name does.
    """
    pure = PurePosixPath(path)
    if any(is_left_behind(part) for part in pure.parts):
        return None
    named = _reason(pure)
    if reason is None or (named is None and layout.canonical_path(pure) is None):
        reason = named
    return reason and UnreadFile(printable(path), _class_of(pure), reason)


def _reason(path: PurePosixPath) -> str | None:
    """Return why the name of a file keeps it from being read; None if it is no data."""
    suffix = path.suffix.casefold()
    if ".metadata" in path.name.casefold() and suffix in _SHEETS:
        return METADATA_REASON
    inside = _part_class(path) is not None
    if suffix in _ARCHIVES:
        return _ARCHIVE
    if suffix in formats.SUFFIXES:
        return _unlike(path) if inside else PART
    if suffix in _IMAGES:
        return f"{_IMAGES[suffix]}: {_NOT_READ}"
    hidden = any(known in path.stem.casefold() for known in formats.SUFFIXES)  # such as x.png.txt
    if not inside or (suffix in _DOCUMENTS and not hidden):
        return None
    return f"its name ends in {printable(suffix)}: {_NOT_READ}" if suffix else "no suffix"


def _unlike(path: PurePosixPath) -> str | None:
    """Return what is wrong with the name of a file among the images or masks of a class."""
    name = path.stem
    expected = f"named unlike {_part_class(path)}-<number>{path.suffix.lower()}"
    if any(0xDC80 <= ord(character) <= 0xDCFF for character in name):
        return "its name is not valid text"
    if any(unicodedata.category(character) in ("Cc", "Cf") for character in name):
        return "its name has control characters"
    try:
        layout.canonical_image(name)
    except ValueError:
        if len(name.encode()) > layout.LONGEST_NAME:
            return f"its name is longer than {layout.LONGEST_NAME} bytes"
    else:
        return None
    dashes = {c for c in name if c != "-" and unicodedata.category(c) == "Pd"} | {*"\u2212"} & {
        *name
    }
    if dashes and "-" not in name:
        dash = min(dashes)
        return f"{expected}: {dash!r} (U+{ord(dash):04X}) is not the dash of the keyboard"
    return expected


def _part_class(path: PurePosixPath) -> str | None:
    """Return the class among whose images or masks a file lies, None for a file elsewhere."""
    if len(path.parts) < 3 or path.parent.name.casefold() not in layout.PARTS:
        return None
    return _class_named(path.parts[-3])


def _class_of(path: PurePosixPath) -> str:
    name = path.name
    texts = (*reversed(path.parts[:-1]), name.rpartition("-")[0], name.partition(".")[0])
    return next(filter(None, map(_class_named, texts)), "")


def _class_named(text: str) -> str | None:
    try:
        return layout.canonical_class(text)
    except ValueError:
        return None


def unreadable(path: str) -> str:
    """Return why a file that may be an image of any data set is not read; "" where nothing says so.

    Documents beside the images are no data: of them nothing is said either.
    """
    pure = PurePosixPath(path)
    suffix = pure.suffix.casefold()
    if any(is_left_behind(part) for part in pure.parts) or suffix in formats.SUFFIXES:
        return ""
    if suffix in _ARCHIVES:
        return _ARCHIVE
    return f"{_IMAGES[suffix]}: {_NOT_READ}" if suffix in _IMAGES else ""


def is_left_behind(part: str) -> bool:
    """Return whether a file or folder is hidden, or one that systems and offices leave behind."""
    return part.startswith((".", "~$")) or part.casefold() in _LEFT_BEHIND


def printable(text: str) -> str:
    """Return ``text`` with everything that cannot be printed written as Python escapes it."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def files(count: int) -> str:
    """Return a number of files in words."""
    return f"{count:,} file{'s' * (count != 1)}"


def summary(reasons: Iterable[str]) -> str:
    """Return each reason with how often it occurs, the most frequent first."""
    counts = Counter(reasons).most_common()
    named = [f"{reason} ({count:,})" for reason, count in counts[:_KINDS_NAMED]]
    rest = sum(count for _, count in counts[_KINDS_NAMED:])
    return "; ".join(named + ([f"others ({rest:,})"] if rest else []))


def write(path: Path, files: Sequence[UnreadFile]) -> None:
    """Write a TSV with the ``COLUMNS``, one row per file."""
    with (
        atomic.replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        rows = csv.writer(stream, delimiter="\t", lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows((file.file, file.class_name, file.reason) for file in files)
