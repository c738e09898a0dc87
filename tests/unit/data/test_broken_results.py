"""Results that are damaged, and machines that cannot write or read, stop a stage in one line."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import audit
import damages
import download
import numpy as np
import pack
import pandas as pd
import pytest
import sampling
import small_database as small
import split
from data_stages import (
    FULL,
    download_arguments,
    left,
    sampling_arguments,
    split_arguments,
    with_images,
)
from pulmoscan.acquire import local
from pulmoscan.storage import disk as disk_space
from refusals import refusal
from tiny_database import contents, write_folder, zipped


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder with ``raw``, ``raw.tsv`` and ``results``: all data stages of a small database."""
    folder = tmp_path_factory.mktemp("finished")
    made = small.audited(with_images(folder / "raw", FULL), folder / "results")
    split.main(split_arguments(made, made / "split.parquet"))
    return folder


@pytest.fixture
def results(finished, tmp_path) -> Path:
    """A copy of them that a test may damage: ``results``, beside ``raw``."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path / "results"


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
def test_a_damaged_result_is_named_by_the_stage_that_reads_it(path, call, results, tmp_path):
    calls = {
        "audit": (audit.main, small.audit_arguments(tmp_path / "raw", results)),
        "split": (split.main, split_arguments(results, tmp_path / "new.parquet")),
        "sampling": (sampling.main, sampling_arguments(results / "split.parquet", tmp_path)),
    }
    damages.check(results / path, *calls[call])


def test_decoded_images_in_another_order_are_refused(results, tmp_path):
    """Every image would have another one's label."""
    path = results / "packed/decoded.parquet"
    pd.read_parquet(path)[::-1].to_parquet(path, index=False)
    _, sentence = refusal(audit.main, small.audit_arguments(tmp_path / "raw", results))
    assert sentence == (
        f"{path} is damaged (it does not list the images of raw.tsv in their order): "
        "remove it and run the packing again"
    )


def test_an_array_of_another_kind_is_not_mistaken_for_packed_images(results, tmp_path):
    path = results / "packed/masks.npy"
    for array in (np.load(path).astype(np.float32), np.load(path)[:, :9], np.float64(1)):
        np.save(path, array)
        _, sentence = refusal(audit.main, small.audit_arguments(tmp_path / "raw", results))
        assert sentence.startswith(str(path))


@pytest.fixture
def disk(tmp_path) -> Iterator[Callable[[int], Path]]:
    """Mounts a disk with a number of kB, and returns where."""
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
    monkeypatch.setattr(disk_space, "check_space", lambda *_: None)  # filled up after the check
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
    # Whether the last image or the check before it meets the limit depends on their order.
    assert sentence == f"cannot write {folder}: No space left on device" or sentence.startswith(
        f"not enough disk space in {folder}: the data set needs "
    )
    assert left(folder) == []


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """Become the user nobody for a while, since root may read everything."""
    former = os.geteuid()
    if former == 0:
        try:
            os.seteuid(65534)
        except OSError as error:
            pytest.skip(f"root cannot become another user here: {error.strerror}")
    try:
        yield
    finally:
        os.seteuid(former)


@pytest.fixture
def visible() -> Iterator[Path]:
    """A folder that everybody may enter, unlike those of pytest."""
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
def test_an_unreadable_input_is_named(closed, named, visible):
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
def test_an_unreadable_raw_folder_is_named_by_the_packing(closed, visible):
    raw = with_images(visible / "raw", FULL)
    small.list_files(raw, raw.with_suffix(".tsv"))
    (visible / closed).chmod(0)
    with without_privileges():
        _, sentence = refusal(pack.main, small.pack_arguments(raw, visible / "out"))
    (visible / closed).chmod(0o755)
    assert sentence.startswith(f"cannot read {visible / closed}")
    assert "Permission denied; " in sentence
    assert sentence.endswith("run the download again")
    assert left(visible / "out") == []


def test_results_of_another_user_are_named(visible):
    write_folder(visible / "copy", contents())
    (visible / "theirs").mkdir(mode=0o755)
    with without_privileges():
        for folder in (visible / "theirs", visible / "theirs/results"):
            if os.geteuid() == visible.stat().st_uid:
                pytest.skip("everything here belongs to the user who runs the tests")
            _, sentence = refusal(download.main, download_arguments(visible / "copy", folder))
            assert sentence.startswith(f"cannot write {visible / 'theirs'}")
            assert sentence.endswith(": Permission denied")
