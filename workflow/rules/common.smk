"""What the rules share: the checked configuration, the plan of the selected runs, and their files."""

import json
import re

import pandas as pd

from snakemake.settings.types import DeploymentMethod

from pulmoscan.backends import backend
from pulmoscan.config import check, data_set, external, models, notices, run_file
from pulmoscan.config import runs as run_table
from pulmoscan.config.plan import Plan
from pulmoscan.storage import code_digest

# Options of Snakemake with which it looks at no result: `make lint` after `make demo` is right.
RUN_NOTHING = {"--lint", "--list", "-l", "--list-rules", "--list-target-rules", "--lt", "--unlock"}
RESULTS_FIGURES = ROOT / "workflow/study/published_results.tsv"

# ------------------------------------------------------------------------------ configuration, plan
FIGURES = pd.read_csv(RESULTS_FIGURES, sep="\t", dtype=str, keep_default_na=False)
PUBLISHED_TABLES = list(FIGURES["table"].unique())

try:
    if not IS_MODULE:
        check.check_files(workflow.configfiles)
    # A module that is given a configuration does not read its own, which the given one is laid over.
    if workflow.modifier.skip_configfile:
        config = laid_over(load_configfile(str(ROOT / "config.yaml")), config)
    # --config of another workflow may give ours in a mapping.
    for given in (workflow.config_settings.config, *workflow.config_settings.config.values()):
        update_config(config, retyped(config, given if isinstance(given, dict) else {}))
    check.check(config, ROOT / "workflow/schemas/config.schema.yaml")
    RUN_FILTER = run_table.with_quotes(config["run_filter"]) or ""
    RUNS_FILE = users_file(config["runs"])
    RUN_TABLE = run_file.read(RUNS_FILE, config["split"])
    if workflow.is_main_process and not RUN_NOTHING & set(sys.argv):
        check.check_results(config)
    DATA = data_set.read(config["dataset"])
    EXPLAIN = data_set.explained(config["explain"], DATA)
    # Nothing was published about the data of others.
    COMPARED_TABLES = PUBLISHED_TABLES if DATA.of_study else []
    SELECTED = run_table.select(RUN_TABLE, RUN_FILTER)
    check.check_runs(config, SELECTED, PUBLISHED_TABLES, DATA)
    MODELS = models.resolve(config)
    # Why runs cannot be made for want of masks; the others are made.
    UNSHOWN = data_set.unshown(config, SELECTED, DATA)
    RUNS = run_table.expand(data_set.shown(SELECTED, UNSHOWN), config["splits"])
    PLAN = Plan(config, RUNS, MODELS)
    EXTERNAL = external.settings(config)
    SETS = external.read(config, RUNS, MODELS, DATA)
    # By set, why runs cannot predict it.
    UNPREDICTED = external.unpredicted(config, SETS, RUNS, MODELS)
    # Numbers differ between backends: a parameter of what computes with Keras.
    KERAS_BACKEND = backend.chosen()
    for name in RUNS["model"].unique():
        if MODELS[name].network:
            backend.chosen(MODELS[name].training["xla"])
except (ValueError, OSError) as error:
    raise WorkflowError(str(error)) from None

# Once, and not by every job, which reads the Snakefile again.
if workflow.is_main_process:
    for line in notices.lines(config, RUNS, MODELS, DATA, UNSHOWN, SETS, UNPREDICTED):
        logger.warning(f"config: {line}")


def one_of(names):
    """Return the wildcard constraint that matches these names alone, nothing where there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


# A training is a run with a seed. Its patterns are those of paths under results/.
RUN = "{split}/{variant}/{model}/unfreeze-{unfreeze}"
RUN_SEED = f"{RUN}/seed-{{seed}}"


wildcard_constraints:
    split="[^/]+",
    variant="[^/]+",
    model="[^/]+",
    unfreeze=r"\d+|half|all",
    seed=r"\d+",
    sampling="[^/]+",
    backbone="[^/]+",
    pixels="[^/]+",
    table="[^/]+",
    set=one_of(EXTERNAL),


def run_files(pattern, runs=None, of=lambda model: True):
    """Return an input function: one file per run (and seed, where the pattern has one).

    ``runs`` are rows of `RUNS`, all of them by default; those that the data cannot fill are left
    out, and so are those of models for which ``of`` is false.
    """

    def files(wildcards):
        selected = RUNS if runs is None else runs(wildcards)
        return [
            path
            for run in runs_to_make(selected).itertuples()
            if of(run.model)
            for path in expand(
                pattern,
                split=run.split_name,
                variant=run.variant,
                model=run.model,
                unfreeze=run.unfreeze,
                seed=config["seeds"],
            )
        ]

    return files


def runs_to_make(runs):
    """Return the runs whose samplings the data can fill.

    Only `dataset.on_shortfall: skip` needs to look, and waits for the samplings to do so.
    """
    if config["dataset"]["on_shortfall"] == "fail":
        return runs
    unfilled = {pair for pair in PLAN.used_samplings if not sampling_is_filled(*pair)}
    filled = [
        not {(run.split_name, name) for name in PLAN.samplings(run.model, run.variant)} & unfilled
        for run in runs.itertuples()
    ]
    return runs.loc[filled]


def is_network(model):
    return MODELS[model].network is not None


def is_explained(model):
    """Return whether Grad-CAM can show where a model looks: in an image."""
    return not MODELS[model].takes_histograms


# ------------------------------------------------------------------------- parameters and resources
def code(script, without=()):
    """Return the parameters that rerun a rule when its code changes, one per imported module.

    Snakemake compares parameters one by one, so the reason that it gives names the changed module.
    """
    digests = code_digest.module_digests(ROOT / script, without)
    return [f"{module} {digest}" for module, digest in digests.items()]


def as_json(value):
    """Return settings in the one spelling that a rule's parameters are compared by."""
    return json.dumps(value, sort_keys=True)


def more_each_attempt(amount):
    """Return how much of a resource a job asks for: twice as much each time that it is tried again.

    A scheduler that ended the job for want of memory or time then gives it more (--retries).
    """
    return lambda wildcards, attempt: amount * 2 ** (attempt - 1)


# --------------------------------------------------------------------------- environment of the jobs
ENVIRONMENT = [
    "KERAS_HOME=results/cache/keras",
    "MPLCONFIGDIR=results/cache/matplotlib",
    "MPLBACKEND=Agg",
]


def program(script):
    """Return the parameter that is the beginning of a job's command line; see `uncompared`.

    Python looks at none of its own variables, nor at packages in the user's home: those of another
    project would come before ours. Libraries draw without a screen, and keep their own files here,
    so that nothing is written outside results/. Other rules of the same Snakemake see none of this.
    """
    in_conda = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
    python = "python" if in_conda else sys.executable
    return uncompared(["env", *ENVIRONMENT, python, "-Es", "-Xutf8", str(ROOT / script)])


# ------------------------------------------ calls that are not part of Snakemake's public interface
# On one machine trainings take turns on the accelerator unless --resources gpu=N says how many there
# are. A cluster schedules its own accelerators, and there --jobs sets the number of nodes.
if workflow.is_main_process and "gpu" not in workflow.global_resources:
    if workflow.resource_settings.nodes is None:
        workflow.register_resource("gpu", 1)
