"""All of a sweep at one moment: what each of its points is, and what is known beside."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from litconv.cluster.status.duties import Duties, duties
from litconv.cluster.status.seen import DONE, QUEUED, RUNNING, Ended, Look, Seen, is_run, with_positions
from litconv.run import state
from litconv.sweep import points as recorded
from litconv.sweep.launches import Launch, launches
from litconv.sweep.points import SweepPoint, of_its_run
from litconv.sweep.tuning import FILE as TUNING

ALL_DONE, INCOMPLETE, UNDER_WAY = 0, 1, 3  # exit status


@dataclass
class Survey:
    sweep: Path
    points: list[Seen]
    launches: list[Launch]
    duties: Duties
    has_record: bool  # points.jsonl
    unrecorded: int  # runs that it does not have
    tuning: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def counts(self) -> Counter[str]:
        return Counter(seen.status for seen in self.points)

    @property
    def is_under_way(self) -> bool:
        return bool(self.counts[RUNNING] or self.counts[QUEUED]) or any(launch.lives for launch in self.launches)

    @property
    def missing(self) -> list[Seen]:
        """What is not done and nobody has to do. A trial that failed is no fault of the sweep once something is tested."""
        lacking = [seen for seen in self.points if seen.status not in (DONE, RUNNING, QUEUED)]
        return [seen for seen in lacking if not (self.tests and seen.stage == 1 and seen.status == "failed")]

    @property
    def tests(self) -> list[Seen]:
        return [seen for seen in self.points if seen.stage == 2]

    @property
    def lacks_tests(self) -> bool:
        """Of a sweep with best_of: the second stage has not begun."""
        return bool(self.tuning) and not self.tests

    @property
    def exit_status(self) -> int:
        if self.is_under_way or (self.missing and self.duties.unanswered):
            return UNDER_WAY
        return INCOMPLETE if self.missing or self.lacks_tests or not self.points else ALL_DONE


def survey(sweep: Path) -> Survey:
    known = recorded.read(sweep)
    there = {entry.name for entry in os.scandir(sweep) if entry.is_dir() and not entry.name.startswith(".")}
    found = without_refused_before(known.values())
    unrecorded = sorted(name for name in there - known.keys() if is_run(sweep / name))
    found += [SweepPoint(name, len(known) + i, (), "") for i, name in enumerate(unrecorded)]
    ended = {point.name: Ended.read(sweep / point.name) for point in found if point.name in there}
    at_it = launches(sweep)
    owed = duties(sweep, at_it, {name for name, one in ended.items() if one.status == "completed"})
    tuning = read_tuning(sweep)
    look = Look(sweep, owed, ended, locks_of(sweep), frozenset(tuning.get("seeds", ())))
    seen = with_positions([look.at(point) for point in found], owed)
    return Survey(sweep, seen, at_it, owed, bool(known), len(unrecorded), tuning)


def locks_of(sweep: Path) -> frozenset[str]:
    """Names of runs; a sweep of 10,000 that has not begun is not asked 10,000 times."""
    folder, start = state.lock_file(sweep / "run").parent, f"{sweep.name}_"
    names = os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208 names alone, of a large folder
    return frozenset(name.removeprefix(start) for name in names if name.startswith(start))


def without_refused_before(known: Iterable[SweepPoint]) -> list[SweepPoint]:
    """A point that could not be and now can stands twice in points.jsonl."""
    named = [point for point in known if point.name]
    refused = [point for point in known if not point.name]
    if refused:
        able = {frozenset(of_its_run(point.overrides)) for point in named}
        refused = [point for point in refused if frozenset(of_its_run(point.overrides)) not in able]
    return sorted([*named, *refused], key=lambda point: point.number)


def read_tuning(sweep: Path) -> Mapping[str, Any]:
    try:
        found = json.loads((sweep / TUNING).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
