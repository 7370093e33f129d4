"""A batch: the tasks that one launch has handed to a cluster, as files in the sweep's folder, which all nodes share.

<sweep>/.cluster/<batch>/batch.json      what was submitted, and the cluster's number of it
                         task_<i>.txt    a line of overrides for each point, as hydra/sweeper=listed reads it
                         task_<i>.log    what the task printed, in all its starts
                         task_<i>.begun  a line for each start: the node and the time
                         cancelled       if it was, by scripts/sweep.py
<sweep>/.cluster/lock                    held by the launch that is handing over
"""

import json
import shlex
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

from litconv import files
from litconv.errors import ConfigError

FOLDER = ".cluster"


@dataclass
class Batch:
    folder: Path
    launcher: str  # slurm | ray
    script: list[str]  # how a task starts litconv on its node: Python and train.py
    options: list[str]  # of every task's local launch, on its command line
    tasks: list[list[str]]  # the names of each task's points
    restarts_rerun: str = "failed"  # `rerun` of a task that is started again: what it has completed stands
    job: str = ""  # the cluster's number
    submitted: float = field(default_factory=time.time)
    nodes: int = 1  # of a task; with more than one it is one run, whose processes srun starts there
    per_node: int = 1  # of that run's processes

    @property
    def sweep(self) -> Path:
        return self.folder.parent.parent

    def points_file(self, task: int) -> Path:
        return self.folder / f"task_{task}.txt"

    def log(self, task: int) -> Path:
        return self.folder / f"task_{task}.log"

    def begun(self, task: int) -> Path:
        return self.folder / f"task_{task}.begun"

    def starts(self, task: int) -> list[str]:
        """The node of each of its starts."""
        try:
            return [line.split()[0] for line in self.begun(task).read_text().splitlines() if line.strip()]
        except FileNotFoundError:
            return []

    def last_start(self, task: int) -> float:
        """When it last began; 0 of one that never did."""
        try:
            return float(self.begun(task).read_text().split()[-1])
        except (FileNotFoundError, IndexError, ValueError):
            return 0.0

    @property
    def cancelled(self) -> Path:
        """Stands where the user has cancelled it."""
        return self.folder / "cancelled"

    def ending(self, task: int) -> str:
        """A line on a task that is over."""
        return f"its task is over; what it said stands in {self.log(task)}"

    @cached_property
    def number_of(self) -> dict[str, int]:
        """A point's name → its task."""
        return {name: number for number, names in enumerate(self.tasks) for name in names}

    def write(self) -> None:
        data = {key: value for key, value in asdict(self).items() if key != "folder"}
        files.write_whole(self.folder / "batch.json", json.dumps(data, indent=1).encode())

    def write_points(self, overrides: Sequence[Sequence[Sequence[str]]]) -> None:
        """For each task, for each of its points, its overrides."""
        for task, points in enumerate(overrides):
            self.points_file(task).write_text("".join(shlex.join(point) + "\n" for point in points))

    @classmethod
    def read(cls, folder: Path) -> "Batch":
        path = folder / "batch.json"
        try:
            return cls(folder, **json.loads(path.read_text()))
        except (ValueError, TypeError) as fault:
            raise ConfigError(
                f"{path} is torn, or of another version of litconv: it does not say what was submitted; if none of its tasks "
                f"is at work any more, remove {folder}"
            ) from fault


def new_folder(sweep: Path) -> Path:
    """Of a batch of this sweep, that no other launch has."""
    (sweep / FOLDER).mkdir(parents=True, exist_ok=True)
    number = sum(path.is_dir() for path in (sweep / FOLDER).iterdir())
    while True:
        folder = sweep / FOLDER / f"{number:04d}"
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
            continue
        return folder


def one_launch_at_a_time(sweep: Path) -> AbstractContextManager[None]:
    """So that a second launch finds what the first has handed over, and does not hand it over again."""
    return files.one_at_a_time(sweep / FOLDER / "lock", "hands over points of this sweep")


def batches(sweep: Path) -> list[Batch]:
    """Those that were submitted, in order."""
    return [Batch.read(path.parent) for path in sorted(sweep.glob(f"{FOLDER}/*/batch.json"))]


def chunks(names: Sequence[str], per_task: int) -> list[list[str]]:
    """Consecutive points, as many a task; the last has what is left."""
    return [list(names[first : first + per_task]) for first in range(0, len(names), per_task)]
