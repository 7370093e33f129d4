"""hydra/launcher=ray: Hydra finds launchers only in `hydra_plugins`. What it does stands in `litconv.cluster`."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.litconv_launcher.returned import Returned

# litconv is imported late: Hydra imports this file for every command.


class RayLauncher(Launcher):
    """`address`: auto, local, HOST:PORT or ray://HOST:PORT. `points_per_task`: None for as many as a task trains at a time.
    The rest is the local launcher's on each node."""

    records_points = True

    def __init__(
        self,
        wait: bool,
        rerun: str,
        n_jobs: int,
        slots_per_gpu: int,
        time_limit_minutes: float,
        address: str = "auto",
        points_per_task: int | None = None,
        cpus_per_task: int = 1,
        gpus_per_task: float = 0,
    ) -> None:
        self.wait, self.rerun = wait, rerun
        self.task_options = (n_jobs, slots_per_gpu, time_limit_minutes)
        self.asked = (address, points_per_task, cpus_per_task, gpus_per_task)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from litconv.cluster.options import TaskOptions
        from litconv.cluster.ray_asked import Asked, refuse_to_leave
        from litconv.cluster.ray_tasks import RayTasks
        from litconv.cluster.session import Session
        from litconv.config.command_line import at_end_of_sweep
        from litconv.sweep.memory import Memory

        if not self.wait:
            refuse_to_leave()
        self.config, self.context, self.memory = config, hydra_context, Memory.of(config)
        options = TaskOptions.of(config, self.rerun, *self.task_options)
        self.cluster = RayTasks(Asked(*self.asked), options)
        self.session = Session(Path(str(config.hydra.sweep.dir)), self.cluster, options, waits=True)
        at_end_of_sweep(self.session.show_table)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from litconv.sweep.composing import outcomes_of

        setup_globals()
        self.cluster.check()
        with self.cluster.signals_noted():
            outcomes = outcomes_of(self.session, self.config, self.context, self.memory, job_overrides, initial_job_idx)
        return [Returned(overrides, outcome) for overrides, outcome in zip(job_overrides, outcomes, strict=True)]
