"""Where a run's figures go besides its own files: one file, one class and one yaml for each logger.

`run_logger.RunLogger` is what a class must have, `together.Loggers` are all loggers of a run as one. No library of a
logger is imported before that logger starts.
"""

# The names in the config.yaml of runs from before each logger was a class.
from litconv.loggers.csv import Csv as csv_only  # noqa: N813
from litconv.loggers.wandb import Wandb as make_wandb  # noqa: N813

__all__ = ["csv_only", "make_wandb"]
