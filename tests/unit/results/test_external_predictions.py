"""Predictions of external sets, gathered with what is known of their images."""

from pathlib import Path

import pandas as pd
import pytest
import small_external
from pulmoscan.data import copies
from pulmoscan.results import external, external_predictions
from pulmoscan.storage import tables

LUNGS = small_external.RUN | {"variant": "lungs"}
LABELS = {"full": {"COVID": "sick", "Normal": "normal"}, "lungs": {"COVID": "COVID"}}


def write_set(results: Path, name: str, audit: pd.DataFrame, *pairs: tuple) -> None:
    tables.write(results / "external" / name / "audit/images.parquet", audit)
    table = pd.DataFrame(pairs, columns=copies.COLUMNS).astype(
        {"distance": "int64", "correlation": "float64"}
    )
    tables.write(results / "external" / name / "copies.parquet", table)


def write_predictions(results: Path, name: str, run: dict, seed: int, table: dict) -> None:
    place = results / "external" / name / "runs" / run["split_name"] / run["variant"]
    place /= f"{run['model']}/unfreeze-{run['unfreeze']}/seed-{seed}"
    tables.write(place / "predictions.parquet", pd.DataFrame(table))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two sets; the second is unlabelled, and nothing of it can be shown to the runs on lungs."""
    audit = pd.DataFrame(
        {
            "image": ["b", "a", "c", "d"],
            "class": ["COVID", "COVID", "Normal", "other"],
            "defects": ["", "", "", "no lungs"],
            "duplicate_group": ["b", None, "b", None],
            "patient": ["p1", "p1", None, "p2"],
        }
    )
    write_set(tmp_path, "one", audit, ("a", "COVID-7", "near", 2, 0.9912345678, "mirrored"))
    unlabelled = pd.DataFrame(
        {"image": ["u"], "class": [""], "defects": [""], "duplicate_group": [None]}
    )
    write_set(tmp_path, "two", unlabelled)
    for seed in (0, 1):
        given = {"image": ["b", "a", "c"], "predicted": ["sick", "sick", "normal"]}
        shares = {"p_normal": [0.1, 0.2, 0.9], "p_sick": [0.9, 0.8, 0.1]}
        write_predictions(tmp_path, "one", small_external.RUN, seed, given | shares)
        given = {"image": ["b"], "predicted": ["COVID"], "p_COVID": [0.6], "p_Normal": [0.4]}
        write_predictions(tmp_path, "one", LUNGS, seed, given)
        given = {"image": ["u"], "predicted": ["sick"], "p_normal": [0.1], "p_sick": [0.9]}
        write_predictions(tmp_path, "two", small_external.RUN, seed, given)
    return tmp_path


UNPREDICTED = {"one": {}, "two": {"net/lungs": "none of 1 images has a mask"}}


def gathered(results: Path, **changed: object) -> pd.DataFrame:
    selection = small_external.selection({}, {"variant": "lungs"})
    return external_predictions.gather(results, selection.assign(**changed), LABELS, UNPREDICTED)


def test_one_row_per_set_training_and_image(results):
    table = gathered(results)
    assert list(table) == [
        *external_predictions.COLUMNS,
        *("p_normal", "p_sick", "p_COVID", "p_Normal"),
    ]
    assert len(table) == 2 * (3 + 1 + 1)
    first = table[(table["set"] == "one") & (table["variant"] == "full") & (table["seed"] == 1)]
    assert first["image"].tolist() == ["b", "a", "c"]
    assert first["label"].tolist() == ["sick", "sick", "normal"]
    # Two are of one patient, and the third is a copy of one of them.
    assert first["group"].tolist() == ["a", "a", "a"]
    assert first["copy_of"].fillna("").tolist() == ["", "COVID-7", ""]
    assert first["p_COVID"].isna().all()


def test_a_class_that_a_run_does_not_know_has_no_label(results):
    table = gathered(results)
    of_lungs = table[table["variant"] == "lungs"]
    assert of_lungs[["class", "label"]].drop_duplicates().to_numpy().tolist() == [
        ["COVID", "COVID"]
    ]
    unlabelled = table[table["set"] == "two"]
    assert unlabelled["class"].tolist() == ["", ""]
    assert unlabelled["label"].isna().all()


def test_what_is_written_is_what_the_analysis_reads(results):
    path = results / "gathered/external.parquet"
    tables.write(path, gathered(results))
    pd.testing.assert_frame_equal(external.read(path), gathered(results))
    nothing = gathered(results, status="not_run")
    tables.write(path, nothing)
    assert external.read(path).empty


def test_copies_of_all_sets_are_listed(results):
    table = external_predictions.duplicates(results, UNPREDICTED)
    assert list(table) == ["set", *copies.COLUMNS]
    assert table.to_numpy().tolist() == [["one", "a", "COVID-7", "near", 2, 0.991235, "mirrored"]]


def test_predictions_of_other_images_are_refused(results):
    given = {"image": ["d"], "predicted": ["COVID"], "p_COVID": [0.6], "p_Normal": [0.4]}
    write_predictions(results, "one", LUNGS, 0, given)
    with pytest.raises(ValueError, match="has the image d, which the set one does not: remove it"):
        gathered(results)
