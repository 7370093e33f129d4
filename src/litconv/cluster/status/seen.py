"""One point of a sweep, as it is at one moment."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from litconv.cluster.status.duties import Duties, Duty
from litconv.cluster.status.progress import epochs_asked, progress
from litconv.run import state
from litconv.sweep.board import figure
from litconv.sweep.outcome import NOT_STARTED, mark
from litconv.sweep.points import SweepPoint

DONE, RUNNING, QUEUED = "done", "running", "queued"
STATES = (RUNNING, QUEUED, "interrupted", "failed", "refused", NOT_STARTED, DONE)  # as they are shown


@dataclass(frozen=True)
class Seen:
    """A point."""

    point: SweepPoint
    status: str
    stage: int = 0  # of a sweep with best_of: 1 chooses, 2 tests
    host: str = ""
    pid: int = 0
    task: str = ""
    since: float = 0.0  # of this start
    epoch: int = 0
    epochs: int = 0
    seconds_left: float | None = None
    where: str = ""  # it waits
    reason: str = ""
    position: int = 0
    waiting: int = 0  # of how many
    in_tasks: bool = False  # that is a position among tasks, else among the points of a launch
    error: str = ""
    figure: str = ""


@dataclass(frozen=True)
class Ended:
    """What a run's summary says, if it has one."""

    status: str = ""
    error: str = ""
    figure: str = ""
    overrides: tuple[str, ...] = ()

    @classmethod
    def read(cls, run: Path) -> "Ended":
        summary = state.read_summary(run)
        overrides = summary.get("overrides")
        told = tuple(overrides) if isinstance(overrides, list) else ()
        return cls(summary.get("status") or "", summary.get("error") or "", figure(summary), told)


@dataclass(frozen=True)
class Look:
    """At the points of a sweep."""

    sweep: Path
    duties: Duties
    ended: dict[str, Ended]
    locks: frozenset[str]  # runs that have ever been locked
    choosing: frozenset[int]  # seeds

    def at(self, point: SweepPoint) -> Seen:
        seen = Seen(point, NOT_STARTED, self.stage(point), epochs=point.epochs)
        if point.error:
            return replace(seen, status="refused", error=point.error)
        run, ended = self.sweep / point.name, self.ended.get(point.name, Ended())
        duty = self.duties.by_name.get(point.name)
        if ended.overrides and not point.overrides:
            seen = replace(seen, point=replace(point, overrides=ended.overrides))
        if ended.status == "completed" and not is_to_be_trained_anew(run, duty):
            return replace(seen, status=DONE, figure=ended.figure)
        holder = state.holder(run) if point.name in self.locks else {}
        if holder:
            return self.running(seen, run, holder)
        if not ended.status and is_run(run):
            ended = Ended.read(run)  # it may have ended between the two looks
            if ended.status == "completed":
                return replace(seen, status=DONE, figure=ended.figure)
        status = ended.status or ("interrupted" if is_run(run) else "")
        if status:
            epochs = seen.epochs or epochs_asked(run)
            seen = replace(seen, epoch=state.epochs_done(run), epochs=epochs)
        if duty and state.is_wanted(status or None, duty.rerun) and not (status and ended_at(run) >= duty.started):
            return replace(seen, status=QUEUED, where=duty.words, task=duty.task, reason=duty.reason, host=duty.host)
        error = ended.error
        if status != "failed" and not duty and point.name in self.duties.over:
            error = self.duties.why_over(point.name)
        return replace(seen, status=status or NOT_STARTED, error=error)

    def running(self, seen: Seen, run: Path, holder: Mapping[str, Any]) -> Seen:
        epochs, now = seen.epochs or epochs_asked(run), time.time()
        since = float(holder.get("since", now))
        so_far = progress(run, epochs, since, now)
        host, pid, task = (holder.get(key, default) for key, default in (("host", ""), ("pid", 0), ("task", "")))
        done = min(so_far.done, epochs) if epochs else so_far.done
        return replace(
            seen,
            status=RUNNING,
            host=host,
            pid=pid,
            task=task,
            since=since,
            epoch=done,
            epochs=epochs,
            seconds_left=so_far.seconds_left,
        )

    def stage(self, point: SweepPoint) -> int:
        if not self.choosing:
            return 0
        seeds = [override.partition("=")[2] for override in point.overrides if override.startswith("seed=")]
        return 1 if seeds and seeds[-1].isdecimal() and int(seeds[-1]) in self.choosing else 2


def is_run(folder: Path) -> bool:
    """Whether one has ever begun here."""
    return (folder / "config.yaml").exists() or (folder / "summary.json").exists()


def is_to_be_trained_anew(run: Path, duty: Duty | None) -> bool:
    return duty is not None and duty.rerun == "all" and mark(run)[1] < duty.since * 1e9


def ended_at(run: Path) -> float:
    """When it was last heard of."""
    times = [path.stat().st_mtime for name in ("summary.json", "config.yaml") if (path := run / name).exists()]
    return max(times, default=0.0)


def with_positions(seen: list[Seen], owed: Duties) -> list[Seen]:
    """Of those that wait: a task among the sweep's waiting tasks, a point among those of its launch."""
    queued = {one.point.name for one in seen if one.status == QUEUED}
    queues: dict[str, dict[str, int]] = {}
    for name, duty in owed.by_name.items():
        if name in queued:
            queue, key = duty.place(name)
            queues.setdefault(queue, {}).setdefault(key, len(queues[queue]) + 1)

    def placed(one: Seen) -> Seen:
        if one.status != QUEUED:
            return one
        duty = owed.by_name[one.point.name]
        queue, key = duty.place(one.point.name)
        return replace(one, position=queues[queue][key], waiting=len(queues[queue]), in_tasks=duty.waits)

    return [placed(one) for one in seen]
