"""A loss that is not finite fails the run, with epoch and step, and the host never waits for the device to see it.

On a CPU every step is looked at. On a GPU the losses of EVERY steps are copied while the next ones run, and looked at
when those have been queued; the rest at the epoch's end.
"""

from math import isfinite

import torch
from torch import Tensor

from litconv.errors import TrainingError

EVERY = 32  # steps


class FiniteLoss:
    """Of one epoch of so many steps. `where` says which, in words."""

    def __init__(self, where: str, steps: int) -> None:
        self.where, self.steps = where, steps
        self.copied: tuple[int, Tensor, torch.cuda.Event] | None = None  # (first step, losses on the host, copy done)

    def look(self, losses: list[Tensor]) -> None:
        """After every step, with the losses of all steps so far."""
        device, steps = losses[-1].device.type, len(losses)
        if device == "cpu":
            if not isfinite(losses[-1].item()):
                self.check(losses[-1].reshape(1), before=steps - 1)
        elif device == "cuda" and steps % EVERY == 0:
            if self.copied is not None:
                before, values, done = self.copied
                done.synchronize()  # recorded EVERY steps ago
                self.check(values, before)
            values = torch.stack(losses[-EVERY:]).to("cpu", non_blocking=True)
            done = torch.cuda.Event()
            done.record(torch.cuda.current_stream(losses[-1].device))
            self.copied = steps - EVERY, values, done

    def check(self, losses: Tensor, before: int) -> None:
        """(steps,) on the host; `before` is the number of steps before these."""
        bad = ~losses.isfinite()
        if bad.any():
            first = int(bad.nonzero()[0])
            raise TrainingError(
                f"train/loss is {losses[first].item()} in {self.where}, step {before + first + 1}/{self.steps}: "
                "try a smaller optim.lr or a longer schedule.warmup"
            )
