"""Numbers that mean something: what plain Lightning trains through is refused, or fails with the place and the remedy."""

import json
import math

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from command import TINY, command
from litconv import callbacks
from litconv.build import part
from litconv.build.network import Model
from litconv.config.composed import compose
from litconv.errors import ConfigError, DataError, TrainingError
from litconv.fit.out_of_memory import is_out_of_memory
from litconv.prepare.reading import check_amounts
from litconv.tasks.finite import FiniteLoss
from small_tasks import Loader, classification, classifier, labelled, trainer
from yamls import names

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning")


def run(folder, *arguments):
    return command(*TINY, "logger=csv", f"output_dir={folder}", *arguments)


def summary(folder):
    (path,) = folder.rglob("summary.json")
    return json.loads(path.read_text())


class Plain(pl.LightningModule):
    """As a tutorial writes it."""

    def __init__(self, model, lr=0.1):
        super().__init__()
        self.model, self.lr = model, lr

    def training_step(self, batch, batch_idx):
        loss = nn.functional.cross_entropy(self.model(batch[0]), batch[1])
        self.log("loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", nn.functional.cross_entropy(self.model(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.lr)


# -- losses ------------------------------------------------------------------------------------------------------------


def test_lightning_trains_on_through_a_nan_and_a_task_fails_at_its_step(tmp_path):
    good, bad = labelled(6), labelled(6)
    bad[0][0, 0, 0, 0] = float("nan")
    batches = Loader(good, good, bad, good)
    plain = trainer(tmp_path)
    plain.fit(Plain(classifier()), batches)
    assert plain.global_step == 8
    assert math.isnan(plain.callback_metrics["loss"])

    seen = []

    class Steps(pl.Callback):
        def on_train_batch_start(self, trainer, module, batch, batch_idx):
            seen.append(batch_idx)

    ours = trainer(tmp_path, callbacks=[Steps()], enable_checkpointing=False, enable_progress_bar=False)
    with pytest.raises(TrainingError, match=r"train/loss is nan in epoch 1/2, step 3/4: try a smaller optim\.lr"):
        ours.fit(classification(classifier()), batches)
    assert seen == [0, 1, 2]


def test_losses_are_checked_by_the_device_they_are_on():
    watch = FiniteLoss("epoch 2/9", 4)
    losses = [torch.tensor(1.0), torch.tensor(float("inf"))]
    watch.look(losses[:1])
    with pytest.raises(TrainingError, match="train/loss is inf in epoch 2/9, step 2/4"):
        watch.look(losses)
    with pytest.raises(TrainingError, match="train/loss is nan in epoch 2/9, step 34/4"):
        watch.check(torch.tensor([0.0, float("nan"), float("nan")]), before=32)  # as a GPU's copy is


def test_a_validation_loss_that_is_not_finite_fails(tmp_path):
    bad = labelled(6)
    bad[0][0, 0, 0, 0] = float("nan")
    with pytest.raises(TrainingError, match="val/loss is nan"):
        trainer(tmp_path).fit(classification(classifier()), Loader(labelled(6)), Loader(labelled(6), bad))


# -- nothing to train on -----------------------------------------------------------------------------------------------


class Sets:
    """A user's own data module."""

    def __init__(self, train=1, val=1, test=1):
        self.train_dataloader = lambda: Loader(*[labelled(6)] * train)
        self.val_dataloader = lambda: Loader(*[labelled(6)] * val)
        self.test_dataloader = lambda: Loader(*[labelled(6)] * test)


def test_lightning_completes_a_training_of_no_steps_and_it_is_refused_here(tmp_path):
    plain = trainer(tmp_path)
    plain.fit(Plain(classifier()), Loader(), Loader(labelled(6)))
    assert (plain.state.status, plain.global_step) == ("finished", 0)
    with pytest.raises(DataError, match="the train split has no batch"):
        check_amounts(plain, Sets(train=0))


def test_lightning_completes_without_a_validation_and_it_is_refused_here(tmp_path):
    plain = trainer(tmp_path)
    plain.fit(Plain(classifier()), Loader(labelled(6)), Loader())
    assert plain.state.status == "finished"
    with pytest.raises(DataError, match="the val split has no batch"):
        check_amounts(plain, Sets(val=0))
    with pytest.raises(ConfigError, match=r"limit_val_batches=0\.1 of 5 batches leaves none"):
        check_amounts(trainer(tmp_path, limit_val_batches=0.1), Sets(val=5))
    check_amounts(trainer(tmp_path, limit_val_batches=0.5), Sets(val=5))


def test_a_training_that_its_time_limit_ends_before_the_first_step_is_a_failure(tmp_path, capsys):
    assert run(tmp_path, "+trainer.max_time={seconds: 0}") == 1
    assert "ended without one optimiser step" in capsys.readouterr().err
    assert summary(tmp_path)["status"] == "failed"


# -- monitors ----------------------------------------------------------------------------------------------------------


def test_a_monitor_that_is_never_logged_is_found_by_lightning_after_the_epoch_and_here_before_it(tmp_path):
    class Epochs(pl.Callback):
        def on_train_epoch_start(self, trainer, module):
            begun.append(trainer.current_epoch)

    for found, started, error in (([], [0], RuntimeError), ([callbacks.Monitors()], [], ConfigError)):
        begun = []
        stop = pl.callbacks.EarlyStopping("val/acc", mode="max")
        fit = trainer(
            *(tmp_path, 2),
            **{"callbacks": [Epochs(), stop, *found], "num_sanity_val_steps": 1},
            **{"enable_checkpointing": False, "enable_progress_bar": False},
        )
        with pytest.raises(error, match="val/acc"):
            fit.fit(classification(classifier()), Loader(labelled(6)), Loader(labelled(6)))
        assert begun == started


def test_a_monitor_that_is_never_logged_is_one_line_with_what_is(tmp_path, capsys):
    stop = "+callbacks.extra.stop={_target_: pytorch_lightning.callbacks.EarlyStopping, monitor: val/acc, mode: max}"
    assert run(tmp_path, stop) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == (
        "error: EarlyStopping monitors val/acc, which is never logged; "
        "logged are val/accuracy, val/balanced_accuracy, val/ece, val/loss, val/macro_f1, val/top5, and train/…"
    )


def test_an_argument_that_a_users_callback_does_not_take_is_refused(tmp_path, capsys):
    stop = "+callbacks.extra.stop={_target_: pytorch_lightning.callbacks.EarlyStopping, moniter: val/loss, mode: min}"
    assert run(tmp_path, stop) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(
        "error: +callbacks.extra.stop.moniter: EarlyStopping takes no 'moniter' (did you mean 'monitor'?)"
    )


def test_a_monitor_without_a_mode_is_refused(tmp_path, capsys):
    stop = "+callbacks.extra.stop={_target_: pytorch_lightning.callbacks.EarlyStopping, monitor: val/accuracy}"
    assert run(tmp_path, stop) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == (
        "error: callbacks.extra.stop monitors val/accuracy without a mode, and the default may be the wrong extreme; "
        "add callbacks.extra.stop.mode=max or min"
    )


@pytest.mark.parametrize("monitor", ["val/iou/ring", "train/loss"])
def test_what_training_logs_and_the_iou_of_an_absent_class_may_be_monitored(tmp_path, monitor):
    stop = f"{{_target_: pytorch_lightning.callbacks.EarlyStopping, monitor: {monitor}, mode: max}}"
    assert run(tmp_path, "task=segmentation", f"+callbacks.extra.stop={stop}", "++data.n_val=16") == 0


# -- memory ------------------------------------------------------------------------------------------------------------


def limited(monkeypatch, largest, error):
    """A model that cannot take more than `largest` images at a time."""
    forward = Model.forward

    def limited_forward(self, x):
        if self.training and len(x) > largest:
            raise error
        return forward(self, x)

    monkeypatch.setattr(Model, "forward", limited_forward)


@pytest.mark.parametrize(
    ("largest", "advice"),
    [
        (11, "; data.batch_size=8 would likely fit: a training step of that size went through"),
        (1, ", and not even a batch of 2 fits; use a smaller model (width), image (data.image_size) or precision"),
    ],
)
def test_out_of_memory_ends_as_failed_with_the_batch_size_that_would_fit(
    tmp_path, monkeypatch, capsys, largest, advice
):
    limited(monkeypatch, largest, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."))
    assert run(tmp_path, "data.batch_size=64") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == f"error: out of memory on cpu with data.batch_size=64{advice}"
    assert summary(tmp_path)["status"] == "failed"
    log = next(tmp_path.rglob("train.log")).read_text()
    assert "Tried to allocate 20.00 GiB" in log


def test_what_counts_as_out_of_memory():
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(error.value)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes do not match"))


# -- data --------------------------------------------------------------------------------------------------------------


def test_a_reading_process_that_is_killed_is_one_line(tmp_path, monkeypatch, capsys):
    def lost(*unused):
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")

    monkeypatch.setattr(callbacks.Timing, "on_train_start", lost)
    assert run(tmp_path) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: a reading process was ended from outside (DataLoader worker (pid 7) is killed")
    assert "data.num_workers" in error


@pytest.mark.parametrize("name", names("trainer"))
def test_the_trainers_presets_validate_a_batch_beforehand(name):
    config = compose([f"trainer={name}", "trainer.accelerator=cpu", "trainer.devices=1"])
    assert part(config.trainer, logger=False, callbacks=[]).num_sanity_val_steps == 1
