"""What a run's folder says of itself, its lock, and whether it is to be run again: all that needs no torch."""

import fcntl
import json
from pathlib import Path
from typing import Any, TextIO

from litconv.errors import BusyError


def lock(run: Path) -> TextIO:
    """The run's lock, held until this is closed or the process ends."""
    run.parent.mkdir(parents=True, exist_ok=True)
    locks = run.parent.parent / ".locks"  # never removed: a lock on a removed file locks nothing
    locks.mkdir(exist_ok=True)
    file = (locks / f"{run.parent.name}_{run.name}").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise BusyError(f"{run} is being written by another process; wait for it, or change the seed") from None
    return file


def is_busy(run: Path) -> bool:
    try:
        lock(run).close()
    except BusyError:
        return True
    return False


def read_summary(run: Path) -> dict[str, Any]:
    """Empty where there is none."""
    try:
        summary = json.loads((run / "summary.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return summary if isinstance(summary, dict) else {}


def status(run: Path) -> str | None:
    """What an earlier run here came to; None where there was none."""
    written = read_summary(run).get("status")
    return written or ("interrupted" if (run / "checkpoints" / "last.ckpt").exists() else None)


def is_wanted(status: str | None, rerun: str) -> bool:
    """Whether a point of a sweep is to be trained, for what became of it before.

    rerun=failed: all that is not completed; all: everything; none: not what failed.
    """
    return rerun == "all" or status not in ({"completed"} if rerun == "failed" else {"completed", "failed"})
