"""Which run each point of a sweep is, so that a sweep of thousands is not composed again to find that it is finished.

`.composed.jsonl` in the sweep's folder: the fingerprint of what composing depended on, then a line for each point: its run's
name, what else of its launch its check depended on, and its overrides without those of the launch. Under another fingerprint
nothing of it is believed.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from omegaconf import DictConfig

from litconv.config.effects import is_swept
from litconv.config.environment import TASK
from litconv.config.fingerprint import fingerprint
from litconv.config.root_keys import SHORT_NAMES
from litconv.files import write_whole
from litconv.run.state import read_summary
from litconv.sweep.outcome import Outcome
from litconv.sweep.points import SweepPoint, of_its_run

FILE = ".composed.jsonl"
# What a point may not have for itself: where its run lies, and what code or environment it reads beside the launch's.
OF_A_LAUNCH = ("output_dir", "sweep", "allowed_packages")

Key = tuple[str, ...]


class Memory:
    def __init__(self, sweep: Path, found_under: str | None, given: Iterable[str]) -> None:
        """`found_under`: the fingerprint; None to know nothing. `given`: the launch's own overrides."""
        self.sweep, self.found_under, self.given = sweep, found_under, frozenset(given)
        self.excused = " ".join(name for name in ("conv", *SHORT_NAMES) if is_swept(name))  # of having no effect
        self.names: dict[Key, str] = read(sweep / FILE, found_under)

    @classmethod
    def of(cls, config: DictConfig) -> "Memory":
        """`config`: of the launch. A task on a node trains a part of a sweep that another process has composed."""
        found_under = None if TASK in os.environ else fingerprint(config)
        return cls(Path(str(config.hydra.sweep.dir)), found_under, config.hydra.overrides.task)

    def name_of(self, overrides: Sequence[str]) -> str | None:
        """Of the point's run; None where it is not known."""
        return self.names.get(self.key(overrides))

    def key(self, overrides: Sequence[str]) -> Key:
        return (self.excused, *of_its_run(overrides))

    def completed(self, points: Sequence[Sequence[str]], first: int) -> dict[int, Outcome]:
        """Place among the points → what became of it, of those whose runs are there and completed."""
        found: dict[int, Outcome] = {}
        by_name: dict[str, Outcome] = {}
        for place, overrides in enumerate(points):
            name = self.name_of(overrides)
            if name is None:
                continue
            if name not in by_name:
                summary = read_summary(self.sweep / name)
                by_name[name] = Outcome(first + place, name, summary.get("status", ""), summary)
            if by_name[name].status == "completed":
                found[place] = by_name[name]
        return found

    def add(self, points: Iterable[SweepPoint]) -> None:
        """Those that are runs."""
        known = {
            self.key(point.overrides): point.name for point in points if point.name and self.traces(point.overrides)
        }
        new = {key: name for key, name in known.items() if self.names.get(key) != name}
        if self.found_under is None or not new:
            return
        self.names |= new
        self.sweep.mkdir(parents=True, exist_ok=True)
        file = self.sweep / FILE
        if written_under(file) == self.found_under:
            with file.open("a") as lines:
                fcntl.flock(lines, fcntl.LOCK_EX)
                lines.write(f"\n{as_lines(new)}")  # a line that was cut short ends here
        else:
            write_whole(file, f"{json.dumps(self.found_under)}\n{as_lines(self.names)}".encode())

    def traces(self, overrides: Sequence[str]) -> bool:
        """Whether the fingerprint knows all that the point reads."""
        own = [override for override in overrides if override not in self.given]
        return not any("${" in one or one.lstrip("+~").startswith(OF_A_LAUNCH) for one in own)


def read(file: Path, found_under: str | None) -> dict[Key, str]:
    if found_under is None or written_under(file) != found_under:
        return {}
    names = {}
    for line in file.read_text().splitlines()[1:]:
        try:
            name, *key = json.loads(line)
        except ValueError:  # of a launch that was killed
            continue
        names[tuple(key)] = name
    return names


def written_under(file: Path) -> str | None:
    try:
        with file.open() as lines:
            return json.loads(lines.readline())
    except (OSError, ValueError):
        return None


def as_lines(names: Mapping[Key, str]) -> str:
    return "".join(f"{json.dumps([name, *key])}\n" for key, name in names.items())
