import hashlib
import os
import socket
import zipfile
from pathlib import Path

import pytest
from pulmoscan.acquire import content, local
from pulmoscan.data import raw_folder
from pulmoscan.storage import digests
from tiny_database import contents, write_folder, zipped


def read(path):
    with local.database(path) as found:
        return {str(file.path): b"".join(file.chunks()) for file in found.files}


@pytest.mark.parametrize("kaggle", [True, False])
@pytest.mark.parametrize("outer", ["", "COVID-19_Radiography_Dataset/", "a/b/c/"])
@pytest.mark.parametrize("packed", [True, False])
def test_every_spelling_and_wrapping(tmp_path, kaggle, outer, packed):
    files = contents(kaggle=kaggle) | {"README.md.txt": b"x", "COVID/images/notes.txt": b"x"}
    if packed:
        path = tmp_path / "database.zip"
        path.write_bytes(zipped(files, prefix=outer))
    else:
        path = tmp_path / "database"
        write_folder(path / outer, files)
    assert read(path) == contents()


def test_problems_that_the_audit_reports_are_not_errors_here(tmp_path):
    files = contents()
    for gone in ("COVID/images/COVID-1.png", "Normal/masks/Normal-1.png", "COVID.metadata.xlsx"):
        del files[gone]
    assert read(write_folder(tmp_path, files)) == files


def test_the_origin_is_the_files_own_path(tmp_path):
    folder = write_folder(tmp_path / "copy", contents(kaggle=False))
    with local.database(folder) as found:
        origins = {str(file.path): file.origin for file in found.files}
    assert origins["Normal/images/Normal-1.png"] == f"{folder}/Normal/images/NORMAL-1.png"


def test_linked_folders_are_followed_and_loops_are_not(tmp_path):
    write_folder(tmp_path / "elsewhere", contents())
    copy = tmp_path / "copy"
    copy.mkdir()
    for entry in (tmp_path / "elsewhere").iterdir():
        (copy / entry.name).symlink_to(entry)
    (copy / "COVID" / "again").symlink_to(copy)
    assert read(copy) == contents()


def test_a_path_that_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"dataset.path: {tmp_path}/nothing does not exist"):
        read(tmp_path / "nothing")


def test_a_file_that_is_not_a_zip(tmp_path):
    (tmp_path / "x.tar").write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match=r"x.tar is not a zip, or not a complete one"):
        read(tmp_path / "x.tar")


@pytest.mark.parametrize("packed", [True, False])
def test_a_missing_class_is_named_with_what_was_found(tmp_path, packed):
    files = {name: content for name, content in contents().items() if not name.startswith("Viral")}
    path = tmp_path / "database"
    path.write_bytes(zipped(files)) if packed else write_folder(path, files)
    with pytest.raises(
        ValueError,
        match=r"database holds no images of Viral Pneumonia: "
        r"expected Viral Pneumonia/images/Viral Pneumonia-<number>.png; "
        r"found images of COVID \(2\), Lung_Opacity \(2\), Normal \(2\)",
    ):
        read(path)


def test_a_folder_that_holds_something_else(tmp_path):
    write_folder(tmp_path, {"train/a.jpg": b"", "labels.csv": b""})
    with pytest.raises(ValueError, match=r"no image of the database: .* train/a.jpg is there"):
        read(tmp_path)


def test_an_image_in_two_spellings(tmp_path):
    write_folder(tmp_path, contents() | {"Normal/images/NORMAL-1.png": b"x"})
    with pytest.raises(ValueError, match=r"Normal-1 twice: .*/NORMAL-1.png and .*/Normal-1.png"):
        read(tmp_path)


def test_an_image_in_two_classes(tmp_path):
    write_folder(tmp_path, contents() | {"COVID/images/Normal-1.png": b"x"})
    with pytest.raises(ValueError, match=r"twice: .*/COVID/images/.* and .*/Normal/images/"):
        read(tmp_path)


def test_a_zip_in_which_a_name_appears_twice(tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(zipped(contents()))
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("COVID/images/COVID-1.png", b"other")
    with pytest.raises(ValueError, match="COVID-1 twice"):
        read(path)


def test_a_dangling_link(tmp_path):
    write_folder(tmp_path, contents())
    (tmp_path / "COVID/images/COVID-9.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "COVID/images/COVID-8.png").symlink_to("COVID-8.png")
    with local.database(tmp_path) as found:
        assert len(found.files) == len(contents())
        assert [(file.file, file.reason) for file in found.unread] == [
            (
                "COVID/images/COVID-8.png",
                "a link that leads nowhere (Too many levels of symbolic links)",
            ),
            ("COVID/images/COVID-9.png", "a link that leads nowhere (No such file or directory)"),
        ]


def special_files(folder):
    """Put what is no file among the images of COVID; return what is to be said of each."""
    images = folder / "COVID/images"
    os.mkfifo(images / "COVID-30.png")
    (images / "COVID-31.png").symlink_to("/dev/zero")
    (images / "COVID-32.png").mkdir()
    server = socket.socket(socket.AF_UNIX)
    former = Path.cwd()
    os.chdir(images)  # the path of a socket may have 100 bytes or so
    server.bind("COVID-33.png")
    os.chdir(former)
    server.close()
    os.mkfifo(folder / "COVID/a-fifo")  # not where data are expected
    return {
        "COVID-30": "a FIFO, not a file",
        "COVID-31": "a device, not a file",
        "COVID-32": "a folder, not a file",
        "COVID-33": "a socket, not a file",
    }


def test_what_is_no_file_is_listed_and_never_opened(tmp_path):
    folder = write_folder(tmp_path / "copy", contents())
    expected = special_files(folder)
    with local.database(folder) as found:
        assert len(found.files) == len(contents())
        listed = {Path(file.file).stem: file.reason for file in found.unread}
    assert listed == expected
    assert len(local.content_digest(folder, tmp_path / "cache.json")) == 64


@pytest.mark.parametrize("kind", ["a FIFO", "a device"])
def test_a_path_that_is_neither_folder_nor_zip(kind, tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    if kind == "a device":
        path = Path("/dev/null")
    for call in (read, lambda path: local.content_digest(path, tmp_path / "cache.json")):
        with pytest.raises(ValueError, match=f"dataset.path: {path} is {kind}: name a folder or"):
            call(path)


def test_a_file_larger_than_any_of_the_database_is_refused_before_it_is_read(tmp_path):
    folder = write_folder(tmp_path / "copy", contents())
    os.truncate(folder / "COVID/images/COVID-1.png", 10**12)
    for call in (read, lambda path: local.content_digest(path, tmp_path / "cache.json")):
        with pytest.raises(ValueError, match=r"COVID-1.png has 1,000,000,000,000 bytes, more than"):
            call(folder)


def test_folders_in_any_case_are_read_and_two_of_one_name_are_joined(tmp_path):
    files = {
        name.replace("images", "Images").replace("masks", "MASKS"): content
        for name, content in contents().items()
    }
    files = {name.replace("COVID/", "covid/"): content for name, content in files.items()}
    content = files.pop("covid/Images/COVID-1.png")
    files["covid/images/COVID-1.png"] = content
    assert read(write_folder(tmp_path, files)) == contents()


def test_when_nothing_is_read_of_a_class_a_file_that_is_there_is_named(tmp_path):
    files = {name.replace("/COVID-", "/COVID_"): content for name, content in contents().items()}
    with pytest.raises(
        ValueError,
        match=r"holds no images of COVID: expected COVID/images/COVID-<number>.png; COVID/images/"
        r"COVID_1.png is there but not read: named unlike COVID-<number>.png \(and 3 more files\)$",
    ):
        read(write_folder(tmp_path, files))


def test_a_file_that_cannot_be_read(tmp_path):
    write_folder(tmp_path, contents())
    file = next(f for f in local.folder_database(tmp_path).files if f.path.name == "COVID-1.png")
    (tmp_path / "COVID/images/COVID-1.png").unlink()
    with pytest.raises(OSError, match=r"cannot read .*/COVID-1.png: No such file"):
        list(file.chunks())


class TestContentDigest:
    @pytest.fixture
    def folder(self, tmp_path):
        return write_folder(tmp_path / "copy", contents())

    @pytest.fixture
    def cache(self, tmp_path):
        return tmp_path / "results" / "digest.json"

    @pytest.fixture
    def hashed(self, monkeypatch):
        """The files that have been read."""
        paths = []
        original = digests.file_digest
        monkeypatch.setattr(
            digests, "file_digest", lambda path: paths.append(path) or original(path)
        )
        return paths

    def test_by_hand(self, folder, cache):
        lines = sorted(
            f"{name}\t{hashlib.sha256(content).hexdigest()}\n"
            for name, content in contents().items()
        )
        expected = hashlib.sha256("".join(lines).encode()).hexdigest()
        assert local.content_digest(folder, cache) == expected

    def test_unchanged_files_are_not_read_again(self, folder, cache, hashed):
        first = local.content_digest(folder, cache)
        assert len(hashed) == len(contents())
        hashed.clear()
        assert local.content_digest(folder, cache) == first
        assert hashed == []

    def test_a_touch_changes_nothing_and_reads_one_file(self, folder, cache, hashed):
        first = local.content_digest(folder, cache)
        hashed.clear()
        touched = folder / "COVID/images/COVID-1.png"
        os.utime(touched, (1, 1))
        assert local.content_digest(folder, cache) == first
        assert hashed == [str(touched)]

    def test_a_change_that_keeps_size_and_date_is_seen(self, folder, cache):
        first = local.content_digest(folder, cache)
        changed = folder / "COVID/images/COVID-1.png"
        former, content = changed.stat(), bytearray(changed.read_bytes())
        content[-1] ^= 1
        changed.write_bytes(content)
        os.utime(changed, ns=(former.st_atime_ns, former.st_mtime_ns))
        assert changed.stat().st_mtime_ns == former.st_mtime_ns
        assert local.content_digest(folder, cache) != first

    def test_spelling_and_place_change_nothing(self, folder, cache, tmp_path):
        other = write_folder(tmp_path / "other/wrapped", contents(kaggle=False))
        (other / "README").write_text("x")
        assert local.content_digest(folder, cache) == local.content_digest(other.parent, cache)

    @pytest.mark.parametrize(
        "change",
        [
            lambda folder: (folder / "COVID/images/COVID-1.png").write_bytes(b"COVID images X"),
            lambda folder: (folder / "COVID.metadata.xlsx").unlink(),
            lambda folder: (folder / "COVID/images/COVID-3.png").write_bytes(b""),
            lambda folder: (folder / "COVID/images/COVID-3.jpg").write_bytes(b""),
            lambda folder: (folder / "COVID/images/COVID-1.png").rename(
                folder / "COVID/images/COVID-7.png"
            ),
        ],
    )
    def test_a_change_changes_it(self, folder, cache, change):
        first = local.content_digest(folder, cache)
        change(folder)
        assert local.content_digest(folder, cache) != first

    @pytest.mark.parametrize(
        "damage", [b"", b"{", b"[]", b'{"format": 1, "files": {"a": 3}}', b"\xff\xfe"]
    )
    def test_a_damaged_cache_is_discarded(self, folder, cache, damage):
        first = local.content_digest(folder, cache)
        cache.write_bytes(damage)
        assert local.content_digest(folder, cache) == first
        assert content.read_cache(cache, folder)

    def test_a_zip(self, cache, tmp_path):
        path = tmp_path / "x.zip"
        path.write_bytes(zipped(contents()))
        expected = hashlib.sha256(path.read_bytes()).hexdigest()
        assert local.content_digest(path, cache) == expected
        assert local.content_digest(path, cache) == expected

    def test_a_missing_path(self, cache, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"dataset.path: .* does not exist"):
            local.content_digest(tmp_path / "nothing", cache)


def test_real_database(real_data):
    with local.database(real_data) as found:
        assert raw_folder.images_by_class(found.files) == dict.fromkeys(
            ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"), 200
        )
        assert len(found.files) == 1604
