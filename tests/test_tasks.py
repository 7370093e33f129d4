"""Losses, metrics, mixing, and whole Lightning runs of both tasks with tiny models of their own."""

import csv
import io
import sys
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

from litconv import callbacks, optim
from litconv.errors import ConfigError, DataError
from litconv.tasks.classification import random_box
from litconv.tasks.segmentation import dice_loss
from small_tasks import (
    IGNORE,
    Loader,
    classification,
    classifier,
    labelled,
    masked,
    segmentation,
    segmenter,
    sgd,
    trainer,
)
from yamls import CONF, names

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning")


def validate(task, batches, folder) -> dict[str, float]:
    return trainer(folder).validate(task, Loader(*batches), verbose=False)[0]


# Metrics


def naive_ious(predictions: np.ndarray, truth: np.ndarray, num_classes: int) -> dict[int, float]:
    found = {}
    for c in range(num_classes):
        hits = both = 0
        for p, t in zip(predictions.ravel(), truth.ravel(), strict=True):
            if t != IGNORE:
                hits += p == c and t == c
                both += p == c or t == c
        if both:
            found[c] = hits / both
    return found


def test_miou_and_pixel_accuracy_equal_a_naive_count_over_the_set(tmp_path):
    rng = np.random.default_rng(0)
    batches = []
    for n in (3, 1, 2):  # class 5 occurs nowhere: it is left out
        logits = torch.from_numpy(rng.normal(size=(n, 6, 7, 5)).astype("f"))
        logits[:, 5] = -100
        y = torch.from_numpy(rng.choice([0, 1, 2, 3, 4, IGNORE], size=(n, 7, 5), p=[0.5, 0.2, 0.1, 0.05, 0.05, 0.1]))
        batches.append((logits, y))
    values = validate(segmentation(num_classes=6), batches, tmp_path)
    predictions = torch.cat([x.argmax(1).flatten() for x, _ in batches]).numpy()
    truth = torch.cat([y.flatten() for _, y in batches]).numpy()
    expected = naive_ious(predictions, truth, 6)
    assert sorted(expected) == [0, 1, 2, 3, 4]
    assert values["val/miou"] == pytest.approx(np.mean(list(expected.values())), abs=1e-6)
    for c, iou in expected.items():
        assert values[f"val/iou/class{c}"] == pytest.approx(iou, abs=1e-6)
    assert "val/iou/class5" not in values
    seen = truth != IGNORE
    assert values["val/pixel_accuracy"] == pytest.approx((predictions == truth)[seen].mean(), abs=1e-6)


def map_of(ids: list[int], num_classes: int) -> torch.Tensor:
    return nn.functional.one_hot(torch.tensor(ids), num_classes).T[None, :, :, None].float()  # (1, classes, len, 1)


def test_miou_is_pooled_over_the_set_and_is_no_mean_of_batches(tmp_path):
    truth = [[0, 0, 0, 1], [1, 1, 1, 1]]
    guess = [[0, 0, 0, 1], [0, 0, 1, 1]]
    batches = [(map_of(g, 2), torch.tensor(t).reshape(1, 4, 1)) for g, t in zip(guess, truth, strict=True)]
    value = validate(segmentation(num_classes=2), batches, tmp_path)["val/miou"]
    assert value == pytest.approx((3 / 5 + 3 / 5) / 2)
    assert value != pytest.approx((1 + (0 + 2 / 4) / 2) / 2)


def test_a_predicted_class_that_is_nowhere_in_truth_counts_as_zero(tmp_path):
    batch = (map_of([0, 2], 3), torch.tensor([0, 0]).reshape(1, 2, 1))
    values = validate(segmentation(num_classes=3), [batch], tmp_path)
    assert values["val/iou/class2"] == 0
    assert "val/iou/class1" not in values
    assert values["val/miou"] == pytest.approx((1 / 2 + 0) / 2)


def test_masks_that_are_ignored_altogether_are_refused_in_evaluation(tmp_path):
    batch = (torch.zeros(1, 4, 2, 2), torch.full((1, 2, 2), IGNORE))
    with pytest.raises(DataError, match="no pixel other than the ignored id 255"):
        validate(segmentation(), [batch], tmp_path)


@pytest.mark.parametrize("precision", ["32-true", "bf16-true"])
def test_accuracy_top5_and_loss_equal_a_naive_count_over_uneven_batches(tmp_path, precision):
    rng = np.random.default_rng(1)
    logits = (
        torch.from_numpy(rng.permuted(np.tile(np.arange(12.0, dtype="f"), (700, 1)), axis=1)) / 4
    )  # no ties in bf16
    y = torch.from_numpy(rng.integers(12, size=700))
    batches = list(zip(logits.split(299), y.split(299), strict=True))  # 299, 299, 102
    task = classification(num_classes=12)
    values = trainer(tmp_path, precision=precision).validate(task, Loader(*batches), verbose=False)[0]
    order = logits.numpy().argsort(1)[:, ::-1]
    assert values["val/accuracy"] == pytest.approx((order[:, 0] == y.numpy()).mean(), abs=1e-6)
    assert values["val/top5"] == pytest.approx((order[:, :5] == y.numpy()[:, None]).any(1).mean(), abs=1e-6)
    probabilities = np.exp(logits.double().numpy())
    probabilities /= probabilities.sum(1, keepdims=True)
    assert values["val/loss"] == pytest.approx(-np.log(probabilities[np.arange(700), y.numpy()]).mean(), rel=1e-5)


@pytest.mark.parametrize(("num_classes", "expected"), [(9, False), (10, True)])
def test_top5_is_logged_from_ten_classes_on(tmp_path, num_classes, expected):
    batch = (torch.randn(8, num_classes), torch.arange(8))
    assert ("val/top5" in validate(classification(num_classes=num_classes), [batch], tmp_path)) == expected


# Losses and mixing


def test_dice_equals_its_formula_over_the_classes_present():
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(2, 4, 5, 6))
    y = rng.choice([0, 1, 3, IGNORE], size=(2, 5, 6))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    kept = y != IGNORE
    scores = []
    for c in (0, 1, 3):  # class 2 is absent
        pc, tc = p[:, c][kept], (y == c)[kept]
        scores.append(2 * (pc * tc).sum() / (pc.sum() + tc.sum()))
    loss = dice_loss(torch.from_numpy(logits), torch.from_numpy(y), IGNORE)
    assert loss.item() == pytest.approx(1 - np.mean(scores), rel=1e-9)


def test_segmentation_loss_weighs_cross_entropy_and_dice_and_ignores_pixels():
    logits, y = torch.randn(2, 4, 5, 5), torch.randint(4, (2, 5, 5))
    y[0, :2] = IGNORE
    ce = nn.functional.cross_entropy(logits.movedim(1, -1)[y != IGNORE], y[y != IGNORE])
    expected = 0.5 * ce + 2 * dice_loss(logits, y, IGNORE)
    torch.testing.assert_close(segmentation(cross_entropy=0.5, dice=2.0).loss(logits, y), expected)
    changed = logits.clone()
    changed[0, :, :2] = torch.randn(4, 2, 5)
    torch.testing.assert_close(segmentation(dice=1.0).loss(changed, y), segmentation(dice=1.0).loss(logits, y))


def test_a_batch_without_a_labelled_pixel_has_loss_zero_and_finite_gradients():
    logits = torch.randn(1, 4, 3, 3, requires_grad=True)
    loss = segmentation(dice=1.0).loss(logits, torch.full((1, 3, 3), IGNORE))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().max() == 0


def test_mixup_follows_its_formula_with_the_same_draws():
    alpha, (x, y) = 0.4, labelled(6)
    task = classification(mixup=alpha)
    mixed, other, share = task.mix(x, y, np.random.default_rng([7, 3]))
    draws = np.random.default_rng([7, 3])
    lam, order = draws.beta(alpha, alpha), draws.permutation(6)
    assert share == lam
    expected = np.stack([lam * x[i].numpy() + (1 - lam) * x[j].numpy() for i, j in enumerate(order)])
    np.testing.assert_allclose(mixed.numpy(), expected, rtol=1e-5, atol=1e-6)
    assert other.tolist() == y[order].tolist()


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_mixed_loss_equals_cross_entropy_with_the_soft_target(label_smoothing):
    task = classification(nn.Sequential(nn.Flatten(), nn.Linear(432, 3)), mixup=1.0, label_smoothing=label_smoothing)
    x, y = labelled(6)
    task.generator = np.random.default_rng([7, 3])
    loss = task.train_batch(x, y)["loss"]
    mixed, other, share = task.mix(x, y, np.random.default_rng([7, 3]))
    eye = torch.eye(3)
    target = (1 - label_smoothing) * (share * eye[y] + (1 - share) * eye[other]) + label_smoothing / 3
    torch.testing.assert_close(loss, -(target * task(mixed).log_softmax(1)).sum(1).mean())


def test_cutmix_pastes_one_box_of_the_partner_and_weighs_labels_by_its_area():
    task = classification(cutmix=1.0)
    x = torch.arange(8.0).reshape(8, 1, 1, 1).expand(8, 3, 12, 10)
    y = torch.arange(8)
    boxes = 0
    for k in range(20):
        mixed, other, share = task.mix(x, y, np.random.default_rng([0, k]))
        pasted = mixed == other.reshape(8, 1, 1, 1)
        own = mixed == y.reshape(8, 1, 1, 1)
        assert (pasted | own).all()
        for i in range(8):
            if other[i] != y[i]:
                assert pasted[i].float().mean().item() == pytest.approx(1 - share, abs=1e-6)
                rows, columns = pasted[i, 0].any(1).sum(), pasted[i, 0].any(0).sum()
                assert pasted[i, 0].sum() == rows * columns  # one rectangle
                boxes += int(rows * columns > 0)
    assert boxes > 50
    assert x.flatten().unique().numel() == 8  # the batch given is left alone


def test_a_cutmix_box_has_the_area_asked_for_unless_the_border_cuts_it():
    rng = np.random.default_rng(0)
    whole = 0
    for share in np.linspace(0.05, 1, 60):
        top, bottom, left, right = random_box(64, 48, share, rng)
        assert 0 <= top <= bottom <= 64
        assert 0 <= left <= right <= 48
        area = (bottom - top) * (right - left) / (64 * 48)
        assert area <= 1 - share + 0.03
        if top > 0 and bottom < 64 and left > 0 and right < 48:
            assert area == pytest.approx(1 - share, abs=0.03)
            whole += 1
    assert whole > 5


def test_with_both_mixings_each_batch_gets_one_of_them():
    task = classification(mixup=1.0, cutmix=1.0)
    x, y = torch.arange(8.0).reshape(8, 1, 1, 1).expand(8, 3, 12, 12), torch.arange(8)
    whole = [
        bool((mixed == mixed.round()).all())
        for mixed, _, _ in (task.mix(x, y, np.random.default_rng([0, k])) for k in range(60))
    ]
    assert 15 < sum(whole) < 45


def test_mixing_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    classification(mixup=1.0, cutmix=1.0).mix(*labelled(6), np.random.default_rng(0))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (partial(classification, label_smoothing=1.0), "task.label_smoothing=1.0 must be at least 0 and less than 1"),
        (partial(classification, mixup=-1.0), r"task.mixup=-1.0 must be 0 \(off\) or"),
        (partial(segmentation, cross_entropy=0.0), "task.cross_entropy=0.0 and task.dice=0.0 weigh the losses"),
    ],
)
def test_impossible_options_are_refused(build, message):
    with pytest.raises(ConfigError, match=message):
        build()


# Runs


def test_a_classifier_overfits_one_batch(tmp_path):
    task, batch = classification(classifier()), labelled(12)
    trainer(tmp_path, max_epochs=1).fit(task, Loader(*[batch] * 120))
    values = validate(task, [batch], tmp_path)
    assert values["val/accuracy"] == 1.0
    assert values["val/loss"] < 0.1


def test_a_segmenter_overfits_one_batch(tmp_path):
    task, batch = segmentation(segmenter(), dice=1.0), masked(2)
    trainer(tmp_path, max_epochs=1).fit(task, Loader(*[batch] * 200))
    assert validate(task, [batch], tmp_path)["val/miou"] > 0.9


def run(folder, max_epochs=4, seed=0, resume=False, stop_in=None, **options):
    """A run with everything random in it; `stop_in` breaks it off within that epoch."""
    torch.manual_seed(123)  # must not matter
    task = classification(classifier(dropout=0.5), seed=seed, mixup=0.4, cutmix=1.0, **options)
    folder.mkdir(exist_ok=True)
    found = callbacks.default(folder, task.monitor, task.mode)

    class Stop(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if trainer.current_epoch == stop_in and batch_idx == 1:
                raise KeyboardInterrupt

    train = Loader(*[labelled(6, seed=s) for s in range(3)])
    fit = trainer(folder, max_epochs, callbacks=[Stop(), *found])
    checkpoint = folder / "checkpoints" / "last.ckpt" if resume else None
    try:
        fit.fit(task, train, Loader(labelled(9, seed=9)), ckpt_path=checkpoint, weights_only=True)
    except SystemExit:
        assert stop_in is not None
    return task, found


def rows(folder) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def timing_of(found: list[pl.Callback]) -> callbacks.Timing:
    return next(callback for callback in found if isinstance(callback, callbacks.Timing))


def weights(task) -> torch.Tensor:
    return torch.cat([value.flatten().float() for value in task.state_dict().values()])


def losses(folder) -> list[str]:
    return [row["train/loss"] for row in rows(folder)]


def test_a_run_writes_metrics_csv_and_both_checkpoints(tmp_path, capsys):
    task, found = run(tmp_path)
    table = rows(tmp_path)
    assert list(table[0]) == [
        *["epoch", "step", "lr", "seconds"],
        *[
            "train/accuracy",
            "train/loss",
            "val/accuracy",
            "val/balanced_accuracy",
            "val/ece",
            "val/loss",
            "val/macro_f1",
        ],
    ]
    assert [(row["epoch"], row["step"]) for row in table] == [("0", "3"), ("1", "6"), ("2", "9"), ("3", "12")]
    cosine = [0.05 * (1 + np.cos(np.pi * t / 12)) for t in (0, 3, 6, 9)]
    assert [float(row["lr"]) for row in table] == pytest.approx(cosine, rel=1e-5)
    assert all(float(row[key]) >= 0 for row in table for key in row)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["epoch"] == 3
    assert all(torch.equal(last["state_dict"][key], value) for key, value in task.state_dict().items())
    accuracies = [float(row["val/accuracy"]) for row in table]
    best = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["epoch"] == int(np.argmax(accuracies))
    timing = timing_of(found)
    assert timing.images == 4 * 18
    assert 0 < timing.train_seconds < sum(float(row["seconds"]) for row in table)
    assert timing.images_per_second == pytest.approx(72 / timing.train_seconds)
    lines = capsys.readouterr().err.splitlines()
    lines = [line for line in lines if line.startswith("epoch ")]
    assert len(lines) == 4
    assert lines[1].startswith("epoch 2/4  train/loss ")
    assert "val/accuracy" in lines[1]
    assert lines[3].endswith("00:00 left")


def test_on_a_terminal_one_bar_spans_all_epochs(tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setattr("litconv.callbacks.progress.REFRESH_SECONDS", 0.0)
    run(tmp_path)
    drawn = sys.stderr.getvalue().split("\r")
    assert "epoch 4/4 100%|" in drawn[-1]
    assert "train/loss" in drawn[-1]
    assert not any(line.startswith("epoch 1/4 100%") for line in drawn)


def test_a_run_broken_off_and_resumed_equals_one_that_ran_through(tmp_path):
    whole, _ = run(tmp_path / "whole")
    run(tmp_path / "broken", stop_in=2)
    assert len(rows(tmp_path / "broken")) == 2
    resumed, found = run(tmp_path / "broken", resume=True)
    assert torch.equal(weights(resumed), weights(whole))
    timed = [{key: row[key] for key in row if key != "seconds"} for row in rows(tmp_path / "broken")]
    assert timed == [{key: row[key] for key in row if key != "seconds"} for row in rows(tmp_path / "whole")]
    names = sorted(path.name for path in (tmp_path / "broken" / "checkpoints").iterdir())
    assert names == ["best.ckpt", "last.ckpt"]
    both = [torch.load(tmp_path / f / "checkpoints" / "best.ckpt", weights_only=True) for f in ("whole", "broken")]
    assert both[0]["epoch"] == both[1]["epoch"]
    assert timing_of(found).images == 72


def test_rows_of_epochs_that_are_repeated_are_dropped(tmp_path):
    run(tmp_path, stop_in=2)
    with (tmp_path / "metrics.csv").open("a") as file:  # epoch 2 had been written when the process was killed
        file.write("2,9,0.1,1.0,0.5,77.0,0.5,0.5\n")
    assert len(rows(tmp_path)) == 3
    run(tmp_path, resume=True)
    assert [row["epoch"] for row in rows(tmp_path)] == ["0", "1", "2", "3"]
    assert "77.0" not in losses(tmp_path)


def test_a_run_that_starts_anew_does_not_keep_old_rows(tmp_path):
    run(tmp_path)
    run(tmp_path, max_epochs=1)
    assert len(rows(tmp_path)) == 1


def test_the_same_seed_gives_the_same_loss_and_another_seed_another(tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        run(tmp_path / name, max_epochs=2, seed=seed)
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    assert losses(tmp_path / "a")[0] != losses(tmp_path / "c")[0]


def test_a_metric_that_appears_late_gets_its_column(tmp_path):
    class Late(pl.Callback):
        def on_validation_epoch_end(self, trainer, module):
            if trainer.current_epoch > 0:
                module.log("val/iou/car", 0.1 * trainer.current_epoch)

    fit = trainer(tmp_path, 3, callbacks=[Late(), callbacks.MetricsCsv(tmp_path)], enable_checkpointing=False)
    fit.fit(classification(classifier()), Loader(labelled(6)), Loader(labelled(6)))
    assert [row["val/iou/car"] for row in rows(tmp_path)] == ["", "0.1", "0.2"]
    assert all(float(row["val/loss"]) > 0 for row in rows(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]


def test_a_loss_that_is_not_finite_fails_the_run_and_names_epoch_and_step(tmp_path):
    good, bad = labelled(6), labelled(6)
    bad[0][0, 0, 0, 0] = float("nan")
    task = classification(classifier())
    with pytest.raises(RuntimeError, match=r"train/loss is nan in epoch 1/2, step 3/4: try a smaller optim\.lr"):
        trainer(tmp_path).fit(task, Loader(good, good, bad, good))


def test_an_endless_training_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"trainer\.max_epochs=-1 gives inf steps"):
        trainer(tmp_path, max_epochs=-1).fit(classification(classifier()), Loader(labelled(6)))


@pytest.mark.parametrize("name", names("trainer"))
def test_every_trainer_preset_can_be_built_and_trains_where_it_can(tmp_path, name):
    where = [] if name in ("cpu", "gpu") else ["trainer.accelerator=cpu"]
    devices = ["trainer.devices=1"] if name == "ddp" else []
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(overrides=[f"+trainer={name}", "+epochs=10", *where, *devices]).trainer
    if name == "gpu" and not torch.cuda.is_available():
        with pytest.raises(InstantiationException, match="No supported gpu backend found"):
            instantiate(config)
        return
    built = instantiate(config, default_root_dir=tmp_path, logger=False, enable_checkpointing=False)
    assert built.max_epochs == (1 if name == "debug" else 10)
    if name != "ddp":  # whole processes: test_ddp.py
        task = segmentation(segmenter())
        built.fit(task, Loader(*[masked(2, seed=s) for s in range(3)]), Loader(masked(2, seed=5)))
        assert built.global_step == (2 if name == "debug" else 30)
        assert 0 < built.callback_metrics["val/miou"] <= 1


@pytest.mark.parametrize("task", names("task"))
def test_every_task_yaml_builds_its_task(task):
    config = OmegaConf.load(CONF / "task" / f"{task}.yaml")
    config = config.get("task", config)  # what stands beside it: the head that fits, the default recipe's epochs
    extra = {"class_names": ["a", "b"]} | ({} if task == "classification" else {"ignore_index": 0})
    built = instantiate(config, nn.Identity(), 2, sgd, optim.cosine, seed=0, **extra)
    assert built.name == task


def test_the_callbacks_yaml_builds_the_default_callbacks_and_the_users_own(tmp_path):
    stop = "+callbacks.extra.stop={_target_: pytorch_lightning.callbacks.EarlyStopping, monitor: val/loss}"
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(overrides=["+callbacks=default", stop]).callbacks
    made = instantiate(config)(tmp_path, "val/accuracy", "max")
    kinds = [type(callback).__name__ for callback in made]
    own = ["Interruptions", "Monitors", "Ending", "Divergence", "Timing", "MetricsCsv", "LogRows", "ProgressBar"]
    assert kinds == [*own, "EarlyStopping", "ModelCheckpoint", "ModelCheckpoint"]
