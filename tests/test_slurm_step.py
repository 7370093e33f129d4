"""What a process under srun takes itself for, by the variables that Slurm sets; tests/cluster/ has the real ones."""

import logging
import os
import signal
import socket
import threading

import pytest
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment, SLURMEnvironment
from pytorch_lightning.utilities import rank_zero_only

from command import TINY, command
from litconv import build, signals
from litconv.build.processes import SrunTasks
from litconv.config import said_once
from litconv.config.composed import compose
from litconv.config.quiet import quiet
from litconv.config.slurm_step import Step, counts, first_node, is_first
from litconv.errors import ConfigError
from litconv.fit import lost_process
from litconv.fit.training import in_one_line
from litconv.run.folder import RunFolder

# What sbatch tells its script, by the manual: a step's number is not among it.
SCRIPT = {
    "SLURM_JOB_ID": "123",
    "SLURM_JOB_NAME": "job",
    "SLURM_NNODES": "2",
    "SLURM_NODELIST": "n[1-2]",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
}
DDP = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=1")


def of_srun(task, tasks_per_node="1(x2)", **others):
    """The variables of a task where each node has one."""
    own = {
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_TASKS_PER_NODE": tasks_per_node,
        "SLURM_STEP_NODELIST": "n[1-2]",
        "SLURM_PROCID": str(task),
        "SLURM_NODEID": str(task),
    }
    return {**SCRIPT, "SLURM_NTASKS": "2", **own, **others}


@pytest.fixture
def within(monkeypatch):
    """within(variables): from here on this process has these of Slurm."""
    monkeypatch.setattr(rank_zero_only, "rank", 0)

    def within(variables):
        for name in [name for name in os.environ if name.startswith("SLURM")]:
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return within


@pytest.fixture
def with_srun(tmp_path, monkeypatch):
    """A machine on which Slurm is installed."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "srun").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


def environment_of(*overrides):
    return build.trainer(compose([*TINY, *overrides]), []).strategy.cluster_environment


@pytest.mark.parametrize("ntasks", [{}, {"SLURM_NTASKS": "2"}, {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "1"}])
def test_a_batch_script_without_srun_trains_as_any_machine_does_and_no_hint_is_printed(
    within, with_srun, recwarn, ntasks
):
    within(SCRIPT | ntasks)
    assert type(environment_of("trainer=ddp", "trainer.devices=2")) is LightningEnvironment
    build.trainer(compose([*TINY]), [])
    assert not [str(warning.message) for warning in recwarn if "srun" in str(warning.message)]


@pytest.mark.parametrize(("overrides", "others"), [(DDP, {}), (DDP, {"SLURM_NTASKS_PER_NODE": "1"}), (TINY[:1], {})])
def test_the_processes_of_a_run_on_two_nodes_are_the_tasks_of_srun(within, overrides, others):
    within(of_srun(1, **others))
    environment = environment_of(*overrides, "trainer.num_nodes=2")
    assert type(environment) is SrunTasks
    assert not isinstance(environment, SLURMEnvironment)  # which has Lightning requeue
    assert environment.creates_processes_externally
    assert (environment.world_size(), environment.global_rank()) == (2, 1)
    assert (environment.local_rank(), environment.node_rank()) == (0, 1)
    assert rank_zero_only.rank == 1


def test_runs_of_one_device_that_srun_starts_are_each_a_run_of_its_own(within, recwarn):
    within(of_srun(1))
    rank_zero_only.rank = 1  # as Lightning reads it from SLURM_PROCID
    config = compose([*TINY])
    build.trainer(config, [])
    assert Step.of_run(config.trainer) is None
    assert is_first(config.trainer)
    assert rank_zero_only.rank == 0  # it writes
    assert not [str(warning.message) for warning in recwarn if "srun" in str(warning.message)]


def test_a_single_task_of_srun_starts_the_processes_of_its_devices_itself(within):
    within(of_srun(0, "1", SLURM_NTASKS="1"))
    assert type(environment_of("trainer=ddp", "trainer.devices=2")) is LightningEnvironment


def test_a_job_of_the_local_launcher_is_no_process_of_its_neighbours_run(within, monkeypatch):
    within(of_srun(1))
    monkeypatch.setenv("LITCONV_CHECKED", "yes")
    assert type(environment_of("trainer=ddp", "trainer.devices=2")) is LightningEnvironment


@pytest.mark.parametrize(
    ("tasks_per_node", "overrides", "said"),
    [
        ("1(x2)", (), "trainer.num_nodes=1, and srun --nodes=2 started this run; set trainer.num_nodes=2, or "),
        (
            "2",
            ("trainer.num_nodes=2",),
            "trainer.num_nodes=2, and srun --nodes=1 started this run; set trainer.num_nodes=1",
        ),
        ("2(x2)", ("trainer.num_nodes=2",), "trainer.devices=1, and srun --ntasks-per-node=2 started this run; set "),
        ("2,1", ("trainer.num_nodes=2",), "trainer.devices=1, and srun --ntasks-per-node=1,2 started this run; use "),
    ],
)
def test_a_trainer_for_other_processes_than_srun_started_is_refused(
    within, capsys, tmp_path, tasks_per_node, overrides, said
):
    within(of_srun(0, tasks_per_node))
    assert command(*TINY, *DDP, *overrides, f"output_dir={tmp_path}") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {said}")
    assert not list(tmp_path.rglob("config.yaml"))


def test_what_is_wrong_for_all_tasks_is_said_by_the_first_unless_it_lives_on(within, capsys, tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr(said_once.time, "sleep", waited.append)
    wrong = (*TINY, *DDP, "trainer.num_nodes=2", "conv=no_such", f"output_dir={tmp_path}")
    said = []
    for task in (0, 1):
        within(of_srun(task))
        assert command(*wrong) == 1
        said.append(capsys.readouterr().err)
        assert len(waited) == task  # in which srun --kill-on-bad-exit=1 ends it
    assert said[1] == said[0].replace("error: ", "error: task 1 of srun, on its node 1: ")


@pytest.mark.parametrize(("task", "speaks"), [(0, True), (1, False)])
def test_of_the_processes_of_one_run_the_first_speaks(within, capsys, tmp_path, task, speaks):
    within(of_srun(task))
    quiet(is_first(compose([*TINY, *DDP, "trainer.num_nodes=2"]).trainer))
    logging.getLogger("litconv").warning("a warning")
    assert ("a warning" in capsys.readouterr().err) is speaks
    quiet()


def test_slurms_short_forms_are_read():
    assert counts("2(x3),1") == (2, 2, 2, 1)
    assert counts("4") == (4,)
    for text, first in {"n1": "n1", "n[1-2]": "n1", "gpu[03-05,9],cpu1": "gpu03", "a1,b[1-2]": "a1"}.items():
        assert first_node(text) == first


def test_two_steps_and_two_jobs_of_a_node_meet_at_ports_of_their_own():
    ports = [Step(job, number, (1, 1), "n[1-2]", 0, 0, 0).main_port for job in range(100, 200) for number in range(16)]
    assert len(set(ports)) == 1600
    assert all(1024 < port < 32768 for port in ports)  # above: those that a kernel hands out by itself


def of_two(rank, where):
    torch.distributed.init_process_group("gloo", init_method=f"file://{where}/store", rank=rank, world_size=2)
    torch.distributed.all_reduce(torch.ones(1))
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    lost_process.SIGNAL_COMES_WITHIN_SECONDS = 0
    try:
        with in_one_line():
            torch.distributed.all_reduce(torch.ones(1))
    except Exception as error:
        (where / "said.txt").write_text(f"{type(error).__name__}: {error}")


def test_a_killed_process_is_one_line_in_the_others(tmp_path):
    start = torch.multiprocessing.get_context("spawn").Process
    both = [start(target=of_two, args=(rank, tmp_path)) for rank in (0, 1)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, -signal.SIGKILL]
    said = (tmp_path / "said.txt").read_text()
    assert said.startswith(
        "LostProcessError: one of the 2 processes of this run has ended, and process 0 of 0 to 1 lost "
    )
    assert "\n" not in said
    assert ".cc" not in said


def test_a_port_that_is_taken_is_one_line_with_the_remedy(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("MASTER_PORT", str(port))
        with (
            pytest.raises(ConfigError, match=f"^MASTER_PORT={port}, at which .* set MASTER_PORT to a free port"),
            in_one_line(),
        ):
            torch.distributed.TCPStore("127.0.0.1", port, 2, is_master=True, wait_for_workers=False)


@pytest.mark.parametrize(("is_cancelled", "status"), [(True, "interrupted"), (False, "failed")])
def test_a_signal_that_follows_the_loss_of_a_process_makes_the_run_interrupted(
    within, tmp_path, monkeypatch, is_cancelled, status
):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    within(of_srun(0) if is_cancelled else {})
    folder = RunFolder(tmp_path / "runs" / "one", {})
    cancel = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM))

    def train():
        with folder:
            folder.open("seed: 0")
            if is_cancelled:
                cancel.start()
            with in_one_line():
                raise RuntimeError(
                    "[/pytorch/gloo/transport/tcp/pair.cc:561] Connection closed by peer [10.0.0.2]:5000"
                )

    with pytest.raises(SystemExit if is_cancelled else lost_process.LostProcessError) as ended:
        train()
    assert folder.summary["status"] == status
    assert "Connection closed by peer [10.0.0.2]:5000" in folder.summary["error"]
    assert signals.of_run.received is None
    if is_cancelled:
        assert ended.value.code == 143
