"""How long one forward takes, beside a reference that runs in turns with it.

A single latency on a shared machine is noise. A round is model, reference, reference, model: what slows one of them slows
the other as well, drift and the advantage of going second cancel out, and the median of the rounds' ratios holds still
where the milliseconds do not.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

Call = Callable[[], object]
Clock = Callable[[Call], float]  # milliseconds of one call

WARM_UP = 3
MIN_ROUNDS, MAX_ROUNDS = 4, 100


@dataclass(frozen=True)
class Latency:
    """Of one batch, over two calls in each of `rounds` rounds after the warm-up."""

    median_ms: float
    p10_ms: float
    p90_ms: float
    ratio: float  # the model's time ÷ the reference's, median over the rounds
    rounds: int


def cpu_clock(call: Call) -> float:
    started = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - started)


def cuda_clock(device: torch.device) -> Clock:
    """By events on the device's stream: from the first kernel's start to the last one's end. They belong to the current
    device, which is another where a run trains on any but the first GPU."""

    def clock(call: Call) -> float:
        with torch.cuda.device(device):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize(device)
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


def time_beside(model: Call, reference: Call | None, clock: Clock, budget_ms: float) -> Latency:
    """Rounds until `budget_ms` is spent, at least 4. Without a reference the model is its own: its ratio is 1."""
    for call in (model, reference or model):
        for _ in range(WARM_UP):
            clock(call)
    own, ratios, spent = [], [], 0.0
    while len(ratios) < MIN_ROUNDS or (spent < budget_ms and len(ratios) < MAX_ROUNDS):
        first = clock(model)
        others = clock(reference) + clock(reference) if reference else 0.0
        last = clock(model)
        own += [first, last]
        ratios.append((first + last) / others if reference else 1.0)
        spent += first + others + last
    p10, median, p90 = np.quantile(own, [0.1, 0.5, 0.9])
    return Latency(float(median), float(p10), float(p90), float(np.median(ratios)), len(ratios))
