"""A data set or a machine that is broken stops a stage in one line, or is listed and left out."""

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import audit
import download
import mutants
import numpy as np
import pack
import pandas as pd
import pytest
import sampling
import small_database as small
import split
from PIL import Image
from pulmoscan.acquire import local
from pulmoscan.data import raw_folder, raw_table
from pulmoscan.phantom import database
from pulmoscan.storage import arrays, atomic, tables
from refusals import refusal
from tiny_database import contents, read_folder, write_folder, zipped

SCHEME = '{"test": 0.2, "validation": 0.2, "seed": 1, "group": "duplicates"}'


def table(results: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(results / "tables" / f"{name}.tsv", sep="\t", keep_default_na=False)


def download_arguments(source: Path, results: Path) -> list[str]:
    places = {"path": source, "cache": results / "cache", "raw": results / "raw"}
    places["table"] = results / "raw.tsv"
    words = [word for name, path in places.items() for word in (f"--{name}", str(path))]
    return ["--source", "local", "--threads", "2", *words]


def split_arguments(results: Path, output: Path) -> list[str]:
    images = results / "audit/images.parquet"
    return ["--images", str(images), "--scheme", SCHEME, "--output", str(output)]


def sampling_arguments(table: Path, folder: Path) -> list[str]:
    settings = ["--name", "balanced", "--settings", '{"per_class": "smallest"}']
    shares = ["--shares", '{"test": 0.2, "validation": 0.2}']
    outputs = ["--output", str(folder / "s.parquet"), "--counts", str(folder / "s.counts.tsv")]
    return ["--split", str(table), *settings, *shares, *outputs]


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_tenth_of_the_images_damaged_is_listed_precisely(tmp_path, repository):
    database.write_database(tmp_path / "raw", 20, 64, 0)
    paths = sorted((tmp_path / "raw").glob("*/*/*.png"))
    random = np.random.default_rng(0)
    damaged = set()
    for path in random.choice(np.array(paths), len(paths) // 10, replace=False):
        path.write_bytes(mutants.flipped(random, path.read_bytes()))
        with pytest.raises((OSError, SyntaxError)), Image.open(path) as image:
            image.verify()
        damaged.add((path.stem, path.parent.name.removesuffix("s")))
    assert len(damaged) == 16
    results = small.audited(tmp_path / "raw", tmp_path / "results")
    defects = table(results, "defects")
    listed = defects["defect"].str.extract(r"^unreadable (image|mask): ")[0]
    assert set(zip(defects["image"], listed, strict=True)) == damaged
    assert len(defects) == len(damaged)
    split.main(split_arguments(results, tmp_path / "split.parquet"))
    kept = pd.read_parquet(tmp_path / "split.parquet")["image"]
    assert len(kept) == 80 - defects["image"].nunique()
    assert not set(kept) & set(defects["image"])

    shutil.rmtree(results / "audit")
    shutil.rmtree(results / "tables")
    arguments = small.audit_arguments(tmp_path / "raw", results, on_defect="fail")
    stopped = subprocess.run(
        [sys.executable, repository / "scripts/audit.py", *arguments],
        capture_output=True,
        text=True,
    )
    assert stopped.returncode == 1
    assert "Traceback" not in stopped.stderr
    *listing, line = stopped.stderr.splitlines()
    assert line.startswith(f"audit: {defects['image'].nunique()} radiographs are defective: ")
    assert listing[0] == "image\tclass\tdefect"
    assert len(listing) == 1 + len(damaged)
    assert not (results / "audit").exists()
    assert not (results / "tables").exists()


def formulas(values: bool) -> bytes:
    """A workbook whose names are formulas, with what they gave when it was saved or without."""
    cell = '<c r="A{0}" t="str"><f>"Normal-"&amp;{1}</f>{2}</c>'
    rows = [
        f'<row r="{row}">'
        + cell.format(row, number, f"<v>Normal-{number}</v>" if values else "")
        + "".join(
            f'<c r="{column}{row}" t="inlineStr"><is><t>{text}</t></is></c>'
            for column, text in (("B", "PNG"), ("C", "40*40"), ("D", small.URLS["Normal"]))
        )
        + "</row>"
        for row, number in ((2, 2), (3, 10))
    ]
    return mutants.sheet_with(small.workbook([small.HEADER]), "".join(rows).encode())


def test_metadata_broken_in_four_ways_are_listed_and_the_audit_goes_on(tmp_path):
    more = ("note", "FILE NAME", "checked", "URL")
    row = (None, "Viral Pneumonia-2", True, small.URLS["Viral Pneumonia"])
    changes = {
        "COVID.metadata.xlsx": "FILE NAME,FORMAT\nCOVID-2,PNG\n".encode("utf-16"),
        "Lung_Opacity.metadata.xlsx": small.workbook([]),
        "Normal.metadata.xlsx": formulas(values=False),
        "Viral Pneumonia.metadata.xlsx": small.workbook([more, row]),
    }
    results = small.audited(small.write(tmp_path / "raw", changes), tmp_path / "results")
    errors = table(results, "metadata_errors")
    said = errors["value"].where(errors["error"] != "no column", errors["expected"])
    errors = errors[["class", "image", "error"]].assign(said=said)
    assert errors.to_numpy().tolist() == [
        ["COVID", "", "damaged metadata file", "BadZipFile: File is not a zip file"],
        ["Lung_Opacity", "", "damaged metadata file", "no column FILE NAME"],
        ["Normal", "", "row without image", ""],
        ["Normal", "", "row without image", ""],
        ["Normal", "Normal-2", "image without row", ""],
        ["Normal", "Normal-10", "image without row", ""],
        ["Viral Pneumonia", "", "no column", "FORMAT"],
        ["Viral Pneumonia", "", "no column", "SIZE"],
        ["Viral Pneumonia", "Viral Pneumonia-10", "image without row", ""],
    ]
    sources = table(results, "sources").set_index("source")["images"].to_dict()
    assert sources == {"unknown": 7, "chest-xray-pneumonia": 1}
    assert len(table(results, "defects")) == 0


def test_what_formulas_gave_when_they_were_saved_is_read(tmp_path):
    changes = {"Normal.metadata.xlsx": formulas(values=True)}
    results = small.audited(small.write(tmp_path / "raw", changes), tmp_path / "results")
    assert len(table(results, "metadata_errors")) == 0


def with_images(folder: Path, images: dict[str, int]) -> Path:
    """A database of so many small radiographs a class."""
    seed = 0
    for class_name, count in images.items():
        for part in ("images", "masks"):
            (folder / class_name / part).mkdir(parents=True)
        for number in range(1, count + 1):
            seed += 1
            name = f"{class_name}-{number}.png"
            pixels = small.encoded(small.radiograph(seed))
            (folder / class_name / "images" / name).write_bytes(pixels)
            (folder / class_name / "masks" / name).write_bytes(small.encoded(small.mask()))
    return folder


FULL = {"COVID": 8, "Lung_Opacity": 8, "Normal": 8, "Viral Pneumonia": 8}


@pytest.mark.parametrize("packed", [True, False])
def test_a_class_folder_without_images_is_named_by_the_download(packed, tmp_path):
    source = with_images(tmp_path / "source", FULL | {"Normal": 0})
    if packed:
        shutil.make_archive(str(tmp_path / "source"), "zip", source)
        source = tmp_path / "source.zip"
    _, sentence = refusal(download.main, download_arguments(source, tmp_path / "results"))
    assert "holds no images of Normal: expected Normal/images/*.png" in sentence
    assert left(tmp_path / "results") == []


@pytest.mark.parametrize(
    ("images", "parts"), [(1, "1 train, 0 validation, 0 test"), (2, "2 train, 0 validation, 0")]
)
def test_a_class_of_one_or_two_images_is_audited_and_refused_by_the_split(images, parts, tmp_path):
    raw = with_images(tmp_path / "raw", FULL | {"Normal": images})
    results = small.audited(raw, tmp_path / "results", size=32)
    assert table(results, "classes")["images"].tolist() == [8, 8, images, 8, 24 + images]
    _, sentence = refusal(split.main, split_arguments(results, tmp_path / "split.parquet"))
    assert sentence.startswith(
        f"class Normal has {images} images without defects, which gives {parts}"
    )
    assert not (tmp_path / "split.parquet").exists()


def test_a_class_whose_images_are_all_defective_is_no_study_of_the_other_classes(tmp_path):
    raw = with_images(tmp_path / "raw", FULL)
    for path in (raw / "Normal/masks").glob("*.png"):
        path.unlink()
    results = small.audited(raw, tmp_path / "results", size=32)
    _, sentence = refusal(split.main, split_arguments(results, tmp_path / "split.parquet"))
    assert sentence.startswith("class Normal has no image without defects (Normal-1: no mask)")
    assert not (tmp_path / "split.parquet").exists()


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder with ``raw``, ``raw.tsv`` and ``results``: every data stage of a small database."""
    folder = tmp_path_factory.mktemp("finished")
    made = small.audited(with_images(folder / "raw", FULL), folder / "results")
    split.main(split_arguments(made, made / "split.parquet"))
    return folder


@pytest.fixture
def results(finished, tmp_path) -> Path:
    """A copy of them that a test may damage: ``results``, beside ``raw``."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path / "results"


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize("damage", [truncated, lambda content: b"", lambda content: b"x" * 500])
@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("packed/images.npy", "audit"),
        ("packed/masks.npy", "audit"),
        ("packed/decoded.parquet", "audit"),
        ("audit/images.parquet", "split"),
        ("split.parquet", "sampling"),
    ],
)
def test_a_damaged_result_is_named_by_the_stage_that_reads_it(
    path, call, damage, results, tmp_path
):
    calls = {
        "audit": (audit.main, small.audit_arguments(tmp_path / "raw", results)),
        "split": (split.main, split_arguments(results, tmp_path / "new.parquet")),
        "sampling": (sampling.main, sampling_arguments(results / "split.parquet", tmp_path)),
    }
    (results / path).write_bytes(damage((results / path).read_bytes()))
    _, sentence = refusal(*calls[call])
    assert sentence.startswith(str(results / path))
    (results / path).unlink()
    _, sentence = refusal(*calls[call])
    assert sentence.startswith(f"cannot read {results / path}: No such file")


def test_an_array_of_another_kind_is_not_taken_for_packed_images(results, tmp_path):
    path = results / "packed/masks.npy"
    for array in (np.load(path).astype(np.float32), np.load(path)[:, :9], np.float64(1)):
        np.save(path, array)
        _, sentence = refusal(audit.main, small.audit_arguments(tmp_path / "raw", results))
        assert sentence.startswith(str(path))


def test_mutated_arrays_are_refused_or_hold_what_fits_their_header(tmp_path):
    path = tmp_path / "array.npy"
    np.save(path, np.arange(64, dtype=np.uint8).reshape(4, 4, 4))
    good = path.read_bytes()
    refused = 0
    for number in range(300):
        random = np.random.default_rng([6, number])
        start = mutants.flipped(random, good[:80]) if number % 2 else good[:80]
        text = bytearray(start + good[80:])
        text[random.integers(10, 80)] = random.choice(list(b"0123456789()[]{},'\"\\: \n\0"))
        path.write_bytes(text)
        found, sentence = refusal(lambda: arrays.NpyFile(path)[[0]])
        refused += sentence is not None
        assert sentence is not None or found.size
    assert refused > 200


@pytest.fixture
def disk(tmp_path) -> Iterator[Callable[[int], Path]]:
    """Makes a disk of so many kB, mounted at the path that is returned."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mounted = []

    def make(size: int) -> Path:
        folder = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        options = ["-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder)]
        done = subprocess.run(["mount", *options], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


def stages(results: Path, raw: Path, folder: Path) -> dict[str, tuple[Callable, list[str]]]:
    """The data stages with inputs in ``results`` and outputs in ``folder``."""
    auditing = small.audit_arguments(raw, results)
    for option, name in (("--audit", "audit"), ("--tables", "tables")):
        auditing[auditing.index(option) + 1] = str(folder / name)
    return {
        "download": (download.main, download_arguments(raw, folder)),
        "pack": (pack.main, small.pack_arguments(raw, folder)),
        "audit": (audit.main, auditing),
        "split": (split.main, split_arguments(results, folder / "split.parquet")),
        "sampling": (sampling.main, sampling_arguments(results / "split.parquet", folder)),
    }


@pytest.mark.parametrize(
    ("stage", "size"),
    [("download", 40), ("pack", 600), ("audit", 8), ("audit", 80), ("split", 4), ("sampling", 4)],
)
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
    stage, size, results, disk, tmp_path, monkeypatch
):
    monkeypatch.setattr(raw_folder, "_check_room", lambda files, folder: None)  # filled meanwhile
    folder = disk(size)
    call, arguments = stages(results, tmp_path / "raw", folder)[stage]
    _, sentence = refusal(call, arguments)
    assert sentence.startswith(("cannot write ", "cannot write to "))
    assert sentence.endswith(": No space left on device")
    assert str(folder) in sentence
    for path in folder.rglob("*"):
        if path.is_file():  # what the audit wrote before is whole
            assert stage == "audit"
            assert path.name in ("images.parquet", "histograms.npy")
            assert path.read_bytes() == (results / path.relative_to(folder)).read_bytes()


@pytest.mark.parametrize("stage", ["download", "pack", "audit", "split", "sampling"])
@pytest.mark.parametrize("former", [True, False])
def test_results_that_are_read_only_are_one_line(stage, former, results, disk, tmp_path):
    folder = disk(9000)
    call, arguments = stages(results, tmp_path / "raw", folder)[stage]
    if former:
        call(arguments)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    _, sentence = refusal(call, arguments)
    assert sentence.startswith("cannot write ")
    assert sentence.endswith(": Read-only file system")
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert after == before


def test_phantoms_on_a_full_disk_are_one_line(disk):
    folder = disk(100)
    arguments = ["--source", "phantom", *download_arguments(folder, folder)[2:]]
    _, sentence = refusal(download.main, arguments)
    assert sentence == f"cannot write {folder}: No space left on device"
    assert left(folder) == []


def test_the_middle_of_writing_a_file_is_worded_by_what_the_system_says(tmp_path):
    def full(number: int) -> None:
        with atomic.replacing(tmp_path / "table.tsv"):
            raise OSError(number, os.strerror(number))

    for number, reason in ((28, "No space left on device"), (27, "File too large")):
        _, sentence = refusal(full, number)
        assert sentence == f"cannot write {tmp_path}/table.tsv: {reason}"
    with pytest.raises(FileNotFoundError):  # of something that the block reads
        full(2)
    assert left(tmp_path) == []


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """Root may read everything: be nobody for a while."""
    former = os.geteuid()
    if former == 0:
        try:
            os.seteuid(65534)
        except OSError as error:
            pytest.skip(f"root cannot become somebody else here: {error.strerror}")
    try:
        yield
    finally:
        os.seteuid(former)


@pytest.fixture
def visible() -> Iterator[Path]:
    """A folder that everybody may enter, unlike that of pytest."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "out").mkdir()
        (folder / "out").chmod(0o777)
        yield folder


@pytest.mark.parametrize(
    ("closed", "named"),
    [
        ("copy/COVID/images/COVID-1.png", "cannot read {}/copy/COVID/images/COVID-1.png"),
        ("copy/COVID/images", "cannot read {}/copy/COVID/images"),
        ("copy", "cannot read {}/copy"),
        ("database.zip", "cannot read {}/database.zip"),
        ("outer", "dataset.path: cannot read {}/outer/copy"),
    ],
)
def test_input_that_may_not_be_read_is_named(closed, named, visible):
    write_folder(visible / "copy", contents())
    write_folder(visible / "outer/copy", contents())
    (visible / "database.zip").write_bytes(zipped(contents()))
    source = {"outer": "outer/copy", "database.zip": "database.zip"}.get(closed, "copy")
    (visible / closed).chmod(0)
    with without_privileges():
        arguments = download_arguments(visible / source, visible / "out")
        _, sentence = refusal(download.main, arguments)
        cache = visible / "out/digest.json"
        _, when_planned = refusal(local.content_digest, visible / source, cache)
    (visible / closed).chmod(0o755)
    expected = named.format(visible) + ": Permission denied"
    assert sentence == expected
    assert when_planned == expected
    assert left(visible / "out") == []


@pytest.mark.parametrize("closed", ["raw/COVID/images/COVID-1.png", "raw.tsv", "raw"])
def test_a_raw_folder_that_may_not_be_read_is_named_by_the_packing(closed, visible):
    raw = with_images(visible / "raw", FULL)
    small.list_files(raw, raw.with_suffix(".tsv"))
    (visible / closed).chmod(0)
    with without_privileges():
        _, sentence = refusal(pack.main, small.pack_arguments(raw, visible / "out"))
    (visible / closed).chmod(0o755)
    assert sentence.startswith(f"cannot read {visible / closed}")
    assert sentence.endswith("Permission denied; run the download again")
    assert left(visible / "out") == []


def test_results_of_somebody_else_are_named(visible):
    write_folder(visible / "copy", contents())
    (visible / "theirs").mkdir(mode=0o755)
    with without_privileges():
        for folder in (visible / "theirs", visible / "theirs/results"):
            if os.geteuid() == visible.stat().st_uid:
                pytest.skip("everything here belongs to the one who runs the tests")
            _, sentence = refusal(download.main, download_arguments(visible / "copy", folder))
            assert sentence.startswith(f"cannot write {visible / 'theirs'}")
            assert sentence.endswith(": Permission denied")


@pytest.mark.parametrize("packed", [True, False])
def test_a_file_that_no_database_has_is_refused_before_it_is_copied(packed, tmp_path):
    source = write_folder(tmp_path / "copy", contents())
    path = source / "Normal/images/Normal-1.png"
    os.truncate(path, (64 << 20) + 1)  # takes no room on the disk
    if packed:
        with zipfile.ZipFile(tmp_path / "copy.zip", "w", zipfile.ZIP_STORED) as file:
            for member in source.rglob("*.*"):
                file.write(member, member.relative_to(source))
        source = tmp_path / "copy.zip"
    _, sentence = refusal(download.main, download_arguments(source, tmp_path / "results"))
    assert "Normal/images/Normal-1.png" in sentence
    assert "67,108,865 bytes" in sentence
    assert left(tmp_path / "results") == []


@pytest.mark.parametrize("time", [-(10**9), 0, 2**32 + 10])
def test_files_from_any_time_are_the_same_data_set(time, tmp_path):
    source = write_folder(tmp_path / "copy", contents())
    cache = tmp_path / "digest.json"
    digest = local.content_digest(source, cache)
    for path in source.rglob("*"):
        os.utime(path, (time, time))
    assert local.content_digest(source, cache) == digest
    (source / "COVID/images/COVID-1.png").write_bytes(b"COVID images X")  # as many bytes
    os.utime(source / "COVID/images/COVID-1.png", (time - 1, time - 1))  # and older
    assert local.content_digest(source, cache) != digest


def test_a_table_that_is_read_is_the_one_that_was_written(tmp_path):
    frame = pd.DataFrame({"image": ["a", None], "row": [0, 1]})
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    pd.testing.assert_frame_equal(tables.read(tmp_path / "t.parquet", "the audit"), frame)


@pytest.mark.parametrize("shape", [(3, 2, 2), (0,), (5,)])
def test_an_array_is_written_as_numpy_does(shape, tmp_path):
    array = np.random.default_rng(0).random(shape).astype(np.float32)
    arrays.write(tmp_path / "a.npy", array)
    expected = io.BytesIO()
    np.save(expected, array)
    assert (tmp_path / "a.npy").read_bytes() == expected.getvalue()


def test_names_that_are_no_text_are_passed_over_or_shown_in_another_way(tmp_path):
    source = tmp_path / os.fsdecode(b"copy-\xff")
    write_folder(source, contents())
    for name in (b"COVID-\xff.png", b"COVID-3\n4.png"):
        (source / "COVID/images" / os.fsdecode(name)).write_bytes(b"x")
    cache = tmp_path / "digest.json"
    _, sentence = refusal(local.content_digest, source, cache)
    assert sentence is None
    _, sentence = refusal(download.main, download_arguments(source, tmp_path / "results"))
    assert sentence is None
    assert read_folder(tmp_path / "results/raw") == contents()
    listed = raw_table.read(tmp_path / "results/raw.tsv")
    assert {str(file.path) for file in listed} == set(contents())
    assert "copy-\\udcff/COVID" in (tmp_path / "results/raw.tsv").read_text()


@pytest.mark.parametrize("content", [b"\xff\xfe\0f", b"a\tb\n\0\n", b"file\tbytes\n", b""])
def test_a_table_of_files_that_is_none_is_named_by_the_packing(content, tmp_path):
    with_images(tmp_path / "raw", FULL)
    (tmp_path / "raw.tsv").write_bytes(content)
    _, sentence = refusal(pack.main, small.pack_arguments(tmp_path / "raw", tmp_path / "results"))
    assert "run the download again" in sentence
    assert left(tmp_path / "results") == []
