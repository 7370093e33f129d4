"""What a launcher of ours gives Hydra's sweeper for each point."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

# litconv is imported late: Hydra imports this file for every command.


class Returned(JobReturn):
    """Hydra's own prints to stderr when it raises."""

    def __init__(self, overrides: Sequence[str], outcome: Any) -> None:
        from litconv.run.summary import objectives
        from litconv.sweep.outcome import SUBMITTED

        super().__init__(overrides=overrides)
        self.outcome = outcome
        self.is_under_way = outcome.status == SUBMITTED
        self.status = JobStatus.COMPLETED if self.is_under_way or outcome.status == "completed" else JobStatus.FAILED
        self._return_value = objectives(outcome.summary)

    @property
    def return_value(self) -> tuple[float, float]:
        """What a search goes by; raises if the job did not complete."""
        from litconv.errors import JobError

        if self.status is JobStatus.FAILED:
            raise JobError(f"{self.outcome.name}: {self.outcome.status}: {self.outcome.error}".rstrip(": "))
        return self._return_value
