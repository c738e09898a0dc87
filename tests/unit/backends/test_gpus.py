"""Several GPUs in one machine: each process gets its own. The devices are simulated by name."""

import os
import subprocess
import sys

import pytest
from pulmoscan.backends import gpus

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="devices are claimed under Linux only"
)

CLAIM = (
    "from pulmoscan.backends import gpus; import os; device = gpus.claim(0.05); "
    "print('claimed', device, os.environ.get('CUDA_VISIBLE_DEVICES'), flush=True); input()"
)


@pytest.fixture
def devices(monkeypatch):
    """The names of four devices that only this test run uses."""
    names = [f"GPU-{os.getpid()}-{number}" for number in range(4)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(names))
    return names


@pytest.fixture
def process(repository):
    """A function that starts a process which claims a device and holds it."""
    started = []

    def start():
        one = subprocess.Popen(
            [sys.executable, "-c", CLAIM],
            env=os.environ | {"PYTHONPATH": str(repository / "scripts")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(one)
        return one

    yield start
    for one in started:
        one.kill()
        one.communicate()


def claimed(process):
    """Return the device that a process reports as claimed."""
    assert process.stdout.readline().startswith("on GPU")
    word, device, visible = process.stdout.readline().split()
    assert word == "claimed"
    assert device == visible
    return device


def test_each_process_gets_a_device_of_its_own(process, devices):
    running = [process() for _ in range(4)]
    assert {claimed(one) for one in running} == set(devices)


@pytest.mark.parametrize("how", ["kill", "terminate", "end"])
def test_a_fifth_process_waits_until_one_ends_or_is_killed(process, devices, how):
    running = [process() for _ in range(4)]
    held = {claimed(one): one for one in running}
    late = process()
    line = late.stdout.readline()
    assert line.startswith("all of the GPUs")
    assert all(device in line for device in devices)
    if how == "end":
        held[devices[2]].communicate("\n")
    else:
        getattr(held[devices[2]], how)()
    assert claimed(late) == devices[2]


@pytest.mark.parametrize("value", ["", "-1", "7"])
def test_without_a_choice_nothing_is_claimed(process, monkeypatch, value):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    two = [process(), process()]  # the second does not wait
    for one in two:
        assert one.stdout.readline().split() == ["claimed", "None", *([value] if value else [])]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ["0", "1", "2"]),
        ("", []),
        ("2,0", ["2", "0"]),
        ("1,-1,2", ["1"]),
        ("NoDevFiles", []),
        ("0,0", []),
        ("0,7,1", ["0"]),
        ("GPU-a, GPU-b", ["GPU-a", "GPU-b"]),
    ],
)
def test_visible_devices_are_read_as_cuda_reads_them(value, shown):
    assert gpus.visible(value, ["0", "1", "2"]) == shown


def test_an_index_and_a_uuid_name_the_same_device(process, tmp_path, monkeypatch):
    smi = tmp_path / "nvidia-smi"
    smi.write_text(f"#!/bin/sh\necho '0, GPU-{os.getpid()}-a'\necho '1, GPU-{os.getpid()}-b'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert claimed(process()) == "0"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"GPU-{os.getpid()}-a,GPU-{os.getpid()}-b")
    assert claimed(process()) == f"GPU-{os.getpid()}-b"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,7")  # there is no device 7, so no choice
    assert process().stdout.readline().startswith("claimed None")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert process().stdout.readline().startswith("all of the GPUs 0, 1 are in use")
