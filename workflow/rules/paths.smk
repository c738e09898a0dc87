"""Where things are: the workflow's own files beside its Snakefile, the user's in the working folder.

Snakemake runs in the working folder: that of the shell, or --directory. Results lie there, and paths
in the configuration are relative to it. The Snakefile may be elsewhere, and may be a module of another
workflow, whose `workflow.basedir` is not ours.
"""

import os
import sys
from copy import deepcopy
from pathlib import Path

from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

if not workflow.current_basedir.is_local:
    raise WorkflowError(
        "PulmoSCAN runs programs from its own folder: clone it, and name the Snakefile of the clone"
    )
ROOT = Path(workflow.current_basedir).resolve().parents[1]
IS_MODULE = not workflow.modifier.is_main_snakefile()


def own_file(name):
    """Return the path of a file of the workflow from the working folder.

    It is relative where one folder lies in the other, so that they can be moved together: Snakemake
    compares the names of inputs.
    """
    folder = Path.cwd()
    near = folder.is_relative_to(ROOT) or ROOT.is_relative_to(folder)
    return os.path.relpath(ROOT / name) if near else str(ROOT / name)


def users_file(name):
    """Return a path of the configuration: of the user's file, else of the workflow's file so named."""
    refuse_braces(name)
    return own_file(name) if not Path(name).exists() and (ROOT / name).exists() else name


def refuse_braces(path):
    """Raise an error for a name in braces: Snakemake takes it for a wildcard in a path of a file."""
    if set("{}") & set(str(path)):
        raise WorkflowError(f"{path}: Snakemake cannot work with braces in a path: rename it")


def uncompared(value):
    """Return a parameter that reruns nothing: Snakemake does not compare functions of the inputs.

    For paths: a folder that was moved holds the same files.
    """
    return lambda wildcards, input: value


def laid_over(base, settings):
    """Return a configuration with another one laid over it, as Snakemake does it; both are kept."""
    merged = deepcopy(base)
    update_config(merged, deepcopy(settings))
    return merged


def retyped(settings, given, place=""):
    """Return those settings that --config gave, with the types of YAML; ``place`` is their key.

    Snakemake leaves numbers inside a list or mapping of --config as text.
    """
    if isinstance(given, dict):
        known = given.keys() & settings.keys() if isinstance(settings, dict) else ()
        return {
            key: retyped(settings[key], given[key], f"{place}.{key}" if place else key)
            for key in known
        }
    return schema.typed(given, place) if given == settings else settings


# Not every path is an input or output: folders of logs and caches are named in commands.
if workflow.modifier.path_modifier.replace_prefix("results") != "results":
    raise WorkflowError(
        "PulmoSCAN cannot have a prefix: its results lie in results/ of the working folder"
    )

for folder in (ROOT, Path.cwd()):
    refuse_braces(folder)

# Snakemake looks for Python's modules beside the Snakefile first, where a user may keep any file. Our
# scripts come behind everything else: their names are not those of another workflow's modules.
sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != ROOT]
if not IS_MODULE:
    # Nor in the working folder, where a job of a cluster starts Snakemake as a module.
    os.environ.update(PYTHONSAFEPATH="1")
for folder in ("scripts", "workflow"):
    if str(ROOT / folder) not in sys.path:
        sys.path.append(str(ROOT / folder))
import pulmoscan
import pulmoscan_terminal
from pulmoscan.config import check, schema

if not Path(pulmoscan.__file__).is_relative_to(ROOT):
    raise WorkflowError(
        f"Python finds another copy of PulmoSCAN, {Path(pulmoscan.__file__).parent}, before that of "
        f"{ROOT}: take it out of PYTHONPATH, and import one clone in all modules of a workflow"
    )

# Before anything else is said. A workflow that imports this one as a module prints in its own way.
pulmoscan_terminal.install(workflow, prints=not IS_MODULE)

# Snakemake says neither which of its configuration files is wrong nor in which line.
if not IS_MODULE:
    try:
        check.check_files({own_file("config.yaml"), *filter(os.path.lexists, ["config.yaml"])})
    except (ValueError, OSError) as error:
        raise WorkflowError(str(error)) from None
