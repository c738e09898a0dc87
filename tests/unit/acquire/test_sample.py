import hashlib

import download
import pytest
from pulmoscan.acquire import sample, transfer
from pulmoscan.data import layout
from tiny_database import contents, read_folder, zipped
from web_server import Page, WebServer, cut, unused_port

PAGE = f"/tgazagnes/PulmoScan/archive/{sample.COMMIT}.zip"
STORE = f"/tgazagnes/PulmoScan/zip/{sample.COMMIT}"


def published(kaggle=False):
    """The files of the sample by their path in the repository."""
    return {f"Data/Sample/{name}": body for name, body in contents(kaggle=kaggle).items()}


def archive(files):
    others = {"README.md": b"x", "Data/other.csv": b"x", "Notebooks/a.ipynb": b"{}"}
    return zipped(others | files, prefix=f"PulmoScan-{sample.COMMIT}/")


@pytest.fixture
def manifest(tmp_path):
    lines = [
        f"{name}\t{len(body)}\t{hashlib.sha256(body).hexdigest()}"
        for name, body in published().items()
    ]
    path = tmp_path / "manifest.tsv"
    path.write_text("\n".join(["path\tbytes\tsha256", *lines]) + "\n")
    return path


@pytest.fixture
def repository_manifest(pytestconfig):
    return sample.read_manifest(pytestconfig.rootpath / "workflow/study/sample_manifest.tsv")


@pytest.fixture
def repository(monkeypatch):
    """Say where the repository is."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr(transfer.time, "sleep", lambda seconds: None)

    monkeypatch.setattr(transfer, "CHUNK", 64)

    def point(url):
        monkeypatch.setattr(sample, "ARCHIVE", f"{url}{PAGE}")

    return point


@pytest.fixture
def server(repository):
    with WebServer() as running:
        repository(running.url)
        running.pages[PAGE] = Page(redirect=running.url + STORE)
        yield running


@pytest.fixture
def get(tmp_path, manifest):
    """Run the stage; return what ``raw/`` holds."""

    def get():
        folder = tmp_path / "results"
        download.main(
            f"--source sample --manifest {manifest} --cache {folder}/cache --raw {folder}/raw "
            f"--table {folder}/raw.tsv --unread {folder}/unread.tsv "
            f"--images {folder}/raw_images.tsv".split()
        )
        return read_folder(folder / "raw")

    return get


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "results/cache"


def assert_nothing_kept(cache):
    assert [path.name for path in cache.parent.iterdir()] == ["cache"]
    assert list(cache.iterdir()) == []


def test_a_good_answer(server, get, cache):
    server.pages[STORE] = Page(archive(published()), chunked=True, ranges=False)
    assert get() == contents()
    assert list(cache.iterdir()) == []
    table = (cache.parent / "raw.tsv").read_text()
    assert (
        "Normal/images/Normal-1.png\thttps://github.com/tgazagnes/PulmoScan/raw/"
        "9d7962f6e4f93622398052177fad894dd3008848/Data/Sample/Normal/images/NORMAL-1.png\t"
    ) in table


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_connection(server, get, ranges):
    body = archive(published())
    server.pages[STORE] = Page(body, ranges=ranges, faults=[cut(2048)])
    assert get() == contents()
    assert server.ranges(STORE) == [None, f"bytes={2048}-"]


def test_a_wrong_hash(server, get, cache):
    changed = published() | {"Data/Sample/COVID/images/COVID-1.png": b"COVID images X"}
    server.pages[STORE] = Page(archive(changed))
    with pytest.raises(ValueError, match=r"/COVID-1.png is not the file it should be: its SHA-256"):
        get()
    assert_nothing_kept(cache)


def test_another_size(server, get, cache):
    changed = published() | {"Data/Sample/COVID/images/COVID-1.png": b"longer than before"}
    server.pages[STORE] = Page(archive(changed))
    with pytest.raises(ValueError, match=r"COVID-1.png has 18 bytes instead of 14; it was removed"):
        get()
    assert_nothing_kept(cache)


def test_a_missing_file(server, get, cache):
    files = published()
    del files["Data/Sample/COVID/masks/COVID-1.png"], files["Data/Sample/COVID/masks/COVID-2.png"]
    server.pages[STORE] = Page(archive(files))
    with pytest.raises(
        ValueError, match=r"it lacks Data/Sample/COVID/masks/COVID-1.png and 1 more"
    ):
        get()
    assert_nothing_kept(cache)


@pytest.mark.parametrize("name", ["Data/Sample/COVID/images/COVID-3.png", "Data/Sample/notes.txt"])
def test_a_file_too_many(server, get, cache, name):
    server.pages[STORE] = Page(archive(published() | {name: b"x"}))
    with pytest.raises(ValueError, match=rf"it also holds {name}; it was removed"):
        get()
    assert_nothing_kept(cache)


def test_a_truncated_archive_without_a_length(server, get, cache):
    server.pages[STORE] = Page(archive(published())[:-40], chunked=True)
    with pytest.raises(ValueError, match="is not a zip, or not a complete one"):
        get()
    assert_nothing_kept(cache)


def test_a_refusal(server, get):
    server.pages[PAGE].faults += [404]
    with pytest.raises(OSError, match=r"HTTP 404\); try later, .*kaggle .*local .*phantom"):
        get()


def test_no_network(repository, get, cache):
    repository(f"http://127.0.0.1:{unused_port()}")
    with pytest.raises(
        OSError, match=r"^[^\n]*Connection refused[^\n]*kaggle .*local .*phantom .*$"
    ):
        get()
    assert_nothing_kept(cache)


def test_a_file_that_is_not_a_manifest(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"the manifest .* does not exist"):
        sample.read_manifest(tmp_path / "gone.tsv")
    path = tmp_path / "x.tsv"
    path.write_text("path,bytes\na,1\n")
    with pytest.raises(
        ValueError, match=r"x.tsv is not a manifest \(columns path, bytes, sha256\)"
    ):
        sample.read_manifest(path)


def test_the_manifest(repository_manifest):
    belongs = [layout.canonical_path(name) for name in repository_manifest]
    assert None not in belongs
    assert len(set(belongs)) == len(repository_manifest) == 8 * 269 + 4
    assert all(name.startswith(sample.FOLDER) for name in repository_manifest)


def test_real_images_and_masks_are_those_of_the_manifest(repository_manifest, real_data):
    checked = 0
    for path in real_data.rglob("*.png"):
        body = path.read_bytes()
        entry = repository_manifest[sample.FOLDER + path.relative_to(real_data).as_posix()]
        assert entry == (len(body), hashlib.sha256(body).hexdigest())
        checked += 1
    assert checked == 1600
