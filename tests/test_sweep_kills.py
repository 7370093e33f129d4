"""Sweeps that are killed at random moments and started again until they are done."""

import random
import time

import pytest

from sweep_process import SIX, check, disturb, start

PATIENCE_SECONDS = 120


def one_round(folder, seed: int, launches: int) -> None:
    chance = random.Random(seed)
    for _ in range(launches):
        sweep = start(folder, *SIX)
        wait_for_a_job(folder, sweep)
        print(disturb(sweep, chance, seconds=6))
        code = sweep.wait(PATIENCE_SECONDS)
        assert code in (0, 1, 130, 143, -9), (folder / "launches.log").read_text()
    sweep = start(folder, *SIX)
    assert sweep.wait(PATIENCE_SECONDS) == 0, (folder / "launches.log").read_text()
    check(folder / "sweeps" / "kills", names=6)


def wait_for_a_job(folder, sweep) -> None:
    """Until the import is over, which takes most of the time and in which there is little to kill."""
    seen = len(list(folder.rglob("console.log")))
    until = time.monotonic() + 20
    while len(list(folder.rglob("console.log"))) == seen and sweep.poll() is None and time.monotonic() < until:
        time.sleep(0.1)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_killed_sweep_started_again_completes_every_point_once(tmp_path, seed):
    one_round(tmp_path, seed, launches=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_a_sweep_killed_again_and_again_completes_every_point_once(tmp_path, seed):
    one_round(tmp_path, 100 + seed, launches=4)
