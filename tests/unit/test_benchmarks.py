"""Benchmarks: what they measure, how they compare it, and that both ways do the same work."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from pulmoscan.backends import backend

backend.configure(threads=2)

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/benchmarks"))

import compare_speed  # noqa: E402
import decoding  # noqa: E402
import dry_run  # noqa: E402
import growth  # noqa: E402
import keras  # noqa: E402
import measure  # noqa: E402
import published  # noqa: E402
import repository  # noqa: E402
import weights  # noqa: E402
from pulmoscan.config import models  # noqa: E402
from pulmoscan.networks import build, cut  # noqa: E402

TINY = {
    "image_size": 64,
    "models": {
        "mobilenet": {"arguments": {"alpha": 0.25}, "input_size": 32},
        "vgg16-tuned": {"tune": {"max_epochs": 2}},
    },
    "training": {"epochs": 2, "threads": 1},
}
MB = 1_000_000


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def run(program: object, *words: object) -> None:
    program.main(list(map(str, words)))


def test_a_process_is_measured_with_its_start_and_its_memory(tmp_path):
    busy = (
        "import time; print('up'); t = time.process_time()\nwhile time.process_time() < t + 0.5: 0"
    )
    cost = measure.run(python(busy), tmp_path / "busy.log", marker="up")
    assert 0.5 < cost.cpu_seconds < cost.seconds + 0.5
    assert cost.seconds - cost.ready >= 0.5
    assert (tmp_path / "busy.log").read_text() == "up\n"
    large = f"x = bytearray(900 * {MB}); x[::512] = x[::512]"
    assert measure.run(python(large), tmp_path / "large.log").peak_mb > 900


def test_a_line_of_bash_runs_in_its_folder_with_this_interpreter(tmp_path):
    (tmp_path / "here").mkdir()
    line = "python -c 'import sys; print(sys.executable)' | tee seen"
    measure.run(line, tmp_path / "line.log", tmp_path / "here")
    seen = (tmp_path / "here/seen").read_text()
    assert Path(seen.strip()).parent == Path(sys.executable).parent
    with pytest.raises(ValueError, match="line failed"):
        measure.run("false | cat", tmp_path / "line.log")


def test_a_process_that_fails_is_an_error_with_its_last_lines(tmp_path):
    with pytest.raises(ValueError, match="step failed:\nno such thing"):
        measure.run(python("raise SystemExit('no such thing')"), tmp_path / "step.log")
    with pytest.raises(ValueError, match="step did not print 'ready'"):
        measure.run(python("print('steady')"), tmp_path / "step.log", marker="ready")


def processes() -> pd.DataFrame:
    """Three repeats of a case whose workflow has two processes, and one of another case."""
    rows = [
        ("frozen", 1, "published", "fit", 30, math.nan, 15),
        ("frozen", 1, "workflow", "features", 4, math.nan, math.nan),
        ("frozen", 1, "workflow", "train", 6, math.nan, 15),
        ("frozen", 2, "workflow", "features", 9, math.nan, math.nan),
        ("frozen", 2, "workflow", "train", 11, math.nan, 15),
        ("frozen", 2, "published", "fit", 40, math.nan, 15),
        ("frozen", 3, "published", "fit", 100, math.nan, 15),
        ("frozen", 3, "workflow", "features", 3, math.nan, math.nan),
        ("frozen", 3, "workflow", "train", 5, math.nan, 15),
        ("gradcam", 1, "published", "gradcam", 6, 5, 8),
        ("gradcam", 1, "workflow", "gradcam", 3, 0.5, 8),
    ]
    columns = ["case", "repeat", "side", "step", "seconds", "seconds_of_maps", "work"]
    return pd.DataFrame(rows, columns=columns)


def test_medians_ratios_and_ranges_are_those_of_the_repeats():
    table = compare_speed.compared(processes())
    assert list(zip(table["case"], table["figure"], table["repeats"], strict=True)) == [
        ("frozen", "seconds", 3),
        ("gradcam", "seconds", 1),
        ("gradcam", "seconds_of_maps", 1),
    ]
    first = table.iloc[0]
    assert list(first["published_median":"published_highest"]) == [40, 30, 100]
    assert list(first["workflow_median":"workflow_highest"]) == [10, 8, 20]
    # 30 / 10, 40 / 20 and 100 / 8: pairs of a repeat, not the ratio of the medians.
    assert list(first["ratio_median":"ratio_highest"]) == [3, 2, 12.5]
    assert table["ratio_median"].tolist() == [3, 2, 10]


def test_sides_that_did_different_work_are_not_compared():
    table = processes()
    table.loc[2, "work"] = 14
    with pytest.raises(ValueError, match="frozen: the sides did different work: 15, 14"):
        compare_speed.compared(table)


@pytest.fixture(scope="module")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "mobilenet_0_25.weights.h5"
    backbone = ["--backbone", "MobileNet", "--arguments", json.dumps({"alpha": 0.25})]
    weights.main([*backbone, "--source", "none", "--output", str(path)])
    return path


@pytest.mark.parametrize(
    ("model", "unfreeze"), [("mobilenet", 0), ("mobilenet", 19), ("vgg16-tuned", 0)]
)
def test_both_ways_train_the_same_network(small_weights, model, unfreeze):
    described = models.resolve(repository.merged(TINY))
    network = described["mobilenet"].network | {"head": described[model].network["head"]}
    values = {"dropout_base": 0.1, "dense_1": 64, "dense_2": 0, "dropout_head": 0.3}
    filled = json.loads(json.dumps(network))
    for layer in filled["head"]:
        for kind, value in layer.items() if isinstance(layer, dict) else ():
            layer[kind] = values.get(str(value)[1:], value)
    ours = build.build(filled, 4, small_weights)
    cut.freeze(ours, str(unfreeze))
    settings = {"network": network, "training": {"learning_rate": 0.001}, "unfreeze": unfreeze}
    theirs = published.network(settings | {"weights": small_weights}, 4, values)
    ours_head, theirs_head = (
        [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
        for model in (ours.model, theirs)
    )
    for one, other in zip(ours_head, theirs_head, strict=True):
        other.set_weights(one.get_weights())
    grey = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 1)).astype("float32")
    np.testing.assert_allclose(
        theirs.predict(np.repeat(grey, 3, axis=-1), verbose=0),
        ours.model.predict(grey, verbose=0),
        rtol=1e-4,
        atol=1e-6,
    )
    trained = [
        sorted(tuple(weight.shape) for weight in model.trainable_weights)
        for model in (ours.model, theirs)
    ]
    assert trained[0] == trained[1]


@pytest.mark.timeout(900)  # about a minute on an idle machine
def test_a_comparison_runs_and_is_written(tmp_path, capsys):
    output, tiny = tmp_path / "output", tmp_path / "tiny.yaml"
    tiny.write_text(yaml.safe_dump(TINY))
    small = ("--images", 40, "--explained", 1, "--repeats", 1)
    cases = ("--cases", "frozen", "gradcam")
    run(compare_speed, *cases, *small, "--configfile", tiny, "--output", output)
    rows = pd.read_csv(output / "measurements.tsv", sep="\t")
    assert rows[["side", "step", "work"]].fillna(0).to_numpy().tolist() == [
        ["published", "fit", 2],
        ["workflow", "features", 0],
        ["workflow", "train", 2],
        ["published", "gradcam", 4],
        ["workflow", "gradcam", 4],
    ]
    ratios = pd.read_csv(output / "ratios.tsv", sep="\t").set_index(["case", "figure"])
    fit, features, train = rows["seconds"][:3]
    assert ratios["ratio_median"]["frozen", "seconds"] == pytest.approx(
        fit / (features + train), rel=1e-3
    )
    assert ratios["workflow_median"]["gradcam", "seconds_of_maps"] > 0
    assert json.loads((output / "machine.json").read_text())["options"]["images"] == 40
    assert "ratio: published / workflow of the same repeat" in capsys.readouterr().out


def test_packing_and_audit_are_compared_with_decoding(tmp_path, capsys):
    run(decoding, "--images", 16, "--repeats", 2, "--output", tmp_path)
    table = pd.read_csv(tmp_path / "decoding.tsv", sep="\t")
    assert {"pack, startup", "audit, whole", "ratio without start-up"} <= set(table["quantity"])
    assert len(pd.read_csv(tmp_path / "measurements.tsv", sep="\t")) == 2 * 2 * 3
    assert "128 of 128 files decoded" in capsys.readouterr().out


def test_the_dry_run_of_a_finished_study_is_timed(tmp_path):
    run(dry_run, "--runs", "--seeds", 1, "--repeats", 1, "--cores", 2, "--output", tmp_path)
    row = pd.read_csv(tmp_path / "dry_run.tsv", sep="\t").iloc[0]
    assert row["outputs"] > 5 * row["runs"]
    assert row["seconds_median"] > 0


def test_a_run_table_of_any_size_begins_with_the_study():
    config = repository.merged()
    study = pd.read_csv(ROOT / config["runs"], sep="\t", dtype=str).fillna("")
    variants = dry_run.image_variants(config)
    assert "lungs" in variants
    assert "histogram-binary" not in variants
    for size in (10, len(study), 1000):
        table = dry_run.run_table(study, variants, size)
        assert len(table) == size
        assert not table.duplicated(["model", "unfreeze", "variant"]).any()
        common = min(size, len(study))
        assert table.head(common).to_numpy().tolist() == study.head(common).to_numpy().tolist()
    with pytest.raises(ValueError, match="no run table of 100000 rows"):
        dry_run.run_table(study, variants, 100_000)


def test_growth_adds_up_jobs_and_files(tmp_path):
    benchmarks = tmp_path / "benchmarks"
    for name, seconds, peak in (
        ("pack", 4, 90),
        ("train/lungs/a", 2, 700),
        ("train/lungs/b", 3, 800),
    ):
        (benchmarks / name).parent.mkdir(parents=True, exist_ok=True)
        text = f"s\tcpu_time\tmax_rss\n{seconds}\t1\t{peak}\n"
        (benchmarks / f"{name}.tsv").write_text(text)
    assert growth.by_rule(benchmarks).to_numpy().tolist() == [
        ["pack", 1, 4, 1, 90],
        ["train", 2, 5, 2, 800],
    ]
    (tmp_path / "runs/one").mkdir(parents=True)
    (tmp_path / "runs/one/model").write_bytes(bytes(3 * MB))
    (tmp_path / "runs/table").write_bytes(bytes(MB))
    folders = growth.by_folder(tmp_path).query("folder == 'runs'")
    assert folders["mb"].tolist() == [4]
    table = pd.concat([folders.assign(images=100), folders.assign(mb=10, images=400)])
    assert growth.side_by_side(table, "folder").split()[-3:] == ["4.0", "10.0", "20.0"]


def test_the_workflow_runs_on_a_number_of_images(tmp_path):
    files = ("--configfile", growth.DEMO, growth.DEMO.with_name("tiny.yaml"))
    small = ("--images", 14, "--run-filter", "model == 'knn'", "--until", "classify")
    run(growth, *files, *small, "--output", tmp_path)
    stages = pd.read_csv(tmp_path / "stages.tsv", sep="\t").set_index("rule")
    assert stages["jobs"]["classify"] == 1
    assert set(pd.read_csv(tmp_path / "disk.tsv", sep="\t")["images"]) == {56}
