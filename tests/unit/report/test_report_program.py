"""The program of the report: a notebook runs in this Python, whatever Jupyter knows of others."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[3]
TOLD = """
import os, sys, numpy
print("told", sys.executable, sys.flags.isolated, numpy.__version__, results, os.getcwd())
"""


@pytest.fixture
def run(tmp_path):
    """Run a notebook of one cell in a folder; return the process, and what the page says."""

    def run(cell, **environment):
        nb = nbformat.v4
        parameters = nb.new_code_cell("results = 'none'", metadata={"tags": ["parameters"]})
        kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python"}}
        notebook = nb.new_notebook(cells=[parameters, nb.new_code_cell(cell)], metadata=kernel)
        nbformat.write(notebook, tmp_path / "in.ipynb")
        done = subprocess.run(
            [
                *(sys.executable, "-Es", "-Xutf8", ROOT / "scripts/report.py"),
                *("--notebook", "in.ipynb", "--template", ROOT / "notebooks/template"),
                *("--results", "results", "--output", "results/report/report.ipynb"),
            ],
            cwd=tmp_path,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        page = tmp_path / "results/report/report.html"
        return done, page.read_text(encoding="utf-8") if page.exists() else None

    return run


def test_the_kernel_is_this_python_alone_with_its_packages(run, tmp_path):
    kernel = tmp_path / "jupyter/kernels/python3"
    kernel.mkdir(parents=True)
    told = {"argv": ["/bin/false"], "display_name": "another", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(told))
    start = tmp_path / "ipython/profile_default/startup"
    start.mkdir(parents=True)
    (start / "first.py").write_text("print('the startup file of IPython')")
    for name in ("numpy", "json", "random"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the working folder')")
    done, page = run(
        TOLD,
        JUPYTER_PATH=str(tmp_path / "jupyter"),
        IPYTHONDIR=str(tmp_path / "ipython"),
        PYTHONPATH=str(tmp_path),
        PYTHONSAFEPATH="1",
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert f"told {sys.executable} 1 " in page
    assert f" results {tmp_path}" in page
    assert "of the working folder" not in page
    assert "startup file" not in page
    assert "import os" not in page  # what was run is not shown


def test_an_error_that_the_report_raises_is_a_line(run):
    done, page = run("raise ValueError('results/tables/runs.tsv is damaged')")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "report: results/tables/runs.tsv is damaged"
    assert "Traceback" not in done.stderr
    assert page is None


def test_a_notebook_that_is_killed_is_a_line(run):
    done, _ = run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("report: the notebook's Python was killed")
    assert "Traceback" not in done.stderr
