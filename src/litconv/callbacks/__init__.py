"""What every run has besides its task: progress, metrics.csv, timing, the best and the last checkpoint."""

import os
from collections.abc import Mapping
from pathlib import Path

from pytorch_lightning import Callback
from pytorch_lightning.callbacks import ModelCheckpoint

from litconv.callbacks.divergence import Divergence
from litconv.callbacks.ending import Ending
from litconv.callbacks.guards import Interruptions, Monitors
from litconv.callbacks.log_rows import LogRows
from litconv.callbacks.metrics_csv import MetricsCsv
from litconv.callbacks.progress import ProgressBar
from litconv.callbacks.timing import Timing

__all__ = [
    "Divergence",
    "Ending",
    "Interruptions",
    "LogRows",
    "MetricsCsv",
    "Monitors",
    "ProgressBar",
    "Timing",
    "checkpoints",
    "default",
]


def default(folder: Path, monitor: str, mode: str, *, extra: Mapping[str, Callback] = {}) -> list[Callback]:
    """The callbacks of a run in `folder`; `extra` are the user's own, by any name."""
    own = [
        Interruptions(),
        Monitors(),
        Ending(),
        Divergence(),
        Timing(),
        MetricsCsv(folder),
        LogRows(),
        ProgressBar(monitor),
    ]
    return [*own, *extra.values(), *checkpoints(folder, monitor, mode)]


def checkpoints(folder: Path, monitor: str, mode: str) -> list[ModelCheckpoint]:
    """`checkpoints/best.ckpt` by the monitored metric, and `checkpoints/last.ckpt` of every epoch.

    The best is written where it was validated, which may be inside an epoch (trainer.val_check_interval); the last at an
    epoch's very end, when all its metrics are known, and after the best, since it holds which one is best.
    """
    common = {"dirpath": os.fspath(folder / "checkpoints"), "enable_version_counter": False, "save_top_k": 1}
    return [
        ModelCheckpoint(**common, filename="best", monitor=monitor, mode=mode, save_on_train_epoch_end=False),
        ModelCheckpoint(**common, filename="last", monitor=None, save_on_train_epoch_end=True),
    ]
