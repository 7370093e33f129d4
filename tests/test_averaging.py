"""`ema=`: what is validated, chosen, tested and saved is one set of weights, the average; training goes on in the other."""

import json

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint, StochasticWeightAveraging

from command import TINY, command
from litconv.callbacks.averaging import Averaging
from small_tasks import Loader, classification, classifier, labelled, trainer

BF16 = "trainer.precision=bf16-mixed"
RUN = (*(option for option in TINY if option != "epochs=1"), "logger=csv", "epochs=3", "optim.lr=0.4", "seed=4")
OF_LIGHTNING = "pytorch_lightning.callbacks.EMAWeightAveraging"
AVERAGED = {
    "float32": ("ema=0.7",),
    "bf16 and several batches a step": ("ema=0.7", BF16, "+trainer.accumulate_grad_batches=3"),
    "masks": ("ema=0.7", "task=segmentation"),
    "a validation inside an epoch": ("ema=0.7", "+trainer.val_check_interval=2"),
    "Lightning's own": (f"+callbacks.extra.mine={{_target_: {OF_LIGHTNING}, decay: 0.8}}",),
}


def only_run(folder):
    (run,) = (folder / "runs").glob("*seed*")
    return run, json.loads((run / "summary.json").read_text())


def evaluated(run, capsys, *arguments):
    """What scripts/evaluate.py prints."""
    capsys.readouterr()
    assert command(f"run={run}", "accelerator=cpu", *arguments, module="evaluate") == 0
    return dict(line.split() for line in capsys.readouterr().out.strip().splitlines()[1:])


@pytest.mark.parametrize("arguments", AVERAGED.values(), ids=AVERAGED)
def test_the_summary_has_the_figures_of_the_checkpoint_to_the_last_digit(tmp_path, capsys, arguments):
    assert command(*RUN, *arguments, f"output_dir={tmp_path}") == 0
    run, summary = only_run(tmp_path)
    for split in ("val", "test"):
        printed = evaluated(run, capsys, f"split={split}")
        assert printed == {key: f"{summary[key]:.4f}" for key in printed}
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    current = checkpoint["current_model_state"]
    assert not all(torch.equal(value, current[key]) for key, value in checkpoint["state_dict"].items())
    assert summary.get("ema") == (0.7 if "ema=0.7" in arguments else None)


def test_each_epoch_is_validated_in_the_average_that_its_checkpoint_holds(tmp_path, capsys):
    assert command(*RUN, "ema=0.7", f"output_dir={tmp_path}") == 0
    run, _ = only_run(tmp_path)
    *_, last = (run / "metrics.csv").read_text().splitlines()
    row = dict(zip((run / "metrics.csv").read_text().splitlines()[0].split(","), last.split(","), strict=True))
    printed = evaluated(run, capsys, "split=val", "checkpoint=last")
    assert printed == {key: f"{float(row[key]):.4f}" for key in printed}


class Recorder(pl.Callback):
    """The weights that are trained, after each optimiser step."""

    def __init__(self):
        self.states = []

    def on_train_batch_end(self, trainer, pl_module, *unused):
        if trainer.global_step > len(self.states):
            self.states.append({key: value.clone() for key, value in pl_module.state_dict().items()})


def test_the_average_is_that_of_the_formula_statistics_of_norms_included(tmp_path):
    recorder, averaging = Recorder(), Averaging(0.5)
    fitted = trainer(
        tmp_path,
        callbacks=[averaging, recorder],
        enable_checkpointing=False,
        enable_progress_bar=False,
        accumulate_grad_batches=2,
    )
    module = classification(classifier())
    fitted.fit(module, Loader(*(labelled(8, seed=seed) for seed in range(6))), Loader(labelled(8)))
    first, *later = recorder.states
    assert len(later) == 5
    expected = {key: value.double() for key, value in first.items()}
    for times, state in enumerate(later, start=1):
        kept = min(0.5, (1 + times) / (10 + times))
        expected = {key: kept * value + (1 - kept) * state[key].double() for key, value in expected.items()}
    found = module.state_dict()  # the average, once the training has ended
    for key, value in found.items():
        assert torch.allclose(value.double(), expected[key], atol=1e-6) or "num_batches_tracked" in key, key
    assert found["model.1.num_batches_tracked"] == later[-1]["model.1.num_batches_tracked"] == 12
    assert not torch.allclose(found["model.1.running_mean"], later[-1]["model.1.running_mean"])


def test_lightnings_stochastic_averaging_which_is_refused_adds_an_epoch_and_validates_its_average_in_no_other(tmp_path):
    averaging, recorder = StochasticWeightAveraging(swa_lrs=0.05, swa_epoch_start=1), Recorder()
    kept = [ModelCheckpoint(tmp_path, filename="{epoch}", save_top_k=-1, save_on_train_epoch_end=False)]
    fitted = trainer(tmp_path, max_epochs=3, callbacks=[averaging, recorder, *kept], enable_progress_bar=False)
    fitted.fit(classification(classifier()), Loader(*(labelled(8, seed=s) for s in range(2))), Loader(labelled(8)))
    weights = [torch.load(path, weights_only=True)["state_dict"] for path in sorted(tmp_path.glob("*.ckpt"))]
    assert len(weights) == 4
    trained = recorder.states[1::2]  # at the end of each epoch of 2 steps
    same = [
        torch.equal(kept["model.6.weight"], own["model.6.weight"]) for kept, own in zip(weights, trained, strict=False)
    ]
    assert same == [True, True, True]
    mean = torch.stack([own["model.6.weight"] for own in trained]).mean(0)
    assert not torch.allclose(weights[2]["model.6.weight"], mean, atol=1e-3)


REFUSED = {
    "ema=1": "ema=1 must be greater than 0 and less than 1",
    "ema=0": "ema=0 must be greater than 0 and less than 1",
    "ema=true": "ema=True must be a number",
    "ema=0.9 trainer.precision=bf16-true": "ema=0.9 with trainer.precision=bf16-true: ",
    f"ema=0.9 +callbacks.extra.mine={{_target_:{OF_LIGHTNING}}}": (
        "ema=0.9 and callbacks.extra.mine each put an average of their own in the model's place; keep one"
    ),
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_an_average_that_would_not_be_what_it_says_is_refused_in_one_line(tmp_path, capsys, arguments):
    assert command(*RUN, *arguments.split(), f"output_dir={tmp_path}") == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {REFUSED[arguments]}")
    assert error.count("\n") == 1
