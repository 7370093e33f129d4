"""The wait for points that tasks train, until each of them has ended."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from litconv.cluster.batch import Batch
from litconv.cluster.protocol import Cluster
from litconv.cluster.slurm import SlurmError, TaskState
from litconv.run import state
from litconv.sweep.board import Board
from litconv.sweep.outcome import NOT_STARTED, Outcome, mark

LOOK_SECONDS = 3.0
Live = Mapping[str, Mapping[int, TaskState]]  # by the cluster's number of the batch, by task


@dataclass
class Awaited:
    """A point that a task is to train."""

    outcome: Outcome
    run: Path
    batch: Batch
    before: tuple[int, int]  # the mark of the summary that stood there

    def has_ended(self, live: Live, why: Callable[[Batch, int], str]) -> bool:
        """What a task leaves unfinished has ended when the task has: until then it goes on with it, or is requeued."""
        task = self.batch.number_of[self.run.name]
        is_live, is_new = task in live[self.batch.job], mark(self.run) != self.before
        if is_live and not (is_new and state.status(self.run) == "completed"):
            return False  # most points at most looks: before the lock is asked for
        if state.is_busy(self.run):
            return False
        if is_new:
            take_over(self.outcome, self.run)
            self.outcome.trained = True
            return True
        self.outcome.status = state.status(self.run) or NOT_STARTED
        self.outcome.error = why(self.batch, task)
        return True


def take_over(outcome: Outcome, run: Path) -> None:
    """What its summary says."""
    summary = state.read_summary(run)
    outcome.status, outcome.summary = summary.get("status") or state.status(run) or NOT_STARTED, summary
    outcome.error = summary.get("error", "")
    outcome.seconds = summary.get("train/seconds", 0.0)


def wait_for(awaited: list[Awaited], cluster: Cluster, board: Board) -> None:
    """Takes each from the list as it ends."""
    total, unanswered = len(awaited), False
    while awaited:
        try:
            live = {batch.job: cluster.tasks(batch) for batch in unlike(point.batch for point in awaited)}
        except SlurmError as error:  # its controller restarts, say
            if not unanswered:
                board.say(f"no answer ({error}); the tasks go on, and so does this command")
            unanswered = True
        else:
            unanswered = False
            for point in [point for point in awaited if point.has_ended(live, cluster.why_ended)]:
                awaited.remove(point)
                board.ended(point.outcome, total - len(awaited), total)
        if awaited:
            time.sleep(LOOK_SECONDS)


def unlike(batches: Iterable[Batch]) -> list[Batch]:
    """Each once."""
    return list({batch.job: batch for batch in batches}.values())
