"""A batch as tasks of Ray, by its public interface alone."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from litconv.cluster import on_ray
from litconv.cluster.batch import Batch
from litconv.cluster.options import TaskOptions
from litconv.cluster.ray_asked import Asked
from litconv.cluster.ray_connection import connected
from litconv.cluster.slurm import TaskState
from litconv.cluster.task import Task
from litconv.config.environment import CORES, TASK

if TYPE_CHECKING:
    from types import ModuleType

MOST_LOSSES = 3  # of a task, one after the other, without an epoch in between
# The class of Ray's error → what has become of the task. Of these none is the task's own fault.
LOSSES = {
    "NodeDiedError": "its node is gone",
    "LocalRayletDiedError": "its node is gone",
    "WorkerCrashedError": "its worker was killed, or its node is gone",
    "OutOfMemoryError": "Ray killed it, since the node's memory was nearly full",
}


@dataclass
class Handed:
    """A task that Ray has."""

    batch: Batch
    number: int
    progress: int
    losses: int = 0


class RayTasks:
    """The cluster of a `Session`. A task that is lost with its node or its worker is handed over again by this command, not by
    Ray's max_retries: that says nothing of it, and would try for ever what the node's memory cannot hold."""

    launcher = "ray"
    spans_nodes = False  # its processes would have to be started by srun

    def __init__(self, asked: Asked, options: TaskOptions) -> None:
        asked.check()
        self.asked = asked
        at_a_time = options.at_a_time(asked.cpus_per_task, ceil(asked.gpus_per_task))
        self.points_per_task = at_a_time if asked.points_per_task is None else asked.points_per_task
        self.ray: ModuleType | None = None
        self.live: dict[Any, Handed] = {}  # by Ray's reference
        self.ends: dict[tuple[str, int], str] = {}  # by batch and task: what there is to say
        self.signals: list[int] = []
        self.cancelled = False
        self.fitted = True  # a node, when last looked

    def check(self) -> None:
        if self.ray is None:
            self.ray = connected(self.asked.address)
        self.asked.check_fits(self.ray.nodes())

    def submit(self, batch: Batch) -> str:
        batch.job = f"{self.ray.get_runtime_context().get_job_id()}.{batch.folder.name}"
        for number in range(len(batch.tasks)):
            self.hand_over(Handed(batch, number, Task(batch, number).progress()))
        return batch.job

    def hand_over(self, task: Handed) -> None:
        batch, number = task.batch, task.number
        environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
        environment |= {TASK: f"{batch.job}_{number}", CORES: str(self.asked.cpus_per_task)}
        function = self.ray.remote(on_ray.run).options(
            num_cpus=self.asked.cpus_per_task,
            num_gpus=self.asked.gpus_per_task,
            max_retries=0,
            name=f"{batch.sweep.name} {number}",
        )
        command = [sys.executable, "-m", "litconv.cluster.task", str(batch.folder), str(number)]
        probe, log = str(batch.folder / "batch.json"), str(batch.log(number))
        reference = function.remote(command, environment, os.getcwd(), probe, log)  # noqa: PTH109 a string
        self.live[reference] = task

    def undisturbed(self) -> AbstractContextManager[None]:
        return nullcontext()  # its tasks end with this command

    def tasks(self, batch: Batch) -> dict[int, TaskState]:
        """None of an earlier command: its tasks have ended with it."""
        if self.live:
            self.look()
        return {task.number: TaskState("RUNNING") for task in self.live.values() if task.batch.folder == batch.folder}

    def look(self) -> None:
        if self.signals and not self.cancelled:
            self.cancelled = True
            for reference in self.live:
                self.ray.cancel(reference)
        self.say_if_none_fits()
        ended, _ = self.ray.wait(list(self.live), num_returns=len(self.live), timeout=0)
        for reference in ended:
            self.take_back(self.live.pop(reference), reference)

    def say_if_none_fits(self) -> None:
        """Once, and again after there was one: Ray waits without a word."""
        fits = any(map(self.asked.fits, self.ray.nodes()))
        if not fits and self.fitted:
            print(
                "no node is left that is large enough for a task; the tasks wait for one, Ctrl-C ends them", flush=True
            )
        self.fitted = fits

    def take_back(self, task: Handed, reference: Any) -> None:
        try:
            status, host, unseen = self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            if (why := LOSSES.get(type(error).__name__)) and not self.cancelled:
                self.lost(task, why)
            else:
                self.say(task, "it was cancelled" if self.cancelled else str(error).strip().splitlines()[-1])
            return
        if status == on_ray.NOT_SHARED:
            shared = "the folder of the sweep (output_dir=…) and this command's own must lie where all nodes share them"
            self.say(task, f"{host} does not see {unseen}; {shared}")

    def lost(self, task: Handed, why: str) -> None:
        progress = Task(task.batch, task.number).progress()
        task.losses = task.losses + 1 if progress == task.progress else 1
        task.progress = progress
        if task.losses > MOST_LOSSES:
            self.say(task, f"{why}, {task.losses} times without an epoch in between; give the command again to go on")
            return
        print(f"task {task.batch.job}_{task.number}: {why}; handed over again, to go on from there", flush=True)
        self.hand_over(task)

    def say(self, task: Handed, what: str) -> None:
        self.ends[str(task.batch.folder), task.number] = f"task {task.batch.job}_{task.number}: {what}"

    def why_ended(self, batch: Batch, task: int) -> str:
        said = self.ends.get((str(batch.folder), task))
        return said or batch.ending(task)

    @contextmanager
    def signals_noted(self) -> Iterator[None]:
        """The first Ctrl-C or SIGTERM cancels the tasks, which are waited for; a second ends this command at once, and
        Ray what it has handed over. In the end it ends as they ask. To be entered after `check`: Ray has handlers of its own."""

        def note(number: int, _: object) -> None:
            self.signals.append(number)
            if not self.live or len(self.signals) > 1:
                raise SystemExit(128 + self.signals[0])
            print(f"{signal.Signals(number).name}: {len(self.live)} tasks are ending; once more kills them", flush=True)

        handlers = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if self.signals:
            raise SystemExit(128 + self.signals[0])
