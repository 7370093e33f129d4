"""A batch as a job array of Slurm."""

import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from math import ceil, inf

from litconv.cluster import slurm
from litconv.cluster.asked import KEY, check_asked
from litconv.cluster.batch import Batch
from litconv.cluster.options import TaskOptions
from litconv.config.root_keys import Bound, at_least
from litconv.errors import ConfigError
from litconv.signals import Signals

BOUNDS = {
    **dict.fromkeys(("points_per_task", "array_parallelism", "timeout_min"), at_least(1)),
    **dict.fromkeys(("cpus_per_task", "gpus_per_node"), at_least(1)),
    "mem_gb": Bound("greater than 0 and finite", lambda size: 0 < size < inf),
    "grace_seconds": at_least(0),
}
# Options of sbatch that are litconv's own, and what says it instead.
OWN = {
    "array": f"{KEY}.points_per_task and {KEY}.array_parallelism say it",
    "signal": f"{KEY}.grace_seconds says it",
    "output": "what tasks print lies in the sweep's folder",
    "open-mode": "what tasks print lies in the sweep's folder",
    "chdir": "tasks work where the command was given",
    "wait": "the command waits by itself, unless wait=false",
}
# What sbatch says of a wrong value, and the options that it is about.
FAULTS = {
    r"partition": (("partition",), "`sinfo -s` lists them"),
    r"account": (("account",), "`sacctmgr show assoc user=$USER` lists yours"),
    r"qos": (("qos",), "`sacctmgr show qos` lists them"),
    r"time limit": (("timeout_min",), "`sinfo -o '%P %l'` shows the limit of each partition"),
    r"node configuration|cpu count|memory": (
        ("cpus_per_task", "mem_gb", "gpus_per_node"),
        "`sinfo -N -o '%N %c %m %G'` shows what each node has",
    ),
    r"gres|generic resource": (("gpus_per_node",), "`sinfo -N -o '%N %G'` shows what each node has"),
    r"feature": (("constraint",), "`sinfo -o '%N %f'` lists the features of the nodes"),
}


@dataclass(frozen=True)
class Asked:
    """`hydra.launcher.…`"""

    points_per_task: int | None
    array_parallelism: int | None
    partition: str | int | None
    account: str | int | None  # some are called by a number
    qos: str | int | None
    constraint: str | None
    timeout_min: int | None
    cpus_per_task: int
    gpus_per_node: int | None
    mem_gb: float | None
    grace_seconds: int
    sbatch_options: list[str]
    setup: list[str]

    def check(self) -> None:
        check_asked(self, BOUNDS)
        for written in self.sbatch_options:
            check_option(written)
        if self.timeout_min is not None and self.timeout_min * 60 <= self.grace_seconds:
            raise ConfigError(
                f"{KEY}.timeout_min={self.timeout_min} is over before its warning {KEY}.grace_seconds={self.grace_seconds} "
                f"can come; give the tasks more time, or a shorter grace"
            )

    def per_task(self, options: TaskOptions) -> int:
        """Points; by default those that a task trains at a time."""
        if self.points_per_task is not None:
            return self.points_per_task
        return options.at_a_time(self.cpus_per_task, self.gpus_per_node or 0)


class Array:
    """The cluster of a `Session`."""

    launcher = "slurm"
    spans_nodes = True

    def __init__(self, asked: Asked, options: TaskOptions) -> None:
        asked.check()
        self.asked, self.points_per_task = asked, asked.per_task(options)
        self.signals = Signals()

    def check(self) -> None:
        try:
            slurm.ask("sbatch", "--version")
        except slurm.SlurmError as error:
            raise ConfigError(
                f"hydra/launcher=slurm: {error}; give the command where Slurm's are, or leave hydra/launcher out to train here"
            ) from None

    def submit(self, batch: Batch) -> str:
        """Its number."""
        if batch.nodes > 1 and self.asked.points_per_task not in (None, 1):
            raise ConfigError(
                f"{KEY}.points_per_task={self.asked.points_per_task} with trainer.num_nodes={batch.nodes}: a task on several "
                f"nodes is one run; leave points_per_task out"
            )
        command = shlex.join([sys.executable, "-m", "litconv.cluster.task", str(batch.folder)])
        text = slurm.script(
            self.sbatch(batch), self.asked.setup, batch.folder / "batch.json", f'{command} "$SLURM_ARRAY_TASK_ID"'
        )
        script = batch.folder / "array.sh"
        script.write_text(text)
        try:
            return slurm.submit(script)
        except slurm.SlurmError as error:
            raise ConfigError(self.fault(str(error))) from None

    def sbatch(self, batch: Batch) -> Mapping[str, str | int | None]:
        asked, at_a_time = self.asked, f"%{self.asked.array_parallelism}" if self.asked.array_parallelism else ""
        return {
            "job-name": batch.sweep.name,
            "array": f"0-{len(batch.tasks) - 1}{at_a_time}",
            "output": shlex.quote(str(batch.folder / "task_%a.log")),
            "open-mode": "append",  # a task that is requeued goes on in it
            "requeue": "",
            "signal": f"B:{slurm.WARNING.name.removeprefix('SIG')}@{asked.grace_seconds}",
            "chdir": shlex.quote(os.getcwd()),  # noqa: PTH109 a string
            "partition": asked.partition,
            "account": asked.account,
            "qos": asked.qos,
            "constraint": asked.constraint,
            "time": asked.timeout_min,
            **({"nodes": batch.nodes, "ntasks-per-node": batch.per_node} if batch.nodes > 1 else {}),
            "cpus-per-task": asked.cpus_per_task,
            "gpus-per-node": asked.gpus_per_node,
            "mem": None if asked.mem_gb is None else f"{ceil(asked.mem_gb * 1024)}M",
            **dict(map(option, asked.sbatch_options)),
        }

    def fault(self, said: str) -> str:
        for pattern, (names, remedy) in FAULTS.items():
            if re.search(pattern, said, re.IGNORECASE):
                given = [f"{KEY}.{n}={value}" for n in names if (value := getattr(self.asked, n)) is not None]
                return f"{' '.join(given) or f'{KEY}.{names[0]}'}: Slurm refuses it ({said}); {remedy}"
        return f"hydra/launcher=slurm: sbatch refuses the array ({said})"

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Ctrl-C, SIGTERM and a lost terminal end the command, not its tasks."""
        self.signals.install()
        try:
            yield
        finally:
            self.signals.restore()

    def undisturbed(self) -> AbstractContextManager[None]:
        return self.signals.held()

    def tasks(self, batch: Batch) -> dict[int, slurm.TaskState]:
        self.signals.check()  # one that came while tasks were handed over
        return slurm.tasks(batch.job)

    def why_ended(self, batch: Batch, task: int) -> str:
        return why_ended(batch, task)


def why_ended(batch: Batch, task: int) -> str:
    """Of a task that is over although a point of it has not ended."""
    if batch.cancelled.exists():
        return "its task was cancelled"
    if batch.starts(task):
        return batch.ending(task)
    state, node = slurm.end_of(batch.job, task)
    if state == "CANCELLED":
        return "its task was cancelled before it began"
    where = f"on {node} " if node else ""
    return (
        f"its task ended {where}before it began; does that node see {batch.sweep}, and Python? "
        "The sweep's folder (output_dir=…) and the installation must lie where all nodes share them"
    )


def option(written: str) -> tuple[str, str]:
    """Name and value of one that is sbatch's own, with its dashes or without."""
    name, _, value = written.lstrip("-").partition("=")
    return name, value


def check_option(written: str) -> None:
    name, _ = option(written)
    if written.startswith("-") and not written.startswith("--"):
        raise ConfigError(
            f"{KEY}.sbatch_options: {written} is short for another; write the long one, such as --mail-type=END"
        )
    if name in OWN:
        raise ConfigError(f"{KEY}.sbatch_options: --{name} is set by litconv; leave it out, {OWN[name]}")
