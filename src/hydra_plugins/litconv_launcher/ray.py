"""hydra/launcher=ray: Hydra finds launchers only in `hydra_plugins`. What it does stands in `litconv.cluster`."""

from contextlib import AbstractContextManager
from pathlib import Path

from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.litconv_launcher.own import OwnLauncher

# litconv is imported late: Hydra imports this file for every command.


class RayLauncher(OwnLauncher):
    """`address`: auto, local, HOST:PORT or ray://HOST:PORT. `points_per_task`: None for as many as a task trains at a time.
    The rest is the local launcher's on each node."""

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

        if not self.wait:
            refuse_to_leave()
        options = TaskOptions.of(config, self.rerun, *self.task_options)
        self.cluster = RayTasks(Asked(*self.asked), options)
        session = Session(Path(str(config.hydra.sweep.dir)), self.cluster, options, waits=True)
        self.begin(session, config, hydra_context)

    def attended(self) -> AbstractContextManager[None]:
        self.cluster.check()  # first: Ray has handlers of its own
        return self.cluster.signals_noted()
