"""Benchmarks: what they measure, how they compare it, and that both ways do the same work."""

import argparse
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

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.append(str(REPOSITORY / "benchmarks"))

import compare_speed  # noqa: E402
import dry_run  # noqa: E402
import growth  # noqa: E402
import keras  # noqa: E402
import measure  # noqa: E402
import memory  # noqa: E402
import published  # noqa: E402
import rules  # noqa: E402
import weights  # noqa: E402
from pulmoscan.networks import build, cut  # noqa: E402

LABELS = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")
SMALL = {"backbone": "MobileNet", "arguments": {"alpha": 0.25}, "input_size": 32}
MB = 1_000_000


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_medians_ratios_and_ranges_are_those_of_the_repeats():
    rows = [
        {"case": case, "side": side, "repeat": repeat, "seconds": seconds, "seconds_of_maps": maps}
        for case, side, repeat, seconds, maps in (
            ("frozen", "published", 1, 30.0, math.nan),
            ("frozen", "workflow", 1, 10.0, math.nan),
            ("frozen", "workflow", 2, 20.0, math.nan),
            ("frozen", "published", 2, 40.0, math.nan),
            ("frozen", "published", 3, 100.0, math.nan),
            ("frozen", "workflow", 3, 8.0, math.nan),
            ("gradcam", "published", 1, 6.0, 5.0),
            ("gradcam", "workflow", 1, 3.0, 0.5),
        )
    ]
    table = measure.compared(pd.DataFrame(rows), ["seconds", "seconds_of_maps"])
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


def test_costs_of_successive_processes_add_up_but_their_peaks_do_not():
    first = measure.Cost(2, 3, 500, 300, 200, 1, 1000)
    assert measure.total([first, measure.Cost(5, 6, 400, 350, 50)]) == measure.Cost(
        7, 9, 500, 350, 200, 1, 1000
    )


def test_a_process_is_measured_with_its_own_memory_apart_from_mapped_files(tmp_path):
    busy = (
        "import time; print('up'); t = time.process_time()\nwhile time.process_time() < t + 0.5: 0"
    )
    cost = measure.run(python(busy), tmp_path / "busy.log", marker="up")
    assert 0.5 < cost.cpu_seconds < cost.seconds + 0.5
    assert cost.seconds - cost.ready >= 0.5
    assert (tmp_path / "busy.log").read_text() == "up\n"
    if not Path("/proc/self/status").exists():
        pytest.skip("memory is known under Linux only")
    own = measure.run(
        python(f"import time; x = bytearray(200 * {MB}); x[::512] = x[::512]; time.sleep(0.2)"),
        tmp_path / "own.log",
    )
    (tmp_path / "file").write_bytes(bytes(200 * MB))
    code = (
        f"import mmap, time; f = open({str(tmp_path / 'file')!r}, 'rb'); "
        "x = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ); x.find(b'1'); time.sleep(0.2)"
    )
    mapped = measure.run(python(code), tmp_path / "mapped.log")
    assert own.anonymous_mb > 200 > own.mapped_mb
    assert mapped.mapped_mb > 200 > mapped.anonymous_mb
    assert mapped.resident_mb > 200
    # The peak is the process's, not inherited from the one that measures.
    assert cost.resident_mb < 60


def test_a_process_that_fails_is_an_error_with_its_last_line(tmp_path):
    with pytest.raises(ValueError, match=r"step failed: no such thing \(all of it in .*step.log"):
        measure.run(python("raise SystemExit('no such thing')"), tmp_path / "step.log")
    with pytest.raises(ValueError, match="step did not print 'ready'"):
        measure.run(python("print('steady')"), tmp_path / "step.log", marker="ready")


def images(number: int) -> pd.DataFrame:
    """A sampling of which the first label has most images."""
    label = np.array(LABELS)[np.arange(number) % 5 % 4]
    table = pd.DataFrame({"row": np.arange(number), "label": label, "class": label})
    table["image"] = [f"{one}-{row}" for row, one in enumerate(label)]
    table["source"], table["group"], table["split"] = "a", table["image"], "test"
    return table


def test_both_ways_get_images_dealt_evenly_from_all_labels():
    chosen = compare_speed.choose(images(100), {"train": 40, "validation": 12})
    counts = chosen.groupby(["split", "label"]).size()
    assert set(counts["train"]) == {10}
    assert set(counts["validation"]) == {3}
    assert chosen["image"].is_unique
    pd.testing.assert_frame_equal(
        chosen, compare_speed.choose(images(100), {"train": 40, "validation": 12})
    )
    with pytest.raises(ValueError, match="101 images are asked for, but the sampling has 100"):
        compare_speed.choose(images(100), {"train": 100, "validation": 1})


def test_a_run_table_of_any_size_begins_with_the_study():
    study = pd.read_csv(REPOSITORY / "workflow/study/runs.tsv", sep="\t", dtype=str).fillna("")
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
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


def test_growth_of_memory_is_that_of_anonymous_memory_by_image():
    rows = [
        {"stage": stage, "images": number, "anonymous_mb": own, "mapped_mb": 9, "resident_mb": own}
        for stage, number, own in (
            ("train", 800, 300),
            ("audit", 800, 50),
            ("train", 8000, 300),
            ("audit", 8000, 194),
        )
    ]
    table = memory.side_by_side(pd.DataFrame(rows))
    assert table["stage"].tolist() == ["train", "audit"]
    assert table["kb_an_image"].tolist() == [0, 20]  # 144 MB for 7,200 images
    assert table["anonymous_mb 8000"].tolist() == [300, 194]


@pytest.fixture(scope="module")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "mobilenet_0_25.weights.h5"
    backbone = ["--backbone", "MobileNet", "--arguments", json.dumps(SMALL["arguments"])]
    weights.main([*backbone, "--source", "none", "--output", str(path)])
    return path


@pytest.mark.parametrize("unfreeze", [0, 19])
def test_both_ways_train_the_same_network(small_weights, unfreeze):
    ours = build.build(SMALL | {"head": rules.HEAD}, 4, small_weights)
    cut.freeze(ours, str(unfreeze))
    options = argparse.Namespace(**SMALL, weights=small_weights, unfreeze=unfreeze)
    theirs = published.network(options, 4, dense=(128, 32), dropout=0.2)
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


@pytest.mark.timeout(300)  # under 30 s on an idle machine
def test_a_comparison_runs_and_is_written(tmp_path, small_weights, capsys):
    table, size = images(20), 32
    results = tmp_path / "results"
    (results / "packed").mkdir(parents=True)
    random = np.random.default_rng(0)
    np.save(results / "packed/images.npy", random.integers(0, 256, (20, size, size), np.uint8))
    np.save(results / "packed/masks.npy", np.ones((20, size, size), np.uint8))
    table.to_parquet(tmp_path / "sampling.parquet")
    line = ["--results", results, "--sampling", tmp_path / "sampling.parquet", "--cases", "frozen"]
    line += ["--weights", small_weights, "--arguments", json.dumps(SMALL["arguments"])]
    line += ["--input-size", size, "--train", 12, "--validation", 4, "--epochs", 2]
    line += ["--repeats", 1, "--no-warm-up", "--output", tmp_path / "output"]
    compare_speed.main(list(map(str, line)))
    rows = pd.read_csv(tmp_path / "output/measurements.tsv", sep="\t")
    steps = rows.groupby("side")["step"].agg(list).to_dict()
    assert steps == {
        "published": ["frozen", "total"],
        "workflow": ["features", "train", "total"],
    }
    seconds = rows.set_index(["side", "step"])["seconds"]
    ours = seconds["workflow", "features"] + seconds["workflow", "train"]
    ratio = pd.read_csv(tmp_path / "output/ratios.tsv", sep="\t").iloc[0]
    assert ratio["figure"] == "seconds"
    assert ratio["ratio_median"] == pytest.approx(seconds["published", "total"] / ours, rel=1e-3)
    assert rows.loc[rows["step"] == "total", "epochs"].tolist() == [2, 2]
    assert json.loads((tmp_path / "output/machine.json").read_text())["options"]["train"] == 12
    assert "ratio: published / workflow of the same repeat" in capsys.readouterr().out


def test_growth_adds_up_the_jobs_of_a_rule_and_the_files_of_a_folder(tmp_path):
    (tmp_path / "tables").mkdir()
    costs = {"rule": ["train", "train", "pack"], "seconds": [2.0, 3, 4], "cpu_seconds": [1.0, 1, 5]}
    pd.DataFrame(costs | {"peak_mib": [700.0, 800, 90]}).to_csv(
        tmp_path / "tables/costs.tsv", sep="\t", index=False
    )
    rules_ = growth.by_rule(tmp_path).set_index("rule")
    assert rules_.loc["train"].tolist() == [2, 5, 2, 800]
    (tmp_path / "runs/one").mkdir(parents=True)
    (tmp_path / "runs/one/model").write_bytes(bytes(3 * MB))
    (tmp_path / "runs/table").write_bytes(bytes(MB))
    folders = growth.by_folder(tmp_path).set_index("folder")["mb"]
    assert folders["runs"] == 4
    assert folders.drop("runs").eq(0).all()
