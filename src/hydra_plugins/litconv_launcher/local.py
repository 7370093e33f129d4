"""hydra/launcher=local: Hydra finds launchers only in `hydra_plugins`. What it does stands in `litconv.sweep`."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict


class LocalLauncher(Launcher):
    def __init__(self, n_jobs: int, slots_per_gpu: int, time_limit_minutes: float, rerun: str) -> None:
        self.options = (n_jobs, slots_per_gpu, time_limit_minutes, rerun)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from litconv import cli  # here: Hydra imports this file for every command
        from litconv.sweep.board import table
        from litconv.sweep.session import Options, Session

        self.config, self.context = config, hydra_context
        task = (task_function.__module__, task_function.__qualname__)
        self.session = Session(str(config.sweep), task, hydra_context, Options(*self.options))
        cli.at_end.append(lambda: print(table(list(self.session.outcomes.values()))))

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from litconv.sweep.session import Point

        setup_globals()
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        points = []
        for number, overrides in enumerate(job_overrides, initial_job_idx):
            config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
            with open_dict(config):
                config.hydra.job.id = config.hydra.job.num = number
            points.append(Point(number, overrides, config))
        outcomes = self.session.launch(points)
        return [_returned(point.overrides, outcome) for point, outcome in zip(points, outcomes, strict=True)]


def _returned(overrides: Sequence[str], outcome: "Outcome") -> JobReturn:  # noqa: F821
    from litconv.errors import JobError
    from litconv.summary import objectives

    done = JobReturn(overrides=overrides)
    if outcome.status == "completed":
        done.status, done.return_value = JobStatus.COMPLETED, objectives(outcome.summary)
    else:
        done.status = JobStatus.FAILED
        done.return_value = JobError(f"{outcome.name}: {outcome.status} {outcome.error}".strip())
    return done
