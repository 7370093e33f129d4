"""hydra/launcher=ray on a real Ray of two nodes: what every end leaves, and that nothing is trained twice."""

import os
import random
import signal
import time

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'litconv[ray]'")

from ray_sweep import NAME, ToyRay, disturb, is_quiet, start, workers
from slurm_sweep import LONG, epochs_done, said, statuses, sweep_of, wait_for_epochs
from test_slurm import TWELVE, TWO, is_complete, no_epoch_is_lost, wait_for_a_job, waits_to_end

import sweep_process
from sweep_process import wait_until


@pytest.fixture(scope="module")
def ray():
    toy = ToyRay()
    yield toy
    toy.stop()


@pytest.fixture
def both(ray):
    """Both nodes."""
    ray.start_node()
    return ray


@pytest.mark.slow
def test_the_points_of_a_lost_node_go_on_elsewhere_from_their_last_epoch(both, tmp_path):
    command = start(both.address, tmp_path, *TWO, "hydra.launcher.cpus_per_task=2", "hydra.launcher.points_per_task=1")
    wait_for_epochs(tmp_path, runs=2, epochs=2)  # a task on each node
    both.lose_node()
    assert waits_to_end(command, tmp_path) == 0, said(tmp_path)
    assert said(tmp_path).count("handed over again") == 1
    is_complete(tmp_path, 2)
    assert epochs_done(tmp_path) == [25, 25]
    logs = [path.read_text() for path in sweep_of(tmp_path).glob("*/console.log")]
    assert [log.count("epoch 1/25") for log in logs] == [1, 1]
    begun = [path.read_text().splitlines() for path in sweep_of(tmp_path).glob(".cluster/0000/task_*.begun")]
    assert sorted(map(len, begun)) == [1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_command_interrupts_every_run_and_the_same_command_goes_on(both, tmp_path, number):
    grid = (*TWO[:2], "seed=0,1,2", *LONG)  # six points for four places
    command = start(both.address, tmp_path, *grid)
    wait_for_epochs(tmp_path, runs=4, epochs=2)  # the first checkpoint stands
    command.send_signal(number)
    assert waits_to_end(command, tmp_path) == 128 + number, said(tmp_path)
    assert statuses(tmp_path) == ["interrupted"] * 4
    assert no_epoch_is_lost(tmp_path)
    assert is_quiet(tmp_path)
    assert waits_to_end(start(both.address, tmp_path, *grid), tmp_path) == 0, said(tmp_path)
    is_complete(tmp_path, 6)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_a_command_that_is_lost_takes_its_tasks_with_it_and_their_runs_are_interrupted(both, tmp_path, number):
    command = start(both.address, tmp_path, *TWO)
    wait_for_epochs(tmp_path, runs=2, epochs=2)  # the first checkpoint stands
    os.kill(command.pid, number)
    command.wait(60)
    assert wait_until(lambda: is_quiet(tmp_path), 60)
    assert statuses(tmp_path) == ["interrupted"] * 2, said(tmp_path)
    assert no_epoch_is_lost(tmp_path)


@pytest.mark.slow
def test_a_task_whose_workers_are_killed_again_and_again_is_given_up_only_without_progress(both, tmp_path):
    command = start(both.address, tmp_path, "conv=standard", "++data.n_train=480", "epochs=60")
    for losses in range(1, 6):  # with an epoch before each
        wait_for_epochs(tmp_path, runs=1, epochs=2 * losses)
        os.kill(workers(tmp_path)[0], signal.SIGKILL)
        assert wait_until(lambda n=losses: said(tmp_path).count("its worker was killed") == n, 60), said(tmp_path)
    assert waits_to_end(command, tmp_path) == 0, said(tmp_path)
    is_complete(tmp_path, 1)
    assert epochs_done(tmp_path) == [60]


@pytest.mark.slow
def test_more_cpus_than_any_node_has_are_one_line_and_no_endless_wait(both, tmp_path):
    command = start(both.address, tmp_path, "conv=standard,grouped", "hydra.launcher.cpus_per_task=3")
    assert waits_to_end(command, tmp_path) == 1
    (line,) = (tmp_path / "launches.log").read_text().splitlines()
    assert line.startswith(
        "error: hydra.launcher.cpus_per_task=3: no node of this Ray cluster has as many, the most are 2"
    )
    assert not list((tmp_path / "sweeps" / NAME).glob(".cluster/*/batch.json"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_sweep_killed_again_and_again_completes_every_point_once(both, tmp_path, seed):
    chance, befell, grid = random.Random(seed), [], (*TWELVE, "hydra.launcher.points_per_task=3")
    while len(befell) < 10:
        both.start_node()
        command = start(both.address, tmp_path, *grid)
        for _ in range(2):
            wait_for_a_job(tmp_path, command)
            time.sleep(chance.uniform(0, 4))
            befell.append(disturb(both, tmp_path, command, chance))
        if command.poll() == 0:
            break
        if command.poll() is None:
            command.send_signal(signal.SIGINT)
        command.wait(90)
    both.start_node()
    assert waits_to_end(start(both.address, tmp_path, *grid), tmp_path) == 0, f"{befell}\n{said(tmp_path)}"
    sweep_process.check(sweep_of(tmp_path), names=12)
    print(befell)
