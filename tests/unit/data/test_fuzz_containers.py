"""Whatever is done to a workbook or a zip, it is refused in one sentence or read right."""

import io
import warnings
import zipfile
from collections import Counter

import download
import mutants
import pandas as pd
from fuzzing import BOOK, mutated, report, share
from pulmoscan.data import metadata, raw_table, workbook
from refusals import refusal
from tiny_database import contents, read_folder, zipped

warnings.filterwarnings("ignore", category=UserWarning)  # of what damaged files hold


def test_mutated_workbooks():
    rows = workbook.read_rows(BOOK, metadata.NEEDED)
    images = pd.DataFrame({"image": ["COVID-2"], "class": "COVID", "width": 299, "height": 299})
    outcomes = Counter()
    for number in share(0.15):
        _, mutant = mutated(number, [BOOK], mutants.BOOK_CHANGES, seed=4)
        found, sentence = refusal(workbook.read_rows, mutant, metadata.NEEDED)
        source, errors = metadata.check(
            images, {"COVID": raw_table.RawMetadata("COVID.metadata.xlsx", mutant)}
        )
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
    no_zip = "refused: damaged or cut off (File is not a zip file)"
    assert {"read equal", no_zip} <= set(outcomes)


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
    command += ["--unread", str(results / "unread.tsv"), "--images", str(results / "i.tsv")]
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
