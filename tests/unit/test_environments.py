"""What is installed by pip, by conda and on a GPU is the same, and pinned."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
ENVS = REPOSITORY / "envs"


def requirements(name: str) -> set[str]:
    lines = (
        line.partition("#")[0].partition(";")[0] for line in (ENVS / name).read_text().splitlines()
    )
    return {
        re.split(r"[=\[<>]", line)[0].strip() for line in lines if line.strip() and line[0] != "-"
    }


def pinned(name: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([\w.-]+)==([^\s;]+)", (ENVS / name).read_text(), re.M):
        found.setdefault(package, set()).add(version)
    return found


@pytest.mark.parametrize("environment", ["pulmoscan.yaml", "pulmoscan-gpu.yaml"])
def test_conda_carries_the_pins_of_the_lock(environment):
    lock = pinned("requirements.txt")
    *_, pip = yaml.safe_load((ENVS / environment).read_text())["dependencies"]
    pins = dict(re.sub(r"\[.*\]", "", entry).split("==") for entry in pip["pip"])
    tensorflow = {"tensorflow-cpu", "tensorflow"}
    assert pins.keys() - tensorflow == requirements("requirements.in") - tensorflow
    assert len(pins.keys() & tensorflow) == 1
    for package, version in pins.items():
        assert version in lock[package]


@pytest.mark.parametrize(
    "name", ["requirements.txt", "requirements-dev.txt", "requirements-gpu.txt", "installer.txt"]
)
def test_every_locked_package_has_hashes_and_names_no_host(name):
    text = (ENVS / name).read_text()
    assert len(re.findall(r"^[\w.-]+==", text, re.M)) == len(
        re.findall(r"^[\w.-]+==.*\\\n\s+--hash=sha256:", text, re.M)
    )
    assert "://" not in text


def test_the_locks_agree():
    development = pinned("requirements-dev.txt")
    for name in ("requirements.txt", "requirements-gpu.txt"):
        for package, versions in pinned(name).items():
            if package in development:
                assert versions <= development[package], package


def test_what_is_installed_is_what_is_locked():
    from importlib.metadata import version

    lock = pinned("requirements-dev.txt")
    for package in requirements("requirements.in") - {"tensorflow", "tensorflow-cpu"}:
        assert version(package) in lock[package]


def test_a_python_without_wheels_is_told_in_one_line():
    code = (
        "import sys; sys.version_info = type('V', (tuple,), {})((3, 10, 2)); "
        f"sys.argv = ['check']; exec(open({str(ENVS / 'check_python.py')!r}).read())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "3.11, 3.12 and 3.13" in done.stderr
    assert "make env PYTHON=" in done.stderr


def test_a_missing_venv_module_is_told_in_one_line():
    code = (
        "import sys; sys.modules['ensurepip'] = None; "
        f"exec(open({str(ENVS / 'check_python.py')!r}).read())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "python3-venv" in done.stderr
