import gzip
import io
import lzma
import stat
import tarfile
import zipfile

import pytest
from pulmoscan.acquire import archive
from tiny_database import contents, zipped


@pytest.fixture
def read(tmp_path):
    """Read the files of the database in an archive of these bytes: {path: content}."""

    def read(content, **options):
        path = tmp_path / "a.zip"
        path.write_bytes(content)
        with archive.opened(path, "a.zip") as opened:
            found = opened.database(origin="a.zip/", **options)
            return {str(file.path): b"".join(file.chunks()) for file in found.files}

    return read


def test_files_of_the_database_and_no_others(read):
    others = {"README.md": b"x", "__MACOSX/COVID/images/._COVID-1.png": b"x", "COVID/a.png": b"x"}
    assert read(zipped(contents() | others, prefix="outer/folder/")) == contents()


def test_only_a_part_of_the_archive(read):
    both = {f"keep/{name}": content for name, content in contents(1).items()}
    both |= {f"other/{name}": b"other" for name in contents(1)}
    assert read(zipped(both), within="keep/") == contents(1)


@pytest.mark.parametrize(
    "name",
    [
        "/etc/COVID/images/COVID-9.png",
        "../COVID/images/COVID-9.png",
        "COVID/images/../../../../COVID-9.png",
        "..\\..\\COVID-9.png",
        "C:\\COVID\\images\\COVID-9.png",
        "\\\\server\\share\\COVID-9.png",
        "../README.md",
    ],
)
def test_an_entry_that_points_outside(read, name):
    with pytest.raises(ValueError, match=r"a.zip is refused: its entry '.*' points outside"):
        read(zipped(contents() | {name: b"x"}))


def test_a_symbolic_link(read):
    link = zipfile.ZipInfo("COVID/images/COVID-9.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(ValueError, match=r"entry 'COVID/images/COVID-9.png' is a symbolic link"):
        read(zipped({**contents(), link: b"/etc/passwd"}))


def test_an_encrypted_entry(read):
    content = bytearray(zipped({"COVID/images/COVID-1.png": b"x"}))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ValueError, match=r"COVID/images/COVID-1.png is encrypted; unpack it"):
        read(bytes(content))


def test_a_bomb(read):
    with pytest.raises(ValueError, match=r"refused: COVID/images/COVID-1.png would unpack from"):
        read(zipped({"COVID/images/COVID-1.png": bytes(5 << 20)}))


def test_a_bomb_that_is_not_part_of_the_database_is_not_unpacked(read):
    assert read(zipped(contents() | {"zeros.bin": bytes(5 << 20)})) == contents()


def test_the_limit_of_all_files(read, monkeypatch):
    monkeypatch.setattr(archive, "MAX_TOTAL", 50)
    with pytest.raises(ValueError, match="would unpack to"):
        read(zipped(contents()))


def test_overlapping_entries(read, tmp_path):
    content = zipped({"COVID/images/COVID-1.png": bytes(range(256)) * 40})
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    entry = content[start:end]
    second = entry.replace(b"COVID-1.png", b"COVID-2.png")
    tail = bytearray(content[end:])
    tail[8:10] = tail[10:12] = (2).to_bytes(2, "little")
    tail[12:16] = (2 * len(entry)).to_bytes(4, "little")
    with pytest.raises(ValueError, match=r"entries overlap|damaged"):
        read(content[:start] + entry + second + bytes(tail))


@pytest.mark.parametrize("content", [b"no zip at all", zipped(contents())[:-30]])
def test_a_file_that_is_not_a_complete_zip(read, content):
    with pytest.raises(
        archive.DamagedArchiveError, match=r"a.zip is not a zip, or not a complete one"
    ):
        read(content)


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        book = zipped({"xl/workbook.xml": b"x"})
        info = tarfile.TarInfo("COVID.metadata.xlsx")
        info.size = len(book)
        file.addfile(info, io.BytesIO(book))
    return stream.getvalue()


OTHERS = {
    "an empty file": b"",
    "a 7z archive": b"7z\xbc\xaf\x27\x1c" + bytes(100),
    "a RAR archive": b"Rar!\x1a\x07" + bytes(100),
    "compressed by gzip": gzip.compress(b"x"),
    "compressed by xz": lzma.compress(b"x"),
    "a tar archive": tar(),
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_archive_named_zip_is_recognised(read, what):
    with pytest.raises(archive.DamagedArchiveError, match=f"a.zip is {what}, not a zip"):
        read(OTHERS[what])


def test_a_zip_cut_behind_a_workbook_is_not_taken_for_the_workbook(read):
    book = zipped({"xl/workbook.xml": b"x"})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:  # stored: the end of the workbook stays visible
        file.writestr("COVID.metadata.xlsx", book)
        file.writestr("COVID/images/COVID-1.png", bytes(1000))
    content = stream.getvalue()
    cut = content[: content.index(b"COVID/images") + 500]
    with pytest.raises(archive.DamagedArchiveError, match="not a complete zip"):
        read(cut)


@pytest.mark.parametrize("made_on", [0, 3])
def test_entries_named_with_backslashes(read, made_on):
    files = {}
    for name, content in contents().items():
        entry = zipfile.ZipInfo("x")
        entry.filename, entry.create_system = name.replace("/", "\\"), made_on
        files[entry] = content
    assert read(zipped(files)) == contents()


def test_what_looks_like_data_and_is_not_read_is_listed(tmp_path):
    others = {"o/COVID/images/COVID-9.bmp": b"x", "o/COVID/images/covid_9.png": b"x"}
    passed_over = {"__MACOSX/o/COVID/images/._COVID-1.png": b"x", "o/.DS_Store": b"x"}
    more = {"o/more.zip": b"x", "o/README.md": b"x"}
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(contents() | others | passed_over | more))
    with archive.opened(path, "a.zip") as opened:
        found = opened.database(origin="")
    assert len(found.files) == len(contents())
    assert [(file.file, file.class_name) for file in found.unread] == [
        ("o/COVID/images/COVID-9.bmp", "COVID"),
        ("o/COVID/images/covid_9.png", "COVID"),
        ("o/more.zip", ""),
    ]


def test_a_changed_byte_is_noticed(read):
    content = bytearray(zipped(contents()))
    content[content.index(b"COVID/images/COVID-1.png") + 26] ^= 0xFF
    with pytest.raises(
        archive.DamagedArchiveError, match=r"a.zip is damaged at COVID/images/COVID-1"
    ):
        read(bytes(content))


def test_a_compression_that_python_does_not_know(read):
    content = bytearray(zipped({"COVID/images/COVID-1.png": b"x" * 100}))
    content[8] = 9
    content[content.index(b"PK\x01\x02") + 10] = 9
    with pytest.raises(
        ValueError, match=r"COVID-1.png cannot be unpacked \(.*\); unpack it yourself"
    ):
        read(bytes(content))


def test_an_archive_that_cannot_be_read(tmp_path):
    with (
        pytest.raises(OSError, match="cannot read it: No such file"),
        archive.opened(tmp_path / "missing.zip", "it"),
    ):
        pass
