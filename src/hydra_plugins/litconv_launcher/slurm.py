"""hydra/launcher=slurm: Hydra finds launchers only in `hydra_plugins`. What it does stands in `litconv.cluster`."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.litconv_launcher.own import OwnLauncher

# litconv is imported late: Hydra imports this file for every command.


class SlurmLauncher(OwnLauncher):
    """`points_per_task`: None for as many as a task trains at a time. `grace_seconds`: how long before the time limit runs are
    interrupted. `sbatch_options`: any others, such as `--mail-type=END`. `setup`: lines of shell before each task, such as
    `module load cuda`. The rest is sbatch's, or the local launcher's on each node."""

    def __init__(
        self,
        wait: bool,
        rerun: str,
        n_jobs: int,
        slots_per_gpu: int,
        time_limit_minutes: float,
        points_per_task: int | None = None,
        array_parallelism: int | None = None,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        constraint: str | None = None,
        timeout_min: int | None = None,
        cpus_per_task: int = 1,
        gpus_per_node: int | None = None,
        mem_gb: float | None = None,
        grace_seconds: int = 90,
        sbatch_options: Sequence[str] = (),
        setup: Sequence[str] = (),
    ) -> None:
        self.wait, self.rerun = wait, rerun
        self.task_options = (n_jobs, slots_per_gpu, time_limit_minutes)
        self.asked = (points_per_task, array_parallelism, partition, account, qos, constraint, timeout_min)
        self.asked += (cpus_per_task, gpus_per_node, mem_gb, grace_seconds, sbatch_options, setup)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from litconv.cluster.array import Array, Asked
        from litconv.cluster.options import TaskOptions
        from litconv.cluster.session import Session

        options = TaskOptions.of(config, self.rerun, *self.task_options)
        plain = [OmegaConf.to_container(one) if OmegaConf.is_config(one) else one for one in self.asked]
        self.cluster = Array(Asked(*plain), options)
        session = Session(Path(str(config.hydra.sweep.dir)), self.cluster, options, self.wait)
        self.begin(session, config, hydra_context)

    def attended(self) -> AbstractContextManager[None]:
        return self.cluster.interruptible()
