"""Who starts the processes of a run: srun, torchrun and the like, or Lightning itself."""

import os
from typing import Any

from omegaconf import DictConfig
from pytorch_lightning.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    LSFEnvironment,
    MPIEnvironment,
    TorchElasticEnvironment,
)
from pytorch_lightning.utilities import rank_zero_only

from litconv.config.slurm_step import Step


class SrunTasks(ClusterEnvironment):
    """The processes are the tasks of one srun.

    Lightning's own SLURMEnvironment is not used, in either place: it takes every batch script for a task of srun, and
    what is none for a mistake, on which it prints a hint; it asks for --ntasks-per-node where --ntasks says the same; it
    looks for the first process on the job's first node, which need not be the step's. And it would requeue the job by
    itself (auto_requeue): here that is Slurm's affair alone, which requeues the whole task with all that is in it.
    """

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.step = step

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return os.environ.get("MASTER_ADDR") or self.step.main_address

    @property
    def main_port(self) -> int:
        return int(os.environ.get("MASTER_PORT") or self.step.main_port)

    @staticmethod
    def detect() -> bool:
        return Step.here() is not None

    def world_size(self) -> int:
        return self.step.tasks

    def set_world_size(self, size: int) -> None:
        """Slurm has."""

    def global_rank(self) -> int:
        return self.step.task

    def set_global_rank(self, rank: int) -> None:
        """Slurm has."""

    def local_rank(self) -> int:
        return self.step.local_task

    def node_rank(self) -> int:
        return self.step.node

    def validate_settings(self, num_devices: int, num_nodes: int) -> None:
        self.step.check(num_devices, num_nodes)


def environment(trainer: DictConfig) -> ClusterEnvironment:
    """For a Trainer with these options. It is always said: Lightning's own search prints its hint on every machine with a
    Slurm."""
    if step := Step.of_run(trainer):
        return SrunTasks(step)
    for kind in (TorchElasticEnvironment, LSFEnvironment, MPIEnvironment):
        if kind.detect():
            return kind()
    return alone()


def alone() -> LightningEnvironment:
    """Of a process that nothing else has started as one of several: it is a run of its own, whatever number srun gave it."""
    if Step.here():
        rank_zero_only.rank = 0
    return LightningEnvironment()


def among(plugins: Any, added: ClusterEnvironment) -> list[Any]:
    """`plugins` as a Trainer takes them, and this environment; one of the user's own stands."""
    given = list(plugins) if isinstance(plugins, list | tuple) else [] if plugins is None else [plugins]
    return given if any(isinstance(plugin, ClusterEnvironment) for plugin in given) else [*given, added]
