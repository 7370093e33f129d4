"""A training that is stopped and resumed equals one that ran through, bit for bit."""

import csv
import json
import shutil
import warnings

import pytest
import torch

from command import ROOT, command
from data_helpers import make_image_folder, make_mask_folder

RECIPES = {
    "classification": (
        *("data=image_folder", "data.crop_padding=2", "data.scale=[0.8,1.2]", "data.cutout=2"),
        *("task.mixup=0.4", "task.cutmix=1.0", "head.dropout=0.5", "optim.momentum=0.9"),
        "threads=2",  # of auto, to which the tests allow one thread, bits are not promised
    ),
    "segmentation": ("task=segmentation", "data=mask_folder", "data.scale=[0.5,2.0]", "head=unet", "threads=1"),
}


def train(folder, data, task, workers=0, epochs=4):
    return command(
        *(
            *RECIPES[task],
            f"data.root={data}",
            "data.image_size=16",
            "data.memory_limit_mb=0",
            "data.cache_dir=null",
            f"data.num_workers={workers}",
        ),
        *("data.batch_size=4", "width=0.25", f"epochs={epochs}", "trainer=cpu", "logger=csv", f"output_dir={folder}"),
        "cost.latency.enabled=false",
    )


def left_behind(folder):
    """The last checkpoint's weights and optimiser, the rows without their times, the figures of the summary."""
    (run,) = (folder / "runs").glob("*seed0*")
    last = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    with (run / "metrics.csv").open(newline="") as file:
        rows = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
    summary = json.loads((run / "summary.json").read_text())
    figures = {key: value for key, value in summary.items() if key.startswith(("val/", "test/"))}
    return last, rows, figures


def equal(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


@pytest.fixture(scope="module", params=RECIPES)
def whole(request, tmp_path_factory):
    """The recipe, its data and what a training leaves behind that ran through, without a process that reads."""
    folder, task = tmp_path_factory.mktemp(request.param), request.param
    if task == "classification":
        data = make_image_folder(folder / "data", {"train": 7, "val": 2}, size=(16, 16))  # of each class
    else:
        data = make_mask_folder(folder / "data", {"train": 21, "val": 5}, size=(16, 16))
    assert train(folder, data, task) == 0
    return task, data, left_behind(folder)


@pytest.mark.parametrize("workers", [0, 2])
def test_two_epochs_and_two_more_are_four(tmp_path, monkeypatch, whole, workers):
    from litconv.callbacks import MetricsCsv

    task, data, straight = whole

    def stop(self, trainer, module, batch, batch_idx):
        if trainer.current_epoch == 2 and batch_idx == 1:  # in the middle of the third
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MetricsCsv, "on_train_batch_start", stop)
        assert train(tmp_path, data, task, workers) == 130
    assert [row["epoch"] for row in left_behind(tmp_path)[1]] == ["0", "1"]
    torch.manual_seed(7)  # what the process drew before must not matter
    assert train(tmp_path, data, task, workers) == 0

    broken = left_behind(tmp_path)
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step"):
        assert equal(broken[0][key], straight[0][key]), key
    assert len(straight[0]["optimizer_states"][0]["state"]) > 10
    assert broken[1] == straight[1]
    assert [row["epoch"] for row in straight[1]] == ["0", "1", "2", "3"]
    assert broken[2] == straight[2]
    assert straight[2]["test/split"] == "val"  # neither set has another


def test_a_run_stopped_after_its_last_epoch_is_only_tested(tmp_path, monkeypatch, whole):
    from litconv.fit import training

    task, data, straight = whole

    def stop(*unused):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "test", stop)
        assert train(tmp_path, data, task) == 130
    checkpoint = next(tmp_path.rglob("last.ckpt"))
    written = checkpoint.stat().st_mtime_ns
    assert train(tmp_path, data, task) == 0
    assert checkpoint.stat().st_mtime_ns == written
    assert left_behind(tmp_path)[1:] == straight[1:]


def test_the_reading_processes_draw_the_same_numbers_in_a_resumed_epoch():
    from litconv.data.augment import Augment
    from litconv.data.loader import StreamLoader

    class Drawn(torch.utils.data.Dataset):  # a user's own data set that draws from the global generator
        def __len__(self):
            return 6

        def __getitem__(self, index):
            return torch.randint(256, (3, 4, 4), dtype=torch.uint8), 0

    def epoch(number, before=()):
        loader = StreamLoader(
            Drawn(),
            Augment(mean=(0, 0, 0), std=(1, 1, 1), crop_size=(4, 4)),
            (4, 4),
            2,
            train=True,
            seed=0,
            num_workers=2,
        )
        for earlier in before:
            loader.sampler.set_epoch(earlier)
            list(loader)
        loader.sampler.set_epoch(number)
        return torch.cat([x for x, _ in loader])

    assert torch.equal(epoch(2, before=(0, 1)), epoch(2))
    assert not torch.equal(epoch(1), epoch(2))


def test_a_run_that_an_earlier_version_left_interrupted_goes_on(tmp_path, monkeypatch):
    """Its checkpoint holds the callbacks' states under one key, "Together"."""
    (saved,) = (ROOT / "tests" / "saved_runs").glob("*seed7*")
    old = torch.load(saved / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]["Together"]["Timing"]
    folder = shutil.copytree(saved, tmp_path / "runs" / saved.name)
    summary = json.loads((saved / "summary.json").read_text())
    (before,) = csv.DictReader((saved / "metrics.csv").read_text().splitlines())
    overrides = [o for o in summary["overrides"] if not o.startswith("output_dir=")]
    monkeypatch.setattr(warnings, "filterwarnings", lambda *rules, **named: None)  # ours silence Lightning's
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert command(*overrides, f"output_dir={tmp_path}") == 0
    assert not [str(warning.message) for warning in warned if "callbacks" in str(warning.message)]
    first, *rows = csv.DictReader((folder / "metrics.csv").read_text().splitlines())
    assert {key: first[key] for key in before} == before
    assert {first[key] for key in first.keys() - before.keys()} == {""}  # columns that came later
    assert len(rows) == 3
    last = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]
    assert last["Timing"]["images"] == 4 * old["images"]
    done = json.loads((folder / "summary.json").read_text())
    own = sum(float(row["seconds"]) for row in rows)  # validation included
    assert old["train_seconds"] < done["train/seconds"] < old["train_seconds"] + own
    assert done["train/seconds"] == last["Timing"]["train_seconds"]


def test_a_run_whose_data_have_other_classes_by_now_is_not_taken_up(tmp_path, capsys):
    data = make_image_folder(tmp_path / "data", {"train": 4, "val": 2}, size=(16, 16))
    assert train(tmp_path, data, "classification", epochs=1) == 0
    (run,) = (tmp_path / "runs").glob("*seed0*")
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps(summary | {"status": "interrupted"}))
    shutil.copytree(next((data / "train").iterdir()), data / "train" / "another")
    capsys.readouterr()
    assert train(tmp_path, data, "classification", epochs=1) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert (
        "last.ckpt does not fit the model of config.yaml: model.head.classifier.bias is (3,) there and (4,) in "
        in error
    )
    assert error.endswith("; if the data have other classes since, train the run anew: remove its folder")


@pytest.mark.parametrize("spoilt", ["epoch,step\nabc,1\n", "a;b\n1;2\n", "epoch,step\n"])
def test_a_spoilt_metrics_csv_begins_anew_in_a_resumed_run(tmp_path, capsys, spoilt):
    data = make_image_folder(tmp_path / "data", {"train": 4, "val": 2}, size=(16, 16))

    def stop(self, trainer, module, batch, batch_idx):
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt

    from litconv.callbacks import MetricsCsv

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MetricsCsv, "on_train_batch_start", stop, raising=False)
        assert train(tmp_path, data, "classification", epochs=3) == 130
    (path,) = (tmp_path / "runs").glob("*seed0*/metrics.csv")
    path.write_text(spoilt)
    assert train(tmp_path, data, "classification", epochs=3) == 0
    with path.open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
