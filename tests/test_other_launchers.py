"""The launchers of Hydra's plugins, and DDP inside a sweep. Each job of theirs imports everything: slow."""

import json
import subprocess
import sys

import pytest

from command import ROOT, TINY

pytestmark = pytest.mark.slow
QUICK = ("logger=csv", "cost.latency.enabled=false")
ONE = ("data.n_train=64", "data.n_val=32", "data.n_test=32", "epochs=2", "trainer.accelerator=cpu", *QUICK)
DDP = ("trainer=ddp", "trainer.devices=2", "data.batch_size=8")


def train(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, ROOT / "train.py", *arguments], capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_other_launchers_train_each_point_once_and_report_failures(tmp_path, launcher):
    grid = ("conv=standard,grouped", "groups=2,3", f"hydra/launcher={launcher}", "sweep=s", f"output_dir={tmp_path}")
    for _ in range(2):
        done = train("-m", *TINY, *grid, *QUICK)
        assert done.returncode == 1
        assert "groups=3 must divide in_channels=8" in done.stderr.splitlines()[-1]
        summaries = [json.loads(path.read_text()) for path in tmp_path.rglob("summary.json")]
        assert sorted((s["conv"], s["status"]) for s in summaries) == [
            ("grouped", "completed"),
            ("standard", "completed"),
        ]


@pytest.mark.parametrize("launcher", ["local", "joblib"])
def test_ddp_inside_a_sweep_starts_each_run_once_and_not_the_sweep_again(tmp_path, launcher):
    grid = ("conv=standard,grouped", "groups=2", f"hydra/launcher={launcher}", "sweep=s", f"output_dir={tmp_path}")
    done = train("-m", *ONE, *DDP, *grid)
    assert done.returncode == 0, done.stderr
    runs = list(tmp_path.glob("sweeps/s/*/summary.json"))
    assert [json.loads(path.read_text())["status"] for path in runs] == ["completed"] * 2
    assert list(tmp_path.rglob("summary.json")) == runs  # nothing aside, no other sweep
    if launcher == "local":
        for run in runs:
            assert (run.parent / "console.log").read_text().count("MEMBER: 2/2") == 1
