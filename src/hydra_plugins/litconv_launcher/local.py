"""hydra/launcher=local: Hydra finds launchers only in `hydra_plugins`. What it does stands in `litconv.sweep`."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.litconv_launcher.returned import Returned

# litconv is imported late: Hydra imports this file for every command.


class LocalLauncher(Launcher):
    records_points = True

    def __init__(self, n_jobs: int, slots_per_gpu: int, time_limit_minutes: float, rerun: str) -> None:
        self.options = (n_jobs, slots_per_gpu, time_limit_minutes, rerun)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from litconv.config.command_line import at_end_of_sweep
        from litconv.sweep.memory import Memory
        from litconv.sweep.session import Options, Session

        self.config, self.context, self.memory = config, hydra_context, Memory.of(config)
        task = (task_function.__module__, task_function.__qualname__)
        self.session = Session(Path(str(config.hydra.sweep.dir)), task, hydra_context, Options(*self.options))
        at_end_of_sweep(self.session.show_table)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from litconv.sweep.composing import outcomes_of

        setup_globals()
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        outcomes = outcomes_of(self.session, self.config, self.context, self.memory, job_overrides, initial_job_idx)
        return [Returned(overrides, outcome) for overrides, outcome in zip(job_overrides, outcomes, strict=True)]
