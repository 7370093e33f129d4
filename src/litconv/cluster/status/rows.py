"""A line for each point of a sweep: its status, what tells it from the others, and what is to be said of it."""

from collections.abc import Mapping, Sequence

from litconv.cluster.status.screen import Screen
from litconv.cluster.status.seen import DONE, QUEUED, RUNNING, STATES, Seen
from litconv.cluster.status.survey import Survey
from litconv.sweep.board import duration

FEW = 2  # of a status, where not all have room
STAGES = {1: "chooses", 2: "tests"}


def rows_of(survey: Survey, screen: Screen, most: int | None) -> list[str]:
    """`most`: lines; None for all."""
    by_status = {status: [seen for seen in survey.points if seen.status == status] for status in STATES}
    kept = shares({status: len(seen) for status, seen in by_status.items()}, most)
    shown = [seen for status in STATES for seen in by_status[status][: kept[status]]]
    head, names = columns(shown, labels(survey.points))
    widest = max(map(len, names), default=0)
    width = widest if screen.width is None else min(widest, (screen.width - 13) * 3 // 5)
    labelled = iter(names)
    lines = [f"{'':<11}  {shortened(head, width)}"] if head else []
    for status in STATES:
        for seen in by_status[status][: kept[status]]:
            lines.append(f"{status:<11}  {shortened(next(labelled), width):<{width}}  {words(seen)}".rstrip())
        if more := len(by_status[status]) - kept[status]:
            lines.append(f"{status:<11}  … {more} more; `| cat` or json=true shows all")
    return [screen.cut(line) for line in lines]


def shares(counts: dict[str, int], most: int | None) -> dict[str, int]:
    """How many of each are shown: a few of every kind, then of those that want attention."""
    if most is None or sum(counts.values()) <= most:
        return counts
    kinds = sum(count > 0 for count in counts.values())
    room = most - kinds - 1  # a line of each for what is left out, and one above the columns
    kept = {status: min(count, FEW) for status, count in counts.items()}
    for status in sorted(counts, key=lambda status: status in (QUEUED, DONE)):
        kept[status] += max(0, min(counts[status] - kept[status], room - sum(kept.values())))
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


def columns(shown: Sequence[Seen], names: Mapping[str, str]) -> tuple[str, list[str]]:
    """(what stands above, what stands in each line): the values alone where all points vary the same keys."""
    rows = [tuple(word.partition("=") for word in names[seen.point.key].split(" ")) for seen in shown]
    keys = {tuple(key for key, _, _ in row) for row in rows}
    if len(keys) != 1 or any(not equals for row in rows for _, equals, _ in row):
        return "", [with_stage(names[seen.point.key], seen) for seen in shown]
    cells = [next(iter(keys)), *(tuple(value for _, _, value in row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    head, *lines = ["  ".join(map(str.ljust, row, widths)) for row in cells]
    return head, [with_stage(line, seen) for line, seen in zip(lines, shown, strict=True)]


def with_stage(name: str, seen: Seen) -> str:
    return f"{name} ({STAGES[seen.stage]})" if seen.stage else name


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
    return seen.error


def epoch(seen: Seen) -> str:
    return f"epoch {seen.epoch}/{seen.epochs}" if seen.epochs else f"epoch {seen.epoch}"
