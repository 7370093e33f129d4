"""A sweep that is trained elsewhere: what of it is to be trained is handed over in tasks, and then waited for, or not.

It imports no torch: it runs on a login node. What only a model knows is therefore found on the nodes.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from omegaconf import DictConfig

from litconv.cluster import batch as batches
from litconv.cluster.batch import Batch
from litconv.cluster.slurm import SlurmError, TaskState
from litconv.config import composed
from litconv.config.places import commands
from litconv.run import state
from litconv.sweep import points
from litconv.sweep.board import Board
from litconv.sweep.memory import Memory
from litconv.sweep.outcome import NOT_STARTED, Outcome, mark
from litconv.sweep.points import SweepPoint
from litconv.sweep.running import Point

LOOK_SECONDS = 3.0
SUBMITTED = "submitted"


class Cluster(Protocol):
    """Where tasks run."""

    launcher: str
    points_per_task: int

    def check(self) -> None:
        """Raises a ConfigError where it cannot be asked at all."""

    def submit(self, batch: Batch) -> str:
        """Hand the tasks over; returns the cluster's number of them."""

    def tasks(self, batch: Batch) -> Mapping[int, TaskState]:
        """Those that wait or run."""

    def why_ended(self, batch: Batch, task: int) -> str:
        """A line on a task that is over although one of its points has not ended."""


@dataclass(frozen=True)
class TaskOptions:
    """Of the local launch that a task is."""

    command_line: list[str]  # all of them, as overrides
    n_jobs: int
    slots_per_gpu: int
    rerun: str

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
            *composed.places(config),
        ]
        return cls(command_line, n_jobs, slots_per_gpu, rerun)


@dataclass
class Awaited:
    """A point that a task is to train."""

    outcome: Outcome
    run: Path
    batch: Batch
    before: tuple[int, int]  # the mark of the summary that stood there


@dataclass
class Session:
    """All launches of one command, as `sweep.session` has them for this machine."""

    folder: Path  # of the sweep
    cluster: Cluster
    options: TaskOptions
    waits: bool
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    handed_over: list[Batch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        self.board = Board(self.folder.name)

    @property
    def rerun(self) -> str:
        return self.options.rerun

    def launch(self, given: Sequence[Point], memory: Memory) -> list[Outcome]:
        """An outcome for each point; equal points share theirs. Without waiting it is `submitted` for those under way."""
        self.cluster.check()
        planned = [points.planned(point) for point in given]
        points.add(self.folder, planned)
        memory.add(planned)
        self.say_refused(planned)
        under_way = self.under_way()
        new, awaited = [], []
        left_out: dict[str, list[str]] = {}
        for point in planned:
            if point.key in self.outcomes:
                continue
            run = self.folder / point.name
            before = mark(run)
            self.outcomes[point.key] = outcome = Outcome(point.number, point.key, NOT_STARTED)
            if point.error:
                outcome.status, outcome.error = "refused", point.error
            elif point.name in under_way:
                awaited.append(Awaited(outcome, run, under_way[point.name], before))
            elif state.is_wanted(state.status(run), self.options.rerun):
                new.append((point, before))
            else:
                self.end(outcome, run)
                left_out.setdefault(f"{outcome.status} before in this sweep", []).append(point.name)
        self.board.say_left_out(left_out)
        if awaited:
            self.board.say(
                f"{len(awaited)} points are in tasks that were submitted before; they are not submitted again"
            )
        if new:
            batch = self.hand_over([point for point, _ in new])
            awaited += [Awaited(self.outcomes[p.key], self.folder / p.name, batch, before) for p, before in new]
        if self.waits:
            self.wait_for(awaited)
        else:
            self.leave(awaited)
        return [self.outcomes[point.key] for point in planned]

    def under_way(self) -> dict[str, Batch]:
        """Points in tasks of earlier launches that still wait or run: name → batch."""
        found = {}
        for batch in batches.batches(self.folder):
            if batch.launcher == self.cluster.launcher and batch not in self.handed_over:
                for task in self.cluster.tasks(batch):
                    found |= dict.fromkeys(batch.tasks[task], batch)
        return found

    def say_refused(self, planned: Sequence[SweepPoint]) -> None:
        faults: dict[str, list[str]] = {}
        for point in planned:
            if point.error and point.key not in self.outcomes:
                faults.setdefault(point.error, []).append(point.key)
        for fault, keys in faults.items():
            more = f" (and the same at {len(keys) - 1} other points)" if len(keys) > 1 else ""
            print(f"error: {keys[0]}: {fault}{more}", file=sys.stderr)

    def hand_over(self, new: Sequence[SweepPoint]) -> Batch:
        by_name = {point.name: point for point in new}
        tasks = batches.chunks(list(by_name), self.cluster.points_per_task)
        batch = Batch(
            batches.new_folder(self.folder),
            launcher=self.cluster.launcher,
            script=[sys.executable, str(commands()["train"])],
            options=self.options.command_line,
            tasks=tasks,
            restarts_rerun="failed" if self.options.rerun == "all" else self.options.rerun,
        )
        batch.write_points([[points.of_its_run(by_name[name].overrides) for name in names] for names in tasks])
        batch.write()  # before it is submitted: a task may begin at once
        try:
            batch.job = self.cluster.submit(batch)
        except Exception:
            (batch.folder / "batch.json").unlink()
            self.outcomes.clear()  # the error says it all
            raise
        batch.write()
        self.handed_over.append(batch)
        each = f"up to {len(tasks[0])} points each" if len(tasks[0]) > 1 else "a point each"
        self.board.say(
            f"submitted: job {batch.job}, {len(tasks)} tasks of {each}; what they print is in {batch.folder}"
        )
        return batch

    def leave(self, awaited: Sequence[Awaited]) -> None:
        for point in awaited:
            point.outcome.status = SUBMITTED
        if awaited:
            self.board.say(f"{self.board.command} shows how they are; cancel=true beside it cancels them")

    def wait_for(self, awaited: list[Awaited]) -> None:
        total, unanswered = len(awaited), False
        try:
            while awaited:
                try:
                    live = {batch.job: self.cluster.tasks(batch) for batch in unique(point.batch for point in awaited)}
                    unanswered = False
                except SlurmError as error:  # its controller restarts, say
                    if not unanswered:
                        self.board.say(f"no answer ({error}); the tasks go on, and so does this command")
                    unanswered, live = True, None
                if live is not None:
                    for point in [p for p in awaited if self.has_ended(p, live)]:
                        awaited.remove(point)
                        self.board.ended(point.outcome, total - len(awaited), total)
                if awaited:
                    time.sleep(LOOK_SECONDS)
        except KeyboardInterrupt:
            self.leave(awaited)
            raise

    def has_ended(self, point: Awaited, live: Mapping[str, Mapping[int, TaskState]]) -> bool:
        """What a task leaves unfinished has ended when the task has: until then it goes on with it, or is requeued."""
        task = point.batch.task_of(point.run.name)
        is_live = task in live[point.batch.job]
        anew = mark(point.run) != point.before
        if state.is_busy(point.run):
            return False
        if anew and (state.status(point.run) == "completed" or not is_live):
            self.end(point.outcome, point.run)
            point.outcome.trained = True
            return True
        if is_live:
            return False
        point.outcome.status = state.status(point.run) or NOT_STARTED
        point.outcome.error = self.cluster.why_ended(point.batch, task)
        return True

    def end(self, outcome: Outcome, run: Path) -> None:
        summary = state.read_summary(run)
        outcome.status, outcome.summary = summary.get("status") or state.status(run) or NOT_STARTED, summary
        outcome.error = summary.get("error", "")
        outcome.seconds = summary.get("train/seconds", 0.0)

    def show_table(self) -> int:
        """Of all points; returns how many of them failed."""
        outcomes = list(self.outcomes.values())
        if outcomes and self.waits:
            self.board.show(outcomes)
        return sum(outcome.status not in ("completed", SUBMITTED) for outcome in outcomes)


def unique(found: object) -> list[Batch]:
    return list({batch.job: batch for batch in found}.values())
