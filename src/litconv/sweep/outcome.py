"""What became of a job: its own summary where it wrote one, and else the one that is written for it here."""

import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from litconv.errors import BusyError
from litconv.files import of_full_disk
from litconv.run.state import lock, read_summary
from litconv.run.summary import write_summary

NOT_STARTED = "not started"
SUBMITTED = "submitted"  # it is trained elsewhere, and nobody waits for it
FULL_DISK = 74  # a job's exit status (EX_IOERR): there may be no room for a summary that says so
ENDS = ("completed", "failed", "interrupted")


@dataclass
class Outcome:
    """A row of the sweep's table."""

    number: int
    name: str
    status: str  # completed | failed | interrupted | refused | not started | submitted
    summary: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    trained: bool = False  # by this launch
    error: str = ""


def mark(run: Path) -> tuple[int, int]:
    """Differs when another summary was written."""
    try:
        stat = (run / "summary.json").stat()
    except FileNotFoundError:
        return 0, 0
    return stat.st_ino, stat.st_mtime_ns


def judge(exit_code: int, asked_to_stop: bool) -> tuple[str, str]:
    """(status, error) of a job that left no summary; a negative code is the signal that killed it."""
    if exit_code in (130, 143, -signal.SIGINT, -signal.SIGTERM) or (asked_to_stop and exit_code < 0):
        return "interrupted", ""
    if exit_code == FULL_DISK:
        return "interrupted", "No space left on device; make room, and the same command goes on"
    if exit_code == -signal.SIGKILL:
        return "failed", ("killed by signal 9 (SIGKILL); out of memory? A smaller n_jobs or data.batch_size needs less")
    if exit_code < 0:
        return "failed", f"killed by signal {-exit_code} ({signal.Signals(-exit_code).name}); see console.log"
    return "failed", f"ended with exit status {exit_code} and without a summary; see console.log"


def settle(run: Path, facts: dict[str, Any], before: tuple[int, int], status: str, error: str) -> dict[str, Any]:
    """The summary of a job that has ended as `status`: its own, and else one that is written here, if there is room."""
    own = {**facts, "status": status, **({"error": error} if error else {})}
    with suppress(BusyError):  # another launch went on with it already: its summary counts
        file = lock(run)
        with file:
            if mark(run) == before or read_summary(run).get("status") not in ENDS:
                try:
                    write(run, facts, status, error)
                except OSError as fault:
                    if not of_full_disk(fault):
                        raise
                    return own
    return read_summary(run)


def overrule(run: Path, status: str, error: str) -> dict[str, Any]:
    """The job's own summary says that it was interrupted; the launcher knows by whom and why."""
    with lock(run):
        write(run, read_summary(run), status, error)
    return read_summary(run)


def write(run: Path, facts: dict[str, Any], status: str, error: str) -> None:
    run.mkdir(parents=True, exist_ok=True)
    write_summary(run / "summary.json", {**facts, "status": status, **({"error": error} if error else {})})
