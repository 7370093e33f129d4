"""A sweep's survey as text: counts, what must be known beside, a line for each point, last lines of logs, the command."""

import shlex
import textwrap
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from litconv.cluster.status import remedy
from litconv.cluster.status.logs import last_lines
from litconv.cluster.status.survey import ALL_DONE, DONE, QUEUED, RUNNING, STATES, Seen, Survey
from litconv.sweep.board import duration
from litconv.sweep.outcome import NOT_STARTED

FEWEST_ROWS = 12  # however low the terminal


@dataclass(frozen=True)
class Screen:
    """Where it is shown; without a size nothing is cut."""

    width: int | None = None
    height: int | None = None

    def cut(self, line: str) -> str:
        return line if self.width is None or len(line) <= self.width else f"{line[: self.width - 1]}…"

    def wrapped(self, line: str) -> str:
        if self.width is None:
            return line
        return textwrap.fill(line, self.width, subsequent_indent="  ", break_on_hyphens=False)

    def command(self, line: str) -> str:
        """As a shell takes it, on several lines where it is too long for one."""
        if self.width is None or len(line) + 2 <= self.width:
            return f"  {line}"
        words = [shlex.quote(word) for word in shlex.split(line)]
        lines = [" "]
        for word in words:
            if len(lines[-1]) + len(word) + 3 > self.width and lines[-1].strip():
                lines.append("   ")
            lines[-1] += f" {word}"
        return " \\\n".join(lines)


def text(survey: Survey, screen: Screen) -> str:
    parts = [screen.wrapped(headline(survey)), *map(screen.wrapped, notes(survey))]
    ends = endings(survey, screen)
    used = sum(part.count("\n") + 1 for part in [*parts, *ends]) + 1
    rows = None if screen.height is None else max(FEWEST_ROWS, screen.height - used - 1)
    return "\n".join([*parts, *table(survey, screen, rows), *ends])


def headline(survey: Survey) -> str:
    counted = ", ".join(f"{survey.counts[status]} {status}" for status in (DONE, *STATES[:-1]) if survey.counts[status])
    number = len(survey.points)
    return f"{number} point{'s' * (number != 1)}: {counted or 'none has begun'}"


def notes(survey: Survey) -> Iterable[str]:
    yield from stages(survey)
    if not survey.has_record and survey.points:
        yield (
            "no points.jsonl: a sweep from before there was one, or runs that were started one by one; "
            "what has not begun is not known"
        )
    elif survey.unrecorded:
        yield f"{survey.unrecorded} of them are runs in the sweep's folder that no launch has recorded"
    if survey.duties.unanswered:
        yield (
            f"Slurm does not answer ({survey.duties.unanswered}): which tasks wait or run is not known, "
            "the rest is what the runs' folders say"
        )
    for launch in survey.launches:
        begun = time.strftime("%H:%M on %d %b", time.localtime(launch.since))
        if launch.lives and not survey.points:
            yield f"the launch on {launch.place}, begun at {begun}, has not come to its points"
        if not launch.lives and survey.exit_status != ALL_DONE:
            where = f"task {launch.task} on {launch.host}" if launch.task else f"the launch on {launch.place}"
            yield f"{where}, begun at {begun}, was killed"


def stages(survey: Survey) -> Iterable[str]:
    if not survey.tuning:
        return
    keys = " ".join(map(str, survey.tuning.get("best_of", ())))
    first = [seen for seen in survey.points if seen.stage == 1]
    done = sum(seen.status == DONE for seen in first)
    said = f"stage 1 of 2 chooses {keys}: {done} of {len(first)} trials done"
    if survey.tests:
        done = sum(seen.status == DONE for seen in survey.tests)
        yield f"{said}; stage 2 tests what was chosen: {done} of {len(survey.tests)} done"
    else:
        yield f"{said}; stage 2, which tests what is chosen, has not begun"


def table(survey: Survey, screen: Screen, most: int | None) -> list[str]:
    """`most`: rows; None for all."""
    by_status = {status: [seen for seen in survey.points if seen.status == status] for status in STATES}
    kept = shares({status: len(seen) for status, seen in by_status.items()}, most)
    shown = [seen for status in STATES for seen in by_status[status][: kept[status]]]
    names = labels(survey.points)
    labelled = {seen.point.key: label(names[seen.point.key], seen) for seen in shown}
    widest = max(map(len, labelled.values()), default=0)
    width = widest if screen.width is None else min(widest, (screen.width - 13) * 3 // 5)
    lines = []
    for status in STATES:
        for seen in by_status[status][: kept[status]]:
            name = shortened(labelled[seen.point.key], width)
            lines.append(screen.cut(f"{status:<11}  {name:<{width}}  {words(seen)}".rstrip()))
        if more := len(by_status[status]) - kept[status]:
            lines.append(screen.cut(f"{status:<11}  … {more} more; `| cat` or json=true shows all"))
    return lines


def shares(counts: dict[str, int], most: int | None) -> dict[str, int]:
    """How many of each are shown: a few of every kind, and then as they come."""
    if most is None or sum(counts.values()) <= most:
        return counts
    kinds = sum(count > 0 for count in counts.values())
    room = most - kinds  # a line of each for what is left out
    kept = {status: min(count, max(1, room // kinds)) for status, count in counts.items()}
    for status, count in counts.items():
        kept[status] += max(0, min(count - kept[status], room - sum(kept.values())))
    return kept


def labels(points: Sequence[Seen]) -> dict[str, str]:
    """What tells a point from the others, where it does; else its run's name."""
    told: dict[str, int] = {}
    for seen in points:
        told[seen.point.told] = told.get(seen.point.told, 0) + 1
    return {
        seen.point.key: seen.point.told if seen.point.told and told[seen.point.told] == 1 else seen.point.key
        for seen in points
    }


def label(name: str, seen: Seen) -> str:
    return f"{name} ({('chooses', 'tests')[seen.stage - 1]})" if seen.stage else name


def shortened(name: str, width: int) -> str:
    """Its ends tell more than its middle."""
    if len(name) <= width:
        return name
    head = (width - 1) // 2
    return f"{name[:head]}…{name[len(name) - (width - 1 - head) :]}"


def words(seen: Seen) -> str:
    """What is to be said of it beside its status."""
    if seen.status == RUNNING:
        left = "" if seen.seconds_left is None else f"{duration(seen.seconds_left)} left"
        return ", ".join(filter(None, (epoch(seen), left, seen.host, seen.task and f"task {seen.task}")))
    if seen.status == QUEUED:
        position = f"{seen.position} of {seen.waiting}"
        where = f"{seen.where}: {seen.reason}, {position} tasks" if seen.in_tasks else f"{seen.where} ({position})"
        return ", ".join(filter(None, (where, seen.epoch and f"{epoch(seen)} so far")))
    if seen.status == "interrupted":
        return "; ".join(filter(None, (epoch(seen), seen.error)))
    if seen.status == DONE:
        return seen.figure
    return seen.error if seen.status != NOT_STARTED or seen.error else ""


def epoch(seen: Seen) -> str:
    return f"epoch {seen.epoch}/{seen.epochs}" if seen.epochs else f"epoch {seen.epoch}"


def endings(survey: Survey, screen: Screen) -> list[str]:
    lines = []
    if logs := last_lines(survey):
        lines = ["", "last lines of their logs:"]
        for path, line in logs.shown:
            lines += [screen.cut(f"  {path}"), screen.cut(f"    {line}")]
        if logs.more:
            lines.append(f"  … and {logs.more} more")
    if found := remedy.commands(survey):
        shown = remedy.shown(found)
        lines += ["", "what is missing is trained by", *map(screen.command, shown)]
        if more := len(found) - len(shown):
            lines.append(
                f"  {'and ' if shown else ''}{more}{' more' if shown else ''} long commands, which json=true has"
            )
    return lines
