"""The last line of what was printed by a point that failed or was interrupted, or by a task that did not begin it."""

from dataclasses import dataclass
from pathlib import Path

from litconv.cluster.status.seen import Seen
from litconv.cluster.status.survey import Survey
from litconv.sweep.outcome import NOT_STARTED

MOST_LOGS = 5
TAIL_BYTES = 4096


@dataclass(frozen=True)
class Logs:
    shown: list[tuple[Path, str]]
    more: int


def last_lines(survey: Survey) -> Logs | None:
    logs = list(dict.fromkeys(log for seen in survey.points if (log := log_of(survey, seen)) is not None))
    shown = [(log, last_line(log)) for log in logs[:MOST_LOGS]]
    return Logs(shown, len(logs) - len(shown)) if shown else None


def log_of(survey: Survey, seen: Seen) -> Path | None:
    """Of what ended before its time: its run's, else its task's."""
    run = survey.sweep / seen.point.name
    logs = [run / "console.log", run / "train.log"] if seen.status in ("failed", "interrupted") else []
    if seen.status in ("interrupted", NOT_STARTED) and seen.point.name in survey.duties.over:
        batch, task = survey.duties.over[seen.point.name]
        logs.append(batch.log(task))
    return next((log for log in logs if says_something(log)), None)


def says_something(log: Path) -> bool:
    return log.exists() and log.stat().st_size > 0


def last_line(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    except OSError:
        return ""
    return next((line for line in reversed(lines) if line), "")
