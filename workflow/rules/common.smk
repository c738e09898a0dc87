"""What the rules share: the checked configuration, the selected runs, and how a run is made of them."""

import functools
import json
import os
import re
import socket
import sys
from pathlib import Path

import pandas as pd

from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "scripts"))

from pulmoscan.acquire import local
from pulmoscan.backends import backend
from pulmoscan.config import check, models, stages
from pulmoscan.config import runs as run_table
from pulmoscan.networks import backbones
from pulmoscan.storage import code_digest
from pulmoscan.storage.atomic import replacing

os.environ.update(
    # The interpreter of Snakemake is that of the scripts, unless a conda environment comes before it.
    PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    # Libraries keep their own files here, so that nothing is written outside results/.
    **{
        variable: str(Path("results/cache", folder).absolute())
        for variable, folder in {
            "KERAS_HOME": "keras",
            "MPLCONFIGDIR": "matplotlib",
            "IPYTHONDIR": "ipython",
            "JUPYTER_CONFIG_DIR": "jupyter",
            "JUPYTER_RUNTIME_DIR": "jupyter/runtime",
        }.items()
    },
)

# Snakemake leaves numbers inside a list or mapping of --config as text.
update_config(config, check.typed(workflow.config_settings.config))

PUBLISHED_TABLES = list(pd.read_csv(ROOT / "workflow/study/published_results.tsv", sep="\t")["table"].unique())

try:
    check.check_files(workflow.configfiles)
    check.check(config, ROOT / "workflow/schemas/config.schema.yaml")
    RUN_FILTER = run_table.with_quotes(config["run_filter"])
    RUNS = run_table.select(run_table.read(config["runs"]), RUN_FILTER)
    check.check_runs(config, RUNS, PUBLISHED_TABLES)
    MODELS = models.resolve(config)
    # Numbers differ between backends: a parameter of what computes with Keras.
    KERAS_BACKEND = backend.chosen()
    for name in RUNS["model"].unique():
        if MODELS[name].network:
            backend.chosen(MODELS[name].training["xla"])
except (ValueError, OSError) as error:
    raise WorkflowError(str(error)) from None

# In the environment, not among the parameters: a folder that was moved holds the same files.
os.environ.update(
    LOCAL_COPY=config["dataset"]["path"] or "",
    WEIGHTS_FOLDER=config["weights"]["folder"] or "",
)

# On one machine trainings take turns on the accelerator unless --resources gpu=N says how many there
# are. A cluster schedules its own accelerators, and there --jobs sets the number of nodes.
if workflow.is_main_process and "gpu" not in workflow.global_resources:
    if workflow.resource_settings.nodes is None:
        workflow.register_resource("gpu", 1)

RUN = "{variant}/{model}/unfreeze-{unfreeze}"
SPLIT = config["split"]


def record_command():
    """Write how Snakemake was started, for ``make resume``."""
    kept = ("KERAS_BACKEND", "SNAKEMAKE_PROFILE", "CUDA_VISIBLE_DEVICES")
    command = {
        "arguments": sys.argv[1:],
        "environment": {name: os.environ[name] for name in kept if name in os.environ},
        "host": socket.gethostname(),
    }
    with replacing("results/logs/command.json") as path:
        path.write_text(json.dumps(command) + "\n", encoding="utf-8")


wildcard_constraints:
    variant="[^/]+",
    model="[^/]+",
    unfreeze=r"\d+|half|all",
    seed=r"\d+",
    split="[^/]+",
    sampling="[^/]+",
    backbone="[^/]+",
    pixels="[^/]+",


def code(script, without=()):
    """Return the parameters that rerun a rule when its code changes: one per imported module.

    Snakemake compares parameters one by one, so the reason that it gives names the changed module.
    """
    return [
        f"{module} {digest}"
        for module, digest in code_digest.module_digests(ROOT / script, without).items()
    ]


def other_sources():
    """Return the modules of the data sources that this configuration does not use.

    A phantom is read like a local folder.
    """
    source = config["dataset"]["source"]
    used = {source, "local"} if source == "phantom" else {source}
    modules = {
        "kaggle": "pulmoscan.acquire.kaggle",
        "sample": "pulmoscan.acquire.sample",
        "local": "pulmoscan.acquire.local",
        "phantom": "pulmoscan.phantom",
    }
    return tuple(sorted(module for name, module in modules.items() if name not in used))


def as_json(value):
    """Return settings in the one spelling that a rule's parameters are compared by."""
    return json.dumps(value, sort_keys=True)


def more_each_attempt(amount):
    """Return how much of a resource a job asks for: twice as much each time that it is tried again.

    A scheduler that ended the job for want of memory or time then gives it more (--retries).
    """
    return lambda wildcards, attempt: amount * 2 ** (attempt - 1)


def one_of(names):
    """Return the wildcard constraint that matches these names alone, nothing where there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


CLASSIFIERS = [name for name, model in MODELS.items() if model.classifier]
NETWORKS = [name for name, model in MODELS.items() if model.network]


def weights_name(model):
    """Return the name of the file with a model's pre-trained weights, None without a backbone."""
    if MODELS[model].backbone:
        network = MODELS[model].network
        return backbones.weights_name(network["backbone"], network["arguments"])


def backbone_name(model):
    """Return the name of a model's backbone in the paths of its features, input size included."""
    return f"{weights_name(model)}-{MODELS[model].network['input_size']}px"


def backbone_settings(backbone, head):
    """Return a backbone's part of a network, from any model that has it, and the layer after it."""
    model = next(
        name for name in NETWORKS if weights_name(name) and backbone_name(name) == backbone
    )
    return as_json(MODELS[model].network | {"head": [head]})


def variant(wildcards):
    return config["variants"][wildcards.variant]


def variant_pixels(wildcards):
    return as_json(config["pixels"][variant(wildcards)["pixels"]])


def augmentation(wildcards):
    return as_json(config["augmentation"] if variant(wildcards).get("augment") else None)


@functools.cache
def features_of(model, unfreeze, variant):
    """Return the features that a run trains on, by the `unfreeze` of its stages: paths without suffix.

    A stage that trains the whole network, and an augmented run, has none.
    """
    if MODELS[model].backbone is None or config["variants"][variant].get("augment"):
        return {}
    folder = Path("results/features", backbone_name(model))
    pixels = config["variants"][variant]["pixels"]
    pooled = MODELS[model].network["head"][0] == "average_pooling"
    return {
        stage["unfreeze"]: str(
            folder / pixels
            if stage["unfreeze"] == "0" and pooled
            else folder / f"unfreeze-{stage['unfreeze']}" / pixels
        )
        for stage in stages.resolve(MODELS[model].training, unfreeze)
        if stage["unfreeze"] != "all"
    }


@functools.cache
def samplings_by_features():
    """Return the samplings whose images each file of features must hold."""
    samplings = {}
    for run in RUNS.itertuples():
        for path in features_of(run.model, run.unfreeze, run.variant).values():
            samplings.setdefault(path, set()).add(sampling_file(run.variant))
    for model in tuned_models():
        variant = MODELS[model].tune["variant"]
        for path in features_of(model, "0", variant).values():
            samplings.setdefault(path, set()).add(sampling_file(variant))
    return samplings


def features_samplings(wildcards):
    folder = Path("results/features", wildcards.backbone)
    if "unfreeze" in wildcards.keys():
        folder /= f"unfreeze-{wildcards.unfreeze}"
    return sorted(samplings_by_features().get(str(folder / wildcards.pixels), ()))


def features_settings(wildcards):
    """Return what a training's features depend on beside its own inputs and parameters.

    Features that are gone cannot be seen to have changed.
    """
    unfreeze = wildcards.get("unfreeze", "0")
    features = features_of(wildcards.model, unfreeze, wildcards.variant)
    if not features:
        return ""
    settings = {key: config["training"][key] for key in ("batch_size", "threads")}
    if any(Path(path).parent.name.startswith("unfreeze") for path in features.values()):
        settings |= config["features"]
    return as_json(settings)


def code_of_features():
    """Return the code behind a training's features as its parameters, nothing where it has none."""

    def only_with_features(module):
        return lambda wildcards: module if features_settings(wildcards) else ""

    return [only_with_features(module) for module in code("scripts/features.py")]


def tuned_models():
    """Return the models of the selected runs that a search finishes."""
    return sorted(name for name in RUNS["model"].unique() if MODELS[name].tune)


def tuning_files(name):
    """Return an input function: one file a search of the runs that are made."""

    def files(wildcards):
        models = {run.model for run in runs_to_make().itertuples()}
        return [
            f"results/tuning/{model}/{MODELS[model].tune['variant']}/{name}"
            for model in tuned_models()
            if model in models
        ]

    return files


def sampling_file(variant):
    return f"results/samplings/{SPLIT}/{config['variants'][variant]['sampling']}.parquet"


def samplings_of(run):
    """Return the samplings that a run reads, that of its search among them."""
    tune = MODELS[run.model].tune
    variants = [run.variant] + ([tune["variant"]] if tune else [])
    return {config["variants"][name]["sampling"] for name in variants}


def used_samplings():
    """Return the samplings of the selected runs, and the one that all are compared on."""
    return sorted({"balanced"}.union(*map(samplings_of, RUNS.itertuples())))


def runs_to_make():
    """Return the selected runs, without those whose sampling the data cannot fill.

    Only `dataset.on_shortfall: skip` needs to look, and waits for the samplings to do so.
    """
    if config["dataset"]["on_shortfall"] == "fail":
        return RUNS
    unfilled = {sampling for sampling in used_samplings() if not sampling_is_filled(sampling)}
    return RUNS[[not samplings_of(run) & unfilled for run in RUNS.itertuples()]]


def sampling_is_filled(sampling):
    counts = checkpoints.sampling.get(split=SPLIT, sampling=sampling).output.counts
    return pd.read_csv(counts, sep="\t")["shortfall"].isna().all()


def is_explained(model):
    """Return whether Grad-CAM can show where a model looks: in an image."""
    return not MODELS[model].takes_histograms


def is_network(model):
    return MODELS[model].network is not None


def run_files(pattern, of=lambda model: True):
    """Return an input function: one file a run (and a seed, where the pattern has one)."""

    def files(wildcards):
        return [
            path
            for run in runs_to_make().itertuples()
            if of(run.model)
            for path in expand(
                pattern,
                variant=run.variant,
                model=run.model,
                unfreeze=run.unfreeze,
                seed=config["seeds"],
            )
        ]

    return files


def source_settings():
    """Return what the download depends on: settings, and for local files a digest of their content."""
    dataset = config["dataset"]
    settings = {"source": dataset["source"]}
    if dataset["source"] == "local":
        try:
            settings["content"] = local.content_digest(
                dataset["path"], "results/cache/local-digests.json"
            )
        except (ValueError, OSError) as error:
            raise WorkflowError(str(error)) from None
    return as_json(settings)


def weights_settings(wildcards):
    """Return what a weights file depends on: source, network, and for a folder the file's content."""
    settings = {"source": config["weights"]["source"]} | weights_network(wildcards)
    if settings["source"] == "folder":
        try:
            file = backbones.find_file(
                config["weights"]["folder"], settings["backbone"], settings["arguments"]
            )
            settings["content"] = local.content_digest(
                file, f"results/cache/{wildcards.weights}-digest.json"
            )
        except (ValueError, OSError) as error:
            raise WorkflowError(str(error)) from None
    return as_json(settings)


def weights_network(wildcards):
    """Return constructor and arguments of the backbone whose weights a file holds."""
    model = next(name for name in NETWORKS if weights_name(name) == wildcards.weights)
    return {key: MODELS[model].network[key] for key in ("backbone", "arguments")}


def network_inputs(model, unfreeze, variant):
    """Return what a network is trained from, by option: images, weights and cached features."""
    inputs = {
        "sampling": sampling_file(variant),
        "images": rules.pack.output.images,
        "masks": rules.pack.output.masks,
    }
    if weights_name(model) is not None:
        inputs["weights"] = f"results/weights/{weights_name(model)}.weights.h5"
    if features := features_of(model, unfreeze, variant):
        inputs["features"] = [
            path + suffix for path in features.values() for suffix in (".npy", ".rows.npy", ".json")
        ]
    return inputs


def network_options(model, unfreeze, variant):
    """Return the same as words of a command line."""
    words = [
        word
        for name, path in network_inputs(model, unfreeze, variant).items()
        if name != "features"
        for word in (f"--{name}", path)
    ]
    features = features_of(model, unfreeze, variant)
    return words + [
        word for key, path in features.items() for word in ("--features", f"{key}={path}.npy")
    ]


def train_inputs(wildcards):
    """Return a training's inputs, and for a tuned model what its search found."""
    inputs = network_inputs(wildcards.model, wildcards.unfreeze, wildcards.variant)
    if tune := MODELS[wildcards.model].tune:
        inputs["best"] = f"results/tuning/{wildcards.model}/{tune['variant']}/best.json"
    return inputs


def train_options(wildcards, input):
    words = network_options(wildcards.model, wildcards.unfreeze, wildcards.variant)
    return words + (["--best", input.best] if MODELS[wildcards.model].tune else [])


def tuned_unfreeze(model):
    """Return what a search trains: of a network with a backbone the head."""
    return "0" if MODELS[model].backbone else "all"


def published_settings():
    """Return the configuration as the report shows it: without where this machine keeps its files."""
    return as_json(
        config
        | {
            "dataset": config["dataset"] | {"path": None},
            "weights": config["weights"] | {"folder": None},
            "runs": (
                config["runs"]
                if not Path(config["runs"]).is_absolute()
                else Path(config["runs"]).name
            ),
        }
    )


def described_models():
    """Return what tells the selected models apart from those that they are like."""
    return as_json(
        {
            name: {
                "like": MODELS[name].like,
                "stages": MODELS[name].training["stages"],
                "network": MODELS[name].network,
            }
            for name in sorted(
                {*RUNS["model"], *(MODELS[name].like for name in RUNS["model"])} - {None}
            )
        }
    )


def weights_records(wildcards):
    """Return the record of every weights file that a selected run starts from."""
    names = {weights_name(model) for model in RUNS["model"]} - {None}
    return [f"results/weights/{name}.tsv" for name in sorted(names)]
