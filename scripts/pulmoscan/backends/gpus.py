"""Which GPU a process computes on, where a machine has several: each process takes a free one.

A device is taken by binding a socket to a name in Linux' abstract namespace. It needs no file, is
seen by all users of the machine (not from containers with a network of their own), and is given
back by the kernel however the process ends.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

VISIBLE = "CUDA_VISIBLE_DEVICES"
CHECK_EVERY = 1.0  # seconds, while all devices are taken
_taken: list[socket.socket] = []  # that of this process; closing it would give the device back


def claim(check_every: float = CHECK_EVERY) -> str | None:
    """Take a free one of the visible GPUs until this process ends, and make it the only visible.

    Waits, saying so once, while other processes hold all of them. Returns the device, as in
    ``CUDA_VISIBLE_DEVICES``. Returns None, and changes nothing, where there is no choice: with no
    or one visible GPU (a scheduler that hands out GPUs shows a job its own), when this process has
    taken one, and on other systems than Linux. It is to be called before a backend is imported.
    """
    value = os.environ.get(VISIBLE)
    if _taken or sys.platform != "linux" or (value is not None and "," not in value):
        return None
    listed = _listed()
    devices = visible(value, [index for index, _ in listed])
    if len(devices) < 2:
        return None
    names = {device: _uuid(device, listed) for device in devices}
    waiting = False
    while True:
        for device in devices:
            if (held := _bind(f"pulmoscan-gpu-{names[device]}")) is not None:
                _taken.append(held)
                os.environ[VISIBLE] = device
                print(f"on GPU {device}, one of {len(devices)}", flush=True)
                return device
        if not waiting:
            print(f"all of the GPUs {', '.join(devices)} are in use: waiting for one", flush=True)
            waiting = True
        time.sleep(check_every)


def visible(value: str | None, there: Sequence[str]) -> list[str]:
    """Return the devices that ``CUDA_VISIBLE_DEVICES`` shows of those that are there.

    As CUDA reads it: unset (None) shows all; else the list ends before the first entry that is no
    device's, such as ``-1`` or a number too high, and an entry that comes twice shows nothing.
    ``there`` are the numbers of the devices, empty where they are not known.
    """
    if value is None:
        return list(there)
    devices = []
    for entry in (part.strip() for part in value.split(",")):
        if not entry or entry.startswith("-") or entry == "NoDevFiles":
            break
        if there and entry.isdecimal() and entry not in there:
            break
        devices.append(entry)
    return devices if len(set(devices)) == len(devices) else []


def _listed() -> list[tuple[str, str]]:
    """Return ``(index, UUID)`` of the machine's GPUs; none without NVIDIA's driver."""
    command = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    if done.returncode != 0:
        return []
    pairs = (line.split(",") for line in done.stdout.splitlines() if "," in line)
    return [(index.strip(), uuid.strip()) for index, uuid in pairs]


def _uuid(device: str, listed: Sequence[tuple[str, str]]) -> str:
    """Return the UUID of a device that is named by its number or by the beginning of its UUID."""
    for index, uuid in listed:
        if device == index or (device.startswith("GPU-") and uuid.startswith(device)):
            return uuid
    return device


def _bind(name: str) -> socket.socket | None:
    """Return a socket bound to a name, None where another process has it."""
    held = socket.socket(socket.AF_UNIX)
    try:
        held.bind(f"\0{name}")
    except OSError:
        held.close()
        return None
    return held
