"""TensorBoard: event files in the run's `tensorboard/`, through Lightning's TensorBoardLogger.

`tensorboard --logdir outputs/runs` shows all runs, the configuration and the summary under HPARAMS. A resumed run adds a
file of events to the same folder; one that starts anew there hides what lies in it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from litconv.loggers.kept_ids import keep_id, kept_ids
from litconv.loggers.scalars import scalars


class TensorBoard:
    needs = {"tensorboard": "litconv[tensorboard]"}  # noqa: RUF012 read from the source

    def __init__(
        self, folder: Path, *, name: str, group: str, job_type: str, tags: list[str], config: dict[str, Any]
    ) -> None:
        from pytorch_lightning.loggers import TensorBoardLogger

        self.resumed = "tensorboard" in kept_ids(folder)
        purge = {} if self.resumed else {"purge_step": 0}
        self.logger = TensorBoardLogger(folder, name="tensorboard", version="", default_hp_metric=False, **purge)
        self.writer = self.logger.experiment  # the folder is made here
        keep_id(folder, "tensorboard", "tensorboard")
        self.config = {"name": name, "group": group, "job_type": job_type, "tags": tags, **config}
        self.step = 0

    def steps_held(self) -> set[int]:
        if not self.resumed:
            return set()
        from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

        reader = EventAccumulator(self.writer.log_dir, {SCALARS: 0}).Reload()  # 0: all of them
        return {event.step for event in reader.Scalars("epoch")} if "epoch" in reader.Tags()[SCALARS] else set()

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        self.step = step
        self.logger.log_metrics(values, step)

    def table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """As text: TensorBoard renders Markdown."""
        lines = [columns, ["---"] * len(columns), *rows]
        self.writer.add_text(key, "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines), self.step)

    def image(self, key: str, image: np.ndarray, caption: str) -> None:
        self.writer.add_image(key, image, self.step, dataformats="HWC")
        self.writer.add_text(f"{key}/caption", caption, self.step)

    def finish(self, exit_code: int, summary: Mapping[str, Any]) -> None:
        texts = {key: value for key, value in summary.items() if isinstance(value, str)}
        self.logger.log_hyperparams({**self.config, **texts, "exit_code": exit_code}, scalars(summary), self.step)
        self.logger.finalize("success" if exit_code == 0 else "failed")


def cell(value: Any) -> str:
    return "" if value is None else str(value).replace("|", "\\|")
