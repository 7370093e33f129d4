"""Sweeps' folders as launches leave them, made in a moment, and who holds the locks in them: real processes."""

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HOLD = """
import fcntl, json, os, socket, sys, time
facts = json.loads(sys.argv[2])
if not facts["host"]:
    facts |= {"host": socket.gethostname(), "pid": os.getpid()}
file = open(sys.argv[1], "a+")
fcntl.flock(file, fcntl.LOCK_EX)
file.truncate(0)
file.write(json.dumps(facts))
file.flush()
print("held", flush=True)
time.sleep(600)
"""
LAUNCH = """
import pathlib, sys, time
from litconv.sweep import launches
sweep = pathlib.Path(sys.argv[1])
launch = launches.OwnLaunch(sweep, sys.argv[2], "failed")
launches.add_points(sweep, sys.argv[3:])
print("begun", flush=True)
time.sleep(600)
"""


class MadeSweep:
    def __init__(self, root: Path, name: str = "made") -> None:
        """`root`: output_dir."""
        self.root, self.folder, self.count = root, root / "sweeps" / name, 0
        self.folder.mkdir(parents=True)

    def point(self, name: str, *overrides: str, epochs: int = 7, error: str = "", told: str = "") -> Path:
        """A line of points.jsonl; returns the folder of its run, which is not there."""
        row = {"name": "" if error else name, "number": self.count, "told": told or name}
        row["overrides"] = overrides or (f"+name={name}",)
        with (self.folder / "points.jsonl").open("a") as file:
            file.write(json.dumps({**row, "epochs": epochs, "error": error}) + "\n")
        self.count += 1
        return self.folder / name

    def run(self, name: str, status: str = "", *overrides: str, seconds: Sequence[float] = (), **summary: Any) -> Path:
        """A point that has begun. `seconds`: of each of its epochs; `summary`: more keys of it."""
        run = self.point(name, *overrides)
        begin(run, seconds)
        if status:
            (run / "summary.json").write_text(json.dumps({"status": status, "name": name, **summary}))
        return run

    def launched(self, *task: str, hydra: Sequence[str] = (), params: dict[str, str] | None = None) -> None:
        """multirun.yaml of a launch with these overrides."""
        record = {"overrides": {"hydra": ["hydra.mode=MULTIRUN", *hydra], "task": task}, "sweeper": {"params": params}}
        (self.folder / "multirun.yaml").write_text(json.dumps({"hydra": record}))

    def batch(self, job: str, *tasks: Sequence[str], begun: Sequence[int] = ()) -> Path:
        """That was submitted to Slurm. `begun`: the tasks that have, on n1."""
        folder = self.folder / ".cluster" / f"{len(list(self.folder.glob('.cluster/*'))):04d}"
        folder.mkdir(parents=True)
        facts = {"launcher": "slurm", "script": [], "options": ["rerun=failed"], "tasks": tasks, "job": job}
        (folder / "batch.json").write_text(json.dumps({**facts, "submitted": time.time()}))
        for task in begun:
            (folder / f"task_{task}.begun").write_text(f"n1 {time.time():.0f}\n")
        return folder

    @contextmanager
    def held(self, run: Path, host: str = "n1", task: str = "", since: float = 0.0) -> Iterator[subprocess.Popen]:
        """Its lock, by another process. `host`: empty for this one."""
        lock = self.root / "sweeps" / ".locks" / f"{self.folder.name}_{run.name}"
        lock.parent.mkdir(exist_ok=True)
        facts = {"host": host, "pid": 4321, "since": since or time.time(), "task": task}
        with child(HOLD, str(lock), json.dumps(facts)) as process:
            yield process

    @contextmanager
    def launch(self, *names: str, launcher: str = "local", task: str = "") -> Iterator[subprocess.Popen]:
        """That lives, with these points. `task`: of Slurm on n2, in which it does."""
        environment = {"LITCONV_TASK": task, "SLURMD_NODENAME": "n2"} if task else {}
        with child(LAUNCH, str(self.folder), launcher, *names, environment=environment) as process:
            yield process


def begin(run: Path, seconds: Sequence[float] = ()) -> None:
    run.mkdir()
    (run / "config.yaml").write_text("trainer: {max_epochs: 7}\n")
    rows = "".join(f"{epoch},1,0.1,{one}\n" for epoch, one in enumerate(seconds))
    (run / "metrics.csv").write_text(f"epoch,step,lr,seconds\n{rows}")


@contextmanager
def child(code: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen]:
    command, environment = [sys.executable, "-c", code, *arguments], {**os.environ, **(environment or {})}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout.readline()
            yield process
        finally:
            process.kill()


def program(folder: Path, name: str, script: str) -> None:
    """One of Slurm's commands, in a folder that is put on the PATH; it notes how it was called in NAME.log."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f'#!/bin/bash\necho "$@" >> {folder}/{name}.log\n{script}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
