"""points.jsonl of a sweep's folder: the points that it consists of, a line for each, whatever launches them.

Each launch appends those that it does not find there, so that a sweep which grows keeps what it was; of two lines of one
point the later counts. Several launches at once are told apart by a lock on the file.
"""

import fcntl
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from litconv.config import checks
from litconv.config.messages import one_line
from litconv.config.root_keys import LAUNCH_KEYS
from litconv.run.asked import Asked
from litconv.sweep import launches
from litconv.sweep.running import Point

FILE = "points.jsonl"


@dataclass(frozen=True)
class SweepPoint:
    name: str  # of its run; empty where the point is refused
    number: int  # in the order of the launch that first had it
    overrides: tuple[str, ...]  # all of them, as Hydra gets them
    told: str  # those that tell it from the sweep's other points
    epochs: int = 0  # 0: not known yet
    error: str = ""  # why it is refused

    @property
    def key(self) -> str:
        return self.name or self.told

    def after(self, before: "SweepPoint | None") -> "SweepPoint | None":
        """What is to be written of it where `before` stands; None for nothing."""
        if before is None:
            return self
        known = replace(before, epochs=self.epochs or before.epochs, error=self.error)
        return known if known != before else None

    @classmethod
    def of(cls, row: dict[str, Any]) -> "SweepPoint":
        return cls(**{**row, "overrides": tuple(row["overrides"])})


def read(sweep: Path) -> dict[str, SweepPoint]:
    """By its key; empty for a sweep of which nothing was launched, or by a launcher that leaves no such file."""
    try:
        lines = (sweep / FILE).read_text().splitlines()
    except FileNotFoundError:
        return {}
    points = {}
    for line in lines:
        try:
            point = SweepPoint.of(json.loads(line))
        except (ValueError, TypeError, KeyError):  # the last line of a launch that was killed
            continue
        points[point.key] = point
    return points


def add(sweep: Path, points: Iterable[SweepPoint]) -> None:
    """Those that are new, and those of which something else is known now; they keep their number and what tells them."""
    sweep.mkdir(parents=True, exist_ok=True)
    points = list(points)
    launches.add_points(sweep, (point.name for point in points))
    with (sweep / FILE).open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        there = read(sweep)
        file.seek(0)
        torn = (text := file.read()) and not text.endswith("\n")
        new = []
        for point in points:
            if (changed := point.after(there.get(point.key))) is not None:
                there[point.key] = changed
                new.append(changed)
        file.write("\n" * bool(torn) + "".join(json.dumps(asdict(point)) + "\n" for point in new))


def planned(point: Point) -> SweepPoint:
    """What can be found wrong without torch is found here, the rest where it is trained."""
    overrides = tuple(point.config.hydra.overrides.task)
    try:
        checks.check(point.config)
        asked = Asked.of(point.config)
        epochs = max(asked.settings["trainer"].get("max_epochs") or 1, 1)  # -1: trainer.max_steps alone
    except Exception as error:  # whatever it is, this point cannot run and the others can
        return SweepPoint("", point.number, overrides, point.overrides, error=one_line(error))
    return SweepPoint(asked.name, point.number, overrides, point.overrides, epochs)


def of_its_run(overrides: Sequence[str]) -> list[str]:
    """Without those of the launch, on which no run depends."""
    return [override for override in overrides if override.lstrip("+~").partition("=")[0] not in LAUNCH_KEYS]
