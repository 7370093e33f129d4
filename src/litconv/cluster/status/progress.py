"""How far a run is: the epochs of its metrics.csv, and the time that those of this start took."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Progress:
    done: int = 0  # epochs
    seconds_left: float | None = None  # None: no epoch has ended since this start


def progress(run: Path, epochs: int, since: float, now: float) -> Progress:
    """`since`: when this start began."""
    try:
        with (run / "metrics.csv").open(newline="") as file:
            seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
            written = (run / "metrics.csv").stat().st_mtime
    except (OSError, ValueError, KeyError, TypeError):
        return Progress()
    mean = mean_of_last(seconds, written - since)
    left = None if mean is None else max(0.0, mean * (epochs - len(seconds)) - (now - written))
    return Progress(len(seconds), left)


def mean_of_last(seconds: list[float], within: float) -> float | None:
    """Of the epochs that fit into the time since the start; those of an earlier start do not."""
    count, spent = 0, 0.0
    for one in reversed(seconds):
        if spent + one > within:
            break
        count, spent = count + 1, spent + one
    return spent / count if count else None


def epochs_asked(run: Path) -> int:
    """Of a run that no launch has recorded; 0 where its configuration does not say. Read without a parser of yaml, which
    takes a millisecond a run."""
    try:
        found = re.search(r"\bmax_epochs: (\d+)", (run / "config.yaml").read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0
