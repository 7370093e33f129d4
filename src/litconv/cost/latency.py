"""How long one forward takes, beside a reference that runs in turns with it.

A single latency on a shared machine is noise. A round is model, reference, reference, model: what slows one of them slows
the other as well, drift and the advantage of going second cancel out, and the median of the rounds' ratios holds still
where the milliseconds do not.

A round in which this process waited for a core, because another held it, is left out. Linux counts the waits of every thread
(/proc/<pid>/task/<tid>/schedstat); elsewhere no round is left out. Threads that wake for a parallel region, dozens of times a
forward, wait for some 2 µs each on a quiet machine; that is no disturbance. Where too few rounds are left within four times
the time that was meant, the least disturbed ones count, and `is_disturbed` says so.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

Call = Callable[[], object]
Clock = Callable[[Call], float]  # milliseconds of one call

WARM_UP = 3
MIN_ROUNDS, MAX_ROUNDS = 4, 100
WAIT = 0.05  # of a round, that its threads may have waited
WAKING_MS = 0.01  # a dispatch: so much is waking
PATIENCE = 4  # times the budget, for undisturbed rounds


class Waits(NamedTuple):
    """For a core, of all threads of this process."""

    ms: float
    dispatches: int  # how often a thread was given a core

    def since(self, before: "Waits") -> "Waits":
        return Waits(*(now - then for now, then in zip(self, before, strict=True)))


@dataclass(frozen=True)
class Latency:
    """Of one batch, over two calls in each of `rounds` rounds after the warm-up."""

    median_ms: float
    p10_ms: float
    p90_ms: float
    ratio: float  # the model's time ÷ the reference's, median over the rounds
    rounds: int
    is_disturbed: bool  # fewer than 4 rounds in which this process did not wait for a core


def cpu_clock(call: Call) -> float:
    started = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - started)


def cuda_clock(device: torch.device, before: Call = lambda: None) -> Clock:
    """By events on the device's stream: from the first kernel's start to the last one's end. They belong to the current
    device, which is another where a run trains on any but the first GPU. `before`: what is queued ahead and not timed."""

    def clock(call: Call) -> float:
        with torch.cuda.device(device):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize(device)
            before()
            begin.record()
            call()
            end.record()
            end.synchronize()
            return begin.elapsed_time(end)

    return clock


def waited_clock(device: torch.device) -> Clock:
    """Any other accelerator: the wall clock around the call and the device's answer."""

    def clock(call: Call) -> float:
        torch.accelerator.synchronize(device)
        started = time.perf_counter()
        call()
        torch.accelerator.synchronize(device)
        return 1e3 * (time.perf_counter() - started)

    return clock


def clock_of(device: torch.device) -> Clock:
    if device.type == "cpu":
        return cpu_clock
    return cuda_clock(device) if device.type == "cuda" else waited_clock(device)


def nothing_known() -> Waits:
    return Waits(0.0, 0)


def waits_for_a_core() -> Waits:
    """Until now: ready to compute while another program had the core."""
    waited_ns = dispatches = 0
    for task in Path("/proc/self/task").glob("*"):
        try:
            _, waited, times = map(int, (task / "schedstat").read_text().split())
        except OSError:  # the thread has ended meanwhile, or the kernel does not count
            continue
        waited_ns += waited
        dispatches += times
    return Waits(waited_ns / 1e6, dispatches)


@dataclass(frozen=True)
class Round:
    own: tuple[float, float]
    others: float  # of both calls of the reference; 0 without one
    waits: Waits

    @property
    def milliseconds(self) -> float:
        return sum(self.own) + self.others

    @property
    def wait(self) -> float:
        """Its share of the round, waking left out."""
        return (self.waits.ms - WAKING_MS * self.waits.dispatches) / self.milliseconds

    @property
    def ratio(self) -> float:
        return sum(self.own) / self.others if self.others else 1.0


def time_beside(
    model: Call, reference: Call | None, clock: Clock, budget_ms: float, waiting: Callable[[], Waits] = nothing_known
) -> Latency:
    """Rounds until `budget_ms` is spent in undisturbed ones, at least 4. Without a reference the model is its own: its
    ratio is 1. Without `waiting` every round counts, which a median bears."""
    for call in (model, reference or model):
        for _ in range(WARM_UP):
            clock(call)
    rounds: list[Round] = []
    while not is_enough(rounds, budget_ms):
        before = waiting()
        first = clock(model)
        others = clock(reference) + clock(reference) if reference else 0.0
        rounds.append(Round((first, clock(model)), others, waiting().since(before)))
    quiet = undisturbed(rounds)
    counted = quiet if len(quiet) >= MIN_ROUNDS else sorted(rounds, key=lambda one: one.wait)[:MIN_ROUNDS]
    p10, median, p90 = np.quantile([own for one in counted for own in one.own], [0.1, 0.5, 0.9])
    ratio = np.median([one.ratio for one in counted])
    return Latency(float(median), float(p10), float(p90), float(ratio), len(counted), len(quiet) < MIN_ROUNDS)


def undisturbed(rounds: list[Round]) -> list[Round]:
    return [one for one in rounds if one.wait <= WAIT]


def is_enough(rounds: list[Round], budget_ms: float) -> bool:
    quiet = undisturbed(rounds)
    if len(quiet) < MIN_ROUNDS:
        return len(rounds) >= 2 * MIN_ROUNDS and spent(rounds) >= PATIENCE * budget_ms
    return spent(quiet) >= budget_ms or len(quiet) >= MAX_ROUNDS or spent(rounds) >= PATIENCE * budget_ms


def spent(rounds: list[Round]) -> float:
    return sum(one.milliseconds for one in rounds)
