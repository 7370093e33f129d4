"""The tasks that one `srun` starts, and whether they are the processes of one run. Slurm says it in each task's environment."""

import os
import re
import socket
import subprocess
from dataclasses import dataclass

from omegaconf import DictConfig

from litconv.config.environment import CHECKED
from litconv.errors import ConfigError

# Lightning's default options, each of which leaves a run in one process.
ONE_DEVICE = (1, "1")
ONE_STRATEGY = (None, "auto")


@dataclass(frozen=True)
class Step:
    """A batch script has SLURM_PROCID and SLURM_NTASKS too; only what srun has started has a step's number."""

    job: int
    number: int
    tasks_per_node: tuple[int, ...]
    nodelist: str
    task: int  # of this process, from 0 over all nodes
    local_task: int  # on its node
    node: int

    @classmethod
    def here(cls) -> "Step | None":
        """The one to which this process belongs."""
        if "SLURM_STEP_ID" not in os.environ or "SLURM_STEP_TASKS_PER_NODE" not in os.environ:
            return None
        read = os.environ.__getitem__
        return cls(
            job=int(read("SLURM_JOB_ID")),
            number=int(read("SLURM_STEP_ID")),
            tasks_per_node=counts(read("SLURM_STEP_TASKS_PER_NODE")),
            nodelist=read("SLURM_STEP_NODELIST"),
            task=int(read("SLURM_PROCID")),
            local_task=int(read("SLURM_LOCALID")),
            node=int(read("SLURM_NODEID")),
        )

    @classmethod
    def of_run(cls, trainer: DictConfig | None) -> "Step | None":
        """The step whose tasks are the processes of the run with this `trainer`.

        None where each task is a run of its own: srun may start several runs of one device, several agents of wandb, or
        several launches of a sweep, whose jobs inherit the step's variables. A single task that trains on several devices
        starts the other processes itself, as on any machine.
        """
        step = None if CHECKED in os.environ or trainer is None else cls.here()
        if step is None:
            return None
        nodes = trainer.get("num_nodes", 1)
        several = nodes != 1 or trainer.get("devices") not in ONE_DEVICE or trainer.get("strategy") not in ONE_STRATEGY
        return step if several and (step.tasks > 1 or nodes != 1) else None

    @property
    def tasks(self) -> int:
        return sum(self.tasks_per_node)

    @property
    def main_address(self) -> str:
        """Of the first of its nodes, where its first task runs."""
        return address_of(first_node(self.nodelist))

    @property
    def main_port(self) -> int:
        """All tasks come to the same one, below those that a kernel hands out by itself; jobs that share a node, and steps of
        one job, have different ones."""
        return 15000 + (self.job + 7919 * self.number) % 17700

    def check(self, devices: int, nodes: int) -> None:
        """Refuse a trainer for which srun has started too many processes, or too few."""
        if len(self.tasks_per_node) != nodes:
            started = len(self.tasks_per_node)
            raise ConfigError(
                f"trainer.num_nodes={nodes}, and srun --nodes={started} started this run; set trainer.num_nodes={started}, "
                f"or srun --nodes={nodes}"
            )
        if set(self.tasks_per_node) != {devices}:
            started = ",".join(map(str, sorted(set(self.tasks_per_node))))
            alike = f"set trainer.devices={started}, or " if started.isdigit() else "use "
            raise ConfigError(
                f"trainer.devices={devices}, and srun --ntasks-per-node={started} started this run; {alike}"
                f"srun --ntasks-per-node={devices}, and let each task see all GPUs of its node (--gpus-per-node)"
            )


def is_first(trainer: DictConfig | None) -> bool:
    """Whether this process is the one of its run that speaks; torchrun and Lightning number the others too."""
    step = Step.of_run(trainer)
    return (step.task if step else int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")))) == 0


def counts(text: str) -> tuple[int, ...]:
    """Of Slurm's `2(x3),1`: 2, 2, 2, 1."""
    parts = [re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part) for part in text.split(",")]
    return tuple(int(part[1]) for part in parts for _ in range(int(part[2] or 1)))


def first_node(nodelist: str) -> str:
    """Of Slurm's `gpu[03-05,9],cpu1`: gpu03."""
    head, bracket, ranges = nodelist.partition(",")[0].partition("[")
    return head + re.match(r"\d+", ranges)[0] if bracket else head


def address_of(node: str) -> str:
    """Its name, or what Slurm calls it by where nothing else knows the name."""
    try:
        socket.getaddrinfo(node, None)
    except OSError:
        command = ["scontrol", "show", "node", node, "--oneliner"]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        found = re.search(r"\bNodeAddr=(\S+)", said)
        return found[1] if found else node
    return node
