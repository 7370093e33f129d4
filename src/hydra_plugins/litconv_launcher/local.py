"""hydra/launcher=local: Hydra finds launchers only in `hydra_plugins`. What it does stands in `litconv.sweep`."""

from pathlib import Path

from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.litconv_launcher.own import OwnLauncher

# litconv is imported late: Hydra imports this file for every command.


class LocalLauncher(OwnLauncher):
    def __init__(self, n_jobs: int, slots_per_gpu: int, time_limit_minutes: float, rerun: str) -> None:
        self.options = (n_jobs, slots_per_gpu, time_limit_minutes, rerun)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from litconv.sweep.session import Options, Session

        task = (task_function.__module__, task_function.__qualname__)
        session = Session(Path(str(config.hydra.sweep.dir)), task, hydra_context, Options(*self.options))
        self.begin(session, config, hydra_context)
