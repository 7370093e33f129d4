"""scripts/sweep.py beside a sweep on a real Slurm of two nodes."""

import json
import os
import shlex
import subprocess
import sys

import pytest
from slurm_sweep import LONG, jobs, said, start, statuses, sweep_of, wait_for_epochs

from command import ROOT
from sweep_process import wait_until


@pytest.mark.slow
def test_an_array_is_shown_cancelled_and_goes_on_by_the_command_that_is_printed(slurm, tmp_path):
    def status(*arguments: str) -> subprocess.CompletedProcess:
        script = [sys.executable, ROOT / "scripts" / "sweep.py", "sweep=far", f"output_dir={tmp_path}", *arguments]
        environment = {**os.environ, **slurm.environment, "PYTHONPATH": str(ROOT / "src")}
        return subprocess.run(script, capture_output=True, text=True, cwd=tmp_path, env=environment)

    grid = ("conv=standard,grouped", "groups=2", "seed=0,1,2", *LONG)
    # Each task has a node of its own, so that the third waits.
    options = ("hydra.launcher.points_per_task=2", "hydra.launcher.cpus_per_task=2", "n_jobs=1", "wait=false")
    assert start(slurm, tmp_path, *grid, *options).wait(120) == 0
    wait_for_epochs(tmp_path, runs=2, epochs=1)
    shown = status("json=true")
    found = json.loads(shown.stdout)
    assert shown.returncode == found["exit_status"] == 3
    running = {(p["host"], p["task"]) for p in found["points"] if p["status"] == "running"}
    of_slurm = {(node, task) for task, (state, node) in jobs(slurm).items() if state == "RUNNING"}
    assert running == of_slurm, shown.stdout
    queued = [p for p in found["points"] if p["status"] == "queued"]
    assert sorted(p["in_tasks"] for p in queued) == [False, False, True, True]
    assert all(p["reason"] for p in queued if p["in_tasks"])

    cancelled = status("cancel=true")
    assert cancelled.returncode == 0, cancelled
    assert wait_until(lambda: not jobs(slurm), 60)
    assert wait_until(lambda: status().returncode == 1, 60)
    assert set(statuses(tmp_path)) == {"interrupted"}
    lines = status().stdout.splitlines()
    assert lines[0] == "6 points: 2 interrupted, 4 not started", lines

    command = shlex.split(lines[-1].replace("wait=false", "wait=true"))
    assert command[:3] == ["python", "train.py", "-m"]
    again = [sys.executable, str(ROOT / "train.py"), *command[2:]]
    environment = {**os.environ, **slurm.environment, "WANDB_MODE": "offline", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(again, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr + said(tmp_path)
    assert statuses(tmp_path) == ["completed"] * 6
    done = status()
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "6 points: 6 done")
    assert not (sweep_of(tmp_path) / ".launches").exists()
