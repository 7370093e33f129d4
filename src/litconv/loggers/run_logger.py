"""What a logger must have. Its class is named by a yaml of conf/logger, or by `+logger.NAME._target_=package.module.Class`.

It is constructed as `Class(folder, *, name, group, job_type, tags, config, <options of its yaml>)` once all that can be
refused has been checked. `folder` is the run's, and it exists. A resumed run constructs it with the same folder again. If
its library may be missing, the class says so: `needs = {"module": "what pip installs"}`.

A resumed run repeats the epoch that was broken off, and a kill may have kept a row from a logger. One that can tell which
rows it holds has `steps_held`, too (`Resumable`): it is told each row once. Where a run is known by an id, `kept_ids` keeps it.

It may raise whatever it likes, in any method: `Loggers` turns that into a warning.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from litconv.secrets import masked


@runtime_checkable
class RunLogger(Protocol):
    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Values after this many optimiser steps; `epoch` is one of them."""

    def table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None: ...

    def image(self, key: str, image: np.ndarray, caption: str) -> None:
        """uint8, (H, W, 3)"""

    def finish(self, exit_code: int, summary: Mapping[str, Any]) -> None:
        """The run has ended with this exit code; `summary` is its summary.json. Called once, also after other methods failed."""


@runtime_checkable
class Resumable(Protocol):
    def steps_held(self) -> set[int]:
        """Those steps of this run whose metrics an earlier part of it has written. Called once, before any metrics."""


class LoggerOffError(Exception):
    """Raised by a constructor: the user has switched this logger off, and nothing is said of it."""


def one_line(error: BaseException) -> str:
    return masked(f"{type(error).__name__}: {' '.join(str(error).split())}"[:300])
