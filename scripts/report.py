"""Run the notebook of the report, and write it as a page.

The kernel is this Python, whichever kernels are installed, and imports nothing from the working
folder.

Inputs:
    ``--notebook``: the notebook, which reads the folder ``--results``.
    ``--template``: a folder with a template of nbconvert.
Outputs:
    ``--output``: the notebook with its outputs; the page, and the figures, lie beside it.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import nbconvert
import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from pulmoscan import command
from traitlets.config import Config

SCRIPTS = Path(__file__).resolve().parent


class OwnKernel(AsyncKernelManager):
    """Starts this Python, alone with its own packages."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """The command that starts the kernel; `jupyter_client` would look for one by its name."""
        start = [sys.executable, "-I", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=[*start, "--IPKernelApp.ignore_cwd=True"])


def main(argv: Sequence[str]) -> None:
    """Run the report with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--notebook", type=Path, required=True, help="the notebook to run")
    parser.add_argument("--template", type=Path, required=True, help="template of nbconvert")
    parser.add_argument("--results", type=Path, required=True, help="what the notebook reads")
    parser.add_argument("--output", type=Path, required=True, help="notebook to write")
    arguments = parser.parse_args(argv)
    os.environ["PULMOSCAN_SCRIPTS"] = str(SCRIPTS)
    papermill.execute_notebook(
        arguments.notebook,
        arguments.output,
        {"results": str(arguments.results)},
        cwd=".",
        progress_bar=False,
        kernel_manager_class=OwnKernel,
    )
    page, _ = nbconvert.HTMLExporter(
        config=Config(
            TemplateExporter={
                "extra_template_basedirs": [str(arguments.template.parent)],
                "exclude_input": True,
                "exclude_input_prompt": True,
                "exclude_output_prompt": True,
            },
            HTMLExporter={
                "template_name": arguments.template.name,
                "mathjax_url": "",
                "require_js_url": "",
                "jquery_url": "",
            },
        )
    ).from_filename(arguments.output)
    arguments.output.with_suffix(".html").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    command.run(main)
