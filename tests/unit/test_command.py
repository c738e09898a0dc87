"""A script exits with one line when the user can mend the cause, else with a traceback."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
sys.path.insert(0, {scripts!r})
from pulmoscan import command
from pulmoscan.data import layout
{body}
command.run(main)
"""


def run(repository: Path, folder: Path, body: str) -> subprocess.CompletedProcess:
    script = folder / "stage.py"
    script.write_text(SCRIPT.format(scripts=str(repository / "scripts"), body=body))
    return subprocess.run([sys.executable, script], capture_output=True, text=True)


def test_an_error_of_the_user_is_one_line(repository, tmp_path):
    done = run(repository, tmp_path, "def main(argv): layout.canonical_class('Flu')")
    assert done.returncode == 1
    classes = "COVID, Lung_Opacity, Normal, Viral Pneumonia"
    assert done.stderr == f"stage: no class 'Flu': the classes are {classes}\n"


def test_an_error_of_a_library_keeps_its_traceback(repository, tmp_path):
    done = run(repository, tmp_path, "import json\ndef main(argv): json.loads('{')")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("stage: Expecting property name")


def test_a_mistake_in_the_code_keeps_its_traceback(repository, tmp_path):
    done = run(repository, tmp_path, "def main(argv): None.x")
    assert done.returncode == 1
    assert "AttributeError" in done.stderr
