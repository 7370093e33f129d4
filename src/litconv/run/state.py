"""What a run's folder says of itself, its lock, and whether it is to be run again: all that needs no torch."""

import fcntl
import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from litconv.config.environment import TASK
from litconv.errors import BusyError

LOOKERS, LOOK_SECONDS = 5, 0.01  # who only looks whether a run is busy has its lock for less than this


def lock(run: Path) -> TextIO:
    """The run's lock, held until this is closed or the process ends; meanwhile its file says who holds it."""
    file = _locked(run)
    for _ in range(LOOKERS):
        if file is None:
            time.sleep(LOOK_SECONDS)
            file = _locked(run)
    if file is None:
        raise BusyError(f"{run} is being written by another process; wait for it, or change the seed")
    holder = {"host": host(), "pid": os.getpid(), "since": time.time(), "task": os.environ.get(TASK, "")}
    with suppress(OSError):  # a full disk is the run's affair, not its lock's
        file.truncate(0)
        file.write(json.dumps(holder))
        file.flush()
    return file


def is_busy(run: Path) -> bool:
    try:
        with lock_file(run).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two that look do not take each other for a run
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def holder(run: Path) -> dict[str, Any]:
    """{host, pid, since, task} of who holds the run's lock; empty where nobody does."""
    if not is_busy(run):
        return {}
    try:
        said = json.loads(lock_file(run).read_text())
    except (OSError, ValueError):  # it is just being written
        return {"host": "", "pid": 0, "since": time.time(), "task": ""}
    return said


def host() -> str:
    """Of this machine; under Slurm the node's name, which is what its commands take."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def lock_file(run: Path) -> Path:
    return run.parent.parent / ".locks" / f"{run.parent.name}_{run.name}"


def _locked(run: Path) -> TextIO | None:
    """None while another has it. The file is never removed: a lock on a removed file locks nothing."""
    run.parent.mkdir(parents=True, exist_ok=True)
    lock_file(run).parent.mkdir(exist_ok=True)
    file = lock_file(run).open("a")  # not "w": who only looks must not wipe what the holder says
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


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


def epochs_done(run: Path) -> int:
    """The rows of its metrics.csv."""
    try:
        return max((run / "metrics.csv").read_bytes().count(b"\n") - 1, 0)
    except FileNotFoundError:
        return 0
