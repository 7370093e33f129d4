"""What a launch on a cluster tells the local launches that its tasks are."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from litconv.config.hydra_state import places
from litconv.errors import ConfigError

LOCAL_KEYS = ("n_jobs", "slots_per_gpu")


@dataclass(frozen=True)
class TaskOptions:
    """Of the local launch that a task is."""

    command_line: list[str]  # all of them, as overrides
    n_jobs: int
    slots_per_gpu: int
    rerun: str

    def of_one_run(self) -> list[str]:
        """Of a task that is one run on several nodes: without those that only the local launcher takes."""
        for limit in (o for o in self.command_line if o.startswith("time_limit_minutes=")):
            raise ConfigError(
                f"{limit} ends jobs of the local launcher, and a run on several nodes is none; set hydra.launcher.timeout_min"
            )
        return [o for o in self.command_line if o.partition("=")[0] not in LOCAL_KEYS]

    @classmethod
    def of(
        cls, config: DictConfig, rerun: str, n_jobs: int, slots_per_gpu: int, time_limit_minutes: float
    ) -> "TaskOptions":
        limit = [] if time_limit_minutes == float("inf") else [f"time_limit_minutes={time_limit_minutes:g}"]
        command_line = [
            f"sweep={config.sweep}",
            f"output_dir={Path(str(config.output_dir)).resolve()}",
            f"n_jobs={n_jobs}",
            f"slots_per_gpu={slots_per_gpu}",
            f"rerun={rerun}",
            *limit,
            *places(config),
        ]
        return cls(command_line, n_jobs, slots_per_gpu, rerun)

    def at_a_time(self, cpus: int, gpus: int) -> int:
        """How many points a task with so many trains at once."""
        return self.n_jobs if self.n_jobs > 0 else gpus * self.slots_per_gpu or cpus
