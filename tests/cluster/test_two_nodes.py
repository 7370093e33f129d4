"""One run on two nodes of a real Slurm: its losses are those of one process, and every end of it is true."""

import csv
import json
import os
import re
import signal
import subprocess
import sys

import pytest
import torch
from slurm_sweep import lose_node, parent, pids, read
from toy_slurm import free_ports

from command import ROOT, TINY
from sweep_process import wait_until

pytestmark = pytest.mark.slow
SMALL = [a for a in TINY if not a.startswith(("data.batch_size", "epochs"))]
LONG = ("++data.n_train=128", "epochs=20")
PATIENCE_SECONDS = 600


def train_py(folder, *arguments):
    return [sys.executable, ROOT / "train.py", *SMALL, "logger=csv", *arguments, f"output_dir={folder}"]


def on_two_nodes(folder, *arguments, per_node=1):
    """The command line of docs/sweeps.md, on processors."""
    srun = ["srun", "--nodes=2", f"--ntasks-per-node={per_node}", "--kill-on-bad-exit=1"]
    ddp = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.num_nodes=2", f"trainer.devices={per_node}"]
    return [*srun, *train_py(folder, *ddp, *arguments)]


@pytest.fixture
def environment(slurm):
    """Several toy clusters on one machine have jobs of the same number: a port of its own."""
    (port,) = free_ports(1)
    own = {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "MASTER_PORT": str(port)}
    return {**os.environ, **slurm.environment, **own}


@pytest.fixture
def start(environment, tmp_path):
    """start(command): in the background, its output in a file; ended with the test."""
    started = []

    def start(command):
        with (tmp_path / "said.txt").open("w") as said:
            started.append(subprocess.Popen(command, env=environment, stdout=said, stderr=said, cwd=tmp_path))
        return started[-1]

    yield start
    for process in started:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def said(folder):
    return (folder / "said.txt").read_text()


def rows(folder):
    (path,) = folder.rglob("metrics.csv")
    with path.open(newline="") as file:
        return [{key: float(value) for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def epochs_done(folder):
    return len(rows(folder)) if list(folder.rglob("metrics.csv")) else 0


def checkpoint_epochs(folder):
    (path,) = folder.rglob("last.ckpt")
    return torch.load(path, weights_only=True)["epoch"] + 1


def summary(folder):
    (path,) = folder.rglob("summary.json")
    return json.loads(path.read_text())


def tasks(cluster):
    """{number of the task: its process on this machine}"""
    conf, found = f"SLURM_CONF={cluster.folder}/slurm.conf".encode(), {}
    for pid in map(int, pids()):
        variables = read(pid, "environ").split(b"\0")
        is_task = (
            conf in variables and read(parent(pid), "cmdline").startswith(b"slurmstepd") if variables[0] else False
        )
        number = [v for v in variables if v.startswith(b"SLURM_PROCID=")]
        if is_task and number and b"SLURM_STEP_ID=0" in variables:
            found[int(number[0].partition(b"=")[2])] = pid
    return found


@pytest.mark.parametrize(("per_node", "batch_size"), [(1, 8), (2, 4)])
def test_two_nodes_train_as_one_process_with_the_same_global_batch(environment, tmp_path, per_node, batch_size):
    same = ("epochs=2", "trainer.precision=64-true", "++data.n_val=33")
    commands = {
        "many": on_two_nodes(tmp_path / "many", f"data.batch_size={batch_size}", *same, per_node=per_node),
        "one": train_py(tmp_path / "one", "trainer=cpu", "data.batch_size=16", *same),
    }
    printed = {}
    for name, command in commands.items():
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr
        printed[name] = [re.sub(r"\d+:\d\d left|[\d.]+ s$|/\S+", "", line) for line in done.stdout.splitlines()]
    assert printed["many"] == printed["one"]  # the first process speaks, and it alone
    many, one = rows(tmp_path / "many"), rows(tmp_path / "one")
    assert len(one) == 2
    for a, b in zip(many, one, strict=True):
        assert a.keys() == b.keys()
        for key in a:
            assert a[key] == pytest.approx(b[key], rel=2e-6), key
    of_many, of_one = summary(tmp_path / "many"), summary(tmp_path / "one")
    figures = [key for key in of_one if key.startswith(("val/", "test/")) and key != "test/split"]
    assert len(figures) >= 6
    for key in figures:
        assert of_many[key] == pytest.approx(of_one[key], rel=2e-6), key


def kill_the_other(slurm, folder):
    os.kill(tasks(slurm)[1], signal.SIGKILL)


def kill_the_first(slurm, folder):
    os.kill(tasks(slurm)[0], signal.SIGKILL)


def lose_the_other_node(slurm, folder):
    lose_node(slurm, "n2")


@pytest.mark.parametrize("mishap", [kill_the_other, kill_the_first, lose_the_other_node])
def test_a_lost_process_ends_the_run_and_the_same_command_goes_on(slurm, start, tmp_path, mishap):
    command = on_two_nodes(tmp_path, "data.batch_size=8", *LONG)
    run = start(command)
    assert wait_until(lambda: epochs_done(tmp_path) >= 2, PATIENCE_SECONDS), said(tmp_path)
    left = list(tasks(slurm).values())
    assert len(left) == 2
    mishap(slurm, tmp_path)
    assert run.wait(120) != 0
    assert wait_until(lambda: not tasks(slurm), 60)
    if mishap is kill_the_first:  # nobody is left to write it
        assert not list(tmp_path.rglob("summary.json"))
    else:
        ended = summary(tmp_path)
        assert ended["status"] in ("failed", "interrupted"), said(tmp_path)
        # Slurm's signal may reach the first process before it misses the other.
        if ended["status"] == "failed" or "error" in ended:
            assert "one of the 2 processes of this run has ended" in ended["error"]
        assert "Traceback" not in said(tmp_path)
    before = epochs_done(tmp_path)
    assert checkpoint_epochs(tmp_path) == before
    if mishap is lose_the_other_node:
        slurm.start_node("n2")
        assert wait_until(slurm.is_up, 120)
    assert start(command).wait(PATIENCE_SECONDS) == 0, said(tmp_path)
    assert f"epoch {before + 1}/20" in said(tmp_path)
    assert f"epoch {before}/20" not in said(tmp_path)
    assert summary(tmp_path)["status"] == "completed"
    assert [row["epoch"] for row in rows(tmp_path)] == list(range(20))


@pytest.fixture
def script(tmp_path):
    """That of docs/sweeps.md, on processors, small."""
    (text,) = re.findall(r"```bash\n(#!/bin/bash\n.*?)```", (ROOT / "docs" / "sweeps.md").read_text(), re.DOTALL)
    for written, tried in {
        "--ntasks-per-node=4": "--ntasks-per-node=1",
        "--gpus-per-node=4 --cpus-per-task=8": f"--output={tmp_path}/said.txt",
        "srun --cpus-per-task=8": "srun",
        "--time=04:00:00 --signal=B:USR1@90": "--time=00:02:00 --signal=B:USR1@75",
        "trainer.devices=4 conv=grouped": "trainer.devices=1 trainer.accelerator=cpu data.batch_size=8",
        "python train.py": " ".join(map(str, train_py(tmp_path, *LONG))),
    }.items():
        assert text.count(written) == 1, written
        text = text.replace(written, tried)
    path = tmp_path / "run.sh"
    path.write_text(text)
    return path


def test_a_cancelled_job_leaves_the_run_interrupted_at_its_last_epoch(slurm, environment, script, tmp_path):
    sbatch = ["sbatch", "--parsable", script]
    job = subprocess.run(sbatch, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    assert wait_until(lambda: epochs_done(tmp_path) >= 2, PATIENCE_SECONDS), said(tmp_path)
    slurm.run("scancel", job)
    assert wait_until(lambda: not tasks(slurm) and not slurm.run("squeue", "--noheader"), 120)
    assert summary(tmp_path)["status"] == "interrupted", said(tmp_path)
    assert checkpoint_epochs(tmp_path) == epochs_done(tmp_path)
    assert "Traceback" not in said(tmp_path)


def test_the_script_of_the_documentation_goes_on_by_itself_at_its_time_limit(slurm, environment, script, tmp_path):
    script.write_text(script.read_text().replace("epochs=20", "epochs=400"))  # more than fits into 45 s
    sbatch = ["sbatch", "--parsable", script]
    job = subprocess.run(sbatch, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    restarts = lambda: int(re.search(r"Restarts=(\d+)", slurm.run("scontrol", "show", "job", job))[1])  # noqa: E731
    assert wait_until(lambda: restarts() == 1, 180), said(tmp_path)
    assert wait_until(lambda: list(tmp_path.rglob("summary.json")), 60), said(tmp_path)
    assert summary(tmp_path)["status"] == "interrupted"
    before = checkpoint_epochs(tmp_path)
    assert before == epochs_done(tmp_path)
    assert wait_until(lambda: epochs_done(tmp_path) > before, 300), said(tmp_path)
    slurm.run("scancel", job)
    assert wait_until(lambda: not slurm.run("squeue", "--noheader"), 120)
    printed = re.findall(r"epoch (\d+)/400", said(tmp_path))
    assert len(printed) == len(set(printed))  # none was trained twice


def test_a_point_of_a_sweep_on_two_nodes_is_requeued_and_goes_on(slurm, environment, start, tmp_path):
    sweep = ["-m", "sweep=far", "hydra/launcher=slurm", "trainer=ddp", "trainer.num_nodes=2", "trainer.devices=1"]
    run = start(train_py(tmp_path, *sweep, *LONG, "data.batch_size=8"))
    assert wait_until(lambda: epochs_done(tmp_path) >= 2, PATIENCE_SECONDS), said(tmp_path)
    assert len(tasks(slurm)) == 2
    (job,) = slurm.run("squeue", "--noheader", "--array", "--format=%i").split()
    slurm.run("scontrol", "requeue", job)
    assert wait_until(lambda: list(tmp_path.rglob("summary.json")), 60), said(tmp_path)
    assert summary(tmp_path)["status"] == "interrupted"
    before = checkpoint_epochs(tmp_path)
    assert run.wait(PATIENCE_SECONDS) == 0, said(tmp_path)
    assert summary(tmp_path)["status"] == "completed"
    assert [row["epoch"] for row in rows(tmp_path)] == list(range(20))
    (log,) = tmp_path.rglob("task_0.log")
    assert log.read_text().count(f"epoch {before}/20") == 1


def test_what_is_wrong_is_said_once(environment, tmp_path):
    for wrong, line in {
        "conv=no_such": "error: conv=no_such",
        "trainer.devices=2": "error: trainer.devices=2, and srun --ntasks-per-node=1 started this run; ",
        "backbone.no_such=1": "error: backbone.no_such",
    }.items():
        command = on_two_nodes(tmp_path, wrong)
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
        assert done.returncode != 0
        errors = [said for said in done.stderr.splitlines() if not said.startswith(("srun:", "slurmstepd"))]
        assert len(errors) == 1, done.stderr
        assert errors[0].startswith(line)
