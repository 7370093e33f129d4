"""A point of a sweep, the job that trains it, and how that ended."""

import os
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

from omegaconf import DictConfig

from litconv import state
from litconv.sweep import job as jobs
from litconv.sweep.board import Running
from litconv.sweep.outcome import Outcome, judge, overrule, settle
from litconv.sweep.parenthood import kill_group
from litconv.sweep.plan import Plan


@dataclass
class Point:
    number: int
    overrides: str  # those that tell it from the others
    config: DictConfig  # composed, with Hydra's own part


@dataclass
class Job:
    point: Point
    plan: Plan
    process: ForkServerProcess
    told: Connection
    before: tuple[int, int]  # the summary that stood there
    started: float = field(default_factory=time.monotonic)
    report: jobs.Report | None = None
    overdue: bool = False
    stopped: float = 0.0  # when it was asked to stop

    def shown(self) -> Running:
        return Running(self.plan.name, self.plan.folder, self.plan.epochs, self.started)

    def stop(self, signal_number: int) -> None:
        self.stopped = self.stopped or time.monotonic()
        if self.process.is_alive():
            os.kill(self.process.pid, signal_number)

    def outcome(self, time_limit_minutes: float) -> Outcome | None:
        """How it ended; None if another launch had taken its point."""
        exit_code = self.process.exitcode
        self.listen()
        if exit_code == jobs.BUSY:
            return None
        if exit_code < 0:
            kill_group(self.process.pid)
        summary = self.summary(exit_code)
        if self.overdue and summary["status"] == "interrupted":
            limit = f"time_limit_minutes={time_limit_minutes:g} was over; started again, it goes on"
            summary = overrule(self.plan.folder, "failed", limit)
        seconds = time.monotonic() - self.started
        status, error = summary["status"], summary.get("error", "")
        return Outcome(self.point.number, self.plan.name, status, summary, seconds, True, error)

    def summary(self, exit_code: int) -> dict:
        if exit_code == 0 and state.status(self.plan.folder) == "completed":
            return state.read_summary(self.plan.folder)
        status, error = judge(exit_code, bool(self.stopped))
        return settle(self.plan.folder, self.plan.facts, self.before, status, self.report.error or error)

    def wakes(self) -> list[Any]:
        """What to wait for: its end, and before that its report, which may be more than the pipe holds."""
        return [self.process.sentinel, *([self.told] if self.report is None else [])]

    def listen(self) -> None:
        if self.report is None and (self.told.poll() or not self.process.is_alive()):
            try:
                self.report = self.told.recv()
            except EOFError:  # it was killed
                self.report = jobs.Report("", b"")
