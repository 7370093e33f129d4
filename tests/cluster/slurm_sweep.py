"""A sweep on the toy Slurm as a user starts it, and what can befall it."""

import json
import os
import random
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import torch
from toy_slurm import ToySlurm

import sweep_process
from sweep_process import is_alive, wait_until

NAME = "far"
LONG = ("++data.n_train=480", "epochs=25")  # some ten seconds of training on a quiet machine


def start(cluster: ToySlurm, folder: Path, *arguments: str) -> subprocess.Popen:
    """The command of a login node."""
    common = ("hydra/launcher=slurm", f"sweep={NAME}")
    return sweep_process.start(folder, *common, *arguments, environment=cluster.environment)


def said(folder: Path) -> str:
    logs = [folder / "launches.log", *sorted(sweep_of(folder).glob(".cluster/*/task_*.log"))]
    return "\n".join(f"{log.name}:\n{log.read_text()}" for log in logs if log.exists())


def sweep_of(folder: Path) -> Path:
    return folder / "sweeps" / NAME


def summaries(folder: Path) -> list[dict]:
    found = []
    for path in sorted(sweep_of(folder).glob("*/summary.json")):
        with suppress(ValueError, FileNotFoundError):
            found.append(json.loads(path.read_text()))
    return found


def statuses(folder: Path) -> list[str]:
    return [summary["status"] for summary in summaries(folder)]


def epochs_done(folder: Path) -> list[int]:
    return [max(path.read_bytes().count(b"\n") - 1, 0) for path in sorted(sweep_of(folder).glob("*/metrics.csv"))]


def wait_for_epochs(folder: Path, runs: int, epochs: int, seconds: float = 300) -> None:
    def there() -> bool:
        done = epochs_done(folder)
        return len(done) >= runs and min(done) >= epochs

    assert wait_until(there, seconds), said(folder)


def checkpoint_epochs(folder: Path) -> list[int]:
    """How many epochs lie in each run's last checkpoint."""
    paths = sorted(sweep_of(folder).glob("*/checkpoints/last.ckpt"))
    return [torch.load(path, weights_only=True)["epoch"] + 1 for path in paths]


def processes(job: str) -> list[int]:
    """Of this machine, those which Slurm started for this array."""
    return [int(pid) for pid in pids() if f"SLURM_ARRAY_JOB_ID={job}\0".encode() in read(int(pid), "environ")]


def jobs(cluster: ToySlurm) -> dict[str, tuple[str, str]]:
    """{task: (state, node)}"""
    lines = cluster.run("squeue", "--noheader", "--array", "--format=%i %T %N").splitlines()
    return {fields[0]: (fields[1], fields[2] if len(fields) > 2 else "") for fields in map(str.split, lines)}


def running(cluster: ToySlurm) -> list[str]:
    return [task for task, (state, _) in jobs(cluster).items() if state == "RUNNING"]


def lose_node(cluster: ToySlurm, node: str) -> None:
    """Its daemon and all that it runs, as a power cut does: those that could still tell Slurm first. Another toy Slurm may
    run on this machine."""
    its = {f"SLURMD_NODENAME={node}".encode(), f"SLURM_CONF={cluster.folder}/slurm.conf".encode()}
    run = [pid for pid in map(int, pids()) if its <= set(read(pid, "environ").split(b"\0"))]
    parents = {parent(pid) for pid in run}
    steps = [pid for pid in parents if read(pid, "cmdline").startswith(b"slurmstepd")]
    assert steps, f"{node} runs nothing"
    for pid in [cluster.pid(f"slurmd_{node}"), *steps, *run]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def pids() -> list[str]:
    return [place.name for place in Path("/proc").iterdir() if place.name.isdigit()]


def read(pid: int, what: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:
        return b""


def parent(pid: int) -> int:
    fields = read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if fields else 0


def disturb(cluster: ToySlurm, command: subprocess.Popen, chance: random.Random) -> str:
    """One mishap at random to a running task, or to the command that waits."""
    tasks = running(cluster)
    what = chance.choice(["scontrol requeue", "scancel", "kill a job", "kill a launch", "kill the command"])
    if what == "kill the command":
        command.kill()
        return what
    if not tasks:
        return "nothing: no task ran"
    task = chance.choice(tasks)
    if what in ("scontrol requeue", "scancel"):
        with suppress(RuntimeError):  # it has just ended
            cluster.run(*what.split(), task)
        return f"{what} {task}"
    found = [pid for pid in processes(task.partition("_")[0]) if is_alive(pid) and is_fit(pid, what)]
    if not found:
        return "nothing: none runs"
    with suppress(ProcessLookupError):
        os.kill(chance.choice(found), signal.SIGKILL)
    return what


def is_fit(pid: int, what: str) -> bool:
    return (b"forkserver" if what == "kill a job" else b"train.py") in read(pid, "cmdline")
