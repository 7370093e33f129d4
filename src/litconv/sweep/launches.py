"""Which commands are at a sweep: each has a file in <sweep>/.launches/, locked while the command lives.

Its first line says who it is, and a line for each of its points follows. A command that ends, however badly, removes its
file. One that was killed leaves it, and the kernel gives the lock back: so the two are told apart.
"""

import fcntl
import json
import os
import time
import weakref
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from litconv.config.environment import TASK
from litconv.run import state

FOLDER = ".launches"


@dataclass(frozen=True)
class Launch:
    host: str
    pid: int
    since: float
    launcher: str  # as in hydra/launcher=…
    rerun: str
    task: str = ""  # of a cluster, which this is
    names: tuple[str, ...] = ()  # of its points' runs, in its order
    lives: bool = True

    @property
    def place(self) -> str:
        return f"{self.host} (process {self.pid})"


class OwnLaunch:
    """This process is at the sweep until `end`, or its own end."""

    def __init__(self, sweep: Path, launcher: str, rerun: str) -> None:
        for launch, killed in read_files(sweep):
            if not launch.lives:
                killed.unlink(missing_ok=True)
        path = own_file(sweep)
        path.unlink(missing_ok=True)  # of an earlier process of this number
        file = create(path)
        fcntl.flock(file, fcntl.LOCK_EX)
        launch = Launch(state.host(), os.getpid(), time.time(), launcher, rerun, os.environ.get(TASK, ""))
        row = {key: value for key, value in asdict(launch).items() if key not in ("names", "lives")}
        os.write(file, f"{json.dumps(row)}\n".encode())
        self.end = weakref.finalize(self, leave, file, path, os.getpid())


def create(path: Path) -> int:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another launch has ended and removed the folder in this moment
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)


def leave(file: int, path: Path, pid: int) -> None:
    if os.getpid() == pid:  # not in a process that was forked
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()  # unless others are at it
        os.close(file)


def add_points(sweep: Path, names: Iterable[str]) -> None:
    """Of this process's launch; nothing where it has none."""
    if own_file(sweep).exists():
        with own_file(sweep).open("a") as file:
            file.write("".join(f"{name}\n" for name in names if name))


def own_file(sweep: Path) -> Path:
    return sweep / FOLDER / f"{state.host()}-{os.getpid()}"


def launches(sweep: Path) -> list[Launch]:
    """The oldest first; of those that were killed since the last one began, too."""
    return sorted((launch for launch, _ in read_files(sweep)), key=lambda launch: launch.since)


def read_files(sweep: Path) -> list[tuple[Launch, Path]]:
    found = [(read(path), path) for path in (sweep / FOLDER).glob("*")]
    return [(launch, path) for launch, path in found if launch is not None]


def read(path: Path) -> Launch | None:
    """None of one that is only beginning, or has just ended."""
    try:
        with path.open() as file:
            first, _, names = file.read().partition("\n")
            launch = Launch(**json.loads(first), names=tuple(names.splitlines()))
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return launch
    except (OSError, ValueError, TypeError):
        return None
    return replace(launch, lives=False)
