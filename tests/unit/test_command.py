"""Files are whole or absent, and a script ends with one line when the user can mend the cause."""

import subprocess
import sys
from pathlib import Path

import pytest
from pulmoscan.storage.atomic import replacing

SCRIPT = """
import sys
sys.path.insert(0, {scripts!r})
from pulmoscan import command, database
{body}
command.run(main)
"""


def run(repository: Path, folder: Path, body: str) -> subprocess.CompletedProcess:
    script = folder / "stage.py"
    script.write_text(SCRIPT.format(scripts=str(repository / "scripts"), body=body))
    return subprocess.run([sys.executable, script], capture_output=True, text=True)


def test_a_problem_of_the_user_is_one_line(repository, tmp_path):
    done = run(repository, tmp_path, "def main(argv): database.canonical_class('Flu')")
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


def test_a_replaced_file_is_whole(tmp_path):
    target = tmp_path / "new/table.tsv"
    with replacing(target) as path:
        path.write_text("a\n")
        assert path.suffix == ".tsv"
        assert not target.exists()
    assert target.read_text() == "a\n"
    assert [file.name for file in target.parent.iterdir()] == ["table.tsv"]


def test_a_failed_write_leaves_the_old_file_alone(tmp_path):
    target = tmp_path / "table.tsv"
    target.write_text("old")

    def write_half() -> None:
        with replacing(target) as path:
            path.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert target.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["table.tsv"]
