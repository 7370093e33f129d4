"""A run's diagnosis: of its best checkpoint, on the validation set, into its folder and to its loggers."""

import csv
import io
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from litconv.data.module import DataModule
from litconv.diagnostics import diagnose
from litconv.diagnostics.diagnosis import COLUMNS
from litconv.diagnostics.pictures import Picture
from litconv.files import write_whole
from litconv.loggers.together import Loggers
from litconv.loggers.wandb import Wandb
from litconv.run import state
from litconv.run.folder import RunFolder
from litconv.run.summary import write_summary
from litconv.tasks.base import Task


def diagnose_run(task: Task, data: DataModule, folder: RunFolder, loggers: Loggers) -> None:
    """`task` has the weights that were tested."""
    found = diagnose(task.model, data.val_dataloader())
    rows, pictures = found.rows(), found.pictures()
    folder.record(found.summary())
    write(rows, pictures, folder.path)
    show(rows, pictures, loggers)


def diagnose_again(task: Task, data: DataModule, folder: Path, wandb: Mapping[str, str]) -> dict[str, Any]:
    """Of a run that has ended: its summary gets the new keys in place of those of an earlier diagnosis. `wandb`: options, where
    the run was logged there."""
    with state.lock(folder.resolve()):
        found = diagnose(task.model, data.val_dataloader())
        rows, pictures, summary = found.rows(), found.pictures(), found.summary()
        write(rows, pictures, folder)
        others = {k: v for k, v in state.read_summary(folder).items() if not k.startswith("diagnostics/")}
        write_summary(folder / "summary.json", others | summary)
        if (folder / "wandb").is_dir():
            loggers = started_beside(folder, others, wandb)
            show(rows, pictures, loggers)
            loggers.finish(0, summary)
    return summary


def started_beside(folder: Path, run: Mapping[str, Any], options: Mapping[str, str]) -> Loggers:
    """A wandb run of its own in the group of the run: nothing can be added to an
    offline run that has ended."""
    loggers = Loggers({"wandb": partial(Wandb, **options, resume=False)})
    named = {key: run.get(key) for key in ("name", "arm", "arm_hash", "config_hash", "seed")}
    group = str(run.get("sweep") or "runs")
    loggers.start(
        folder, name=f"diagnose {named['name']}", group=group, job_type="diagnose", tags=["diagnostics"], config=named
    )
    return loggers


def show(rows: list[list[Any]], pictures: Mapping[str, Picture], loggers: Loggers) -> None:
    loggers.table("diagnostics/layers", COLUMNS, rows)
    for name, (pixels, caption) in pictures.items():
        loggers.image(f"diagnostics/{name}", pixels, caption)


def write(rows: list[list[Any]], pictures: Mapping[str, Picture], folder: Path) -> None:
    """diagnostics.csv and a PNG for each picture in diagnostics/."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([COLUMNS, *rows])
    write_whole(folder / "diagnostics.csv", text.getvalue().encode())
    (folder / "diagnostics").mkdir(exist_ok=True)
    for name, (pixels, _) in pictures.items():
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", optimize=True)
        write_whole(folder / "diagnostics" / f"{name}.png", file.getvalue())
