"""A point of a sweep, the job that trains it, and how that ended."""

import os
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any

from omegaconf import DictConfig

from litconv.run import state
from litconv.sweep import job as jobs
from litconv.sweep.board import Running
from litconv.sweep.outcome import Outcome, judge, mark, overrule, settle
from litconv.sweep.parenthood import kill_group
from litconv.sweep.plan import Plan


@dataclass
class Point:
    number: int
    overrides: str  # those that tell it from the others
    config: DictConfig  # composed, with Hydra's own part


@dataclass(eq=False)
class Job:
    """Forked while the one before it runs, so that its turn finds it ready; until then it touches nothing."""

    point: Point
    plan: Plan
    process: ForkServerProcess
    turns: Connection
    told: Connection
    before: tuple[int, int] = (0, 0)  # the summary that stood there
    started: float = 0.0
    report: jobs.Report | None = None
    overdue: bool = False
    stopped: float = 0.0  # when it was asked to stop

    @classmethod
    def fork(cls, processes: ForkServerContext, point: Point, plan: Plan, order: jobs.Order) -> "Job":
        (turn, turns), (told, tell) = processes.Pipe(duplex=False), processes.Pipe(duplex=False)
        process = processes.Process(target=jobs.run, args=(order, turn, tell))
        process.start()
        turn.close()
        tell.close()
        return cls(point, plan, process, turns, told)

    def start(self, turn: jobs.Turn) -> bool:
        """False if it has died before its turn."""
        self.before, self.started = mark(self.plan.folder), time.monotonic()
        try:
            self.turns.send(turn)
        except BrokenPipeError:
            return False
        return True

    def dismiss(self) -> None:
        """Its turn will not come."""
        self.turns.close()
        self.process.join()

    def shown(self) -> Running:
        return Running(self.plan.name, self.plan.folder, self.plan.epochs, self.started)

    def stop(self, signal_number: int) -> None:
        self.stopped = self.stopped or time.monotonic()
        if self.process.is_alive():
            os.kill(self.process.pid, signal_number)

    def outcome(self, time_limit_minutes: float) -> Outcome | None:
        """How it ended; None if another launch had taken its point."""
        exit_code = self.process.exitcode
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

    def has_ended(self) -> bool:
        """And what it told by then is known."""
        alive = self.process.is_alive()
        if self.report is None and self.told.poll():  # never waited for: what a killed job left may hold the pipe open
            try:
                self.report = self.told.recv()
            except EOFError:
                self.report = jobs.Report("", b"")
        if not alive:
            self.report = self.report or jobs.Report("", b"")
        return not alive
