"""The processes of a sweep: the jobs that run, the one that is ready for its turn, and how all of them are stopped."""

import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext

from hydra._internal.callbacks import Callbacks

from litconv.config.environment import CHECKED
from litconv.sweep import job as jobs
from litconv.sweep.parenthood import GRACE_SECONDS, kill_group
from litconv.sweep.plan import Plan
from litconv.sweep.running import Job, Point
from litconv.sweep.slots import Place


class Crew:
    def __init__(
        self, processes: ForkServerContext, task: tuple[str, str], callbacks: Callbacks, time_limit_minutes: float
    ) -> None:
        self.processes, self.task, self.callbacks = processes, task, callbacks
        self.time_limit_minutes = time_limit_minutes
        self.running: list[Job] = []
        self.ready: Job | None = None
        self.counts: dict[str, bytes] = {}  # by arm, for its next seeds

    def start(self, point: Point, plan: Plan, place: Place) -> None:
        turn = jobs.Turn(place.environment(), self.counts.get(plan.facts["arm_hash"], b""))
        if self.ready and self.ready.point is point:
            job, self.ready = self.ready, None
        else:
            job = self.fork(point, plan)
        while not job.start(turn):  # it was killed while it waited
            job = self.fork(point, plan)
        self.running.append(job)

    def make_ready(self, waiting: list[tuple[Point, Plan]]) -> None:
        """The next point's job, forked ahead of its turn; none where no point waits."""
        if self.ready and waiting and self.ready.point is waiting[0][0]:
            return
        if self.ready:
            self.ready.dismiss()
        self.ready = self.fork(*waiting[0]) if waiting else None

    def fork(self, point: Point, plan: Plan) -> Job:
        order = jobs.Order(point.config, self.callbacks, *self.task, plan.folder, {**os.environ, CHECKED: "yes"})
        return Job.fork(self.processes, point, plan, order)

    def ended(self) -> Iterator[Job]:
        for job in list(self.running):
            if job.has_ended():
                self.running.remove(job)
                if job.report.counts:
                    self.counts[job.plan.facts["arm_hash"]] = job.report.counts
                yield job

    def keep_time(self) -> None:
        """Jobs over their limit are asked to stop; those that were asked and do not are killed."""
        now = time.monotonic()
        for job in self.running:
            if not job.stopped and now - job.started > self.time_limit_minutes * 60:
                job.overdue = True
                job.stop(signal.SIGTERM)
            elif job.stopped and now - job.stopped > GRACE_SECONDS:
                kill_group(job.process.pid)

    def pass_on(self, signals: list[int]) -> None:
        """The first signal ends the jobs as if each had got it; the next kills them."""
        for job in self.running:
            if len(signals) == 1:
                job.stop(signals[0])
            else:
                kill_group(job.process.pid)
