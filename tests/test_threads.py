"""`threads`: which number a training chooses by the durations of its steps, what that costs, and what holds it."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from command import ROOT, TINY, command
from deform_cases import HAS_COMPILER
from litconv.callbacks.thread_choice import ThreadChoice
from litconv.callbacks.threads import Threads
from litconv.prepare.threads import most
from litconv.sweep.slots import Place, Slots
from litconv.tasks import Classification

ALL = 2
STEPS = 875  # of the default run
IDLE = {1: 1.5, ALL: 1.0}  # seconds of a step by its number of threads
LOADED = {1: 1.7, ALL: 4.0}
COLLAPSED = {1: 2.0, ALL: 12.0}


def trained(durations, choice=None):
    """The choice after a training, what it took, and what either number would have taken; `durations` are of each step."""
    choice = choice or ThreadChoice(1, ALL)
    seconds = 0.0
    for step in durations:
        seconds += step[choice.threads]
        choice.took(step[choice.threads])
    return choice, seconds, {number: sum(step[number] for step in durations) for number in (1, ALL)}


def noisy(durations, sigma, seed):
    """Each step of either number longer or shorter by chance, some by far, as where another program wakes."""
    draw = np.random.default_rng(seed)
    factors = np.exp(sigma * draw.normal(size=(len(durations), 2))) * np.where(
        draw.random((len(durations), 2)) < 0.02, 5, 1
    )
    return [{1: step[1] * one, ALL: step[ALL] * every} for step, (one, every) in zip(durations, factors, strict=True)]


@pytest.mark.parametrize(("load", "faster"), [(IDLE, ALL), (LOADED, 1), (COLLAPSED, 1)])
def test_the_number_whose_steps_are_faster_is_chosen_in_the_first_steps_and_kept(load, faster):
    choice, _, _ = trained([load] * 12)
    assert choice.chosen == faster
    choice, seconds, fixed = trained([load] * STEPS)
    assert (choice.chosen, choice.changes) == (faster, 0)
    assert seconds < 1.04 * min(fixed.values())  # all that was tried on the way


@pytest.mark.parametrize("load", [IDLE, LOADED])
def test_trials_go_on_to_the_end_and_cost_per_cents(load):
    choice, _, _ = trained([load] * 400)
    seen = []
    for _ in range(400):
        seen.append(choice.threads)
        choice.took(load[choice.threads])
    tried = [number for number in seen if number != choice.chosen]
    assert 0 < len(tried) < 40
    assert sum(load[number] - load[choice.chosen] for number in tried) < 0.04 * 400 * load[choice.chosen]


@pytest.mark.parametrize(("before", "after"), [(IDLE, LOADED), (IDLE, COLLAPSED), (LOADED, IDLE), (COLLAPSED, IDLE)])
def test_the_choice_follows_a_load_that_comes_or_goes_in_mid_run(before, after):
    choice, seconds, _ = trained([before] * 400 + [after] * 475)
    assert choice.chosen == min(after, key=after.get)
    assert choice.changes == 1
    assert seconds < 1.1 * (400 * min(before.values()) + 475 * min(after.values()))


def test_a_load_that_slows_all_threads_is_noticed_within_a_score_of_steps():
    choice, _, _ = trained([IDLE] * 400)
    assert choice.chosen == ALL
    choice, _, _ = trained([COLLAPSED] * 20, choice)
    assert choice.chosen == 1


@pytest.mark.parametrize("sigma", [0.05, 0.15, 0.25])
@pytest.mark.parametrize("load", [IDLE, LOADED, COLLAPSED, {1: 1.0, ALL: 1.0}, {1: 1.1, ALL: 1.0}, {1: 1.0, ALL: 1.1}])
def test_with_noise_a_run_takes_at_most_a_tenth_longer_than_the_better_number_would(load, sigma):
    worst = 0.0
    for seed in range(20):
        durations = noisy([load] * STEPS, sigma, seed)
        _, seconds, fixed = trained(durations)
        worst = max(worst, seconds / min(fixed.values()))
    assert worst < 1.1


def test_with_noise_and_a_load_that_lasts_a_hundred_steps_or_more_it_is_no_slower_than_the_better_number_by_a_tenth():
    for seed in range(40):
        draw = np.random.default_rng(seed)
        durations = []
        while len(durations) < STEPS:
            durations += [(IDLE, LOADED, COLLAPSED)[draw.integers(3)]] * int(draw.integers(100, 600))
        _, seconds, fixed = trained(noisy(durations, 0.15, seed))
        assert seconds < 1.1 * min(fixed.values())


def test_one_step_that_another_program_held_up_does_not_change_the_choice():
    for held_up in range(60):
        durations = [IDLE] * held_up + [{1: 50.0, ALL: 50.0}] + [IDLE] * 100
        choice, _, _ = trained(durations)
        assert (choice.chosen, choice.changes) == (ALL, 0), held_up


def test_where_one_thread_alone_is_allowed_nothing_is_tried():
    choice = ThreadChoice(1, 1)
    for _ in range(300):
        assert choice.threads == choice.chosen == 1
        choice.took(1.0)


@pytest.mark.parametrize(("saved", "allowed", "begins"), [(1, 2, 1), (2, 2, 2), (8, 2, 2), (1, 1, 1), (2, 1, 1)])
def test_a_resumed_training_begins_with_the_number_that_was_chosen_as_far_as_it_is_allowed(saved, allowed, begins):
    choice = ThreadChoice(1, allowed)
    choice.resume(saved, changes=3)
    seen = []
    for _ in range(12):  # no measuring steps
        seen.append(choice.threads)
        choice.took(1.0)
    assert seen == [begins] * 12
    assert choice.changes == 3


class Clock:
    """Goes on by the seconds that a step takes with the number of threads that torch has, whenever it is asked."""

    def __init__(self, seconds):
        self.seconds, self.now = seconds, 0.0

    def perf_counter(self):
        self.now += self.seconds[torch.get_num_threads()]
        return self.now


@pytest.fixture
def two_threads(monkeypatch):
    """May be taken, on whatever machine."""
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def computed(monkeypatch):
    """With how many threads each batch was computed, by stage."""
    seen = {"train": [], "evaluation": []}
    train_batch, evaluation_step = Classification.train_batch, Classification.evaluation_step

    def train(self, *batch):
        seen["train"].append(torch.get_num_threads())
        return train_batch(self, *batch)

    def evaluate(self, *batch):
        seen["evaluation"].append(torch.get_num_threads())
        return evaluation_step(self, *batch)

    monkeypatch.setattr(Classification, "train_batch", train)
    monkeypatch.setattr(Classification, "evaluation_step", evaluate)
    return seen


def run(folder, *arguments):
    status = command(*TINY, "logger=csv", f"output_dir={folder}", *arguments)
    (written,) = folder.rglob("summary.json")
    return status, json.loads(written.read_text()), written.parent


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("load", "faster"), [(IDLE, 2), (COLLAPSED, 1)])
def test_a_run_computes_with_the_faster_number_and_its_summary_and_checkpoint_hold_it(
    tmp_path, monkeypatch, computed, load, faster
):
    monkeypatch.setattr("litconv.callbacks.threads.time", Clock(load))
    status, summary, folder = run(tmp_path, "data.batch_size=4", "epochs=2")  # 32 steps
    assert status == 0
    assert (summary["train/threads"], summary["train/threads_changes"]) == (faster, 0)
    assert set(computed["train"][:10]) == {1, 2}
    assert computed["train"][12:18] == [faster] * 6
    assert computed["evaluation"][-16:] == [faster] * 16  # the last validation, both splits in the end
    last = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["callbacks"]["Threads"] == {"threads": faster, "changes": 0}
    assert torch.get_num_threads() == 2  # for what comes next in this process


@pytest.mark.usefixtures("two_threads")
def test_a_run_that_was_cut_short_goes_on_with_its_choice(tmp_path, monkeypatch, computed):
    monkeypatch.setattr("litconv.callbacks.threads.time", Clock(COLLAPSED))

    def stop(self, trainer, module, batch, index):
        if trainer.current_epoch == 1 and len(computed["train"]) > 20:
            raise KeyboardInterrupt

    arguments = ("data.batch_size=4", "epochs=2")
    with monkeypatch.context() as patch:
        patch.setattr(Threads, "on_train_batch_start", stop, raising=False)
        assert run(tmp_path, *arguments)[0] == 130
    computed["train"].clear()
    assert run(tmp_path, *arguments)[0] == 0
    assert computed["train"] == [1] * 16


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_number_is_what_everything_computes_with(tmp_path, computed, number):
    measuring = ("cost.latency.enabled=true", "cost.latency.seconds=0.001", "cost.latency.batch=2")
    status, summary, _ = run(tmp_path, f"threads={number}", *measuring)
    assert status == 0
    assert (summary["train/threads"], summary["train/threads_changes"]) == (number, 0)
    assert set(computed["train"] + computed["evaluation"]) == {number}
    assert summary["cost/device"].endswith(f", {number} thread{'s' * (number > 1)}")
    assert torch.get_num_threads() == 2


def test_what_the_user_or_a_sweeps_slots_have_set_is_the_most(tmp_path, monkeypatch, two_threads, computed):
    assert most() == 2
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr("litconv.prepare.threads.cores", lambda: 1)
    assert most() == 1  # of a container's quota
    place = Slots(-1, 1, [], cores=2, points=2).take(0, "auto", 1)
    assert place == Place(None, 1)
    for key, value in place.environment().items():  # as the job of a sweep does
        monkeypatch.setenv(key, value)
        torch.set_num_threads(int(value))
    monkeypatch.setattr("litconv.callbacks.threads.time", Clock(IDLE))
    _, summary, _ = run(tmp_path, "data.batch_size=4")
    assert set(computed["train"]) == {1}
    assert (summary["train/threads"], summary["train/threads_changes"]) == (1, 0)


def stub(device, world_size=1, callbacks=()):
    strategy = SimpleNamespace(root_device=torch.device(device))
    return SimpleNamespace(strategy=strategy, world_size=world_size, callbacks=list(callbacks))


@pytest.mark.usefixtures("two_threads")
def test_on_a_gpu_nothing_is_chosen_and_nothing_said(monkeypatch):
    monkeypatch.setattr("litconv.callbacks.threads.time", Clock(COLLAPSED))
    threads = Threads("auto")
    threads.setup(stub("cuda"), None, "fit")
    threads.on_train_epoch_start(stub("cuda"), None)
    for _ in range(30):
        threads.on_train_batch_end()
        assert torch.get_num_threads() == 2
    assert threads.facts() == threads.state_dict() == {}


@pytest.mark.usefixtures("two_threads")
def test_processes_that_wait_for_each_other_and_compiled_steps_keep_all_their_threads(monkeypatch):
    from litconv.callbacks.compilation import Compilation

    monkeypatch.setattr("litconv.callbacks.threads.time", Clock(COLLAPSED))
    for trainer in (stub("cpu", world_size=2), stub("cpu", callbacks=[Compilation("default")])):
        threads = Threads("auto")
        threads.setup(trainer, None, "fit")
        for _ in range(30):
            threads.on_train_batch_end()
            assert torch.get_num_threads() == 2
        assert threads.facts() == {"train/threads": 2, "train/threads_changes": 0}


KERNELS = """
import sys, torch
from pathlib import Path
from litconv.conv import deform_op
from litconv.conv.deform_kernels import cpp
from litconv.conv.deform_kernels.geometry import Geometry
from litconv.data import fused

torch.set_num_threads(1)
images, labels = torch.zeros(64, 3, 32, 32, dtype=torch.uint8), torch.zeros(64, dtype=torch.long)
rows, scale = torch.arange(32.0).repeat(64, 1), torch.ones(3)
x, weight, offset = torch.zeros(2, 8, 32, 32), torch.zeros(8, 8, 3, 3), torch.zeros(2, 18, 32, 32)

def augment():
    fused.batch(images, labels, None, rows, rows, (scale, scale), 255)

def deform():
    cpp.forward(x, weight, offset, None, Geometry((1, 1), (1, 1), (1, 1), 1))

fused.wait()
kernel = {"augment": augment, "deform": deform}[sys.argv[1]]
for number in (1, 3, 1):
    torch.set_num_threads(number)
    before = len(list(Path("/proc/self/task").iterdir()))
    kernel()
    print(number, len(list(Path("/proc/self/task").iterdir())) - before)
"""


@pytest.mark.skipif(not HAS_COMPILER or sys.platform != "linux", reason="there is no C++ compiler, or no /proc")
@pytest.mark.parametrize("kernel", ["augment", "deform"])
def test_the_cpp_kernels_compute_with_torchs_number_of_threads(kernel):
    done = subprocess.run([sys.executable, "-c", KERNELS, kernel], capture_output=True, text=True, check=True, cwd=ROOT)
    started = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert started == [(1, 0), (3, 2), (1, 0)]  # beside the one that asks
