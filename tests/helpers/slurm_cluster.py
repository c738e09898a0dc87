"""A Slurm of one node on this machine, with two GPUs that are none, started and stopped by tests.

It needs root, Debian's packages slurm-wlm and munge, and no other Slurm on the machine: its
configuration has to be /etc/slurm/slurm.conf, where the executor of Snakemake looks for it.
"""

import fcntl
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

SETTINGS = Path("/etc/slurm")
FILES = ("slurm.conf", "gres.conf")
LOCK = Path("/run/lock/slurm-of-tests")  # two tests at once would share its ports
CPUS = 8  # more than the machine may have: most jobs of the tests wait for files, not for a CPU
GPUS = 2
STARTED_WITHIN = 30  # seconds

MARK = "# of the tests of a workflow, which remove it\n"
SLURM_CONF = """\
ClusterName=toy
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
# Jobs that take more memory than they asked for are ended, as cgroups do it on a real node.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
GresTypes=gpu
ReturnToService=2
SlurmdParameters=config_overrides
MinJobAge=3600
KillWait=1
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} Sockets=1 CoresPerSocket={cpus} ThreadsPerCore=1 \
RealMemory=40000 Gres=gpu:toy:{gpus} State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={host} MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Return why there can be no Slurm here, None where there can."""
    if any(shutil.which(program) is None for program in ("slurmctld", "slurmd", "munged")):
        return "no slurmctld, slurmd or munged on the PATH"
    if os.geteuid() != 0:
        return "Slurm's daemons want root"
    for path in (SETTINGS / name for name in FILES):
        if path.exists() and not path.read_text().startswith(MARK):
            return f"{SETTINGS} has a configuration already"
    return None


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """Run Slurm, with its files in a folder, until the end of the block.

    Waits for another one of the tests, and ends the daemons of tests that were killed.
    """
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            _stop_daemons((SETTINGS / "slurm.conf").read_text())
        with _started(folder):
            yield


@contextmanager
def _started(folder: Path) -> Iterator[None]:
    host = socket.gethostname().partition(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    for number in range(GPUS):  # a GPU of Slurm has to be a device: these are like /dev/null
        os.mknod(folder / f"nvidia{number}", 0o20666, os.makedev(1, 3))
    values = {"host": host, "folder": folder, "cpus": CPUS, "gpus": GPUS}
    settings = MARK + SLURM_CONF.format(**values)
    started_munge = False
    try:
        SETTINGS.mkdir(exist_ok=True)
        (SETTINGS / "slurm.conf").write_text(settings)
        (SETTINGS / "gres.conf").write_text(
            f"{MARK}NodeName={host} Name=gpu Type=toy File={folder}/nvidia[0-{GPUS - 1}]\n"
        )
        started_munge = _start_munge()
        for command in (["slurmctld"], ["slurmd", "-N", host]):
            subprocess.run(command, check=True)
        _wait_until_idle(folder)
        yield
    finally:
        _end_jobs()
        _stop_daemons(settings)
        if started_munge:
            subprocess.run(["munged", "--stop"], check=False, capture_output=True)
        _remove_settings()


def jobs() -> list[dict[str, str]]:
    """Return all jobs that there were: what ``scontrol show job`` says, by its names."""
    shown = subprocess.run(
        ["scontrol", "--oneliner", "show", "job"], check=True, capture_output=True, text=True
    ).stdout
    return [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in shown.splitlines() if line]


def _start_munge() -> bool:
    # Its socket may lie there although it is dead: after a restart of a container, for example.
    if subprocess.run(["munge", "--no-input"], capture_output=True).returncode == 0:
        return False
    for folder, mode in (
        ("/run/munge", "755"),
        ("/var/log/munge", "700"),
        ("/var/lib/munge", "700"),
    ):
        subprocess.run(
            ["install", "-d", "-o", "munge", "-g", "munge", "-m", mode, folder], check=True
        )
    subprocess.run(["runuser", "-u", "munge", "--", "munged"], check=True)
    return True


def _wait_until_idle(folder: Path) -> None:
    deadline = time.monotonic() + STARTED_WITHIN
    while time.monotonic() < deadline:
        asked = subprocess.run(
            ["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True
        )
        if asked.stdout.split()[:1] == ["idle"]:
            return
        time.sleep(0.2)
    said = [f"{path}:\n{path.read_text()[-2000:]}" for path in sorted(folder.glob("*.log"))]
    raise TimeoutError(
        f"Slurm's node is not idle after {STARTED_WITHIN} s: {asked.stdout}{asked.stderr}\n"
        + "\n".join(said)
    )


def _remove_settings() -> None:
    for path in (SETTINGS / name for name in FILES):
        path.unlink(missing_ok=True)


def _stop_daemons(settings: str) -> None:
    """End slurmd and slurmctld of a configuration of the tests, which says where they note them."""
    for name, file in re.findall(r"^(Slurmd|Slurmctld)PidFile=(.+)$", settings, re.MULTILINE):
        # A daemon that was killed while it started may have left an empty file.
        with suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
            daemon = psutil.Process(int(Path(file).read_text()))
            if daemon.name() == name.lower():  # after a restart the number may be another's
                daemon.terminate()
                if psutil.wait_procs([daemon], timeout=20)[1]:
                    daemon.kill()


def _end_jobs() -> None:
    """Cancel the jobs that a failed test has left, and wait until they are gone."""
    subprocess.run(["scancel", "--me"], check=False, capture_output=True)
    deadline = time.monotonic() + STARTED_WITHIN
    while time.monotonic() < deadline:
        left = subprocess.run(["squeue", "--me", "--noheader"], capture_output=True, text=True)
        if not left.stdout.strip():
            return
        time.sleep(0.2)
