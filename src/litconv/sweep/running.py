"""A point of a sweep, the job that trains it, and how that ended."""

import os
import signal
import time
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess

from omegaconf import DictConfig

from litconv.run import state
from litconv.sweep.board import Running
from litconv.sweep.job import BUSY
from litconv.sweep.outcome import ENDS, Outcome, judge, overrule, settle
from litconv.sweep.parenthood import GRACE_SECONDS, kill_group
from litconv.sweep.plan import Plan


@dataclass
class Point:
    number: int
    overrides: str  # those that tell it from the others
    config: DictConfig  # composed, with Hydra's own part


@dataclass(eq=False)
class Job:
    point: Point
    plan: Plan
    process: ForkServerProcess
    before: tuple[int, int]  # the mark of the summary that stood there
    started: float  # monotonic
    overdue: bool = False
    stopped: float = 0.0  # when it was asked to stop

    def shown(self) -> Running:
        return Running(self.plan.name, self.plan.folder, self.plan.epochs, self.started)

    def stop(self, signal_number: int) -> None:
        self.stopped = self.stopped or time.monotonic()
        if self.process.is_alive():
            os.kill(self.process.pid, signal_number)

    def kill(self) -> None:
        self.stopped = self.stopped or time.monotonic()  # two signals at once: it may not have been asked before
        kill_group(self.process.pid)
        self.process.kill()  # which may not be the head of its group yet

    def keep_time(self, limit_minutes: float) -> None:
        """Over its limit it is asked to stop; if it was asked and does not, it is killed."""
        now = time.monotonic()
        if not self.stopped and now - self.started > limit_minutes * 60:
            self.overdue = True
            self.stop(signal.SIGTERM)
        elif self.stopped and now - self.stopped > GRACE_SECONDS:
            self.kill()

    def outcome(self, limit_minutes: float) -> Outcome | None:
        """How it ended; None if another launch has taken its point, or if it lives on although its fork server was killed:
        then it ends by itself, and what is left of it is a point to train."""
        exit_code = self.process.exitcode
        if exit_code == BUSY:
            return None
        if exit_code < 0:
            kill_group(self.process.pid)
        summary = self.summary(exit_code)
        if summary.get("status") not in ENDS or state.is_busy(self.plan.folder):
            return None
        if self.overdue and summary["status"] == "interrupted":
            limit = f"time_limit_minutes={limit_minutes:g} was over; started again, it goes on"
            summary = overrule(self.plan.folder, "failed", limit)
        seconds = time.monotonic() - self.started
        status, error = summary["status"], summary.get("error", "")
        return Outcome(self.point.number, self.plan.name, status, summary, seconds, True, error)

    def summary(self, exit_code: int) -> dict:
        if exit_code == 0 and state.status(self.plan.folder) == "completed":
            return state.read_summary(self.plan.folder)
        status, error = judge(exit_code, bool(self.stopped))
        return settle(self.plan.folder, self.plan.facts, self.before, status, error)
