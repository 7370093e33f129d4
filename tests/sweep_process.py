"""A sweep as a user starts it, in a process of its own, and what its folder must hold in the end."""

import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from command import ROOT, TINY
from wandb_reader import records_of

FOUR = ("conv=standard,grouped", "seed=0,1", "epochs=2", "sweep=kills")
SIX = ("conv=standard,grouped,depthwise_separable", *FOUR[1:])


def start(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen:
    """`environment`: besides this process's own."""
    command = [sys.executable, ROOT / "train.py", "-m", *TINY, f"output_dir={folder}", *arguments]
    own = {"WANDB_MODE": "offline", "PYTHONPATH": str(ROOT / "src"), **(environment or {})}
    with (folder / "launches.log").open("a") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | own, cwd=folder, start_new_session=True
        )


def children(pid: int) -> list[int]:
    """Direct ones, by the kernel's own list."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def jobs(launcher: int) -> list[int]:
    """The children of its fork server."""
    return [job for server in children(launcher) for job in children(server)]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def disturb(sweep: subprocess.Popen, chance: random.Random, seconds: float) -> str:
    """At a random moment kill a random job, or end the whole sweep in one of three ways."""
    time.sleep(chance.uniform(0, seconds))
    if sweep.poll() is not None:
        return "nothing: it had ended"
    what = chance.choice(["a job", "SIGINT", "SIGTERM", "SIGKILL"])
    if what != "a job":
        sweep.send_signal(signal.Signals[what])
        return what
    if not (found := jobs(sweep.pid)):
        return "nothing: no job ran"
    try:
        os.kill(chance.choice(found), signal.SIGKILL)
    except ProcessLookupError:
        return "nothing: it had ended"
    return what


def check(sweep: Path, names: int) -> None:
    """Every configuration completed exactly once, no file torn, and each wandb file one run."""
    runs = sorted(path.parent for path in sweep.rglob("summary.json"))
    summaries = [json.loads((run / "summary.json").read_text()) for run in runs]
    assert [summary["status"] for summary in summaries] == ["completed"] * names
    assert len({summary["config_hash"] for summary in summaries}) == names
    assert {run.parent for run in runs} == {sweep}  # none was completed, kept aside and trained again
    for run in runs:
        console = (run / "console.log").read_text()
        score = json.loads((run / "summary.json").read_text())["test/accuracy"]
        ends = re.findall(rf"^{re.escape(str(run))}\n  accuracy +{score:.4f} on test$", console, flags=re.MULTILINE)
        assert len(ends) == 1, console  # as it says at its end
        with (run / "metrics.csv").open(newline="") as file:
            assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]
        for checkpoint in ("best.ckpt", "last.ckpt"):
            assert "state_dict" in torch.load(run / "checkpoints" / checkpoint, weights_only=True)
    ids = [check_wandb(run) for run in runs]
    assert len(set(ids)) == names


def check_wandb(run: Path) -> str:
    """The id of its one wandb run: each epoch stands once in its parts, and the last of them ended well. An attempt that was
    killed before its first checkpoint is another run, without an epoch; its file may be empty."""
    id = json.loads((run / ".loggers.json").read_text())["wandb"]
    epochs: dict[str, list[float]] = {}
    for file in sorted((run / "wandb").glob("offline-run-*/*.wandb")):
        if file.stat().st_size:
            rows = [record["history"]["item"] for record in records_of(file) if record["type"] == "history"]
            part_of = file.stem.removeprefix("run-")
            epochs.setdefault(part_of, []).extend(row["epoch"] for row in rows if "train/loss" in row)
    assert epochs == {part_of: [0, 1] if part_of == id else [] for part_of in epochs}, f"{run}: {epochs}"
    last = records_of(max((run / "wandb").glob(f"offline-run-*-{id}*/*.wandb")))
    assert [r["run"]["run_id"] for r in last if r["type"] == "run"][:1] == [id]
    assert [r["exit"].get("exit_code", 0) for r in last if r["type"] == "exit"] == [0], last[-3:]
    return id
