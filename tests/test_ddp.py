"""One run over several processes. Lightning starts the others by the command line, so this is whole processes."""

import csv
import json
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from command import ROOT, TINY
from litconv.sync_norm import CpuSyncBatchNorm2d, SyncNorm

pytestmark = pytest.mark.slow


def train(folder, *arguments):
    overrides = [a for a in TINY if "batch_size" not in a and "epochs" not in a]
    done = subprocess.run(
        [sys.executable, ROOT / "train.py", *overrides, "epochs=2", "logger=csv", *arguments, f"output_dir={folder}"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (path,) = folder.rglob("metrics.csv")
    with path.open(newline="") as file:
        rows = [{key: float(value) for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
    return rows, json.loads(path.with_name("summary.json").read_text())


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_two_processes_train_as_one_with_the_same_global_batch(tmp_path, task):
    same = (f"task={task}", "trainer.precision=64-true", "++data.n_val=33")  # an odd image in validation
    two, of_two = train(tmp_path / "two", "trainer=ddp", "trainer.devices=2", "data.batch_size=8", *same)
    one, of_one = train(tmp_path / "one", "trainer=cpu", "data.batch_size=16", *same)
    # The loss of an evaluation is a mean over its batches, and two processes cut them otherwise; Dice is no mean of parts.
    left_out = {"test/split", *(("val/loss", "test/loss") if task == "segmentation" else ())}
    assert len(one) == 2
    for a, b in zip(two, one, strict=True):
        assert a.keys() == b.keys()
        for key in a.keys() - left_out:
            assert a[key] == pytest.approx(b[key], rel=2e-6), key
    figures = [key for key in of_one if key.startswith(("val/", "test/")) and key not in left_out]
    assert len(figures) >= 6
    for key in figures:
        assert of_two[key] == pytest.approx(of_one[key], rel=2e-6), key
    assert len(list(tmp_path.rglob("summary.json"))) == 2


def of_each_process(rank, where, x, gradient):
    torch.distributed.init_process_group("gloo", init_method=f"file://{where}/store", rank=rank, world_size=2)
    norm = SyncNorm().apply_for(torch.device("cpu"), nn.Sequential(nn.BatchNorm2d(3).double()))
    assert isinstance(norm[0], CpuSyncBatchNorm2d)
    share = slice(0, 3) if rank == 0 else slice(3, 8)
    mine = x[share].clone().requires_grad_()
    y = norm(mine)
    (y * gradient[share]).sum().backward()
    SyncNorm().revert(norm)
    assert type(norm[0]) is nn.BatchNorm2d
    torch.save({"y": y.detach(), "gradient": mine.grad, **norm[0].state_dict()}, f"{where}/{rank}.pt")


def test_batch_norm_over_two_processes_is_that_of_the_whole_batch(tmp_path):
    generator = torch.Generator().manual_seed(0)
    x, gradient = torch.randn(2, 8, 3, 5, 4, dtype=torch.float64, generator=generator)
    torch.multiprocessing.spawn(of_each_process, (str(tmp_path), x, gradient), nprocs=2)
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    norm, whole = nn.BatchNorm2d(3).double(), x.clone().requires_grad_()
    y = norm(whole)
    (y * gradient).sum().backward()
    torch.testing.assert_close(torch.cat([part["y"] for part in found]), y.detach())
    torch.testing.assert_close(torch.cat([part["gradient"] for part in found]), whole.grad)
    for key, value in norm.state_dict().items():
        for part in found:
            torch.testing.assert_close(part[key], value)
