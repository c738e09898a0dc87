"""What a user finds under results/ after the whole DAG ran."""

import itertools
import json
import re

import keras
import numpy as np
import pandas as pd
from pulmoscan.config import runs as run_table
from pulmoscan.inputs import pixels
from sklearn.metrics import accuracy_score, f1_score


def table(workflow, name: str) -> pd.DataFrame:
    return pd.read_csv(workflow.folder / "results/tables" / f"{name}.tsv", sep="\t")


def test_the_first_line_of_the_report_says_what_the_images_are(finished):
    page = (finished.folder / "results/report/report.html").read_text()
    assert "PulmoSCAN" in page
    # The test's data set is local: whether its images are synthetic only its owner knows.
    assert "procedural phantoms" not in page


def test_trainings_side_by_side_compute_on_different_devices(finished):
    benchmarks = finished.folder / "results/benchmarks"
    logs = finished.folder / "results/logs"
    jobs = []
    for path in benchmarks.rglob("train/**/*.tsv"):
        place = path.relative_to(benchmarks).with_suffix("")
        log = (logs / place).with_name(f"{place.name}.log")
        device = re.search(r"^on GPU (\S+), one of 2$", log.read_text(), re.MULTILINE)[1]
        facts = finished.folder / "results/runs" / place.relative_to("train") / "training.json"
        # Not from the start of the job: a device is taken when the libraries are loaded.
        began = facts.stat().st_mtime - json.loads(facts.read_text())["seconds"]
        jobs.append((began, path.stat().st_mtime, device))
    assert {device for *_, device in jobs} == set(
        finished.environment()["CUDA_VISIBLE_DEVICES"].split(",")
    )
    for (_, ended, device), (began, _, other) in itertools.pairwise(sorted(jobs)):
        if began < ended:
            assert device != other


def test_the_metrics_of_a_run_are_those_of_its_predictions(finished):
    runs = table(finished, "runs")
    assert len(runs) == 9
    for run in runs.itertuples():
        name = run_table.name(run.model, run.unfreeze, run.variant)
        folder = f"results/runs/{run.split_name}/{name}/seed-{run.seed}"
        predictions = pd.read_parquet(finished.folder / folder / "predictions.parquet")
        columns = [name for name in predictions if name.startswith("p_")]
        predictions["predicted"] = predictions[columns].idxmax(axis=1).str.removeprefix("p_")
        np.testing.assert_allclose(predictions[columns].sum(axis=1), 1, atol=1e-6)
        test = predictions[predictions["split"] == "test"]
        validation = predictions[predictions["split"] == "validation"]
        assert run.test_accuracy == accuracy_score(test["label"], test["predicted"])
        assert run.val_accuracy == accuracy_score(validation["label"], validation["predicted"])
        macro_f1 = f1_score(test["label"], test["predicted"], average="macro", zero_division=0)
        np.testing.assert_allclose(run.macro_f1, macro_f1)


def test_a_saved_model_alone_gives_the_predictions(finished):
    """The frozen backbone trained on features; its model holds the whole network."""
    results = finished.folder / "results"
    run = results / "runs/grouped/outside/mobilenet-small/unfreeze-0/seed-0"
    model = keras.saving.load_model(run / "model.keras", safe_mode=True)
    predictions = pd.read_parquet(run / "predictions.parquet")
    rows = pd.read_parquet(results / "samplings/grouped/balanced.parquet").set_index("image")["row"]
    rows = rows[predictions["image"]].to_numpy()
    images, masks = (
        np.load(results / "packed" / f"{name}.npy")[rows] for name in ("images", "masks")
    )
    shown = pixels.apply(images, masks, {"region": "outside"}, size=32)
    found = model.predict(shown[..., None].astype(np.float32), verbose=0)
    expected = predictions.filter(like="p_").to_numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_no_image_and_no_copy_of_it_is_on_two_sides(finished):
    split = pd.read_parquet(finished.folder / "results/splits/grouped.parquet")
    assert split["image"].is_unique
    assert (split.groupby("group")["split"].nunique() == 1).all()
    assert (split["group"] != split["image"]).any()


def test_every_published_table_is_written_with_a_status_in_each_row(finished, repository):
    published = pd.read_csv(repository / "workflow/study/published_results.tsv", sep="\t")
    for name, rows in published.groupby("table"):
        written = table(finished, name)
        own = written["note"].astype(str).str.startswith("not in the study")
        assert (~own).sum() == len(rows)
        # The demo's own rows in published tables.
        assert own.sum() == {"dataset_size": 1, "histogram_binary": 1, "tuned_heads": 2}.get(
            name, 0
        )
        made = written["status"] == "run"
        assert (made | (written["status"] == "not_run")).all()
        assert (written["reason"].isna() == made).all()
        assert written.loc[written["status"] == "run", "reproduced"].notna().all()
        assert written.loc[written["status"] != "run", "reproduced"].isna().all()
    synthesis = table(finished, "synthesis")
    assert synthesis.loc[synthesis["status"] == "run", "model"].tolist() == ["lenet5"]


def test_every_run_on_images_is_explained(finished):
    runs = table(finished, "runs")
    assert not (finished.folder / "results/explain/grouped/histogram-binary").exists()
    for run in runs[runs["variant"] != "histogram-binary"].itertuples():
        name = run_table.name(run.model, run.unfreeze, run.variant)
        folder = f"results/explain/{run.split_name}/{name}"
        scores = pd.read_csv(finished.folder / folder / "scores.tsv", sep="\t")
        cams = np.load(finished.folder / folder / "cams.npy")
        assert len(scores) == 4
        assert cams.shape == (4, 64, 64)
        assert cams.min() >= 0
        assert cams.max() <= 1
        panels = (finished.folder / folder / "panels").glob("*.png")
        assert {path.stem for path in panels} == set(scores["image"])


def test_the_costs_of_every_stage_are_on_the_last_page(finished):
    costs = table(finished, "costs")
    folder = finished.folder / "results/benchmarks"
    jobs = {path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.tsv")}
    listed = {f"{row.rule}/{row.wildcards}" for row in costs.fillna("").itertuples()}
    # What makes the table and the page cannot be in it.
    assert {name.strip("/") for name in listed} == jobs - {"provenance", "report"}
    assert (costs["seconds"] >= 0).all()
    settings = json.loads((finished.folder / "results/config.json").read_text())
    assert settings["dataset"]["path"] is None


def test_nothing_is_written_outside_results(finished):
    new = {path.name for path in finished.folder.iterdir()} - finished.committed
    assert new == {"results", ".snakemake"}


def test_no_path_of_the_machine_is_in_the_results(finished):
    for pattern in ("results/config.json", "results/tables/*.tsv", "results/report/report.html"):
        for path in finished.folder.glob(pattern):
            assert str(finished.folder) not in path.read_text(), path
            assert not re.search(r"/(home|root|Users)/", path.read_text()), path


def test_a_search_is_kept_and_its_best_setting_trained(finished):
    results = finished.folder / "results"
    folder = results / "tuning/grouped/mobilenet-small-tuned/lungs"
    best = json.loads((folder / "best.json").read_text())
    trials = pd.read_csv(folder / "trials.tsv", sep="\t", dtype={"trial": str})
    assert len(trials) == best["trials"] >= 4
    assert best["val_accuracy"] == trials["val_accuracy"].max()
    row = trials.set_index("trial").loc[best["trial"]]
    assert {name: row[name] for name in best["hyperparameters"]} == best["hyperparameters"]
    run = results / "runs/grouped/lungs/mobilenet-small-tuned/unfreeze-0/seed-0"
    model = keras.saving.load_model(run / "model.keras", safe_mode=True)
    assert model.get_layer("dense_1").units == best["hyperparameters"]["dense_1"]
    tuned = table(finished, "tuned_heads")
    assert len(tuned) > 0


def test_features_of_partly_frozen_networks_do_not_stay(finished):
    results = finished.folder / "results"
    assert not list(results.glob("features/*/unfreeze-*/*.npy"))
    described = json.loads(
        (results / "features/mobilenet_0_25-32px/unfreeze-19/lungs.json").read_text()
    )
    assert described["kept"]
    for model in ("mobilenet-small", "mobilenet-small-recommended"):
        run = results / f"runs/grouped/lungs/{model}/unfreeze-19/seed-0"
        training = json.loads((run / "training.json").read_text())
        assert training["stages"][-1]["cached"]
        assert training["first_trained"] == described["first_trained"]


def test_the_two_protocols_stand_side_by_side(finished):
    protocol = table(finished, "protocol")
    rows = protocol[protocol["status"] == "run"]
    assert set(rows["metric"]) == {"val_accuracy", "test_accuracy"}
    runs = table(finished, "runs").set_index(["model", "unfreeze", "variant"])
    for row in rows.itertuples():
        published = runs.loc[("mobilenet-small", "19", "lungs"), row.metric]
        staged = runs.loc[("mobilenet-small-recommended", "19", "lungs"), row.metric]
        np.testing.assert_allclose(row.difference, staged - published, atol=1e-9)


def test_stages_are_told_apart_in_the_history(finished):
    run = "results/runs/grouped/lungs/mobilenet-small-recommended/unfreeze-19/seed-0"
    history = pd.read_csv(finished.folder / run / "history.tsv", sep="\t")
    assert history["epoch"].tolist() == list(range(1, len(history) + 1))
    assert history.groupby("stage")["learning_rate"].first().round(8).to_dict() == {
        1: 0.001,
        2: 0.00001,
    }


def test_gathered_predictions_are_those_of_the_trainings(finished):
    results = finished.folder / "results"
    gathered = pd.read_parquet(results / "gathered/predictions.parquet")
    folders = set()
    for key, part in gathered.groupby(run_table.TRAINING, observed=True):
        split_name, model, unfreeze, variant, seed = key
        folder = results / f"runs/{split_name}/{run_table.name(model, unfreeze, variant)}"
        written = pd.read_parquet(folder / f"seed-{seed}/predictions.parquet")
        pd.testing.assert_frame_equal(
            part[written.columns].reset_index(drop=True), written, check_exact=True
        )
        probable = part.filter(like="p_").idxmax(axis=1).str.removeprefix("p_")
        assert (part["predicted"] == probable).all()
        assert (part["correct"] == (probable == part["label"])).all()
        folders.add(folder / f"seed-{seed}")
    assert folders == {path.parent for path in (results / "runs").rglob("predictions.parquet")}


def test_images_that_every_run_gets_wrong_are_the_hardest(finished):
    gathered = pd.read_parquet(finished.folder / "results/gathered/predictions.parquet")
    of_test = gathered.query("split == 'test'")
    right = of_test.groupby(["image", "label"], observed=True)["correct"].max()
    hardest = table(finished, "hardest_images").query("split == 'test'")
    assert len(hardest) == len(right)
    wrong = hardest.loc[hardest["share_wrong"] == 1, ["image", "label"]]
    assert set(wrong.itertuples(index=False, name=None)) == set(right[~right].index)
    assert hardest["trainings"].sum() == len(of_test)


def test_every_run_of_the_run_table_is_in_the_selection(finished):
    listed = pd.read_csv(finished.folder / "results/gathered/selection.tsv", sep="\t")
    assert len(listed) == 10
    (left_out,) = listed[listed["status"] == "not_run"].to_dict("records")
    assert (left_out["variant"], left_out["reason"]) == ("lungs-4000", "left out by run_filter")
    assert set(listed["split_name"]) == set(listed["split"]) == {"grouped"}
    kinds = listed.set_index("model")["kind"].dropna().to_dict()
    assert (kinds["knn"], kinds["lenet1d"]) == ("classifier", "histogram network")
