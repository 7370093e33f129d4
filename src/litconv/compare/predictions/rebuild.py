"""The data and the trained network of a finished run, from its folder.

The folder may be somebody else's, so its config.yaml does not say what may be built: the one who compares does, as with
scripts/evaluate.py. `allowed` are the packages named on the command line; what the user's own runs named is remembered.
"""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from litconv.errors import ConfigError, DataError
from litconv.run.finished import config_of

CANNOT_BUILD = (OSError, ValueError, KeyError, RuntimeError, EOFError, pickle.UnpicklingError)


def data_of(run: Path, allowed: Sequence[str]) -> Any:
    """The DataModule, ready to be tested on."""
    from litconv import build

    data = build.data(config_of(run, allowed))
    data.setup("test")
    return data


def task_of(checkpoint: Path, data: Any, allowed: Sequence[str]) -> Any:
    """The task with the weights of one of the run's checkpoints, in eval mode."""
    from litconv import build
    from litconv.run.checkpoints import load_into, read

    task = build.task(config_of(checkpoint.parents[1], allowed), data)
    load_into(task, read(checkpoint), checkpoint)
    return task.eval()


def reason(error: BaseException) -> str:
    """One line; what litconv itself says names the remedy and is kept whole."""
    text = " ".join(str(error).split())
    return text if isinstance(error, ConfigError | DataError) else f"{type(error).__name__}: {text}"[:160]
