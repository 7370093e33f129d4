"""A run's diagnosis: of its best checkpoint, on the validation set, into its folder and to its loggers."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from litconv.data.module import DataModule
from litconv.diagnostics import diagnose
from litconv.diagnostics.diagnosis import COLUMNS
from litconv.diagnostics.pictures import Picture
from litconv.files import write_whole
from litconv.loggers.together import Loggers
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
    loggers.table("diagnostics/layers", COLUMNS, rows)
    for name, (pixels, caption) in pictures.items():
        loggers.image(f"diagnostics/{name}", pixels, caption)


def diagnose_again(task: Task, data: DataModule, folder: Path) -> dict[str, Any]:
    """Of a run that has ended: its summary gets the new keys in place of those of an earlier diagnosis."""
    with state.lock(folder.resolve()):
        found = diagnose(task.model, data.val_dataloader())
        write(found.rows(), found.pictures(), folder)
        summary = found.summary()
        others = {k: v for k, v in state.read_summary(folder).items() if not k.startswith("diagnostics/")}
        write_summary(folder / "summary.json", others | summary)
    return summary


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
