"""With how many threads a training on a CPU computes: forced, or under `threads=auto` chosen by its own steps.

A step is timed from its predecessor's end to its own, batch included; the first of an epoch, and of the run, is not.
Validation and test compute with the number that is chosen when they begin. What is computed with another number of threads
differs by rounding.
"""

import logging
import time
from typing import Any, Literal

import pytorch_lightning as pl
import torch

from litconv.callbacks.compilation import Compilation
from litconv.callbacks.thread_choice import ThreadChoice

log = logging.getLogger(__name__)


class Threads(pl.Callback):
    def __init__(self, threads: int | Literal["auto"]) -> None:
        self.asked = threads
        self.choice: ThreadChoice | None = None  # on a CPU
        self.began: float | None = None

    def facts(self) -> dict[str, Any]:
        """The keys of summary.json."""
        if self.choice is None:
            return {}
        return {"train/threads": self.choice.chosen, "train/threads_changes": self.choice.changes}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage != "fit" or trainer.strategy.root_device.type != "cpu":
            return
        if self.asked != "auto":
            torch.set_num_threads(self.asked)  # again: Lightning shares out the cores among several processes
        # Processes that wait for each other would measure each other. A compiled program is for one number of threads.
        alone = trainer.world_size == 1 and not any(isinstance(c, Compilation) for c in trainer.callbacks)
        most = torch.get_num_threads()
        self.choice = ThreadChoice(1 if self.asked == "auto" and alone else most, most)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.go_on()

    def go_on(self) -> None:
        """What the next step takes says nothing: something else comes before its end."""
        self.began = None
        if self.choice is not None:
            compute_with(self.choice.threads)

    def on_train_batch_end(self, *unused: object) -> None:
        if self.choice is None:
            return
        if self.began is not None:
            self.tell(time.perf_counter() - self.began)
        self.began = time.perf_counter()

    def tell(self, seconds: float) -> None:
        before = self.choice.settled, self.choice.chosen
        self.choice.took(seconds)
        compute_with(self.choice.threads)
        if (self.choice.settled, self.choice.chosen) != before:
            log.debug("threads=auto: %d of %d from here on", self.choice.chosen, self.choice.most)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.choice is not None:
            compute_with(self.choice.chosen)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == "fit":
            self.go_on()

    on_test_start = on_validation_start

    def state_dict(self) -> dict[str, Any]:
        return {} if self.choice is None else {"threads": self.choice.chosen, "changes": self.choice.changes}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if self.choice is not None:
            self.choice.resume(state_dict["threads"], state_dict["changes"])


def compute_with(threads: int) -> None:
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
