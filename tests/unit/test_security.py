"""Nothing that is read is executed, nothing leaves the folders, and no secret is written."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import small_study
from pulmoscan.data.collections import from_url
from pulmoscan.inputs import batches, cached_features
from pulmoscan.phantom import database as phantom
from pulmoscan.report import dataset_figures, figures, page, run_tables, tables
from pulmoscan.report.sections import analysis, data, gradcam, overview, published, runs, searches
from pulmoscan.report.study import Study
from pulmoscan.storage import arrays, checkpoint

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>'
SECRETS = {
    "KAGGLE_USERNAME": "somebody-0x1",
    "KAGGLE_KEY": "t0psecret",
    "KAGGLE_API_TOKEN": "t0ken",
}

# ------------------------------------------------------------------------------- what is executed


class Command:
    """An object whose pickle runs a command when it is read."""

    def __reduce__(self):
        return os.mkdir, ("ran",)


@pytest.fixture
def pickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "values.npy"
    np.save(path, np.array([Command()], dtype=object), allow_pickle=True)
    np.load(path, allow_pickle=True)
    (tmp_path / "ran").rmdir()  # the file is what it is meant to be
    return path


def test_no_array_is_unpickled(pickled):
    with pytest.raises(ValueError, match=re.escape(str(pickled))):
        arrays.NpyFile(pickled, "x")
    shutil.copy(pickled, cached_features.rows_file(Path("good.npy")))
    np.save("good.npy", np.zeros((1, 1), np.float32))
    Path("good.json").write_text('{"tensors": []}')
    with pytest.raises(ValueError, match=r"good\.rows\.npy is damaged"):
        batches.Features.open(Path("good.npy"))
    assert not Path("ran").exists()


def test_no_checkpoint_is_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    header = json.dumps({"identity": "a", "values": {}, "lengths": {"x": 1}})
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    with (folder / checkpoint.FILE).open("wb") as file:
        values = {"x/0": np.array([Command()], dtype=object), checkpoint._HEADER: header}
        np.savez(file, **values)
    assert checkpoint.load(folder, "a") is None
    assert not (tmp_path / "ran").exists()


def code() -> list[tuple[Path, ast.AST]]:
    """Every piece of Python of the workflow: scripts, modules and the notebook's cells."""
    paths = [*(ROOT / "scripts").rglob("*.py"), *(ROOT / "workflow").rglob("*.py")]
    parsed = [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in paths]
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        parsed += [
            (path, ast.parse("".join(cell["source"])))
            for cell in cells
            if cell["cell_type"] == "code"
        ]
    return parsed


UNSAFE_MODULES = {"pickle", "cPickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
UNSAFE_CALLS = {
    *("eval", "exec", "compile", "os.system", "os.popen", "pd.read_pickle", "pd.eval"),
    *("yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "tempfile.mktemp"),
    *("keras.config.enable_unsafe_deserialization",),
}
UNSAFE_METHODS = {"extractall", "extract", "unpack_archive"}
UNSAFE_SETTINGS = {("allow_pickle", True), ("safe_mode", False), ("shell", True), ("verify", False)}


@pytest.mark.parametrize(("path", "tree"), code(), ids=lambda value: getattr(value, "name", ""))
def test_code_calls_nothing_that_executes_data(path, tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not UNSAFE_MODULES & {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.module not in UNSAFE_MODULES
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in UNSAFE_CALLS, called
            assert called.rpartition(".")[2] not in UNSAFE_METHODS, called
            settings = {
                (keyword.arg, keyword.value.value)
                for keyword in node.keywords
                if isinstance(keyword.value, ast.Constant)
            }
            assert not settings & UNSAFE_SETTINGS, called
            if called == "yaml.load":
                loaders = [ast.unparse(keyword.value) for keyword in node.keywords]
                assert loaders == ["yaml.CSafeLoader"]
            if called.endswith(".eval"):  # of a table; see test_wrong_input.py for what it takes
                assert path.name == "runs.py"


# ------------------------------------------------------------------------------- files of networks


@pytest.fixture(scope="module")
def keras():
    from pulmoscan.backends import backend

    backend.configure(threads=1)
    import keras

    return keras


def test_a_model_with_code_in_it_is_not_loaded(keras, tmp_path):
    import gradcam

    grey = keras.Input((8, 8, 1))
    x = keras.layers.Lambda(lambda values: values)(grey)
    keras.Model(grey, keras.layers.Flatten()(x)).save(tmp_path / "model.keras")
    predictions = {"image": ["COVID-1"], "split": ["test"], "label": ["a"], "p_a": 0.5, "p_b": 0.5}
    pd.DataFrame(predictions).to_parquet(tmp_path / "predictions.parquet")
    sampling = {
        **{"row": [0], "image": ["COVID-1"], "class": ["COVID"], "label": ["COVID"]},
        **{"source": ["s"], "group": ["g"], "split": ["test"]},
    }
    pd.DataFrame(sampling).to_parquet(tmp_path / "sampling.parquet")
    for name in ("images", "masks"):
        np.save(tmp_path / f"{name}.npy", np.ones((1, 8, 8), np.uint8))
    line = [f"--{name}={tmp_path}/{name}.parquet" for name in ("predictions", "sampling")]
    line += [f"--{name}={tmp_path}/{name}.npy" for name in ("images", "masks")]
    line += [f"--model={tmp_path}/model.keras", "--pixels", '{"region": "full"}']
    line += ["--explain", '{"per_class": 1, "seed": 0, "images": []}', "--threads=1"]
    with pytest.raises(ValueError, match="Lambda"):
        gradcam.main([*line, "--batch-size=1", f"--output={tmp_path}/out"])
    assert not (tmp_path / "out/cams.npy").exists()


@pytest.mark.parametrize("name", ["mobilenet_0_25.weights.h5", "mobilenet_2_5_224_tf_no_top.h5"])
def test_a_weights_file_reads_no_other_file(keras, tmp_path, name):
    """HDF5 can keep an array in any file of the machine: it would end in a saved model."""
    from pulmoscan.networks import backbones

    arguments = {"alpha": 0.25}
    model = backbones.build("MobileNet", arguments, 32)
    path = tmp_path / name
    if name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        from keras.src.legacy.saving import legacy_h5_format

        with h5py.File(path, "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, model)
    backbones.load_weights(model, "MobileNet", arguments, path)
    (tmp_path / "secret").write_bytes(bytes(range(256)) * 64)
    with h5py.File(path, "r+") as file:
        found = []
        file.visititems(lambda key, value: found.append(key) if hasattr(value, "dtype") else None)
        shape, dtype = file[found[0]].shape, file[found[0]].dtype
        del file[found[0]]
        outside = [(str(tmp_path / "secret"), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset(found[0], shape=shape, dtype=dtype, external=outside)
    with pytest.raises(ValueError, match="does not hold weights of MobileNet"):
        backbones.load_weights(model, "MobileNet", arguments, path)


# ------------------------------------------------------------------------------- the report


class Tags(HTMLParser):
    """The names of all elements of a page, and of their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


SCORES = dict.fromkeys(["val_accuracy", "test_accuracy", "macro_f1", "epochs", "seconds"], 0.5)


def compared_rows(**changed: object) -> pd.DataFrame:
    row = {
        **{"model": HOSTILE, "unfreeze": "0", "variant": HOSTILE, "metric": "val_accuracy"},
        **{"published": "0.8", "published_low": 0.7, "published_high": 0.9, "reproduced": 0.8},
        **{"low": 0.7, "high": 0.9, "difference": 0.0, "n": 1, "sd": 0.0, "note": HOSTILE},
        **{"split": "grouped", "folds": 1, "status": "run", "reason": "", "asked": 2, "got": 1},
        **{"searched_on": HOSTILE},
    }
    return pd.DataFrame([row | changed] * 4)


@pytest.mark.parametrize(
    "shown",
    [
        lambda path: page.table(pd.DataFrame({HOSTILE: [HOSTILE], "n": [1]}), {"n": page.count}),
        lambda path: page.table(pd.DataFrame({"a": [HOSTILE]}), names={"a": HOSTILE}, wide=["a"]),
        lambda path: tables.compared(compared_rows(), {HOSTILE: HOSTILE}),
        lambda path: tables.compared(compared_rows(status="not_run", reason=HOSTILE), {}),
        lambda path: tables.settings(compared_rows(published=HOSTILE, reproduced=HOSTILE), {}),
        lambda path: run_tables.trainings(compared_rows(split_name=HOSTILE, seed=0, **SCORES)),
        lambda path: page.folded(HOSTILE, ""),
        lambda path: page.figure(path, HOSTILE),
        lambda path: page.table(
            pd.DataFrame({"source": [from_url("http://<svg onerror=alert(1)>.org/x")]})
        ),
    ],
)
def test_text_of_the_data_is_text_in_the_report(tmp_path, shown):
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"PNG")
    tags = Tags(shown(picture))
    assert not tags.names & {"script"}
    assert "onerror" not in tags.attributes
    assert "alert(" in tags.text or "alert(" in shown(picture)


def test_names_of_the_data_are_text_on_the_whole_page(tmp_path, monkeypatch):
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"PNG")
    monkeypatch.setattr(figures, "save", lambda *_, **__: picture)
    # Names are those of files, so they hold no slash.
    hostile = "<img src=x onerror=alert(1)>"
    table = [(hostile, "all", variant, "synthesis,region") for variant in ("lungs", "full")]
    settings = {"classes": [hostile, "Normal"], "source": hostile, "splits": {hostile: {}}}
    study = Study(small_study.write(tmp_path / "results", table=table, **settings))
    html = "".join(
        [
            *(overview.summary(study), overview.faults(study), data.files(study)),
            *(data.sources(study), data.intensity(study), data.resampling(study)),
            *(published.synthesis(study), published.trained(study, "region")),
            *(published.beside(study, "region"), analysis.regions(study)),
            *(runs.accuracies(study), runs.per_class(study), runs.trained(study)),
            *(gradcam.numbers(study), gradcam.by_class(study), gradcam.by_region(study)),
            *(analysis.hardest_images(study), searches.searches(study)),
        ]
    )
    tags = Tags(html)
    assert "onerror" not in tags.attributes
    assert tags.text.count("<img src=x onerror") > 50
    short = Study(small_study.write(tmp_path / "short", table=table, shortfall=HOSTILE, **settings))
    tags = Tags(runs.accuracies(short) + data.resampling(short) + published.synthesis(short))
    assert "onerror" not in tags.attributes
    assert "script" not in tags.names
    assert tags.text.count("<script>") > 3


def test_text_of_the_data_is_text_in_a_figure(tmp_path):
    sources = pd.DataFrame({"source": [HOSTILE, "b"], "images": [3, 1], "share": [0.75, 0.25]})
    figures.save(dataset_figures.counts(sources, "source", "Images"), tmp_path, "sources")
    drawing = (tmp_path / "sources.svg").read_text()
    assert "alert(" in drawing
    assert "<script" not in drawing
    assert "<img" not in drawing


# ------------------------------------------------------------------------------- the shell

# What stands in a command as it is: numbers, digests, words of a closed list.
PLAIN = {
    *("threads", "wildcards.unfreeze", "wildcards.seed", "params.code", "params.size"),
    *("params.on_defect", "params.on_shortfall", "params.source", "params.seed", "params.seeds"),
    *("params.unfreeze", "params.limit_gb", "params.dtype", "params.batch_size", "params.threads"),
    *("params.threshold", "params.tables", "params.resamples"),
    *("params.image_size", "params.input_size"),
}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "workflow/rules").glob("*.smk")), ids=lambda p: p.stem
)
def test_values_in_commands_are_quoted(path):
    commands = re.findall(r"^    shell:\n((?:        .*\n)+)", path.read_text(), re.MULTILINE)
    for value in re.findall(r"(?<!\{)\{([^{}]+)\}", "".join(commands)):
        assert value.endswith(":q") or value in PLAIN, value


def test_a_folder_named_like_a_command_is_a_folder_and_no_secret_is_written(tmp_path):
    for name in ("Snakefile", "config.yaml", "workflow", "scripts", "notebooks", "envs"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    database = tmp_path / "$(touch ran) `touch ran`; touch ran '\" &"
    phantom.write_database(database, phantom.SMALLEST_CLASS, size=64, seed=0)
    config = tmp_path / "local.json"
    config.write_text(json.dumps({"dataset": {"source": "local", "path": str(database)}}))
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "results/raw.tsv",
        "--cores",
        "1",
        "--printshellcmds",
    ]
    done = subprocess.run(
        [*command, "--configfile", str(config)],
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if key != "SNAKEMAKE_PROFILE"}
        | SECRETS,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    table = pd.read_csv(tmp_path / "results/raw.tsv", sep="\t")
    assert len(table) > 2 * 4 * (phantom.SMALLEST_CLASS - 1)
    assert not list(tmp_path.rglob("ran"))
    written = [*(tmp_path / "results").rglob("*"), *(tmp_path / ".snakemake").rglob("*")]
    shown = done.stdout.encode() + b"".join(path.read_bytes() for path in written if path.is_file())
    assert b"/scripts/download.py" in shown
    for secret in SECRETS.values():
        assert secret.encode() not in shown
