"""How long one forward takes, beside a reference that runs in turns with it.

A single latency on a shared machine is noise: whatever slows one side of a round slows the other as well, so the median
of the rounds' ratios holds still where the milliseconds do not.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

Call = Callable[[], object]
Clock = Callable[[Call], float]  # milliseconds of one call

WARM_UP = 3
MIN_ROUNDS, MAX_ROUNDS = 5, 200


@dataclass(frozen=True)
class Latency:
    """Of one batch, over `rounds` rounds after the warm-up."""

    median_ms: float
    p10_ms: float
    p90_ms: float
    ratio: float  # the model's time ÷ the reference's, median over the rounds
    rounds: int


def cpu_clock(call: Call) -> float:
    started = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - started)


def cuda_clock(call: Call) -> float:
    """By events on the stream: from the first kernel's start to the last one's end."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


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
    return {"cpu": cpu_clock, "cuda": cuda_clock}.get(device.type) or waited_clock(device)


def time_beside(model: Call, reference: Call | None, clock: Clock, budget_ms: float) -> Latency:
    """Rounds of one call each, whoever went second going first in the next, until `budget_ms` is spent, but never fewer
    than 5. Without a reference the model is its own: its ratio is 1."""
    for call in (model, reference or model):
        for _ in range(WARM_UP):
            clock(call)
    own, others, spent = [], [], 0.0
    while len(own) < MIN_ROUNDS or (spent < budget_ms and len(own) < MAX_ROUNDS):
        if reference is None:
            own.append(clock(model))
            others.append(own[-1])
        elif len(own) % 2:
            others.append(clock(reference))
            own.append(clock(model))
        else:
            own.append(clock(model))
            others.append(clock(reference))
        spent += own[-1] + (others[-1] if reference else 0.0)
    p10, median, p90 = np.quantile(own, [0.1, 0.5, 0.9])
    ratio = np.median(np.divide(own, others))
    return Latency(float(median), float(p10), float(p90), float(ratio), len(own))
