"""Which GPU a process computes on when a machine has several: each process claims a free one.

A device is claimed by binding a socket to a name in Linux's abstract namespace. This needs no file,
is visible to all users of the machine (but not in containers with a network of their own), and the
kernel releases it however the process ends.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

VISIBLE = "CUDA_VISIBLE_DEVICES"
CHECK_EVERY = 1.0  # seconds, while all devices are in use
_claims: list[socket.socket] = []  # of this process; closing one would release its device


def claim(check_every: float = CHECK_EVERY) -> str | None:
    """Claim a free visible GPU until this process ends, and make it the only visible one.

    While other processes hold all of them, says so once and waits. Returns the device, as in
    ``CUDA_VISIBLE_DEVICES``. Returns None, and changes nothing, where there is no choice: with at
    most one visible GPU (a scheduler that assigns GPUs shows a job its own), when this process has
    claimed one already, and on systems other than Linux. Call it before a backend is imported.
    """
    value = os.environ.get(VISIBLE)
    if _claims or sys.platform != "linux" or (value is not None and "," not in value):
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
                _claims.append(held)
                os.environ[VISIBLE] = device
                print(f"on GPU {device}, one of {len(devices)}", flush=True)
                return device
        if not waiting:
            print(f"all of the GPUs {', '.join(devices)} are in use: waiting for one", flush=True)
            waiting = True
        time.sleep(check_every)


def visible(value: str | None, installed: Sequence[str]) -> list[str]:
    """Return which of the installed devices ``CUDA_VISIBLE_DEVICES`` shows.

    As CUDA reads it: unset (None) shows all; otherwise the list ends before the first entry that is
    not a device, such as ``-1`` or a number too high, and a repeated entry hides all devices.
    ``installed`` are the numbers of the devices, empty where they are not known.
    """
    if value is None:
        return list(installed)
    devices = []
    for entry in (part.strip() for part in value.split(",")):
        if not entry or entry.startswith("-") or entry == "NoDevFiles":
            break
        if installed and entry.isdecimal() and entry not in installed:
            break
        devices.append(entry)
    return devices if len(set(devices)) == len(devices) else []


def _listed() -> list[tuple[str, str]]:
    """Return ``(index, UUID)`` of the machine's GPUs; an empty list without NVIDIA's driver."""
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
    """Return the UUID of a device given by its number or by the beginning of its UUID."""
    for index, uuid in listed:
        if device == index or (device.startswith("GPU-") and uuid.startswith(device)):
            return uuid
    return device


def _bind(name: str) -> socket.socket | None:
    """Return a socket bound to a name, or None if another process holds the name."""
    held = socket.socket(socket.AF_UNIX)
    try:
        held.bind(f"\0{name}")
    except OSError:
        held.close()
        return None
    return held
