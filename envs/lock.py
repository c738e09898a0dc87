"""Resolve the requirements into hash-locked files, and write the conda environments from them.

Reads requirements.in, requirements-dev.in and installer.in; writes the .txt beside each,
requirements-gpu.txt (the development set with the TensorFlow that brings CUDA, for Linux), and the
environments pulmoscan.yaml and pulmoscan-gpu.yaml for `snakemake --sdm conda`.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = "3.11"
GPU_TENSORFLOW = "tensorflow[and-cuda]"


def pins(lock: str) -> dict[str, str]:
    """Return {package: version} of a lock file's text, as it resolves on Linux with Python 3.11."""
    found = {}
    for name, version, marker in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)(.*)", lock, re.MULTILINE):
        if _holds(marker):
            found[name.lower()] = version
    return found


def direct(requirements: str) -> list[str]:
    """Return the names of the packages that a .in file's text asks for on Linux."""
    names = []
    for line in requirements.splitlines():
        requirement = line.partition("#")[0].strip()
        if requirement and not requirement.startswith("-"):
            specifier, _, marker = requirement.partition(";")
            if _holds(f"; {marker}" if marker else ""):
                names.append(re.match(r"[A-Za-z0-9._-]+", specifier)[0].lower())
    return names


def conda_environment(requirements: str, lock: str, gpu: bool) -> str:
    """Return the text of a conda environment: Python from conda-forge, the rest by pip, pinned."""
    versions = pins(lock)
    lines = [
        "# Written by envs/lock.py from the locked requirements; used with --sdm conda.",
        "channels: [conda-forge, nodefaults]",
        "dependencies:",
        f"  - python ={PYTHON}",
        "  - pip",
        "  - pip:",
    ]
    for name in direct(requirements):
        if gpu and name == "tensorflow-cpu":
            lines.append(f"      - {GPU_TENSORFLOW}=={versions['tensorflow']}")
        else:
            lines.append(f"      - {name}=={versions[name]}")
    return "\n".join(lines) + "\n"


def _holds(marker: str) -> bool:
    """Return whether a marker of the lock holds on x86-64 Linux with Python 3.11."""
    from packaging.markers import Marker

    expression = marker.replace("\\", "").strip().removeprefix(";").strip()
    environment = {
        "python_version": PYTHON,
        "python_full_version": f"{PYTHON}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
    }
    return not expression or Marker(expression).evaluate(environment)


def _gpu_requirements() -> Iterator[str]:
    for name in ("requirements.in", "requirements-dev.in"):
        for line in (HERE / name).read_text().splitlines():
            if line.startswith("tensorflow-cpu"):
                yield f"{GPU_TENSORFLOW}{line.removeprefix('tensorflow-cpu').partition(';')[0]}"
            elif not line.startswith(("tensorflow", "-r")):
                yield line


def _compile(source: str, output: str, *options: str, text: str | None = None) -> None:
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--generate-hashes"]
    command += ["--no-header", "--python-version", PYTHON, *options, source, "-o", output]
    subprocess.run(command, cwd=HERE, check=True, text=True, input=text)


def main() -> None:
    """Write all locks, then the conda environments."""
    _compile("installer.in", "installer.txt", "--universal")
    _compile("requirements-dev.in", "requirements-dev.txt", "--universal")
    same = ("-c", "requirements-dev.txt")
    _compile("requirements.in", "requirements.txt", "--universal", *same)
    linux = ("--python-platform", "x86_64-unknown-linux-gnu", *same)
    _compile("-", "requirements-gpu.txt", *linux, text="\n".join(_gpu_requirements()))
    requirements = (HERE / "requirements.in").read_text()
    for name, gpu in (("requirements", False), ("requirements-gpu", True)):
        environment = "pulmoscan-gpu.yaml" if gpu else "pulmoscan.yaml"
        lock = (HERE / f"{name}.txt").read_text()
        (HERE / environment).write_text(conda_environment(requirements, lock, gpu))


if __name__ == "__main__":
    main()
