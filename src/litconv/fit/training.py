"""Fit and test with Lightning, and what it would let pass: a torn checkpoint, no word on memory, a training of no steps."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from litconv.callbacks import Divergence, Timing, compilation
from litconv.callbacks.compilation import Compilation
from litconv.callbacks.ending import epochs_trained
from litconv.callbacks.threads import Threads
from litconv.data.module import DataModule
from litconv.errors import ConfigError, DataError, TrainingError
from litconv.fit.lost_process import lost_process, port_taken
from litconv.fit.out_of_memory import advice, is_out_of_memory
from litconv.loggers.together import Loggers
from litconv.run.asked import Asked
from litconv.run.checkpoints import AtomicCheckpoints, load_into, read, require_fit
from litconv.run.folder import RunFolder
from litconv.tasks import scores
from litconv.tasks.base import Task

log = logging.getLogger("litconv")


@contextmanager
def in_one_line() -> Iterator[None]:
    """What libraries raise for what a user can mend."""
    try:
        yield
    except MisconfigurationException as error:
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from error
    except ImportError as error:
        raise ConfigError(f"this run needs a library that is not installed ({' '.join(str(error).split())})") from error
    except RuntimeError as error:
        if str(error).startswith("Early stopping conditioned on metric"):
            raise ConfigError(f"callbacks.extra: {' '.join(str(error).split())}") from error
        if said := compilation.failure(error):
            raise TrainingError(said) from error
        if cause := port_taken(error) or lost_process(error):
            raise cause from error
        if "DataLoader worker" not in str(error):
            raise
        raise DataError(
            f"a reading process was ended from outside ({' '.join(str(error).split())[:120]}); "
            "often the memory is too small for so many: try a smaller data.num_workers"
        ) from error


def fit(trainer: pl.Trainer, task: Task, data: DataModule, checkpoint: Path | None) -> None:
    """Train from the start or from a checkpoint."""
    trainer.strategy.checkpoint_io = AtomicCheckpoints()
    if checkpoint is not None:
        require_fit(task, read(checkpoint), checkpoint)
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


def judged(trainer: pl.Trainer, task: Task) -> dict[str, Any]:
    """What should not pass for a sound training, as keys of summary.json."""
    if trainer.global_step < task.total_steps and trainer.is_global_zero:
        log.info(
            "the training was ended after %d of %d steps: the learning rate's schedule did not come to its end",
            trainer.global_step,
            task.total_steps,
        )
    warnings = [c.warning(task.guessing_loss()) for c in trainer.callbacks if isinstance(c, Divergence)]
    return {"train/diverged": True, "warnings": warnings} if any(warnings) else {}


def test(trainer: pl.Trainer, task: Task, data: DataModule, folder: RunFolder) -> None:
    """Record the figures of the checkpoint that validation chose, on both splits, and how long the training took."""
    if not folder.best.exists():
        raise TrainingError(f"{folder.best} was never written: the training ended before its first validation")
    folder.record(judged(trainer, task))
    loggers, trainer.logger = trainer.logger, None  # the figures are for the summary, not for the history
    # Their averages are in the checkpoint; validating, they would put those of the training's end in its place.
    trainer.callbacks = [callback for callback in trainer.callbacks if not isinstance(callback, WeightAveraging)]
    load_into(task, read(folder.best), folder.best)
    with in_one_line():
        (validated,) = trainer.validate(task, data, verbose=False)
        (tested,) = trainer.test(task, data, verbose=False)
    folder.record({**validated, **tested, "test/split": data.test_split, **amounts(trainer)})
    if task.confusion_matrix is not None:
        columns, rows = scores.rows(task.confusion_matrix, data.class_names)
        folder.write_table("confusion.csv", columns, rows)
        loggers.table("test/confusion", columns, rows)


def diagnose_if_asked(asked: Asked, task: Task, data: DataModule, folder: RunFolder, loggers: Loggers) -> None:
    """By `diagnostics=true`; `task` has the weights that were tested."""
    if asked.config.diagnostics:
        from litconv.fit.diagnosing import diagnose_run  # and matplotlib

        diagnose_run(task, data, folder, loggers)


def amounts(trainer: pl.Trainer) -> dict[str, Any]:
    """Epochs, seconds of training steps (validation left out), images a second; what became of compiling, and the threads."""
    (timing,) = (callback for callback in trainer.callbacks if isinstance(callback, Timing))
    others = [callback.facts() for callback in trainer.callbacks if isinstance(callback, Compilation | Threads)]
    return {
        **{key: fact for facts in others for key, fact in facts.items()},
        "train/epochs": epochs_trained(trainer),
        "train/seconds": timing.train_seconds,
        "train/images_per_second": timing.images_per_second,
    }
