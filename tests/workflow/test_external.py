"""External test sets: predicted by the networks that are there, and nothing is trained again."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pulmoscan.phantom import database as phantom

RUNS = "model in ['lenet5', 'knn'] and variant != 'lungs-4000'"
OF_SET = {"external_download", "external_pack", "external_audit"}
AFTER_SET = OF_SET | {"external_duplicates", "external_predict", "gather_external"}
TABLES = ("results/gathered/external.parquet", "results/tables/external_duplicates.tsv")


@pytest.fixture(scope="module")
def elsewhere(finished, copied, tmp_path_factory):
    """A workflow with two external sets, which are predicted; and its settings.

    ``ward`` is a table: two images of each of three classes, of which no run knows one, of three
    patients, without a mask of one image; a copy of a training image, and a file that is no image.
    ``bare`` is a folder of two images without classes or masks.
    """
    folder = tmp_path_factory.mktemp("elsewhere")
    workflow = copied(finished, folder)
    ward, bare = folder / "ward", folder / "bare"
    phantom.write_database(folder / "other", 12, size=96, seed=7)
    ward.mkdir()
    bare.mkdir()
    rows = []
    for name in ("COVID", "Normal", "Lung_Opacity"):
        for number in (1, 2):
            for kind in ("images", "masks"):
                source = folder / "other" / name / kind / f"{name}-{number}.png"
                shutil.copy(source, ward / f"{name}-{number}-{kind}.png")
            stem = f"{name}-{number}"
            rows.append((f"{stem}-images.png", name, f"{stem}-masks.png", f"p{number}"))
    rows[-1] = (*rows[-1][:2], "", rows[-1][3])
    sampling = pd.read_parquet(workflow.folder / "results/samplings/grouped/balanced.parquet")
    known = sampling.loc[sampling["split"] == "test", "image"].iloc[0]
    for kind in ("images", "masks"):
        source = next(workflow.database.glob(f"*/{kind}/{known}.png"))
        shutil.copy(source, ward / f"copy-{kind}.png")
    rows.append(("copy-images.png", "COVID", "copy-masks.png", "p3"))
    (ward / "broken.png").write_bytes(b"no image")
    rows.append(("broken.png", "COVID", "", "p3"))
    table = pd.DataFrame(rows, columns=["file", "finding", "mask", "patient"])
    table.to_csv(ward / "labels.csv", index=False)
    for number in (3, 4):
        shutil.copy(folder / "other/Normal/images" / f"Normal-{number}.png", bare)
    settings = {
        "run_filter": RUNS,
        "external": {
            "ward": {
                "source": "table",
                "path": str(ward / "labels.csv"),
                "columns": {"image": "file", "class": "finding"},
                "classes": {"COVID": "COVID", "Normal": "Normal", "Lung_Opacity": "opaque"},
            },
            "bare": {"source": "folders", "path": str(bare)},
        },
    }
    done = workflow.snakemake(*TABLES, **settings)
    assert done.returncode == 0, done.stdout[-4000:]
    return workflow, settings, known, done.stdout


def gathered(elsewhere) -> pd.DataFrame:
    return pd.read_parquet(elsewhere[0].folder / TABLES[0])


def test_every_network_predicts_every_image_that_it_can_be_shown(elsewhere):
    table = gathered(elsewhere)
    counts = table.groupby(["set", "model", "variant"])["image"].nunique()
    # Seven images of the ward can be read, one of them without a mask; those of the other set have
    # none, and classifiers are not saved.
    assert counts.to_dict() == {
        ("bare", "lenet5", "full"): 2,
        ("ward", "lenet5", "full"): 7,
        ("ward", "lenet5", "lungs"): 6,
    }
    reason = "external.bare: lenet5/lungs does not predict it: none of 2 images has a mask"
    assert reason in elsewhere[3]
    defects = pd.read_csv(
        elsewhere[0].folder / "results/external/ward/tables/defects.tsv", sep="\t"
    )
    assert defects["image"].tolist() == ["broken.png"]


def test_an_image_has_the_class_of_its_set_and_the_label_of_the_run(elsewhere):
    table = gathered(elsewhere)
    ward = table[table["set"] == "ward"].set_index("image")
    assert set(ward.loc["COVID-1-images.png", "label"]) == {"COVID"}
    assert ward.loc["Lung_Opacity-1-images.png", "label"].isna().all()
    assert set(ward.loc["Lung_Opacity-1-images.png", "class"]) == {"opaque"}
    of_patient = ward.loc[ward["patient"] == "p1", "group"]
    assert of_patient.nunique() == 1
    assert (table.loc[table["set"] == "bare", "class"] == "").all()


def test_a_copy_of_an_image_trained_on_is_told_and_gets_the_probabilities_that_it_had(elsewhere):
    workflow, _, known, _ = elsewhere
    table = gathered(elsewhere)
    copies = pd.read_csv(workflow.folder / TABLES[1], sep="\t")
    pairs = copies[["set", "image", "copy_of", "kind"]].to_numpy().tolist()
    assert pairs == [["ward", "copy-images.png", known, "exact"]]
    assert set(table.loc[table["copy_of"].notna(), "image"]) == {"copy-images.png"}
    for variant in ("lungs", "full"):
        run = f"results/runs/grouped/{variant}/lenet5/unfreeze-all/seed-0"
        own = pd.read_parquet(workflow.folder / run / "predictions.parquet")
        columns = [name for name in own if name.startswith("p_")]
        rows = table[(table["image"] == "copy-images.png") & (table["variant"] == variant)]
        np.testing.assert_array_equal(rows[columns], own.loc[own["image"] == known, columns])


def test_nothing_is_trained_again(finished, elsewhere):
    for path in finished.folder.glob("results/runs/**/model.keras"):
        there = elsewhere[0].folder / path.relative_to(finished.folder)
        assert there.stat().st_mtime_ns == path.stat().st_mtime_ns
    assert elsewhere[0].pending(*TABLES, **elsewhere[1]) == set()


def test_a_changed_table_runs_what_concerns_its_set(elsewhere):
    workflow, settings, *_ = elsewhere
    path = Path(settings["external"]["ward"]["path"])
    content = path.read_text()
    path.write_text(content.replace("p3", "p4"))
    try:
        plan = workflow.plan(*TABLES, **settings)
    finally:
        path.write_text(content)
    assert set(plan) == AFTER_SET
    assert {job["set"] for rule in AFTER_SET - {"gather_external"} for job in plan[rule]} == {
        "ward"
    }


def test_a_set_that_is_removed_is_gathered_no_more(elsewhere):
    workflow, settings, *_ = elsewhere
    one = settings | {"external": {"ward": settings["external"]["ward"]}}
    assert workflow.pending(*TABLES, **one) == {"gather_external"}
    assert not workflow.pending("all", run_filter=RUNS) & AFTER_SET


def test_a_network_that_is_trained_again_predicts_again(elsewhere):
    workflow, settings, *_ = elsewhere
    plan = workflow.plan(*TABLES, **settings, models={"lenet5": {"training": {"epochs": 2}}})
    assert set(plan) == {"train", "describe", "external_predict", "gather_external"}


def test_classes_that_no_run_knows_stop_the_workflow(elsewhere):
    workflow, settings, *_ = elsewhere
    classes = {"COVID": "a", "Normal": "b", "Lung_Opacity": "c"}
    ward = settings["external"]["ward"] | {"classes": classes}
    done = workflow.snakemake("--dry-run", **settings | {"external": {"ward": ward}})
    assert done.returncode == 1
    assert (
        "config: external.ward.classes: no selected run knows a, b, c: runs know COVID, "
        "Lung_Opacity, Normal, Viral Pneumonia. Map them, as in {a: COVID}"
    ) in done.stdout
