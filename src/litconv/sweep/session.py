"""The launcher's loop: start what fits, wait, record how each job ended. It imports no torch, its fork server does."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from pathlib import Path

from hydra.types import HydraContext

from litconv.config.environment import CHECKED, cores
from litconv.run import state
from litconv.sweep import job, server
from litconv.sweep.board import COMPLETED_BEFORE, EQUAL, Board
from litconv.sweep.memory import Memory
from litconv.sweep.outcome import NOT_STARTED, Outcome, mark
from litconv.sweep.plan import Plan, send_plans
from litconv.sweep.points import SweepPoint
from litconv.sweep.points import add as record
from litconv.sweep.running import Job, Point
from litconv.sweep.slots import Place, Slots, visible_gpus

LOOK_SECONDS = 1.0  # between two looks at the clock, and at points that another launch trains


@dataclass
class Options:
    n_jobs: int
    slots_per_gpu: int
    time_limit_minutes: float
    rerun: str


class Session:
    """All launches of one command: a sweeper such as Optuna launches batch after batch."""

    def __init__(self, folder: Path, task: tuple[str, str], context: HydraContext, options: Options) -> None:
        """`folder`: of the sweep."""
        self.folder, self.task, self.context, self.options = folder, task, context, options
        self.board = Board(folder)
        self.outcomes: dict[str, Outcome] = {}  # by the run's name, those of refused points by their overrides
        self.began = time.time()
        self.signals: list[int] = []
        self.waiting: list[tuple[Point, Plan]] = []
        self.elsewhere: list[tuple[Point, Plan]] = []  # another launch trains them
        self.running: list[Job] = []
        self.processes = server.start()

    @property
    def rerun(self) -> str:
        return self.options.rerun

    def launch(self, points: Sequence[Point], memory: Memory) -> list[Outcome]:
        """Train what is to be trained of these; an outcome for each point, and equal points share theirs."""
        with self.signals_noted() as noted:
            plans = self.plans(points)
            found = [planned(point, plan) for point, plan in zip(points, plans, strict=True)]
            record(self.folder, found)
            memory.add(found)
            self.take_up(points, plans)
            self.train(noted)
        return [self.outcomes[point.key] for point in found]

    def plans(self, points: Sequence[Point]) -> list[Plan]:
        """Made in a child of the fork server, since they need torch."""
        receive, send = self.processes.Pipe(duplex=False)
        asked = ([point.config for point in points], dict(os.environ), send)
        planner = self.processes.Process(target=send_plans, args=asked)
        planner.start()
        send.close()
        try:
            return [receive.recv() for _ in points]
        except EOFError:
            planner.join()
            raise RuntimeError(f"the points could not be checked: exit status {planner.exitcode}") from None

    def take_up(self, points: Sequence[Point], plans: Sequence[Plan]) -> None:
        """Those that are to be trained wait from here on; of the others this says why they are not."""
        refused: dict[str, list[str]] = {}
        left_out: dict[str, list[str]] = {}
        for point, plan in zip(points, plans, strict=True):
            key = plan.name or point.overrides
            if key in self.outcomes:
                left_out.setdefault(EQUAL, []).append(key)
            elif plan.error:
                self.outcomes[key] = Outcome(point.number, key, "refused", error=plan.error)
                refused.setdefault(plan.error, []).append(key)
            elif self.is_wanted(plan):
                self.outcomes[key] = Outcome(point.number, key, NOT_STARTED)
                self.waiting.append((point, plan))
            else:
                self.outcomes[key] = outcome = self.earlier_outcome(point, plan)
                why = COMPLETED_BEFORE if outcome.status == "completed" else "failed before, and rerun=none"
                left_out.setdefault(why, []).append(key)
        self.board.say_left_out(left_out)
        self.board.say_refused(refused)

    def is_wanted(self, plan: Plan) -> bool:
        if mark(plan.folder)[1] >= self.began * 1e9 and state.status(plan.folder) == "completed":
            return False  # by another launch, just now
        return state.is_wanted(state.status(plan.folder), self.options.rerun)

    def earlier_outcome(self, point: Point, plan: Plan) -> Outcome:
        summary = state.read_summary(plan.folder)
        return Outcome(point.number, plan.name, summary["status"], summary, error=summary.get("error", ""))

    def train(self, noted: Connection) -> None:
        self.slots = Slots(self.options.n_jobs, self.options.slots_per_gpu, visible_gpus(), cores(), len(self.waiting))
        self.ended, self.total = 0, len(self.waiting)
        looked = time.monotonic()
        while self.waiting or self.running or self.elsewhere:
            self.start_what_fits()
            connection.wait([noted, *(running.process.sentinel for running in self.running)], LOOK_SECONDS)
            if noted.poll():
                noted.recv()
                self.pass_on(self.signals[-1])
            for ended in [running for running in self.running if not running.process.is_alive()]:
                self.take_back(ended)
            for running in self.running:
                running.keep_time(self.options.time_limit_minutes)
            if self.elsewhere and time.monotonic() - looked > LOOK_SECONDS:
                self.waiting, self.elsewhere, looked = self.waiting + self.elsewhere, [], time.monotonic()
            waiting = len(self.waiting) + len(self.elsewhere)
            self.board.draw([running.shown() for running in self.running], waiting, list(self.outcomes.values()))
        self.board.clear()

    def start_what_fits(self) -> None:
        while self.waiting:
            point, plan = self.waiting[0]
            if state.is_busy(plan.folder):
                self.elsewhere.append(self.waiting.pop(0))
            elif not self.is_wanted(plan):
                self.waiting.pop(0)
                self.end(self.earlier_outcome(point, plan))
            elif place := self.slots.take(point.number, plan.accelerator, plan.devices):
                self.waiting.pop(0)
                self.start(point, plan, place)
            else:
                return

    def start(self, point: Point, plan: Plan, place: Place) -> None:
        environment = {**os.environ, CHECKED: "yes", **place.environment()}
        arguments = (self.task, self.context, point.config, plan, environment)
        process = self.processes.Process(target=job.run, args=arguments)
        # Before the fork: a signal in this moment is passed on to it.
        self.running.append(Job(point, plan, process, mark(plan.folder), time.monotonic()))
        process.start()

    def take_back(self, ended: Job) -> None:
        self.running.remove(ended)
        self.slots.give_back(ended.point.number)
        outcome = ended.outcome(self.options.time_limit_minutes)
        if outcome is None:
            self.elsewhere.append((ended.point, ended.plan))
        else:
            self.end(outcome)

    def show_table(self) -> int:
        """Of all jobs; returns how many of them failed."""
        outcomes = list(self.outcomes.values())
        if outcomes:
            self.board.show(outcomes)
        return sum(outcome.status != "completed" for outcome in outcomes)

    def end(self, outcome: Outcome) -> None:
        self.outcomes[outcome.name] = outcome
        self.ended += 1
        self.board.ended(outcome, self.ended, self.total)

    def pass_on(self, signal_number: int) -> None:
        self.waiting, self.elsewhere = [], []
        if len(self.signals) == 1:
            name, count = signal.Signals(signal_number).name, len(self.running)
            self.board.say(f"{name}: {count} running jobs are ending; once more kills them")
        for running in self.running:
            if len(self.signals) == 1:
                running.stop(signal_number)
            else:
                running.kill()

    @contextmanager
    def signals_noted(self) -> Iterator[Connection]:
        """Ctrl-C and SIGTERM make the connection readable while jobs run, and end this process at once while none do;
        in the end it ends as they ask."""
        readable, writable = multiprocessing.Pipe(duplex=False)

        def note(signal_number: int, _: object) -> None:
            self.signals.append(signal_number)
            if not self.running:
                self.leave()
            writable.send(None)

        handlers = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield readable
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if self.signals:
            self.leave()

    def leave(self) -> None:
        raise SystemExit(128 + self.signals[0])


def planned(point: Point, plan: Plan) -> SweepPoint:
    overrides = tuple(point.config.hydra.overrides.task)
    return SweepPoint(plan.name, point.number, overrides, point.overrides, 0 if plan.error else plan.epochs, plan.error)
