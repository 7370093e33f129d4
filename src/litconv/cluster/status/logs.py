"""The last line of what a point printed that failed or was interrupted."""

from dataclasses import dataclass
from pathlib import Path

from litconv.cluster.status.survey import Seen, Survey

MOST_LOGS = 5
TAIL_BYTES = 4096


@dataclass(frozen=True)
class Logs:
    shown: list[tuple[Path, str]]
    more: int


def last_lines(survey: Survey) -> Logs | None:
    ended = [seen for seen in survey.points if seen.status in ("failed", "interrupted")]
    shown = []
    for seen in ended[:MOST_LOGS]:
        path = log_of(survey, seen)
        if path is not None:
            shown.append((path, last_line(path)))
    return Logs(shown, max(0, len(ended) - MOST_LOGS)) if shown else None


def log_of(survey: Survey, seen: Seen) -> Path | None:
    """The first that says anything: of its run, or of its task."""
    run = survey.sweep / seen.point.name
    logs = [run / "console.log", run / "train.log"]
    if seen.point.name in survey.duties.over:
        batch, task = survey.duties.over[seen.point.name]
        logs.append(batch.log(task))
    return next((log for log in logs if last_line(log)), None)


def last_line(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    except OSError:
        return ""
    return next((line for line in reversed(lines) if line), "")
