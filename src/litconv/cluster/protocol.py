"""What a `Session` asks of a cluster."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from litconv.cluster.batch import Batch
from litconv.cluster.slurm import TaskState


class Cluster(Protocol):
    """Where tasks run."""

    launcher: str
    points_per_task: int
    spans_nodes: bool  # whether a task may have several nodes

    def check(self) -> None:
        """Raises a ConfigError where it cannot be asked at all."""

    def submit(self, batch: Batch) -> str:
        """Hand the tasks over; returns the cluster's number of them."""

    def undisturbed(self) -> AbstractContextManager[None]:
        """Within, no signal ends this command: what is handed over is noted."""

    def tasks(self, batch: Batch) -> Mapping[int, TaskState]:
        """Those that wait or run."""

    def why_ended(self, batch: Batch, task: int) -> str:
        """A line on a task that is over although one of its points has not ended."""
