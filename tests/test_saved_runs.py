"""Folders of runs as an earlier version left them (tests/saved_runs) are evaluated and compared as those of today."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from command import command
from litconv.compare import load

SAVED = sorted((Path(__file__).parent / "saved_runs").iterdir())
CLASSIFIERS = [run for run in SAVED if (run / "checkpoints").exists() and "seed7" not in run.name]


@pytest.mark.parametrize("saved", CLASSIFIERS, ids=lambda run: run.name)
def test_a_saved_run_is_evaluated_to_its_own_figures(saved, tmp_path, capsys):
    run = shutil.copytree(saved, tmp_path / saved.name)
    assert command(f"run={run}", "split=test", "accelerator=cpu", module="evaluate") == 0
    printed = dict(line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  "))
    summary = json.loads((saved / "summary.json").read_text())
    assert printed.keys() > {"test/loss", "test/accuracy", "test/top5", "test/macro_f1"}  # which it has not
    for key in ("test/loss", "test/accuracy", "test/top5"):
        assert float(printed[key]) == pytest.approx(summary[key], abs=2e-3), key


def test_saved_runs_are_compared(tmp_path):
    folders = [shutil.copytree(saved, tmp_path / "runs" / saved.name) for saved in CLASSIFIERS]
    assert len(load(folders)) == 3
    assert command(f"folders=[{tmp_path / 'runs'}]", f"out={tmp_path / 'page'}", "wandb=false", module="compare") == 0
    with (tmp_path / "page" / "table.csv").open(newline="") as file:
        arms = {row["arm"]: row for row in csv.DictReader(file)}
    assert {name: row["seeds"] for name, row in arms.items()} == {"standard": "1", "grouped": "2"}
    assert float(arms["grouped"]["cost/macs"]) == 1_093_792
    assert arms["standard"]["verdict"] == "reference"
