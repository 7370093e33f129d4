"""A sweep's survey as text: counts, what must be known beside, a line for each point, last lines of logs, the command."""

import time
from collections.abc import Iterable

from litconv.cluster.status import remedy
from litconv.cluster.status.logs import last_lines
from litconv.cluster.status.rows import rows_of
from litconv.cluster.status.screen import Screen
from litconv.cluster.status.seen import DONE, STATES
from litconv.cluster.status.survey import ALL_DONE, Survey

FEWEST_ROWS = 12  # however low the terminal


def text(survey: Survey, screen: Screen) -> str:
    parts = [screen.wrapped(headline(survey)), *map(screen.wrapped, notes(survey))]
    ends = endings(survey, screen)
    used = sum(part.count("\n") + 1 for part in [*parts, *ends]) + 1
    rows = None if screen.height is None else max(FEWEST_ROWS, screen.height - used - 1)
    return "\n".join([*parts, *rows_of(survey, screen, rows), *ends])


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


def endings(survey: Survey, screen: Screen) -> list[str]:
    lines = []
    if logs := last_lines(survey):
        lines = ["", "last lines of their logs:"]
        for path, line in logs.shown:
            lines += [screen.cut(f"  {path}"), *screen.indented(line)]
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
