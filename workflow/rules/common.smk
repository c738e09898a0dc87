"""What the rules share: the checked configuration, the selected runs, and how a run is made of them."""

import json
import os
import sys
from pathlib import Path

import pandas as pd

from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "scripts"))

from pulmoscan import backbones, configuration, local
from pulmoscan import runs as run_table
from pulmoscan.codedigest import code_digest

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
update_config(config, configuration.typed(workflow.config_settings.config))

PUBLISHED_TABLES = list(pd.read_csv(ROOT / "workflow/published.tsv", sep="\t")["table"].unique())

try:
    configuration.check(config, ROOT / "workflow/schemas/config.schema.yaml")
    RUN_FILTER = run_table.with_quotes(config["run_filter"])
    RUNS = run_table.select(run_table.read(config["runs"]), RUN_FILTER)
    configuration.check_runs(config, RUNS, PUBLISHED_TABLES)
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

# Numbers differ between backends: a parameter of what computes with Keras.
KERAS_BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
RUN = "{variant}/{model}/unfreeze-{unfreeze}"
SPLIT = config["split"]


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
    """Return the digest of a script and what it imports, a parameter of its rule."""
    return code_digest(ROOT / script, without)


def other_sources():
    """Return the modules of the data sources that this configuration does not use.

    A phantom is read like a local folder.
    """
    source = config["dataset"]["source"]
    used = {source, "local"} if source == "phantom" else {source}
    return {"kaggle", "sample", "local", "phantom"} - used


def as_json(value):
    """Return settings in the one spelling that a rule's parameters are compared by."""
    return json.dumps(value, sort_keys=True)


def network(model):
    """Return what fixes a model's network: architecture or backbone, arguments, input size, head."""
    settings = {key: value for key, value in config["models"][model].items() if key != "training"}
    if "backbone" in settings:
        settings = {"arguments": {}, "head": config["head"]} | settings
    return settings


def training(model):
    """Return a model's training settings, its own laid over those of all; switches are on or off."""
    settings = config["training"] | config["models"][model].get("training", {})
    switches = {key: settings[key] for key in ("mixed_precision", "xla")}
    return settings | {
        key: {True: "on", False: "off"}.get(value, value) for key, value in switches.items()
    }


def weights_name(model):
    """Return the name of the file with a model's pre-trained weights, None without a backbone."""
    settings = network(model)
    if "backbone" in settings:
        return backbones.weights_name(settings["backbone"], settings["arguments"])


def backbone_name(model):
    """Return the name of a model's backbone in the paths of its features, input size included."""
    return f"{weights_name(model)}-{network(model)['input_size']}px"


def backbone_settings(backbone):
    """Return a backbone's part of a network, from any model that has it."""
    model = next(name for name in config["models"] if backbone_name(name) == backbone)
    return {key: value for key, value in network(model).items() if key != "head"}


def variant(wildcards):
    return config["variants"][wildcards.variant]


def variant_pixels(wildcards):
    return as_json(config["pixels"][variant(wildcards)["pixels"]])


def augmentation(wildcards):
    return as_json(config["augmentation"] if variant(wildcards).get("augment") else None)


def on_features(model, unfreeze, variant):
    """Return whether a run trains its head alone, on features that were computed once."""
    return (
        unfreeze == "0"
        and weights_name(model) is not None
        and not config["variants"][variant].get("augment")
    )


def sampling_file(variant):
    return f"results/samplings/{SPLIT}/{config['variants'][variant]['sampling']}.parquet"


def used_samplings():
    """Return the samplings of the selected runs, and the one that all are compared on."""
    return sorted({config["variants"][name]["sampling"] for name in RUNS["variant"]} | {"balanced"})


def runs_to_make():
    """Return the selected runs, without those whose sampling the data cannot fill.

    Only `dataset.on_shortfall: skip` needs to look, and waits for the samplings to do so.
    """
    if config["dataset"]["on_shortfall"] == "fail":
        return RUNS
    unfilled = {sampling for sampling in used_samplings() if not sampling_is_filled(sampling)}
    return RUNS[[config["variants"][name]["sampling"] not in unfilled for name in RUNS["variant"]]]


def sampling_is_filled(sampling):
    counts = checkpoints.sampling.get(split=SPLIT, sampling=sampling).output.counts
    return pd.read_csv(counts, sep="\t")["shortfall"].isna().all()


def run_files(pattern):
    """Return an input function: one file a run (and a seed, where the pattern has one)."""

    def files(wildcards):
        return [
            path
            for run in runs_to_make().itertuples()
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
    model = next(name for name in config["models"] if weights_name(name) == wildcards.weights)
    return {key: network(model)[key] for key in ("backbone", "arguments")}


def runs_on_features(backbone, pixels):
    """Return the selected runs that train on the features of a backbone for one kind of pixels."""
    return [
        run
        for run in RUNS.itertuples()
        if on_features(run.model, run.unfreeze, run.variant)
        and backbone_name(run.model) == backbone
        and config["variants"][run.variant]["pixels"] == pixels
    ]


def features_samplings(wildcards):
    runs = runs_on_features(wildcards.backbone, wildcards.pixels)
    return sorted({sampling_file(run.variant) for run in runs})


def train_inputs(wildcards):
    """Return a training's inputs: features for a frozen backbone, else its weights if it has one."""
    inputs = {
        "sampling": sampling_file(wildcards.variant),
        "images": rules.pack.output.images,
        "masks": rules.pack.output.masks,
    }
    if weights_name(wildcards.model) is not None:
        inputs["weights"] = f"results/weights/{weights_name(wildcards.model)}.weights.h5"
    if on_features(wildcards.model, wildcards.unfreeze, wildcards.variant):
        folder = f"results/features/{backbone_name(wildcards.model)}"
        inputs["features"] = f"{folder}/{variant(wildcards)['pixels']}.npy"
        inputs["feature-rows"] = f"{folder}/{variant(wildcards)['pixels']}.rows.npy"
    return inputs


def published_settings():
    """Return the configuration as the report shows it: without where this machine keeps its files."""
    return as_json(
        config
        | {
            "dataset": config["dataset"] | {"path": None},
            "weights": config["weights"] | {"folder": None},
        }
    )


def weights_records(wildcards):
    """Return the record of every weights file that a selected run starts from."""
    names = {weights_name(model) for model in RUNS["model"]} - {None}
    return [f"results/weights/{name}.tsv" for name in sorted(names)]
