"""Recipes that users bring: each as a small run, alone and with the others it is used with."""

import csv
import json
from functools import partial

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from command import TINY, command
from litconv import optim
from litconv.build import on_meta
from litconv.callbacks.divergence import FACTOR, VALIDATION_FACTOR, Divergence
from litconv.callbacks.ending import planned
from litconv.config.composed import compose
from litconv.conv.deform_kernels import gather
from litconv.conv.deform_kernels.geometry import Geometry
from litconv.conv.deform_op import unordered
from litconv.errors import ConfigError
from litconv.prepare.checks import check_determinism
from small_tasks import IGNORE, classification, masked, segmentation, segmenter

RUN = (*(option for option in TINY if option != "epochs=1"), "logger=csv")
FOUR = "trainer.max_epochs=4"  # of 4 steps
BF16 = "trainer.precision=bf16-mixed"
EMA = (
    "+callbacks.extra.ema._target_=pytorch_lightning.callbacks.EMAWeightAveraging",
    "+callbacks.extra.ema.decay=0.8",
)
STOP = (
    "+callbacks.extra.stop._target_=pytorch_lightning.callbacks.EarlyStopping",
    *("+callbacks.extra.stop.monitor=val/loss", "+callbacks.extra.stop.patience=1", "+callbacks.extra.stop.mode=min"),
    "+callbacks.extra.stop.min_delta=10.0",  # never enough: stops after two epochs
)
GPU = torch.device("cuda", 0)


def train(folder, *arguments):
    """Exit status, summary, rows, last checkpoint."""
    epochs = () if any("epochs=" in argument for argument in arguments) else (FOUR,)
    code = command(*RUN, *epochs, *arguments, f"output_dir={folder}")
    (run,) = (folder / "runs").glob("*seed*")
    with (run / "metrics.csv").open(newline="") as file:
        rows = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
    last = run / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(last, weights_only=True) if last.exists() else {}
    return code, json.loads((run / "summary.json").read_text()), rows, checkpoint


# Clipping in a mixed precision


@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_clipping_in_a_mixed_precision_unfuses_the_optimiser_and_says_so(tmp_path, capsys, algorithm):
    clipped = ("+trainer.gradient_clip_val=1e9", f"+trainer.gradient_clip_algorithm={algorithm}")  # nothing to clip
    code, found, _, last = train(tmp_path / "clipped", BF16, *clipped)
    assert (code, found["status"]) == (0, "completed")
    assert capsys.readouterr().err.count("the optimiser is not fused") == 1
    _, expected, _, by_hand = train(tmp_path / "plain", BF16, "optim.fused=false")
    for key, value in by_hand["state_dict"].items():
        assert torch.equal(last["state_dict"][key], value), key
    assert found["test/loss"] == expected["test/loss"]


def test_clipping_in_float32_leaves_the_optimiser_fused(tmp_path, capsys):
    code, _, _, last = train(tmp_path, "+trainer.gradient_clip_val=1", "epochs=1")
    assert code == 0
    assert all(group["fused"] for group in last["optimizer_states"][0]["param_groups"])
    assert "not fused" not in capsys.readouterr().err


# Optimisers


class Twice(torch.optim.SGD):
    """As SAM does: the loss once more, at moved weights."""

    def step(self, closure):
        closure()
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.add_(0.05 * parameter.grad)
        closure()
        return super().step()


class Sam(torch.optim.SGD):
    """As it is widely copied: it expects the gradients before its step."""

    def step(self, closure=None):
        torch.stack(
            [p.grad.norm() for group in self.param_groups for p in group["params"] if p.grad is not None]
        ).norm()


@pytest.mark.parametrize(
    ("optimiser", "said"),
    [
        (partial(torch.optim.LBFGS, lr=0.1), r"optim: LBFGS doesn't support per-parameter options"),
        (partial(Twice, lr=0.1), r"optim: Twice evaluates the loss 2 times a step, and this training does so once"),
        (partial(Sam, lr=0.1), r"optim: Sam fails in its first step \(stack expects a non-empty TensorList\)"),
        (partial(torch.optim.SparseAdam, lr=0.1), r"optim: SparseAdam fails in its first step \(.*dense gradients"),
        (partial(torch.optim.Muon, lr=0.1), r"optim: Muon only supports 2D parameters"),
    ],
)
def test_an_optimiser_that_cannot_train_here_is_refused_by_name_before_any_data(optimiser, said):
    with pytest.raises(ConfigError, match=said):
        optim.check(optimiser, optim.cosine)


@pytest.mark.parametrize(
    "name", ["Adam", "RMSprop", "Adagrad", "NAdam", "RAdam", "Adadelta", "Adamax", "ASGD", "Rprop"]
)
def test_an_optimiser_of_torch_that_steps_from_one_gradient_is_accepted(name):
    optim.check(partial(getattr(torch.optim, name), lr=0.1), optim.cosine)


def test_lbfgs_is_refused_on_the_command_line_without_a_folder(tmp_path, capsys):
    off = [f"~optim.{key}" for key in ("momentum", "nesterov", "weight_decay", "fused")]
    assert command(*RUN, "optim._target_=torch.optim.LBFGS", *off, f"output_dir={tmp_path}") == 1
    assert "error: optim: LBFGS" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# A training that ends inside an epoch


@pytest.mark.parametrize(
    ("arguments", "steps", "epochs", "rows"),
    [
        (("+trainer.max_steps=6",), 6, 1.5, 2),
        (("+trainer.max_steps=2",), 2, 0.5, 1),
        (("+trainer.max_steps=8",), 8, 2, 2),
        (("+trainer.max_steps=3", "+trainer.accumulate_grad_batches=3"), 3, 1.75, 2),
        (("trainer.max_epochs=-1", "+trainer.max_steps=10"), 10, 2.5, 3),
        (("+trainer.accumulate_grad_batches=3",), 8, 4, 4),
        (("+trainer.max_steps=6", BF16, *EMA), 6, 1.5, 2),
        (("+trainer.val_check_interval=3",), 16, 4, 4),
        (("+trainer.val_check_interval=00:01:00:00",), 16, 4, 4),
        (("+trainer.max_steps=6", "+trainer.val_check_interval=0.5"), 6, 1.5, 2),
    ],
)
def test_the_schedule_ends_at_the_true_number_of_steps_and_the_last_weights_are_validated(
    tmp_path, arguments, steps, epochs, rows
):
    code, summary, table, last = train(tmp_path, *arguments)
    assert (code, summary["status"]) == (0, "completed")
    assert last["global_step"] == steps
    assert summary["train/epochs"] == epochs
    # A cosine ends at 0.
    assert all(group["lr"] == pytest.approx(0.0, abs=1e-9) for group in last["optimizer_states"][0]["param_groups"])
    assert [int(row["epoch"]) for row in table] == list(range(rows))
    assert all(float(row["train/loss"]) > 0 for row in table)
    assert float(table[-1]["val/loss"]) > 0
    assert summary["val/accuracy"] >= float(table[-1]["val/accuracy"])


def test_a_training_out_of_time_is_validated_tested_and_says_that_its_schedule_did_not_end(tmp_path, capsys):
    code, summary, table, _ = train(tmp_path, "+trainer.max_time=00:00:00:01", "trainer.max_epochs=100000")
    assert (code, summary["status"]) == (0, "completed")
    assert 0 < summary["train/epochs"] < 100000
    assert float(table[-1]["train/loss"]) > 0
    assert summary["test/loss"] > 0
    assert "of 400000 steps: the learning rate's schedule did not come to its end" in capsys.readouterr().err


def test_early_stopping_ends_a_run_as_completed_with_the_epochs_it_had(tmp_path):
    code, summary, table, _ = train(tmp_path, *STOP, *EMA, BF16)
    assert (code, summary["status"], summary["train/epochs"]) == (0, "completed", 2)
    assert len(table) == 2


@pytest.mark.parametrize(
    ("steps", "batches", "accumulated", "expected"),
    [(50, 10, 1, (5, 50)), (25, 10, 1, (3, 25)), (9, 10, 4, (3, 30)), (4, 10, 4, (2, 14)), (3, 10, 4, (1, 10))],
)
def test_progress_goes_by_the_batches_that_there_will_be(steps, batches, accumulated, expected):
    assert planned(steps, batches, accumulated) == expected


# The checkpoint that is tested


@pytest.mark.parametrize("arguments", [EMA, (*EMA, BF16)], ids=["float32", "bf16"])
def test_the_figures_of_an_averaged_model_are_those_of_the_checkpoint_that_is_tested(tmp_path, arguments):
    code, summary, table, last = train(tmp_path, *arguments, "optim.lr=0.4", "seed=4")
    assert code == 0
    best = max(table, key=lambda row: float(row["val/accuracy"]))  # the first of them
    assert best["epoch"] != "3", "the last epoch is the best one: this proves nothing"
    assert summary["val/accuracy"] == pytest.approx(float(best["val/accuracy"]))
    assert summary["val/loss"] == pytest.approx(float(best["val/loss"]), rel=1e-5)
    averaged, current = last["state_dict"], last["current_model_state"]
    assert not all(torch.equal(averaged[key], value) for key, value in current.items())


# Resumed


RESUMED = {
    "accumulated": ("+trainer.accumulate_grad_batches=3", "+trainer.gradient_clip_val=0.5", BF16),
    "max_steps": ("+trainer.max_steps=14",),
    "ema": (*EMA, BF16),
    "ema_key": ("ema=0.9", "+trainer.accumulate_grad_batches=3", BF16),
    "ema_max_steps": (*EMA, "+trainer.max_steps=14"),
    "val_check_interval": ("+trainer.val_check_interval=2",),
}


@pytest.mark.parametrize("arguments", RESUMED.values(), ids=RESUMED)
def test_a_recipe_broken_off_and_taken_up_again_equals_one_that_ran_through(tmp_path, monkeypatch, arguments):
    from litconv.callbacks import MetricsCsv

    def stop(self, trainer, module, batch, batch_idx):
        if trainer.current_epoch == 2 and batch_idx == 1:
            raise KeyboardInterrupt

    _, *straight = train(tmp_path / "straight", *arguments)
    with monkeypatch.context() as patch:
        patch.setattr(MetricsCsv, "on_train_batch_start", stop)
        assert train(tmp_path / "broken", *arguments)[0] == 130
    code, *again = train(tmp_path / "broken", *arguments)
    assert code == 0
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step", "current_model_state"):
        assert str(again[2].get(key)) == str(straight[2].get(key)), key
    assert again[1] == straight[1]
    for key in ("val/loss", "val/accuracy", "test/loss", "train/epochs", "status"):
        assert again[0][key] == straight[0][key], key


# Divergence


def test_a_run_that_diverged_without_nan_says_so_last_and_in_its_summary(tmp_path, capsys):
    code, summary, _, _ = train(tmp_path, "conv=deformable", "optim.lr=50")
    assert (code, summary["status"], summary["train/diverged"]) == (0, "completed", True)
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1].startswith("warning: the training diverged: its loss is ")
    assert printed[-1] == f"warning: {summary['warnings'][0]}"


def test_a_run_whose_validation_alone_explodes_has_diverged(tmp_path, capsys):
    """Every batch of the training is normalised by itself."""
    adam = ("optim._target_=torch.optim.Adam", "~optim.momentum", "~optim.nesterov", "optim.lr=0.2", "epochs=1")
    _, summary, rows, _ = train(tmp_path, *adam)
    assert float(rows[-1]["train/loss"]) < FACTOR * 2.3
    assert float(rows[-1]["val/loss"]) > VALIDATION_FACTOR * 2.7
    assert summary["train/diverged"] is True
    assert (
        capsys.readouterr()
        .out.splitlines()[-1]
        .startswith("warning: the training diverged: its loss on validation is ")
    )


@pytest.mark.parametrize("arguments", [("epochs=1",), ("task=segmentation", "epochs=1"), ("optim=adamw", "epochs=2")])
def test_a_short_run_that_learns_nothing_yet_has_not_diverged(tmp_path, arguments):
    _, summary, _, _ = train(tmp_path, *arguments)
    assert not {"train/diverged", "warnings"} & summary.keys()


@pytest.mark.parametrize(
    ("first", "last", "validated", "chance", "diverged"),
    [
        (2.3, 2.3 * FACTOR * 1.01, 2.3, 2.3, True),
        (2.3, 2.3 * FACTOR * 0.99, 2.3, 2.3, False),
        (0.1, 2.2, 2.3, 2.3, False),  # taken up from good weights, and now guessing
        (9.0, 20.0, 20.0, 2.3, False),  # a bad start
        (2.3, 0.1, 2.3 * VALIDATION_FACTOR * 1.01, 2.3, True),
        (2.3, 0.1, 20.0, 2.3, False),  # sure of wrong answers
        (2.3, 0.1, None, 2.3, False),
        (None, None, None, 2.3, False),
    ],
)
def test_a_training_has_diverged_by_its_loss_against_its_beginning_and_guessing(
    first, last, validated, chance, diverged
):
    callback = Divergence()
    callback.load_state_dict({"first": first, "last": last, "validated": validated})
    assert bool(callback.warning(chance)) is diverged


def test_the_loss_of_guessing_is_that_of_equal_logits():
    _, y = masked(4)
    task = segmentation(dice=1.0)
    equal_logits = torch.zeros(4, 4, *y.shape[1:])
    # Dice of guessing depends on how often each class is there; 1 is its upper bound.
    assert task.loss(equal_logits, y) <= task.guessing_loss() <= task.loss(equal_logits, y) + 1
    labels = torch.arange(6) % 3
    loss = classification(num_classes=3).loss(torch.zeros(6, 3), labels)
    assert classification(num_classes=3).guessing_loss() == pytest.approx(loss.item())


# trainer.deterministic=true


class Operations(TorchDispatchMode):
    """The names of all operations, with their arguments."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.seen.append((function.overloadpacket.__name__, args))
        return function(*args, **(kwargs or {}))


SUM_OR_MEAN = (1, 2)  # reductions
# What torch.use_deterministic_algorithms says has no deterministic form on CUDA, of what a network may use.
NONE_ON_CUDA = {
    *("adaptive_max_pool2d_backward", "_adaptive_avg_pool2d_backward", "reflection_pad2d_backward", "histc", "put_"),
    *(
        "grid_sampler_2d_backward",
        "max_unpool2d",
        "median",
        "kthvalue",
        "scatter_reduce",
        "upsample_bicubic2d_backward",
    ),
}


def test_the_loss_of_a_segmentation_uses_no_sum_over_pixels_that_cuda_makes_in_no_fixed_order():
    x, y = masked(4)
    task = segmentation(segmenter(), dice=1.0).train()
    with Operations() as operations:
        task.train_batch(x, y)["loss"].backward()
    names = [name for name, _ in operations.seen]
    losses = [args for name, args in operations.seen if name in ("nll_loss2d_forward", "nll_loss2d_backward")]
    assert len(losses) == 2
    assert not [args for args in losses if args[4 if len(args) == 7 else 3] in SUM_OR_MEAN]
    assert not NONE_ON_CUDA & set(names)


@pytest.mark.parametrize("ignored", [False, True])
def test_cross_entropy_summed_apart_is_the_one_that_torch_sums(ignored):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, 9, 7, generator=generator, dtype=torch.double).requires_grad_()
    y = torch.randint(5, (3, 9, 7), generator=generator)
    if ignored:
        y[:, 2:5] = IGNORE
    loss = segmentation(num_classes=5).loss(logits, y)
    expected = nn.functional.cross_entropy(logits, y, ignore_index=IGNORE)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in (loss, expected)))


@pytest.mark.parametrize(
    ("implementation", "said"),
    [
        ("auto", "conv.implementation=torchvision adds up gradients on cuda:0 in no fixed order"),
        ("torchvision", "conv.implementation=torchvision adds up gradients on cuda:0 in no fixed order"),
        ("triton", "conv.implementation=triton adds up gradients on cuda:0 in no fixed order"),
        ("gather", ""),
    ],
)
def test_a_deformable_convolution_that_adds_by_atomics_names_the_implementation_that_does_not(implementation, said):
    found = unordered(implementation, GPU)
    assert found == (f"{said}; choose conv.implementation=gather" if said else "")
    if implementation != "triton":
        assert unordered(implementation, torch.device("cpu")) == ""


@pytest.mark.parametrize(
    ("arguments", "device", "said"),
    [
        (("conv=deformable", "+trainer.deterministic=true"), GPU, "trainer.deterministic=true: conv.implementation="),
        (("conv=deformable", "+trainer.deterministic=true"), torch.device("cpu"), ""),
        (("conv=deformable", "+trainer.deterministic=true", "conv.implementation=gather"), GPU, ""),
        (("conv=deformable", "+trainer.deterministic=warn"), GPU, ""),
        (("conv=deformable",), GPU, ""),
        (("conv@conv_stage2=deformable", "+trainer.deterministic=true"), GPU, "trainer.deterministic=true: conv.impl"),
        (("trainer=gpu", "+trainer.deterministic=true"), GPU, "trainer.benchmark=true: cuDNN chooses its algorithms"),
        (("trainer=gpu", "+trainer.deterministic=true", "trainer.benchmark=false"), GPU, ""),
    ],
)
def test_a_run_that_shall_be_deterministic_and_cannot_be_is_refused(arguments, device, said):
    config = compose(list(arguments))
    network = on_meta(config, 3, 4)
    if said:
        with pytest.raises(ConfigError, match=said):
            check_determinism(config, network, device)
    else:
        check_determinism(config, network, device)


@pytest.fixture
def _ordinary_algorithms_afterwards():
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("_ordinary_algorithms_afterwards")
def test_a_deterministic_segmentation_is_counted_and_trained_as_any_other(tmp_path):
    """torch makes another set of operations of its bilinear interpolation, which cannot be counted."""
    _, plain, _, _ = train(tmp_path / "plain", "task=segmentation", "epochs=1")
    code, found, _, _ = train(
        tmp_path / "deterministic", "task=segmentation", "epochs=1", "+trainer.deterministic=true"
    )
    assert (code, found["status"]) == (0, "completed")
    assert found["cost/macs"] == plain["cost/macs"]
    assert found["cost/uncounted_ops"] == plain["cost/uncounted_ops"]
    assert found["test/loss"] == pytest.approx(plain["test/loss"], rel=1e-3)


def test_the_deformable_convolution_that_is_named_uses_no_operation_without_an_order():
    x = torch.randn(2, 4, 6, 5)
    weight, offset, mask = torch.randn(4, 4, 3, 3), torch.randn(2, 18, 6, 5), torch.rand(2, 9, 6, 5)
    geometry = Geometry((1, 1), (1, 1), (1, 1), 1)
    with Operations() as operations:
        out = gather.forward(x, weight, offset, mask, geometry)
        gather.backward(torch.ones_like(out), x, weight, offset, mask, geometry)
    names = [name for name, _ in operations.seen]
    sums = {"_embedding_bag_forward_only", "_embedding_bag"} & set(names)
    assert sums  # each row by itself, in the order of its indices
    by_place = {"scatter_add", "scatter_add_", "index_add", "index_add_", "index_put_", "embedding_dense_backward"}
    assert not (NONE_ON_CUDA | by_place | {"_embedding_bag_dense_backward"}) & set(names)
    assert not [args for name, args in operations.seen if name == "bincount" and len(args) > 1 and args[1] is not None]
    assert not [args for name, args in operations.seen if name == "cumsum" and args[0].is_floating_point()]


@pytest.mark.parametrize(
    ("callback", "said"),
    [
        ("StochasticWeightAveraging, swa_lrs: 0.01", "validates its average in one epoch alone"),
        ("GradientAccumulationScheduler, scheduling: {0: 2}", "changes the number of steps after"),
    ],
)
def test_a_callback_with_which_a_run_would_not_be_what_it_says_is_refused_by_name(tmp_path, capsys, callback, said):
    node = f"+callbacks.extra.mine={{_target_: pytorch_lightning.callbacks.{callback}}}"
    assert command(*RUN, FOUR, node, f"output_dir={tmp_path}") == 1
    printed = capsys.readouterr().err
    assert f"error: pytorch_lightning.callbacks.{callback.partition(',')[0]} {said}" in printed
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("stop", "last_epoch"),
    [
        (("epochs=3",), "2"),
        (("epochs=4", "trainer.max_steps=9"), "2"),  # of 4 steps each: in the third
        (("epochs=4", "trainer.max_steps=16"), "3"),
    ],
)
def test_a_training_that_validates_every_second_epoch_validates_its_last_weights(tmp_path, stop, last_epoch):
    code, _, rows, last = train(tmp_path, "trainer.check_val_every_n_epoch=2", *stop)
    assert code == 0
    assert [row["epoch"] for row in rows if row["val/accuracy"]] == [
        "1",
        last_epoch,
    ]  # no row repeats an earlier figure
    assert last["epoch"] == int(last_epoch)


def test_max_time_too_ends_with_a_validation_whatever_its_epoch(tmp_path):
    """Its callback comes after all others."""
    second = ("trainer.max_time=00:00:00:01", "trainer.max_epochs=100000", "trainer.check_val_every_n_epoch=100000")
    code, summary, rows, _ = train(tmp_path, *second)
    assert (code, summary["status"]) == (0, "completed")
    assert rows[-1]["val/accuracy"]


UNFIT = {
    "ModelCheckpoint": "callbacks.extra: two callbacks of the class ModelCheckpoint watch the same, ",
    "LearningRateFinder": "pytorch_lightning.callbacks.LearningRateFinder trains with another learning rate than ",
    "BatchSizeFinder": "pytorch_lightning.callbacks.BatchSizeFinder trains with another batch size than config.yaml ",
    "BackboneFinetuning": "pytorch_lightning.callbacks.BackboneFinetuning trains parts of the network alone, ",
    "ModelPruning +callbacks.extra.own.pruning_fn=l1_unstructured": (
        "pytorch_lightning.callbacks.ModelPruning takes weights away that the costs count, "
    ),
    "EarlyStopping +callbacks.extra.own.monitor=train/los +callbacks.extra.own.mode=min": (
        "callbacks.extra: Early stopping conditioned on metric `train/los` which is not available. "
    ),
}


@pytest.mark.parametrize("callback", UNFIT)
def test_a_callback_of_lightnings_with_which_a_run_would_break_is_one_line(tmp_path, capsys, callback):
    own = f"+callbacks.extra.own._target_=pytorch_lightning.callbacks.{callback}".split()
    assert command(*RUN, "epochs=1", *own, f"output_dir={tmp_path}") == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {UNFIT[callback]}")


def test_what_a_run_passes_to_its_callbacks_is_not_to_be_set(tmp_path, capsys):
    assert command(*RUN, "+callbacks.mode=min", f"output_dir={tmp_path}") == 1
    assert (
        capsys.readouterr().err
        == "error: +callbacks.mode has no effect: litconv itself sets mode of default; remove it\n"
    )
