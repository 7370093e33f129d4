"""What a launcher of ours gives Hydra's sweeper for each point."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

# litconv is imported late: Hydra imports this file for every command.
NO_FAILURE = ("completed", "submitted")  # submitted: it is trained elsewhere, and nobody waits for it


class Returned(JobReturn):
    """Hydra's own prints to stderr when it raises."""

    def __init__(self, overrides: Sequence[str], outcome: Any) -> None:
        from litconv.run.summary import objectives

        super().__init__(overrides=overrides)
        self.outcome = outcome
        self.status = JobStatus.COMPLETED if outcome.status in NO_FAILURE else JobStatus.FAILED
        self._return_value = objectives(outcome.summary)

    @property
    def return_value(self) -> tuple[float, float]:
        """What a search goes by; raises if the job did not complete."""
        from litconv.errors import JobError

        if self.status is JobStatus.FAILED:
            raise JobError(f"{self.outcome.name}: {self.outcome.status}: {self.outcome.error}".rstrip(": "))
        return self._return_value
