"""Who has which points still to train: launches that live, and tasks that wait or run."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from litconv.cluster import slurm
from litconv.cluster.array import why_ended
from litconv.cluster.batch import Batch, batches
from litconv.cluster.slurm import SlurmError, TaskState
from litconv.sweep.launches import Launch

# Which clusters can be asked for the tasks of a batch; those of others end with the launch that waits for them.
ASKED: Mapping[str, Callable[[str], Mapping[int, TaskState]]] = {"slurm": slurm.tasks}
SUBMITS_WITHIN_SECONDS = 120.0  # of its begin
MOST_QUESTIONS = 20  # on how a task ended: a command of Slurm's each


@dataclass(frozen=True)
class Duty:
    """Of a launch or a task: a point."""

    words: str  # where the point waits
    since: float  # what was completed before is trained anew, under rerun=all
    started: float  # what has ended since then has ended in it; infinite: it waits itself
    rerun: str
    task: str = ""
    reason: str = ""  # Slurm's, why the task waits
    host: str = ""
    waits: bool = False  # the task itself
    launcher: str = ""  # of a user's own launch

    def place(self, name: str) -> tuple[str, str]:
        """(queue, what stands in it for the point of this name)"""
        return ("tasks", self.task) if self.waits else (self.words, name)


@dataclass
class Duties:
    by_name: dict[str, Duty] = field(default_factory=dict)  # in the order of their turns
    over: dict[str, tuple[Batch, int]] = field(default_factory=dict)  # tasks that have ended
    live: list[Batch] = field(default_factory=list)  # that can be cancelled
    unanswered: str = ""  # what Slurm said in place of an answer
    ends: dict[tuple[str, int], str] = field(default_factory=dict)

    def give(self, names: Iterable[str], duty: Duty) -> None:
        for name in names:
            self.by_name.pop(name, None)  # so that it comes last
            self.by_name[name] = duty

    def why_over(self, name: str) -> str:
        """Of a point whose task has ended."""
        batch, task = self.over[name]
        if self.unanswered:
            return f"handed over as task {batch.job}_{task}"
        asks = batch.launcher in ASKED and not batch.starts(task) and len(self.ends) < MOST_QUESTIONS
        if not asks and not batch.cancelled.exists():
            return "its task is over"
        key = batch.job, task
        if key not in self.ends:
            self.ends[key] = why_ended(batch, task)
        return self.ends[key]


def duties(sweep: Path, launches: Sequence[Launch], completed: Collection[str]) -> Duties:
    """`completed`: the names of points for which nobody need be asked."""
    found = Duties()
    for launch in launches:
        if launch.lives and not launch.task:
            found.give(launch.names, of_launch(launch))
    for batch in batches(sweep):
        names = {name for task in batch.tasks for name in task}
        if batch.job and (names - set(completed) or "rerun=all" in batch.options):
            add_batch(found, batch, [launch for launch in launches if not launch.lives])
    for launch in launches:
        if launch.lives and launch.task:
            found.give(launch.names, of_launch(launch))
    return found


def of_launch(launch: Launch) -> Duty:
    words = f"in the launch on {launch.place}"
    if launch.task:
        words = f"in task {launch.task}, which runs on {launch.host}"
    launcher = "" if launch.task else launch.launcher
    return Duty(words, launch.since, launch.since, launch.rerun, launch.task, host=launch.host, launcher=launcher)


def add_batch(found: Duties, batch: Batch, killed: Sequence[Launch]) -> None:
    live: Mapping[int, TaskState] = {}
    if batch.launcher in ASKED and not found.unanswered:
        try:
            live = ASKED[batch.launcher](batch.job)
        except SlurmError as error:
            found.unanswered = str(error)
    if live:
        found.live.append(batch)
    for task, names in enumerate(batch.tasks):
        if task in live:
            found.give(names, of_task(batch, task, live[task], killed))
            for name in names:
                found.over.pop(name, None)
        else:
            found.over |= dict.fromkeys(names, (batch, task))
            for name in names:
                if (duty := found.by_name.get(name)) is not None and has_handed_over(duty, batch):
                    del found.by_name[name]


def has_handed_over(duty: Duty, batch: Batch) -> bool:
    """Whether a launch that lives has left the point to a task and only waits for it: it hands nothing over twice."""
    if duty.launcher != batch.launcher or batch.launcher not in ASKED:
        return False
    return batch.submitted >= duty.since or time.time() - duty.since > SUBMITS_WITHIN_SECONDS


def of_task(batch: Batch, task: int, state: TaskState, killed: Sequence[Launch]) -> Duty:
    number = f"{batch.job}_{task}"
    starts = len(batch.starts(task)) + state.waits
    rerun = batch.restarts_rerun if starts > 1 else rerun_of(batch.options)
    if state.waits:
        return Duty(f"task {number}", batch.submitted, inf, rerun, number, state.reason, waits=True)
    words = f"in task {number}, which {'ends' if state.state == 'COMPLETING' else 'runs'} on {state.nodes}"
    if any(launch.task == number and launch.since >= batch.last_start(task) for launch in killed):
        words = f"in task {number}, which was killed on {state.nodes}; Slurm has not noticed yet"
    return Duty(words, batch.submitted, inf, rerun, number, host=state.nodes)


def rerun_of(options: Sequence[str]) -> str:
    return next((option.partition("=")[2] for option in options if option.startswith("rerun=")), "failed")
