"""Figures of a classifier against torchmetrics and loops, and the choice of the one that is watched."""

import csv
import json
from collections import Counter

import numpy as np
import pytest
import torch
from torchmetrics import classification as theirs

from command import TINY, command
from litconv.compare.metric import Metric
from litconv.config.composed import compose
from litconv.config.watched import watched
from litconv.loggers.together import Loggers
from litconv.run.summary import objectives
from litconv.tasks import scores
from made_runs import make_run
from small_tasks import Loader, classification, segmentation, trainer

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning")


def evaluated(task, batches, folder, split="test") -> dict[str, float]:
    fit = trainer(folder)
    (found,) = (fit.test if split == "test" else fit.validate)(task, Loader(*batches), verbose=False)
    return {key.partition("/")[2]: value for key, value in found.items()}


def guesses(classes: int, images: int = 700, seed: int = 0):
    """Logits that are right now and then, and labels in unequal numbers; three batches of unequal size."""
    rng = np.random.default_rng(seed)
    y = torch.from_numpy(rng.choice(classes, images, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum()))
    logits = torch.from_numpy(rng.normal(size=(images, classes)).astype("f"))
    logits[torch.arange(images), y] += torch.from_numpy(rng.random(images).astype("f")) * 3
    return logits, y, list(zip(logits.split(299), y.split(299), strict=True))


@pytest.mark.parametrize("precision", ["32-true", "bf16-true"])
@pytest.mark.parametrize("classes", [2, 12])
def test_every_figure_equals_torchmetrics_own_over_uneven_batches(tmp_path, classes, precision):
    logits, y, _ = guesses(classes)
    logits = logits.bfloat16().float()  # what the network gives under bf16-true
    batches = list(zip(logits.split(299), y.split(299), strict=True))
    (found,) = trainer(tmp_path, precision=precision).test(
        classification(num_classes=classes), Loader(*batches), verbose=False
    )
    of = {"num_classes": classes}
    averages = {
        "macro_f1": theirs.MulticlassF1Score(**of, average="macro"),
        "balanced_accuracy": theirs.MulticlassAccuracy(**of, average="macro"),
        "accuracy": theirs.MulticlassAccuracy(**of, average="micro"),
        "ece": theirs.MulticlassCalibrationError(**of, n_bins=15, norm="l1"),
    }
    for key, metric in averages.items():
        assert found[f"test/{key}"] == pytest.approx(metric(logits, y).item(), abs=1e-6), key
    by_class = {
        "f1": theirs.MulticlassF1Score(**of, average="none"),
        "precision": theirs.MulticlassPrecision(**of, average="none"),
        "recall": theirs.MulticlassRecall(**of, average="none"),
    }
    for key, metric in by_class.items():
        values = [found[f"test/{key}/class{i}"] for i in range(classes)]
        assert values == pytest.approx(metric(logits, y).tolist(), abs=1e-6), key


def test_a_class_without_an_image_has_no_figures_and_counts_in_macro_f1_alone_where_it_is_predicted(tmp_path):
    y, predicted = [0, 0, 0, 1, 1], [0, 0, 2, 1, 0]  # of four classes; 2 is predicted, 3 is nowhere
    logits = torch.nn.functional.one_hot(torch.tensor(predicted), 4).float() * 5
    found = evaluated(classification(num_classes=4), [(logits, torch.tensor(y))], tmp_path)

    def f1(c):
        hits = sum(p == t == c for p, t in zip(predicted, y, strict=True))
        return 2 * hits / (predicted.count(c) + y.count(c))

    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found["macro_f1"] == pytest.approx((f1(0) + f1(1) + f1(2)) / 3)
    assert {key for key in found if "/" in key} == {
        f"{figure}/class{c}" for figure in ("precision", "recall", "f1") for c in (0, 1)
    }


def test_calibration_error_of_four_images_by_hand(tmp_path):
    confidence = torch.tensor([0.9, 0.92, 0.6, 0.55])  # bins of 1/15: two images, one, one
    right = [True, False, True, False]
    probabilities = torch.stack([confidence, 1 - confidence], 1)
    y = torch.tensor([0 if is_right else 1 for is_right in right])
    found = evaluated(classification(num_classes=2), [(probabilities.log(), y)], tmp_path)
    expected = 0.5 * abs(0.5 - 0.91) + 0.25 * abs(1 - 0.6) + 0.25 * abs(0 - 0.55)
    assert found["ece"] == pytest.approx(expected, abs=1e-6)


def test_validation_logs_scalars_and_the_test_the_classes_as_well(tmp_path):
    _, _, batches = guesses(3)
    scalars = {"loss", "accuracy", "macro_f1", "balanced_accuracy", "ece"}
    assert evaluated(classification(), batches, tmp_path, "val").keys() == scalars
    assert len(evaluated(classification(), batches, tmp_path)) == len(scalars) + 9


def test_a_second_evaluation_knows_nothing_of_the_first(tmp_path):
    task = classification()
    _, _, first = guesses(3)
    _, _, second = guesses(3, seed=5)
    evaluated(task, first, tmp_path, "val")
    assert evaluated(task, second, tmp_path) == evaluated(classification(), second, tmp_path)


def test_the_table_of_the_confusion_matrix_has_truth_in_its_rows(tmp_path):
    logits, y, batches = guesses(3)
    task = classification()
    evaluated(task, batches, tmp_path)
    columns, rows = scores.rows(task.confusion_matrix, task.class_names)
    pairs = Counter(zip(y.tolist(), logits.argmax(1).tolist(), strict=True))
    assert columns == ["truth", "class0", "class1", "class2"]
    assert rows == [[f"class{t}", *(pairs[t, p] for p in range(3))] for t in range(3)]


# -- the metric that is watched ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], ("val/accuracy", "max")),
        (["task.monitor=macro_f1"], ("val/macro_f1", "max")),
        (["task.monitor=ece"], ("val/ece", "min")),
        (["task.monitor=loss"], ("val/loss", "min")),
        (["task=segmentation"], ("val/miou", "max")),
        (["task=segmentation", "task.monitor=iou/disc"], ("val/iou/disc", "max")),
    ],
)
def test_what_is_watched_and_which_way_is_better(overrides, expected):
    config = compose(overrides)
    assert watched(config.task) == expected
    built = {"classification": classification, "segmentation": segmentation}
    name = config.task._target_.rpartition(".")[2].lower()
    task = built[name](monitor=config.task.monitor)
    assert (task.monitor, task.mode) == expected


def trained(folder, *arguments):
    assert command(*TINY, f"output_dir={folder}", "logger=csv", *arguments) == 0
    (run,) = (folder / "runs").iterdir()
    return run, json.loads((run / "summary.json").read_text())


@pytest.mark.parametrize(("monitor", "best"), [("macro_f1", max), ("ece", min)])
def test_the_checkpoint_of_a_run_is_the_one_that_is_best_by_what_is_watched(
    tmp_path, capsys, monkeypatch, monitor, best
):
    told = []
    monkeypatch.setattr(Loggers, "table", lambda self, key, *table: told.append((key, table)))
    run, summary = trained(tmp_path, f"task.monitor={monitor}", "epochs=3")
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert summary["monitor"] == f"val/{monitor}"
    value = best(float(row[f"val/{monitor}"]) for row in rows)
    assert summary[f"val/{monitor}"] == pytest.approx(value, abs=1e-6)
    first = next(i for i, row in enumerate(rows) if float(row[f"val/{monitor}"]) == value)
    assert torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["epoch"] == first
    sign = -1 if monitor == "ece" else 1
    assert objectives(summary) == (sign * summary[f"val/{monitor}"], summary["cost/macs"])
    assert f"{summary[f'test/{monitor}']:.4f} on test" in capsys.readouterr().out
    assert not [key for key in rows[0] if key.count("/") > 1]  # of single classes

    with (run / "confusion.csv").open(newline="") as file:
        (corner, *names), *table = csv.reader(file)
    counts = np.array([[int(cell) for cell in cells] for _, *cells in table])
    assert (corner, names) == ("truth", [name for name, *_ in table])
    assert counts.sum() == 32
    assert counts.trace() / 32 == pytest.approx(summary["test/accuracy"])
    recalls = {f"test/recall/{name}": counts[i, i] / counts[i].sum() for i, name in enumerate(names)}
    assert {key: summary[key] for key in recalls} == pytest.approx(recalls)
    ((columns, cells),) = [table for key, table in told if key == "test/confusion"]
    assert columns == ["truth", *names]
    assert [row[1:] for row in cells] == counts.tolist()


def test_an_earlier_runs_summary_still_says_what_a_search_goes_by():
    old = {"status": "completed", "val/accuracy": 0.5, "cost/macs": 7}
    assert objectives(old) == objectives({**old, "monitor": "val/accuracy"}) == (0.5, 7)


# -- the comparison ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "fraction", "better"),
    [
        ("test/macro_f1", True, "higher"),
        ("test/balanced_accuracy", True, "higher"),
        ("test/ece", True, "lower"),
        ("test/loss", False, "lower"),
        ("test/f1/cat", True, "higher"),
        ("test/recall/loss", True, "higher"),  # a class may be called so
        ("test/precision/ece", True, "higher"),
        ("cost/latency_ratio", False, "lower"),
        ("cost/images_per_second", False, "higher"),
        ("train/seconds", False, "lower"),
        ("train/epochs", False, "neither"),
        ("diagnostics/dead_channels", False, "lower"),
        ("diagnostics/correlation", False, "neither"),
        ("diagnostics/of_another_version", False, "neither"),
    ],
)
def test_the_comparison_knows_the_figures(key, fraction, better):
    metric = Metric(key)
    assert (metric.fraction, metric.better) == (fraction, better)


def test_a_comparison_by_macro_f1_and_the_figures_of_classes_are_named_as_one(tmp_path, capsys):
    for conv, f1 in (("standard", 0.8), ("grouped", 0.6)):
        for seed in range(3):
            found = {"test/macro_f1": f1 + 0.01 * seed, "test/f1/cat": f1, "test/f1/dog": f1}
            make_run(tmp_path, conv, seed, summary=found)
    where = (f"output_dir={tmp_path}", "sweep=made", f"out={tmp_path / 'page'}", "wandb=false")
    assert command(*where, "metric=test/macro_f1", module="compare") == 0
    assert "macro F1" in capsys.readouterr().out
    assert command(*where, "metric=test/f2", module="compare") == 1
    said = capsys.readouterr().err
    assert said.splitlines()[-1].endswith(
        "there: val/accuracy, test/accuracy, test/macro_f1, test/f1/<class>, cost/…, train/…"
    )
