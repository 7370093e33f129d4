"""The lean training loop is Lightning's own: weights, optimiser, counters, calls and logged values, bit for bit."""

import pytest
import pytorch_lightning as pl
import torch

from litconv import build, lean_loop
from litconv.config import composed as config
from litconv.fit import training

RUN = (
    *("data.n_train=80", "data.n_val=32", "data.n_test=32", "data.batch_size=16", "width=0.25", "epochs=2"),
    "trainer.accelerator=cpu",
)


class Calls(pl.Callback):
    """What a callback sees of each step."""

    def __init__(self) -> None:
        self.seen: list[tuple] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.seen.append(("start", batch_idx, trainer.global_step, len(batch[0])))

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        pl_module.log("by_a_callback", outputs["loss"])
        self.seen.append(("end", batch_idx, trainer.global_step, outputs["loss"].item(), trainer.is_last_batch))


class WithinAStep(pl.Callback):
    def on_after_backward(self, trainer, pl_module):
        for parameter in pl_module.parameters():
            parameter.grad.mul_(0.5)


def trained(folder, overrides, *callbacks):
    point = config.compose([*RUN, *overrides])
    pl.seed_everything(0)
    folder.mkdir()
    data = build.data(point)
    data.setup("fit")
    task, calls = build.task(point, data), Calls()
    own = build.part(point.callbacks)(folder, task.monitor, task.mode)
    trainer = build.trainer(point, logger=False, callbacks=[*own, calls, *callbacks])
    training.fit(trainer, task, data, None)
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    kept = {key: checkpoint[key] for key in ("state_dict", "optimizer_states", "lr_schedulers", "loops", "global_step")}
    return trainer, kept | {"calls": calls.seen, "metrics": dict(trainer.callback_metrics)}


@pytest.mark.parametrize(
    ("overrides", "callbacks", "plain"),
    [
        ([], (), True),
        (["task=segmentation", "trainer.precision=bf16-mixed"], (), True),
        (["task.mixup=0.3", "optim=adamw"], (), True),
        (["+trainer.gradient_clip_val=0.1"], (), False),
        (["+trainer.accumulate_grad_batches=2"], (), False),
        (["trainer.precision=bf16-true"], (), False),
        ([], (WithinAStep(),), False),
    ],
)
def test_a_run_is_lightnings_own_bit_for_bit(overrides, callbacks, plain, tmp_path, monkeypatch):
    trainer, lean = trained(tmp_path / "lean", overrides, *callbacks)
    assert trainer.fit_loop.epoch_loop.plain is plain
    monkeypatch.setattr(lean_loop, "install", lambda trainer: None)
    trainer, own = trained(tmp_path / "own", overrides, *callbacks)
    assert not isinstance(trainer.fit_loop.epoch_loop, lean_loop.LeanLoop)
    assert len(own["calls"]) == 20
    assert same(lean, own)


def same(one, other) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
