"""A Ray of two nodes on this machine, a sweep on it as a user starts it, and what can befall both."""

import os
import random
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from slurm_sweep import NAME, parent, pids, read

import sweep_process
from sweep_process import children, is_alive


class ToyRay:
    """The head holds the cluster together and is never lost; the other node is."""

    def __init__(self) -> None:
        # Other work on this machine is no reason to kill tasks.
        os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")
        os.environ.pop("RAY_ADDRESS", None)
        from ray.cluster_utils import Cluster

        size = {"num_cpus": 2, "object_store_memory": 100_000_000}
        self.size = size
        self.cluster = Cluster(initialize_head=True, head_node_args={**size, "include_dashboard": False})
        self.other = None
        self.start_node()

    @property
    def address(self) -> str:
        return self.cluster.address

    def start_node(self) -> None:
        if self.other is None:
            self.other = self.cluster.add_node(**self.size)

    def lose_node(self) -> None:
        if self.other is not None:
            self.cluster.remove_node(self.other, allow_graceful=False)
            self.other = None

    def stop(self) -> None:
        self.cluster.shutdown()


def start(address: str, folder: Path, *arguments: str) -> subprocess.Popen:
    common = ("hydra/launcher=ray", f"hydra.launcher.address={address}", f"sweep={NAME}")
    return sweep_process.start(folder, *common, *arguments)


def commands(folder: Path, word: bytes) -> list[int]:
    """Processes of this sweep with the word on their command line, which every one of a task has with the folder's name."""
    place = os.fsencode(folder / "sweeps" / NAME / ".cluster")
    lines = {int(pid): read(int(pid), "cmdline") for pid in pids()}
    return [pid for pid, line in lines.items() if word in line and place in line]


def workers(folder: Path) -> list[int]:
    """Ray's, which have the tasks of this sweep."""
    return [found for task in commands(folder, b"litconv.cluster.task") if (found := parent(task))]


def jobs(folder: Path) -> list[int]:
    """What trains: below a launch its fork server, and below that."""
    return [job for launch in commands(folder, b"train.py") for server in children(launch) for job in children(server)]


def is_quiet(folder: Path) -> bool:
    """Whether no process of the sweep is left."""
    return not any(map(is_alive, [*commands(folder, b"train.py"), *commands(folder, b"litconv.cluster.task")]))


def disturb(toy: ToyRay, folder: Path, command: subprocess.Popen, chance: random.Random) -> str:
    """One mishap at random."""
    what = chance.choice(["a worker", "a node", "a launch", "a job", "SIGINT", "SIGTERM", "SIGKILL"])
    if what.startswith("SIG"):
        command.send_signal(signal.Signals[what])
    elif what == "a node":
        toy.lose_node()
    else:
        kinds = {"a worker": workers, "a launch": lambda at: commands(at, b"train.py"), "a job": jobs}
        if not (found := kinds[what](folder)):
            return f"nothing: {what} was to be killed, and none ran"
        with suppress(ProcessLookupError):
            os.kill(chance.choice(found), signal.SIGKILL)
    return what
