"""No logger beside metrics.csv, which a callback of every run writes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


class Csv:
    def __init__(
        self, folder: Path, *, name: str, group: str, job_type: str, tags: list[str], config: dict[str, Any]
    ) -> None: ...

    def metrics(self, values: Mapping[str, float], step: int) -> None: ...

    def table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None: ...

    def image(self, key: str, image: np.ndarray, caption: str) -> None: ...

    def finish(self, exit_code: int, summary: Mapping[str, Any]) -> None: ...
