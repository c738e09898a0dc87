"""Run the notebook of the report, and write it as a page.

The kernel is this Python, whichever kernels are installed, and finds nothing in the working folder.

Inputs: ``--notebook``, which reads the folder ``--results``, and ``--template`` of nbconvert.
Output: the notebook with its outputs, without optional sections that show nothing (see
`pulmoscan.report.notebook`); the page, and the figures, lie beside it.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbconvert
import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from pulmoscan import command
from pulmoscan.report import notebook
from pulmoscan.storage import atomic
from traitlets.config import Config

SCRIPTS = Path(__file__).resolve().parent
HIDDEN = ("exclude_input", "exclude_input_prompt", "exclude_output_prompt")
NOT_LOADED = ("mathjax_url", "require_js_url", "jquery_url")


class OwnKernel(AsyncKernelManager):
    """Starts this Python, alone with its own packages, and speaks to it through files."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """The command that starts the kernel; `jupyter_client` would look for one by its name."""
        # Frozen modules make the kernel warn of a debugger, which nobody starts.
        start = [sys.executable, "-I", "-Xutf8", "-Xfrozen_modules=off", "-m", "ipykernel_launcher"]
        return KernelSpec(argv=[*start, "-f", "{connection_file}", "--IPKernelApp.ignore_cwd=True"])


def main(argv: Sequence[str]) -> None:
    """Run the report with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--notebook", type=Path, required=True, help="the notebook to run")
    parser.add_argument("--template", type=Path, required=True, help="template of nbconvert")
    parser.add_argument("--results", type=Path, required=True, help="what the notebook reads")
    parser.add_argument("--output", type=Path, required=True, help="notebook to write")
    arguments = parser.parse_args(argv)
    leave_the_user_out(arguments.results / "cache")
    os.environ["PULMOSCAN_SCRIPTS"] = str(SCRIPTS)
    with atomic.replacing(arguments.output) as path:
        run(arguments.notebook, path, arguments.results)
        notebook.leave_out_empty(path)
    exporter = nbconvert.HTMLExporter(
        extra_template_basedirs=[str(arguments.template.parent)],
        template_name=arguments.template.name,
        **dict.fromkeys(HIDDEN, True) | dict.fromkeys(NOT_LOADED, ""),
    )
    with atomic.replacing(arguments.output.with_suffix(".html")) as path:
        path.write_text(exporter.from_filename(arguments.output)[0], encoding="utf-8")
    atomic.record_folder(arguments.output.with_name("figures"))


def leave_the_user_out(cache: Path) -> None:
    """Let Jupyter and IPython read no settings, start-up files or templates of the user."""
    cache.mkdir(parents=True, exist_ok=True)
    os.environ.pop("JUPYTER_PATH", None)
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    os.environ["IPYTHONDIR"] = str(cache.absolute() / "ipython")
    for name in ("CONFIG", "DATA", "RUNTIME"):
        os.environ[f"JUPYTER_{name}_DIR"] = str(cache.absolute() / "jupyter" / name.lower())


def run(source: Path, output: Path, results: Path) -> None:
    """Run a notebook; raises ``ValueError`` where its own code does, or where it is killed."""
    with tempfile.TemporaryDirectory(prefix="pulmoscan-") as sockets:  # whose names must be short
        try:
            papermill.execute_notebook(
                source,
                output,
                {"results": str(results)},
                cwd=".",
                progress_bar=False,
                kernel_manager_class=OwnKernel,
                config=Config(OwnKernel={"transport": "ipc", "ip": f"{sockets}/kernel"}),
            )
        except PapermillExecutionError as error:
            if error.ename not in ("ValueError", "OSError"):
                raise
            raise ValueError(error.evalue) from None
        except DeadKernelError:
            raise ValueError("the notebook's Python was killed: is there enough memory?") from None


if __name__ == "__main__":
    command.run(main)
