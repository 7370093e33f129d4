"""Fit and test with Lightning, and what it would let pass: nothing to train on, a torn checkpoint, no word on memory."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from litconv.callbacks import compilation as compiling
from litconv.errors import ConfigError, DataError, TrainingError
from litconv.fit.out_of_memory import advice, is_out_of_memory
from litconv.run.checkpoints import AtomicCheckpoints, load_into, read
from litconv.tasks.base import Task

log = logging.getLogger("litconv")


def check_amounts(trainer: pl.Trainer, data: Any) -> None:
    """Refuse what leaves nothing to train on, to choose a checkpoint by, or to test; Lightning would go through it."""
    loaders = {"train": data.train_dataloader, "val": data.val_dataloader, "test": data.test_dataloader}
    for split, loader in loaders.items():
        batches, limit = len(loader()), getattr(trainer, f"limit_{split}_batches")
        if not batches:
            raise DataError(f"the {split} split has no batch; check the data set and data.batch_size")
        if not (limit if isinstance(limit, int) else int(limit * batches)):
            raise ConfigError(
                f"trainer.limit_{split}_batches={limit} of {batches} batches leaves none; use a whole number, at least 1"
            )


@contextmanager
def in_one_line() -> Iterator[None]:
    """What libraries raise for what a user can mend."""
    try:
        yield
    except MisconfigurationException as error:
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from error
    except RuntimeError as error:
        if said := compiling.failure(error):
            raise TrainingError(said) from error
        if "DataLoader worker" not in str(error):
            raise
        raise DataError(
            f"a reading process was ended from outside ({' '.join(str(error).split())[:120]}); "
            "often the memory is too small for so many: try a smaller data.num_workers"
        ) from error


def fit(trainer: pl.Trainer, task: Task, data: Any, checkpoint: Path | None) -> None:
    """Train from the start or from a checkpoint."""
    trainer.strategy.checkpoint_io = AtomicCheckpoints()
    memory_ran_out = False
    try:
        with in_one_line():
            trainer.fit(task, data, ckpt_path=checkpoint, weights_only=True)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        log.debug("", exc_info=True)
        memory_ran_out = True
    if memory_ran_out:  # outside of `except`, whose traceback keeps the activations alive
        raise TrainingError(advice(trainer, task, data))
    if trainer.global_step == 0:
        raise TrainingError("the training ended without one optimiser step; see trainer.max_steps and trainer.max_time")


def test(trainer: pl.Trainer, task: Task, data: Any, best: Path) -> dict[str, float]:
    """Figures of the checkpoint that validation chose, on both splits; they are for the summary, not for the history."""
    if not best.exists():
        raise TrainingError(f"{best} was never written: no epoch came to its end")
    trainer.logger = None
    load_into(task, read(best), best)
    with in_one_line():
        (validated,) = trainer.validate(task, data, verbose=False)
        (tested,) = trainer.test(task, data, verbose=False)
    return {**validated, **tested}
