"""hydra/launcher=slurm on a real Slurm of two nodes: what every end leaves, and that nothing is trained twice."""

import json
import os
import random
import signal
import time

import pytest
from slurm_sweep import (
    LONG,
    checkpoint_epochs,
    disturb,
    epochs_done,
    jobs,
    lose_node,
    said,
    start,
    statuses,
    summaries,
    sweep_of,
    wait_for_epochs,
)  # fmt: skip

import sweep_process
from sweep_process import wait_until

PATIENCE_SECONDS = 600
TWO = ("conv=standard,grouped", "groups=2", *LONG)


def waits_to_end(command, folder):
    try:
        return command.wait(PATIENCE_SECONDS)
    finally:
        if command.poll() is None:
            command.kill()


def is_complete(folder, points):
    """Each point once, and none of them trained again."""
    found = summaries(folder)
    assert [one["status"] for one in found] == ["completed"] * points, said(folder)
    assert len({one["config_hash"] for one in found}) == points
    assert not (sweep_of(folder) / "aside").exists()


def no_epoch_is_lost(folder):
    """The last row may be of an epoch whose checkpoint was just being written."""
    pairs = zip(epochs_done(folder), checkpoint_epochs(folder), strict=True)
    return all(rows - saved in (0, 1) for rows, saved in pairs)


def test_an_array_trains_each_point_once_and_a_requeued_task_goes_on_from_its_last_epoch(slurm, tmp_path):
    command = start(slurm, tmp_path, *TWO, "hydra.launcher.points_per_task=2")
    wait_for_epochs(tmp_path, runs=1, epochs=2)
    (task,) = jobs(slurm)
    slurm.run("scontrol", "requeue", task)
    assert wait_until(lambda: "interrupted" in statuses(tmp_path), 60), said(tmp_path)
    assert set(statuses(tmp_path)) <= {"interrupted", "completed"}
    assert no_epoch_is_lost(tmp_path)
    assert waits_to_end(command, tmp_path) == 0, said(tmp_path)
    is_complete(tmp_path, 2)
    log = next(sweep_of(tmp_path).glob("*standard*/console.log")).read_text()
    assert log.count("epoch 1/25") == 1  # which the second start did not repeat
    assert len((sweep_of(tmp_path) / ".cluster" / "0000" / "task_0.begun").read_text().splitlines()) == 2


def befall_requeue(slurm, folder, command):
    for task in jobs(slurm):
        slurm.run("scontrol", "requeue", task)


def befall_preemption(slurm, folder, command):
    slurm.run("sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 12")


def befall_lost_node(slurm, folder, command):
    lose_node(slurm, (node := next(iter(jobs(slurm).values()))[1]))
    wait_until(lambda: any(state != "RUNNING" for state, _ in jobs(slurm).values()), 120)
    slurm.start_node(node)


def befall_dead_daemon(slurm, folder, command):
    node = next(iter(jobs(slurm).values()))[1]
    os.kill(slurm.pid(f"slurmd_{node}"), signal.SIGKILL)
    wait_until(lambda: any(at != node for _, at in jobs(slurm).values()), 120)
    slurm.start_node(node)


@pytest.mark.slow
@pytest.mark.parametrize("befall", [befall_requeue, befall_preemption, befall_lost_node, befall_dead_daemon])
def test_what_slurm_requeues_goes_on_by_itself_and_the_waiting_command_sees_it_through(slurm, tmp_path, befall):
    command = start(slurm, tmp_path, *TWO, "hydra.launcher.points_per_task=2", "epochs=60")
    wait_for_epochs(tmp_path, runs=1, epochs=2)
    befall(slurm, tmp_path, command)
    assert "failed" not in statuses(tmp_path), said(tmp_path)
    assert waits_to_end(command, tmp_path) == 0, said(tmp_path)
    is_complete(tmp_path, 2)
    rows = epochs_done(tmp_path)
    assert rows == [60, 60]


@pytest.mark.slow
def test_a_time_limit_interrupts_and_requeues_until_all_is_done(slurm, tmp_path):
    limits = ("hydra.launcher.timeout_min=1", "hydra.launcher.grace_seconds=15", "epochs=1500", "++data.n_train=64")
    command = start(slurm, tmp_path, "conv=standard", *limits)
    assert wait_until(lambda: "interrupted" in statuses(tmp_path), 240), said(tmp_path)
    assert no_epoch_is_lost(tmp_path)
    assert wait_until(lambda: "the task is requeued" in said(tmp_path), 60)
    assert wait_until(lambda: statuses(tmp_path) == [], 120)  # it was taken up again
    slurm.run("scancel", next(iter(jobs(slurm))))
    waits_to_end(command, tmp_path)


@pytest.mark.slow
def test_a_time_limit_shorter_than_an_epoch_is_said_and_not_requeued_for_ever(slurm, tmp_path):
    limits = ("hydra.launcher.timeout_min=1", "hydra.launcher.grace_seconds=20", "epochs=2", "++data.n_train=2000000")
    command = start(slurm, tmp_path, "conv=standard", *limits, "data.cache_dir=null")
    assert waits_to_end(command, tmp_path) == 1, said(tmp_path)
    assert "not one epoch fits into the time limit" in said(tmp_path)
    assert statuses(tmp_path) in ([], ["interrupted"])
    assert jobs(slurm) == {}


@pytest.mark.slow
def test_scancel_interrupts_and_the_same_command_goes_on(slurm, tmp_path):
    command = start(slurm, tmp_path, *TWO)
    wait_for_epochs(tmp_path, runs=2, epochs=2)
    slurm.run("scancel", next(iter(jobs(slurm))).partition("_")[0])
    assert waits_to_end(command, tmp_path) == 1, said(tmp_path)
    assert statuses(tmp_path) == ["interrupted"] * 2
    assert no_epoch_is_lost(tmp_path)
    assert waits_to_end(start(slurm, tmp_path, *TWO), tmp_path) == 0, said(tmp_path)
    is_complete(tmp_path, 2)


@pytest.mark.slow
def test_the_array_outlives_the_command_and_another_command_waits_for_the_same_tasks(slurm, tmp_path):
    command = start(slurm, tmp_path, *TWO)
    wait_for_epochs(tmp_path, runs=1, epochs=1)
    os.killpg(command.pid, signal.SIGHUP)
    command.wait(60)
    array = {task.partition("_")[0] for task in jobs(slurm)}
    again = start(slurm, tmp_path, *TWO)
    assert wait_until(lambda: "submitted before" in said(tmp_path), 60), said(tmp_path)
    assert {task.partition("_")[0] for task in jobs(slurm)} <= array
    assert waits_to_end(again, tmp_path) == 0, said(tmp_path)
    is_complete(tmp_path, 2)


@pytest.mark.slow
def test_without_waiting_the_command_returns_at_once_with_the_number_of_the_job(slurm, tmp_path):
    command = start(slurm, tmp_path, "conv=standard,grouped", "groups=2", "wait=false")
    assert waits_to_end(command, tmp_path) == 0
    batch = json.loads((sweep_of(tmp_path) / ".cluster" / "0000" / "batch.json").read_text())
    assert f"job {batch['job']}" in said(tmp_path)
    assert wait_until(lambda: statuses(tmp_path) == ["completed"] * 2, 240), said(tmp_path)


def wait_for_a_job(folder, command):
    """One that was not there before."""
    seen = len(list(sweep_of(folder).rglob("console.log")))
    wait_until(lambda: len(list(sweep_of(folder).rglob("console.log"))) > seen or command.poll() is not None, 120)


TWELVE = (
    "conv=standard,grouped,depthwise_separable,dilated",
    "groups=2",
    "seed=0,1,2",
    "epochs=2",
    "++data.n_train=480",
)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_an_array_killed_again_and_again_completes_every_point_once(slurm, tmp_path, seed):
    chance, befell = random.Random(seed), []
    grid = (*TWELVE, "hydra.launcher.points_per_task=3")
    while len(befell) < 10:
        command = start(slurm, tmp_path, *grid)
        for _ in range(2):
            wait_for_a_job(tmp_path, command)
            time.sleep(chance.uniform(0, 4))
            befell.append(disturb(slurm, command, chance))
        if command.poll() == 0:
            break
        command.send_signal(signal.SIGINT)
        command.wait(60)
    assert waits_to_end(start(slurm, tmp_path, *grid), tmp_path) == 0, f"{befell}\n{said(tmp_path)}"
    sweep_process.check(sweep_of(tmp_path), names=12)


def test_a_partition_that_does_not_exist_is_one_line_and_leaves_no_batch(slurm, tmp_path):
    command = start(slurm, tmp_path, "conv=standard", "hydra.launcher.partition=gpux")
    assert waits_to_end(command, tmp_path) == 1
    (line,) = (tmp_path / "launches.log").read_text().splitlines()
    assert line.startswith("error: hydra.launcher.partition=gpux: Slurm refuses it"), said(tmp_path)
    assert "sinfo" in line
    assert not list(sweep_of(tmp_path).glob(".cluster/*/batch.json"))
