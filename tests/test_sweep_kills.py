"""Sweeps that are killed at random moments and started again until they are done."""

import random

import pytest

from sweep_process import FOUR, SIX, check, disturb, is_alive, jobs, start, wait_until

PATIENCE_SECONDS = 300
# A negative code, which a shell shows as 128 + the signal: it came before the launcher had anything to end.
EXPECTED = {"a job": (1,), "SIGINT": (130, -2), "SIGTERM": (143, -15), "SIGKILL": (-9,)}  # or 0, if it had just ended


def one_round(folder, seed: int, points: tuple[str, ...], launches: int, seconds: float) -> None:
    chance = random.Random(seed)
    for _ in range(launches):
        sweep = start(folder, *points)
        wait_for_a_job(folder, sweep)
        running = jobs(sweep.pid)
        what = disturb(sweep, chance, seconds)
        code = sweep.wait(PATIENCE_SECONDS)
        assert code in (*EXPECTED.get(what, ()), 0), f"{what}: {code}\n{(folder / 'launches.log').read_text()}"
        assert wait_until(lambda pids=running: not any(is_alive(pid) for pid in pids)), (
            f"{what}: jobs outlive the launcher"
        )
    sweep = start(folder, *points)
    assert sweep.wait(PATIENCE_SECONDS) == 0, (folder / "launches.log").read_text()
    check(folder / "sweeps" / "kills", names=4 if points is FOUR else 6)


def wait_for_a_job(folder, sweep) -> None:
    """Until the import is over, which takes most of the time and in which there is little to kill."""
    seen = len(list(folder.rglob("console.log")))
    wait_until(lambda: len(list(folder.rglob("console.log"))) > seen or sweep.poll() is not None, 120)


def test_a_sweep_killed_twice_and_started_again_completes_every_point_once(tmp_path):
    one_round(
        tmp_path, 8, FOUR, launches=2, seconds=4
    )  # SIGKILL of the launcher after 0.9 s, then of a job after 0.5 s


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_a_sweep_killed_again_and_again_completes_every_point_once(tmp_path, seed):
    one_round(tmp_path, 100 + seed, SIX, launches=2, seconds=6)


@pytest.mark.slow
def test_two_launches_of_the_same_sweep_at_once_train_nothing_twice(tmp_path):
    launches = [start(tmp_path, *SIX, "n_jobs=1") for _ in range(2)]
    assert [sweep.wait(PATIENCE_SECONDS) for sweep in launches] == [0, 0], (tmp_path / "launches.log").read_text()
    check(tmp_path / "sweeps" / "kills", names=6)
