"""hydra/launcher=slurm without a Slurm: what it hands over, what it refuses, what it makes of what Slurm says."""

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from command import ROOT, TINY
from litconv.cluster import slurm
from litconv.cluster.array import Array, Asked
from litconv.cluster.batch import Batch, batches, chunks, new_folder, one_launch_at_a_time
from litconv.cluster.handing_over import HandingOver
from litconv.cluster.options import TaskOptions
from litconv.cluster.ray_tasks import RayTasks
from litconv.cluster.task import Task
from litconv.config.environment import cores
from litconv.errors import ConfigError
from sweep_process import wait_until

OPTIONS = TaskOptions(["sweep=s"], n_jobs=-1, slots_per_gpu=2, rerun="failed")
PLAIN = {
    **dict.fromkeys(
        ("points_per_task", "array_parallelism", "partition", "account", "qos", "constraint", "timeout_min")
    ),
    **{"cpus_per_task": 1, "gpus_per_node": None, "mem_gb": None, "grace_seconds": 90},
    **{"sbatch_options": [], "setup": []},
}


def asked(**given) -> Asked:
    return Asked(**{**PLAIN, **given})


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A folder of commands that say what a test tells them to, first on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def says(command: str, text: str = "", error: str = "", status: int = 0) -> Path:
        """Returns the file in which it notes what it was called with."""
        path, calls = folder / command, folder / f"{command}.calls"
        (folder / f"{command}.out").write_text(text)
        (folder / f"{command}.err").write_text(error)
        path.write_text(f'#!/bin/sh\necho "$@" >> {calls}\ncat {path}.out\ncat {path}.err >&2\nexit {status}\n')
        path.chmod(path.stat().st_mode | stat.S_IEXEC)
        return calls

    return says


def train(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        ROOT / "train.py",
        "-m",
        *TINY,
        "hydra/launcher=slurm",
        f"output_dir={folder}",
        "sweep=s",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment, timeout=300)


def test_a_task_has_as_many_points_as_it_trains_at_a_time_unless_it_is_told_otherwise():
    assert asked(cpus_per_task=4).per_task(OPTIONS) == 4
    assert asked(cpus_per_task=4, gpus_per_node=3).per_task(OPTIONS) == 3 * OPTIONS.slots_per_gpu
    assert asked(cpus_per_task=4).per_task(TaskOptions([], n_jobs=2, slots_per_gpu=1, rerun="all")) == 2
    assert asked(cpus_per_task=4, points_per_task=7).per_task(OPTIONS) == 7
    assert chunks(list("abcdefg"), 3) == [list("abc"), list("def"), list("g")]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"points_per_task": 0}, ["hydra.launcher.points_per_task=0", "at least 1, or left out"]),
        ({"points_per_task": 1.5}, ["hydra.launcher.points_per_task=1.5", "an integer"]),
        ({"points_per_task": True}, ["hydra.launcher.points_per_task=True", "an integer"]),
        ({"cpus_per_task": None}, ["hydra.launcher.cpus_per_task=null", "an integer"]),
        ({"partition": ["a", "b"]}, ["hydra.launcher.partition=['a', 'b']", "a string"]),
        ({"setup": "module load"}, ["hydra.launcher.setup=module load", "a list"]),
        ({"sbatch_options": [1]}, ["hydra.launcher.sbatch_options=[1]", "strings"]),
        ({"sbatch_options": ["-p gpu"]}, ["hydra.launcher.sbatch_options", "-p gpu", "the long one"]),
        ({"sbatch_options": ["--array=0-7"]}, ["hydra.launcher.sbatch_options", "--array", "points_per_task"]),
        ({"mem_gb": -1}, ["hydra.launcher.mem_gb=-1", "greater than 0"]),
        ({"timeout_min": 1}, ["hydra.launcher.timeout_min=1", "hydra.launcher.grace_seconds=90", "more time"]),
        ({"grace_seconds": "long"}, ["hydra.launcher.grace_seconds=long", "an integer"]),
        ({"grace_seconds": -1}, ["hydra.launcher.grace_seconds=-1", "at least 0"]),
    ],
)
def test_an_option_that_cannot_be_is_refused_with_its_key_and_value(given, words):
    with pytest.raises(ConfigError) as refused:
        Array(asked(**given), OPTIONS)
    assert all(word in str(refused.value) for word in words), refused.value


def test_without_sbatch_the_command_is_one_line_and_submits_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    done = train(tmp_path, "conv=standard")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: hydra/launcher=slurm: sbatch is not on the PATH; give the command where Slurm's are, or leave hydra/launcher "
        "out to train here"
    ]
    assert not list(tmp_path.rglob("batch.json"))


def test_what_is_handed_over_is_every_point_that_is_wanted_and_the_command_imports_no_torch(tmp_path, fake):
    calls = fake("sbatch", "41\n")
    fake("squeue")
    grid = (
        "conv=standard,grouped",
        "groups=2,16",
        "seed=0,1",
        "wait=false",
        "n_jobs=3",
        "hydra.launcher.points_per_task=2",
    )
    done = train(tmp_path, *grid, "backbone.depth=8", "hydra.launcher.sbatch_options=['--mail-type=END',exclusive]")
    assert done.returncode == 0, done.stderr
    assert "submitted: job 41, 3 tasks of up to 2 points each" in done.stdout
    folder = tmp_path / "sweeps" / "s" / ".cluster" / "0000"
    (_, submitted) = calls.read_text().splitlines()
    assert submitted == f"--parsable {folder / 'array.sh'}"
    batch = Batch.read(folder)
    assert [len(names) for names in batch.tasks] == [2, 2, 2]  # equal points once: standard has no groups
    lines = [line for task in range(3) for line in batch.points_file(task).read_text().splitlines()]
    assert len(lines) == 6
    assert not any("wait=" in line or "n_jobs=" in line for line in lines)
    assert {"n_jobs=3", "sweep=s", f"output_dir={tmp_path}"} <= set(batch.options)
    script = (folder / "array.sh").read_text()
    assert "#SBATCH --array=0-2\n" in script
    assert "#SBATCH --requeue\n" in script
    assert "#SBATCH --mail-type=END\n#SBATCH --exclusive\n" in script
    rows = [json.loads(line) for line in (tmp_path / "sweeps" / "s" / "points.jsonl").read_text().splitlines()]
    assert [row["name"] for row in rows] == [name for names in batch.tasks for name in names]


SPREAD = ("trainer=ddp", "trainer.num_nodes=2", "trainer.devices=3")


def test_a_point_on_several_nodes_is_a_task_of_its_own_whose_processes_srun_starts(tmp_path, fake, monkeypatch):
    fake("sbatch", "41\n")
    fake("squeue")
    grid = (
        "conv=standard",
        "seed=0,1",
        "wait=false",
        "n_jobs=3",
        "hydra.launcher.cpus_per_task=2",
    )
    done = train(tmp_path, *grid, *SPREAD)
    assert done.returncode == 0, done.stderr
    assert "submitted: job 41, 2 tasks of a point each" in done.stdout
    folder = tmp_path / "sweeps" / "s" / ".cluster" / "0000"
    assert (
        "#SBATCH --nodes=2\n#SBATCH --ntasks-per-node=3\n#SBATCH --cpus-per-task=2\n"
        in (folder / "array.sh").read_text()
    )
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "2")
    command = Task(Batch.read(folder), 1).command(restarted=False)
    assert command[:5] == ["srun", "--nodes=2", "--ntasks-per-node=3", "--cpus-per-task=2", "--kill-on-bad-exit=1"]
    assert command[5] == sys.executable
    assert {"hydra/launcher=basic", f"hydra.sweeper.file={folder / 'task_1.txt'}", "sweep=s"} <= set(command)
    assert not any(argument.startswith("n_jobs") for argument in command)
    assert "seed=1" in (folder / "task_1.txt").read_text().split()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            [*SPREAD, "hydra.launcher.points_per_task=2"],
            "hydra.launcher.points_per_task=2 with trainer.num_nodes=2: a task on several nodes is one run; leave",
        ),
        (
            [*SPREAD, "time_limit_minutes=5"],
            "time_limit_minutes=5 ends jobs of the local launcher, and a run on several",
        ),
        (
            [*SPREAD[:2], "trainer.devices=auto"],
            "trainer.devices=auto with trainer.num_nodes=2: Slurm is told how many processes a node gets; set trainer.devices",
        ),
    ],
)
def test_several_nodes_need_one_run_a_task_and_a_number_of_devices(tmp_path, fake, given, said):
    fake("sbatch", "41\n")
    fake("squeue")
    done = train(tmp_path, "conv=standard", "seed=0,1", *given)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {said}")
    assert not list(tmp_path.rglob("batch.json"))


def test_a_cluster_without_srun_refuses_a_run_on_several_nodes(tmp_path):
    config = OmegaConf.create({"trainer": {"num_nodes": 2, "devices": 3}})
    handing = HandingOver(tmp_path, SimpleNamespace(launcher="ray", spans_nodes=RayTasks.spans_nodes), OPTIONS)
    with pytest.raises(ConfigError, match=r"^trainer.num_nodes=2 with hydra/launcher=ray: .* use hydra/launcher=slurm"):
        handing.shape(config)


def test_points_in_tasks_that_still_wait_are_not_submitted_again(tmp_path, fake):
    calls = fake("sbatch", "41\n")
    fake("squeue")
    grid = ("conv=standard", "seed=0,1", "wait=false")
    assert train(tmp_path, *grid).returncode == 0
    fake("squeue", "41_0|PENDING||UNLIMITED|Resources\n41_1|RUNNING|n1|1:00|None\n")
    done = train(tmp_path, *grid, "hydra.launcher.points_per_task=9")
    assert "2 points are in tasks that were submitted before; they are not submitted again" in done.stdout
    fake("squeue", "41_0|PENDING||UNLIMITED|Resources\n")
    done = train(tmp_path, "conv=standard", "seed=0,1,2", "wait=false")
    assert "submitted: job 41, 2 tasks of a point each" in done.stdout, done.stdout
    assert len([line for line in calls.read_text().splitlines() if "--parsable" in line]) == 2


def test_while_slurm_does_not_answer_the_same_command_submits_nothing_and_says_so_in_one_line(tmp_path, fake):
    calls = fake("sbatch", "41\n")
    fake("squeue", error="slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n", status=1)
    assert train(tmp_path, "conv=standard", "wait=false").returncode == 0
    again = train(tmp_path, "conv=standard", "wait=false")
    assert again.returncode == 1
    assert again.stderr.splitlines() == [
        "error: hydra/launcher=slurm: no answer (slurm_load_jobs error: Unable to contact slurm controller (connect failure)), "
        "so which points are under way is not known; give the command again when it answers"
    ]
    assert sum("--parsable" in line for line in calls.read_text().splitlines()) == 1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_waiting_command_in_order_and_leaves_the_tasks(tmp_path, fake, number, status):
    fake("sbatch", "41\n")
    calls = fake("squeue", "41_0|RUNNING|n1|1:00|None\n")
    command = [
        sys.executable,
        ROOT / "train.py",
        "-m",
        *TINY,
        "hydra/launcher=slurm",
        f"output_dir={tmp_path}",
        "sweep=s",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    waiting = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert wait_until(calls.exists, 120)
    waiting.send_signal(number)
    said, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == status
    assert "the tasks go on without this command" in said
    assert not (tmp_path / "sweeps" / "s" / ".launches").exists()  # nobody calls it killed
    assert [batch.job for batch in batches(tmp_path / "sweeps" / "s")] == ["41"]


def test_a_folder_may_have_blanks_quotes_and_dollar_signs_in_its_path(tmp_path):
    folder = tmp_path / "it's $HOME, 100 %"
    folder.mkdir()
    script = slurm.script({}, [], folder / "batch.json", "true")
    assert subprocess.run(["bash", "-c", script], capture_output=True).returncode == 78
    (folder / "batch.json").touch()
    assert subprocess.run(["bash", "-c", script], capture_output=True).returncode == 0
    task = Task(Batch(folder / ".cluster" / "0000", "slurm", ["python", "train.py"], [], [["a"]]), 0)
    (override,) = [one for one in task.command(restarted=False) if one.startswith("hydra.sweeper.file=")]
    assert OverridesParser.create().parse_override(override).value() == str(task.batch.points_file(0))


def test_a_launch_waits_while_another_hands_over(tmp_path):
    with one_launch_at_a_time(tmp_path), (tmp_path / ".cluster" / "lock").open("a") as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert new_folder(tmp_path).name == "0000"
    with (tmp_path / ".cluster" / "lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_tuning_in_two_stages_without_waiting_submits_the_first_and_says_what_comes_then(tmp_path, fake):
    fake("sbatch", "41\n")
    fake("squeue")
    tuned = ("conv=standard", "optim.lr=0.1,0.2", "seed=0", "best_of=optim.lr", "tuning_seeds=1", "wait=false")
    done = train(tmp_path, *tuned)
    assert done.returncode == 0, done.stderr
    assert "when they have ended, the same command chooses and hands over the runs that test" in done.stdout


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("Batch job submission failed: Invalid partition name specified", "hydra.launcher.partition=p"),
        (
            "Batch job submission failed: Requested node configuration is not available",
            "hydra.launcher.cpus_per_task=1",
        ),
        ("Batch job submission failed: Invalid qos specification", "hydra.launcher.qos=q"),
        (
            "Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)",
            "hydra.launcher.timeout_min=7",
        ),
    ],
)
def test_what_sbatch_refuses_names_the_option_that_is_meant(tmp_path, fake, said, key):
    fake("sbatch", error=f"sbatch: error: {said}\n", status=1)
    batch = Batch(new_folder(tmp_path / "s"), "slurm", ["python", "train.py"], [], [["a"]])
    with pytest.raises(ConfigError, match=key):
        Array(asked(partition="p", qos="q", timeout_min=7), OPTIONS).submit(batch)


def test_what_squeue_says_is_read_and_a_forgotten_array_has_no_tasks(fake):
    fake("squeue", "7_0|RUNNING|n1|1:02:03|None\n7_3|PENDING||2:00:00|(Resources)\n7_4|COMPLETED|n2|0:01|None\n")
    found = slurm.tasks("7")
    assert found[0] == slurm.TaskState("RUNNING", "n1", "", "1:02:03")
    assert found[3].waits
    assert set(found) == {0, 3}
    fake("squeue", error="slurm_load_jobs error: Invalid job id specified\n", status=1)
    assert slurm.tasks("7") == {}
    fake("squeue", error="slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n", status=1)
    with pytest.raises(slurm.SlurmError, match="Unable to contact"):
        slurm.tasks("7")


def test_a_job_has_the_cores_that_slurm_gives_it(monkeypatch):
    monkeypatch.delenv("SLURM_CPUS_ON_NODE", raising=False)
    there = cores()
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "1")
    assert cores() == 1
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", str(there + 7))
    assert cores() == there


LAUNCH = """
import signal, sys, time, pathlib
run = pathlib.Path(next(a for a in sys.argv if a.startswith("output_dir=")).partition("=")[2], "sweeps", "s", "one")
run.mkdir(parents=True, exist_ok=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
(run / "metrics.csv").write_text("epoch\\n" + "0\\n" * {rows})
(run / "arguments").write_text("\\n".join(sys.argv[1:]))
time.sleep({seconds})
"""


def made_task(folder: Path, rows: int, seconds: float, rerun: str = "failed") -> Task:
    script = folder / "launch.py"
    script.write_text(LAUNCH.format(rows=rows, seconds=seconds))
    sweep = folder / "sweeps" / "s"
    batch = Batch(new_folder(sweep), "slurm", [sys.executable, str(script)], [f"output_dir={folder}"], [["one"]], rerun)
    batch.write()
    return Task(batch, 0)


def run_task(task: Task, warn_after: float | None = None) -> tuple[int, str]:
    """(exit status, what it printed), in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "litconv.cluster.task", str(task.batch.folder), "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "0"},
    )
    if warn_after is not None:
        arguments = task.batch.sweep / "one" / "arguments"
        until = time.monotonic() + 60
        while not arguments.exists() and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(slurm.WARNING)
    out, _ = process.communicate(timeout=120)
    return process.returncode, out


def test_a_warned_task_ends_its_launch_and_asks_for_its_requeueing_if_an_epoch_was_done(tmp_path, fake):
    calls = fake("scontrol", error="no, thanks\n", status=1)
    status, said = run_task(made_task(tmp_path, rows=3, seconds=60), warn_after=0)
    assert status == 143
    assert calls.read_text().split() == ["requeue", "7_0"]
    assert "not requeued (no, thanks); give the sweep's command again" in said


def test_a_warned_task_in_which_no_epoch_was_done_is_not_requeued_and_says_why(tmp_path, fake):
    calls = fake("scontrol")
    status, said = run_task(made_task(tmp_path, rows=0, seconds=60), warn_after=0)
    assert status == 143
    assert not calls.exists()
    assert "error: not one epoch fits into the time limit" in said
    assert "hydra.launcher.timeout_min" in said


def test_a_task_that_is_started_again_does_not_train_anew_what_it_has_completed(tmp_path):
    task = made_task(tmp_path, rows=1, seconds=0)
    for starts in (1, 2):
        assert run_task(task)[0] == 0
        assert len(task.batch.starts(0)) == starts
        given = (task.batch.sweep / "one" / "arguments").read_text().splitlines()
        assert ("rerun=failed" in given) == (starts == 2)
    assert [batch.folder for batch in batches(task.batch.sweep)] == [task.batch.folder]
