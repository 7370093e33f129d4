"""hydra/launcher=local: Hydra finds launchers only in `hydra_plugins`. What it does stands in `litconv.sweep`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

# litconv is imported late: Hydra imports this file for every command.


class LocalLauncher(Launcher):
    def __init__(self, n_jobs: int, slots_per_gpu: int, time_limit_minutes: float, rerun: str) -> None:
        self.options = (n_jobs, slots_per_gpu, time_limit_minutes, rerun)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from litconv.config.command_line import at_end_of_sweep
        from litconv.sweep.session import Options, Session

        self.config, self.context = config, hydra_context
        task = (task_function.__module__, task_function.__qualname__)
        self.session = Session(str(config.sweep), task, hydra_context, Options(*self.options))
        at_end_of_sweep(self.session.show_table)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from litconv.sweep.running import Point

        setup_globals()
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        common = set.intersection(*map(set, job_overrides)) if len(job_overrides) > 1 else set()
        points = []
        for number, overrides in enumerate(job_overrides, initial_job_idx):
            config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
            with open_dict(config):
                config.hydra.job.id = config.hydra.job.num = number
            points.append(Point(number, " ".join(o for o in overrides if o not in common), config))
        outcomes = self.session.launch(points)
        return [Returned(overrides, outcome) for overrides, outcome in zip(job_overrides, outcomes, strict=True)]


class Returned(JobReturn):
    """Hydra's own prints to stderr when it raises."""

    def __init__(self, overrides: Sequence[str], outcome: Any) -> None:
        from litconv.run.summary import objectives

        super().__init__(overrides=overrides)
        self.outcome = outcome
        self.status = JobStatus.COMPLETED if outcome.status == "completed" else JobStatus.FAILED
        self._return_value = objectives(outcome.summary)

    @property
    def return_value(self) -> tuple[float, float]:
        """What a search goes by; raises if the job did not complete."""
        from litconv.errors import JobError

        if self.status is JobStatus.FAILED:
            raise JobError(f"{self.outcome.name}: {self.outcome.status}: {self.outcome.error}".rstrip(": "))
        return self._return_value
