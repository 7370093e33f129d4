"""Measured costs: latencies beside a reference, peak memory, and that measuring leaves no trace."""

import copy
import itertools
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from command import TINY, command
from litconv.cost import count, measure
from litconv.cost.latency import (
    MAX_ROUNDS,
    MIN_ROUNDS,
    PATIENCE,
    WARM_UP,
    Latency,
    Waits,
    time_beside,
    waits_for_a_core,
)
from litconv.cost.measurement import Measured
from litconv.cost.memory import peak_bytes

CPU = torch.device("cpu")


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def small() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Dropout(), nn.Flatten(), nn.Linear(512, 2)
    )


def measured(model: nn.Module, reference: nn.Module | None = None, **options):
    settings = {
        "device": CPU,
        "precision": "32-true",
        "memory_format": torch.contiguous_format,
        "reference_format": torch.contiguous_format,
        "batch": 4,
        "seconds": 0.001,
    }
    return measure(model, reference, sgd, 3, (8, 8), **(settings | options))


class Scripted:
    """A clock that a script tells how long each call takes."""

    def __init__(self, times: dict[object, list[float]]) -> None:
        self.times = {call: iter(values) for call, values in times.items()}
        self.order: list[object] = []

    def __call__(self, call: object) -> float:
        self.order.append(call)
        return next(self.times[call])


def test_quantiles_and_ratio_are_those_of_the_rounds_after_the_warm_up():
    own = [5.0, 1.0, 2.0, 8.0, 3.0, 4.0, 1.0, 1.0, 9.0, 1.0]
    other = [2.0, 2.0, 1.0, 2.0, 2.0, 5.0, 6.0, 1.0, 1.0, 1.0]
    clock = Scripted({"model": [99.0] * WARM_UP + own, "reference": [77.0] * WARM_UP + other})
    found = time_beside("model", "reference", clock, budget_ms=sum(own) + sum(other) - 0.5)
    assert found.rounds == 5
    assert (found.p10_ms, found.median_ms, found.p90_ms) == tuple(np.percentile(own, [10, 50, 90]))
    assert found.ratio == np.median([6 / 4, 10 / 3, 7 / 7, 2 / 7, 10 / 2])


def test_a_round_is_model_reference_reference_model():
    clock = Scripted({"model": itertools.repeat(1.0), "reference": itertools.repeat(1.0)})
    assert time_beside("model", "reference", clock, budget_ms=20.0).rounds == 5
    assert clock.order[2 * WARM_UP :] == ["model", "reference", "reference", "model"] * 5


def test_drift_does_not_move_the_ratio():
    times = [10.0 + 0.1 * call for call in range(40)]  # each call takes longer than the one before
    own, other = times[0::4] + times[3::4], times[1::4] + times[2::4]
    clock = Scripted({"model": [1.0] * WARM_UP + sorted(own), "reference": [1.0] * WARM_UP + sorted(other)})
    assert time_beside("model", "reference", clock, budget_ms=sum(times) - 1).ratio == pytest.approx(1.0)


def test_a_disturbance_that_hits_a_round_does_not_move_the_ratio():
    noise = np.repeat(np.exp(np.random.default_rng(0).normal(size=50)), 2)
    clock = Scripted(
        {"model": itertools.chain([1.0] * WARM_UP, 3 * noise), "reference": itertools.chain([1.0] * WARM_UP, 2 * noise)}
    )
    found = time_beside("model", "reference", clock, budget_ms=200.0)
    assert found.ratio == pytest.approx(1.5)
    assert found.p90_ms > 2 * found.p10_ms


class Held:
    """How long the process has waited for a core, asked before and after each round: so much in each."""

    def __init__(self, *rounds: Waits) -> None:
        self.rounds, self.told = iter(rounds), itertools.cycle([False, True])

    def __call__(self) -> Waits:
        return next(self.rounds) if next(self.told) else Waits(0.0, 0)


QUIET = Waits(0.0, 0)


def test_a_round_in_which_another_program_had_the_core_leaves_no_trace():
    own = [1.4] * 9 + [1045.0] + [1.4] * 60
    clock = Scripted({"model": [1.4] * WARM_UP + own, "reference": itertools.repeat(0.7)})
    waits = Held(*[QUIET] * 4, Waits(1043.0, 1), *[QUIET] * 30)
    found = time_beside("model", "reference", clock, 10 * (2.8 + 1.4), waits)
    assert (found.p10_ms, found.median_ms, found.p90_ms) == (1.4, 1.4, 1.4)
    assert found.ratio == pytest.approx(2.0)
    assert not found.is_disturbed


@pytest.mark.parametrize(
    ("waits", "is_disturbed"),
    [
        (Waits(0.3, 40), False),  # threads that wake, some µs each
        (Waits(0.1, 1), False),  # the core was taken for a moment
        (Waits(1.0, 1), True),
        (Waits(1.0, 40), True),  # a thread woke where another program computed
    ],
)
def test_waking_is_no_disturbance_and_waiting_for_another_program_is_one(waits, is_disturbed):
    clock = Scripted({"model": itertools.repeat(1.0)})
    assert time_beside("model", None, clock, 20.0, Held(*[waits] * 100)).is_disturbed == is_disturbed


def test_on_a_machine_that_is_too_busy_the_least_disturbed_rounds_count_and_it_says_so():
    own = [n for step in range(100) for n in [1.0 + step % 10] * 2]  # a millisecond of work and of waiting the rest
    clock = Scripted({"model": itertools.chain([1.0] * 2 * WARM_UP, own)})
    waits = [Waits(0.2 + 2 * (step % 10), 1) for step in range(100)]
    found = time_beside("model", None, clock, 100.0, Held(*waits))
    assert found.is_disturbed
    assert len(clock.order) - 2 * WARM_UP == 2 * 38
    assert (found.rounds, found.median_ms, found.p90_ms) == (4, 1.0, 1.0)
    assert sum(own[: 2 * 37]) < PATIENCE * 100 <= sum(own[: 2 * 38])


@pytest.mark.parametrize(("single", "batched"), [(True, False), (False, True), (False, False)])
def test_the_summary_says_that_the_machine_was_too_busy_and_else_has_no_word_of_it(single, batched):
    one, several = (Latency(1.0, 1.0, 1.0, 1.0, 4, is_disturbed) for is_disturbed in (single, batched))
    summary = Measured("here", 8, one, several, None, None, None).summary()
    assert summary.get("cost/latency_disturbed", False) == (single or batched)


def test_one_line_says_that_the_machine_was_too_busy(monkeypatch, caplog):
    waits = (Waits(1e6 * times, times) for times in itertools.count())
    monkeypatch.setattr("litconv.cost.measurement.waits_for_a_core", lambda: next(waits))
    assert measured(small()).is_disturbed
    (line,) = [record.message for record in caplog.records if "too busy" in record.message]
    assert "cost/latency_disturbed" in line


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this kernel does not count waits")
def test_the_wait_for_a_core_that_another_process_holds_is_counted():
    allowed = os.sched_getaffinity(0)
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        one = {min(allowed)}
        os.sched_setaffinity(0, one)
        os.sched_setaffinity(other.pid, one)
        before = waits_for_a_core()
        switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        while resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw < switches + 3:  # until the core was taken three times
            pass
        waited = waits_for_a_core().since(before)
        assert waited.ms > 0.5
        assert waited.dispatches >= 3
    finally:
        os.sched_setaffinity(0, allowed)
        other.kill()
        other.wait()


def test_slow_models_get_the_fewest_rounds_and_quick_ones_an_end():
    slow = Scripted({"model": itertools.repeat(1e6)})
    assert time_beside("model", None, slow, budget_ms=1.0).rounds == MIN_ROUNDS
    quick = Scripted({"model": itertools.repeat(1e-9)})
    found = time_beside("model", None, quick, budget_ms=1.0)
    assert (found.rounds, found.ratio) == (MAX_ROUNDS, 1.0)


def test_peak_memory_is_the_most_that_is_held_at_once():
    def call() -> None:
        first = torch.empty(1000)
        second = torch.empty(3000)  # together 16,000 bytes
        del first, second
        torch.empty(3500)  # 14,000 alone

    assert peak_bytes(call, CPU) == 16_000


def test_memory_holds_weights_images_and_activations_and_training_holds_more():
    found = measured(nn.Sequential(nn.Linear(8, 1000, bias=False), nn.ReLU(inplace=True)))
    weights, images, out = 8 * 1000, 4 * 3 * 8 * 8, 4 * 3 * 8 * 1000
    assert found.peak_bytes == 4 * (weights + images + out)
    assert found.train_peak_bytes > 4 * (3 * weights + images + 2 * out)  # gradients and momentum; the loss's own


def test_measuring_leaves_no_trace():
    model, reference = small(), small()
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(3)
    state = torch.get_rng_state()
    assert measured(model, reference) is not None
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_what_cannot_be_measured_is_absent_and_never_zero():
    summary = measured(small()).summary()
    assert "cost/energy_mj_per_image" not in summary  # there is no counter for a CPU
    assert all(summary[key] for key in summary)
    assert summary["cost/latency_ratio"] == summary["cost/latency_single_ratio"] == 1
    assert summary["cost/latency_batch"] == 4
    assert summary["cost/images_per_second"] == pytest.approx(4000 / summary["cost/latency_ms"])


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
def test_the_precision_of_the_run_is_the_one_that_is_measured(precision):
    seen = []

    class Spy(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            out = super().forward(x)
            seen.append(out.dtype)
            return out

    measured(nn.Sequential(Spy(3, 4, 3), nn.Flatten()), precision=precision)
    assert set(seen) == {torch.float64 if precision == "64-true" else torch.bfloat16}


def test_out_of_memory_is_a_warning_and_the_figures_are_absent(caplog):
    class Hungry(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

    assert measured(Hungry(8, 8), batch=7) is None
    assert "no memory for a batch of 7; try a smaller cost.latency.batch" in caplog.text


class TwoBranches(nn.Module):
    """Trained as the sum of a 3×3 and a 1×1 convolution, deployed as one 3×3."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.narrow = nn.Conv2d(3, 8, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.wide(x) + self.narrow(x)

    def deployed(self) -> nn.Module:
        fused = nn.Conv2d(3, 8, 3, padding=1, bias=False, device=self.wide.weight.device)
        fused.weight = nn.Parameter(self.wide.weight + nn.functional.pad(self.narrow.weight, (1, 1, 1, 1)))
        return fused


def test_a_reparametrised_model_is_counted_and_measured_in_its_deployed_form():
    model, fused = nn.Sequential(TwoBranches(), nn.ReLU()), nn.Sequential(TwoBranches().deployed(), nn.ReLU())
    assert count(model, 3, (8, 8)).macs == count(fused, 3, (8, 8)).macs == 9 * 3 * 8 * 64
    assert count(model, 3, (8, 8)).params == count(fused, 3, (8, 8)).params == 9 * 3 * 8
    assert measured(model).peak_bytes == measured(fused).peak_bytes
    assert measured(model).train_peak_bytes > measured(fused).train_peak_bytes
    assert isinstance(model[0], TwoBranches)


def test_a_run_and_the_table_hold_what_was_measured(tmp_path, capsys):
    measuring = ("cost.latency.enabled=true", "cost.latency.seconds=0.001", "cost.latency.batch=2")
    assert command(*TINY, *measuring, "logger=csv", f"output_dir={tmp_path}", "conv=depthwise") == 0
    (written,) = tmp_path.rglob("summary.json")
    summary = json.loads(written.read_text())
    assert f"latency ÷ standard  {summary['cost/latency_ratio']:.2f}\n" in capsys.readouterr().out
    for key in ("latency_ms", "latency_ratio", "latency_single_ms", "peak_memory_mb", "train_peak_memory_mb"):
        assert summary[f"cost/{key}"] > 0, key
    assert summary["cost/latency_ratio"] != 1  # beside another model
    assert summary["cost/latency_batch"] == 2
    assert summary["cost/train_peak_memory_mb"] > summary["cost/peak_memory_mb"]
    assert command("-m", "conv=standard,grouped", *measuring, "width=0.5", module="cost") == 0
    header, grouped_or_standard, _ = capsys.readouterr().out.splitlines()
    assert {"latency_ms", "latency_ratio", "peak_memory_mb"} <= set(header.split())
    assert len(header.split()) == len(grouped_or_standard.split())


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("cost.latency.batch=0", "cost.latency.batch=0 must be more than 0"),
        ("cost.latency.seconds=-1", "cost.latency.seconds=-1 must be more than 0"),
        ("cost.latency.batch=many", "cost.latency.batch=many must be an integer"),
        ("cost.latency.device=cuda:9", "cost.latency.device=cuda:9 is not there; this machine has cpu"),
        ("trainer.accelerator=tpu", "trainer=cpu runs on any machine"),
        ("data.image_size=2", "smaller than the backbone's stride of 4"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(override, message, tmp_path, capsys):
    for module in ("train", "cost"):
        assert command(override, f"output_dir={tmp_path}", "cost.latency.enabled=true", module=module) == 1
        error = capsys.readouterr().err.strip()
        assert message in error
        assert error.count("\n") == 0
    assert not any(tmp_path.rglob("summary.json"))
