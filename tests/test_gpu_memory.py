"""What a training step holds at least, against every allocation of a real one; and slots that cannot fit are refused."""

import subprocess
from types import SimpleNamespace

import pytest
import torch

from litconv import build
from litconv.config.composed import compose
from litconv.cost.memory import peak_bytes
from litconv.cost.training_memory import states, training_bytes
from litconv.device import in_precision
from litconv.optim import optimizer_for
from litconv.sweep import gpu_memory
from litconv.sweep.plan import plan

CPU = torch.device("cpu")
A_SWEEP = ("trainer.accelerator=cpu", "hydra.mode=MULTIRUN", "sweep=many")


def of_a_real_step(config, shape) -> int:
    """All that is held before it, and the most that it allocates on top."""
    model, (_, cast) = build.model(config, 3, 10).train(), in_precision(config.trainer.precision, CPU)
    optimizer, images = optimizer_for(model, build.part(config.optim)), torch.randn(shape)

    def step() -> None:
        optimizer.zero_grad()
        with cast():
            loss = model(images).float().square().mean()
        loss.backward()
        optimizer.step()

    step()  # the optimiser's state is made
    optimizer.zero_grad()
    held = [images, *model.parameters(), *model.buffers()]
    held += [value for state in optimizer.state.values() for value in state.values() if isinstance(value, torch.Tensor)]
    return peak_bytes(step, CPU) + sum(tensor.nbytes for tensor in held)


@pytest.mark.parametrize(
    ("overrides", "share"),
    [
        ([], 0.9),
        (["trainer.precision=bf16-mixed"], 0.8),
        (["optim=adamw"], 0.9),
        (["conv=depthwise_separable"], 0.85),
        (["conv=deformable"], 0.7),
    ],
    ids=str,
)
def test_a_training_step_holds_no_less_than_is_counted_and_little_more(overrides, share):
    config, shape = compose(["width=0.5", *overrides]), (16, 3, 32, 32)
    counted = training_bytes(build.on_meta(config, 3, 10), build.part(config.optim), shape, config.trainer.precision)
    real = of_a_real_step(config, shape)
    assert share * real <= counted <= real


def test_the_values_that_an_optimiser_keeps_for_each_weight_are_found_by_a_step():
    assert states(lambda groups: torch.optim.SGD(groups, lr=0.1)) == 0
    assert states(lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9)) == 1
    assert states(lambda groups: torch.optim.AdamW(groups, lr=0.1)) == 2


def refusal(monkeypatch, free: int | None, *overrides: str) -> str:
    """Why a point is refused that holds 1 GB beside CUDA's own."""
    monkeypatch.setattr(gpu_memory, "step_bytes", lambda asked, problem: 10**9 - gpu_memory.PROCESS_BYTES)
    return plan(compose([*A_SWEEP, *overrides]), set(), ["0"], free).error


@pytest.fixture
def on_a_gpu(monkeypatch):
    """As if the point would train there."""
    monkeypatch.setattr("litconv.sweep.plan.on_gpus", lambda accelerator, gpus: True)
    monkeypatch.setattr("litconv.sweep.plan.wanted_gpus", lambda devices, there: devices)


@pytest.mark.usefixtures("on_a_gpu")
def test_more_slots_than_fit_are_refused_with_the_number_that_fits(monkeypatch):
    said = refusal(monkeypatch, 5_500_000_000, "slots_per_gpu=8")
    assert said.startswith("slots_per_gpu=8: a job holds at least 1.0 GB on a GPU (a training step of data.batch_size=")
    assert said.endswith("and 5.5 GB are free: 5 fit; set slots_per_gpu=5")
    assert refusal(monkeypatch, 5_500_000_000, "slots_per_gpu=5") == ""
    assert refusal(monkeypatch, 900_000_000, "slots_per_gpu=2").endswith("not one fits; set a smaller data.batch_size")


@pytest.mark.usefixtures("on_a_gpu")
@pytest.mark.parametrize(
    ("free", "overrides"),
    [(None, ["slots_per_gpu=8"]), (1, ["slots_per_gpu=1"]), (1, ["slots_per_gpu=8", "match=macs"])],
    ids=["nobody says what is free", "one job", "a width that is yet to be found"],
)
def test_what_is_not_known_to_be_too_much_is_let_pass(monkeypatch, free, overrides):
    assert refusal(monkeypatch, free, *overrides) == ""


def test_slots_say_nothing_where_a_point_trains_on_the_cpu(monkeypatch):
    assert refusal(monkeypatch, 1, "slots_per_gpu=8") == ""


@pytest.mark.parametrize(("said", "free"), [("81000\n40000\n", 40000 * 2**20), ("[N/A]\n", None), (None, None)])
def test_the_free_memory_is_that_of_the_fullest_gpu(monkeypatch, said, free):
    def answer(command, **options):
        if said is None:
            raise FileNotFoundError
        assert command[-1] == "--id=0,1"
        return SimpleNamespace(stdout=said)

    monkeypatch.setattr(subprocess, "run", answer)
    assert gpu_memory.free_bytes(["0", "1"]) == free
