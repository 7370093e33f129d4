"""All loggers of a run as one, for Lightning's Trainer and for train.py. Whatever fails in one of them is one line of
warning, and neither the run nor the other loggers notice.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from litconv.loggers.run_logger import LoggerOffError, Resumable, RunLogger, one_line

log = logging.getLogger(__name__)


class Loggers(Logger):
    """`makers`: under the name of each logger its class, with the options of its yaml bound (`build.loggers`)."""

    def __init__(self, makers: Mapping[str, Callable[..., RunLogger]]) -> None:
        super().__init__()
        self.makers = makers
        self.running: dict[str, RunLogger] = {}
        self.held: dict[str, set[int]] = {}  # the steps that a logger has from an earlier part of a resumed run
        self.failed: set[tuple[str, str]] = set()  # (logger, method)
        self.row: dict[str, float] = {}  # metrics of one step, not yet written
        self.row_step = 0

    def start(
        self, folder: Path, *, name: str, group: str, job_type: str, tags: list[str], config: dict[str, Any]
    ) -> None:
        """Construct each; of a run on several devices in its first process alone."""
        if rank_zero_only.rank != 0:
            return
        for key, make in self.makers.items():
            try:
                self.running[key] = make(folder, name=name, group=group, job_type=job_type, tags=tags, config=config)
            except LoggerOffError as reason:
                log.debug("%s: off (%s)", key, reason)
            except Exception as error:
                log.warning("%s: off for this run (%s)", key, one_line(error))
        for key, logger in self.running.items():
            if isinstance(logger, Resumable):
                self.held[key] = self.tell_one(key, "steps_held") or set()

    def catch_up(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Rows of metrics.csv, from before a resumed run goes on: a kill may have kept some from a logger."""
        for row in rows:
            step = int(row["step"]) - 1  # as Lightning counts the step that ends an epoch
            values = {key: float(row[key]) for key in row if row[key] and key not in ("step", "seconds")}
            for key, held in self.held.items():
                if step not in held:
                    self.tell_one(key, "metrics", values, step)

    def table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self.end_row()
        self.tell("table", key, columns, rows)

    def image(self, key: str, image: np.ndarray, caption: str) -> None:
        """uint8, (H, W, 3)"""
        self.end_row()
        self.tell("image", key, image, caption)

    def finish(self, exit_code: int, summary: Mapping[str, Any]) -> None:
        """Close each with the true exit code. A signal ends the waiting for one of them, not for those after it."""
        if exit_code and not any(key.startswith("train/") for key in self.row):
            self.row = {}  # of an epoch that did not end: a logger that had half of its row would not be told the whole
        interruption: KeyboardInterrupt | None = None
        try:
            self.end_row()
        except KeyboardInterrupt as signal:
            interruption = signal
        for key in self.running:
            try:
                self.tell_one(key, "finish", exit_code, summary)
            except KeyboardInterrupt as signal:
                interruption = signal
        if interruption is not None:
            raise interruption

    def end_row(self) -> None:
        """Write what was said of one step."""
        row, self.row = self.row, {}
        if row:
            for key in self.running:
                if self.row_step not in self.held.get(key, ()):
                    self.tell_one(key, "metrics", row, self.row_step)

    def tell(self, method: str, *arguments: Any) -> None:
        for key in self.running:
            self.tell_one(key, method, *arguments)

    def tell_one(self, key: str, method: str, *arguments: Any) -> Any:
        """A method that has failed is not called again: it would fail at every step. A service that is gone fails in all of
        them, which is worth one line."""
        if (key, method) in self.failed:
            return None
        try:
            return getattr(self.running[key], method)(*arguments)
        except Exception as error:
            first = all(name != key for name, _ in self.failed)
            self.failed.add((key, method))
            log.log(
                logging.WARNING if first else logging.DEBUG,  # which stands in train.log
                "%s: %s failed and is left out from now on (%s); the run, metrics.csv and summary.json go on without%s",
                *(key, method, one_line(error), "; what else fails of it stands in train.log" if first else ""),
            )
            return None

    # What Lightning asks of its logger.

    @property
    def name(self) -> str:
        return ", ".join(self.running)

    @property
    def version(self) -> str:
        return ""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Lightning tells of an epoch's validation and of its training apart; what has one step becomes one row."""
        if (step or 0) != self.row_step:
            self.end_row()
        self.row, self.row_step = {**self.row, **metrics}, step or 0

    def log_hyperparams(self, *unused: Any, **also_unused: Any) -> None:
        """Each logger has had the whole configuration."""
