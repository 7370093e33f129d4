"""The run's loggers start last: nothing of what can be refused is left, and the costs are known."""

from litconv import build
from litconv.cost import Layer
from litconv.loggers.together import Loggers
from litconv.run.asked import Asked
from litconv.run.folder import RunFolder


def start_loggers(asked: Asked, folder: RunFolder, layers: list[Layer]) -> Loggers:
    """They are closed with the folder; Lightning's Trainer takes them as its logger."""
    loggers = Loggers(build.loggers(asked.config))
    folder.at_end.append(loggers.finish)  # before they start: Ctrl-C amid it closes what runs
    loggers.start(
        folder.path,
        name=asked.name,
        group=asked.settings["sweep"] or "runs",
        job_type="train",
        tags=asked.labels,
        config={**asked.settings, "choices": asked.choices, "arm": folder.summary["arm"], "arm_hash": asked.arm_hash},
    )
    loggers.table("cost/layers", Layer.columns(), [layer.row() for layer in layers])
    return loggers
