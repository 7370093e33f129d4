"""Where training starts: `init_from=` loads what fits and names the rest; `distill=` adds what a finished run says."""

import json
import shutil
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from torch import nn
from torchvision import models

from command import TINY, command
from litconv.compare.remarks import starts
from litconv.errors import ConfigError
from litconv.foreign import weights
from litconv.prepare.starting import say_seen
from litconv.run.naming import config_hash
from litconv.tasks.teacher import Features, Teacher, attention_distance, divergence
from small_tasks import IGNORE, Loader, classification, labelled, masked, segmentation, trainer

QUICK = (*TINY, "logger=csv")


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A folder with a finished standard arm of seed 0."""
    folder = tmp_path_factory.mktemp("taught")
    assert command(*QUICK, f"output_dir={folder}", "conv=standard") == 0
    return folder


def run_of(folder, *parts):
    (run,) = (path for path in (folder / "runs").iterdir() if all(part in path.name for part in parts))
    return run, json.loads((run / "summary.json").read_text())


def state(run, name="best"):
    return torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def test_the_weights_of_a_run_are_those_that_training_begins_with(taught, tmp_path):
    teacher, _ = run_of(taught, "standard_seed0")
    still = ("conv=standard", "optim.lr=1e-12", "++optim.weight_decay=0", "schedule=constant", f"output_dir={tmp_path}")
    assert command(*QUICK, *still, f"init_from={teacher}", "seed=3") == 0
    run, summary = run_of(tmp_path, "seed3")
    before, after = state(teacher), state(run)
    learned = [key for key in before if "running" not in key and "num_batches" not in key and before[key].ndim > 0]
    assert learned
    assert all(torch.allclose(before[key], after[key], atol=1e-6) for key in learned)
    assert summary["init_from/share"] == 1.0
    assert summary["init_from/loaded"].startswith("56 of 56 tensors")


def test_what_does_not_fit_an_operator_is_named_and_stays_as_drawn(taught, tmp_path):
    teacher, _ = run_of(taught, "standard_seed0")
    assert command(*QUICK, "conv=grouped", f"output_dir={tmp_path}", f"init_from={teacher}") == 0
    _, summary = run_of(tmp_path, "grouped")
    assert "of another shape: backbone.stage1.0.conv1.weight" in summary["init_from/loaded"]
    slots = 2 * 9 * (2 * 8 * 8 + 8 * 16 + 16 * 16 + 16 * 32 + 32 * 32) // 2 // 2  # a stage's two layers, in two groups
    assert round((1 - summary["init_from/share"]) * summary["cost/params"]) == slots


class Two(nn.Module):
    def __init__(self, outputs=3):
        super().__init__()
        self.first, self.last = nn.Linear(4, 5), nn.Linear(5, outputs)


@pytest.mark.parametrize("prefix", ["", "model.", "module."])
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_file_may_be_a_checkpoint_or_plain_weights(tmp_path, prefix, wrapped):
    source, target = Two(), Two(7)
    tensors = {f"{prefix}{name}": value for name, value in source.state_dict().items()}
    torch.save({"state_dict": tensors, "epoch": 3} if wrapped else tensors, tmp_path / "weights.pt")
    drawn = target.last.weight.clone()
    loaded = weights.load(target, tmp_path / "weights.pt", "init_from=weights.pt")
    assert torch.equal(target.first.weight, source.first.weight)
    assert torch.equal(target.last.weight, drawn)
    assert loaded.line == "2 of 4 tensors loaded, 37.3 % of the params; of another shape: last.weight, last.bias"
    assert loaded.share == 25 / 67


def test_weights_of_another_librarys_model_begin_its_backbone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = models.resnet18(num_classes=10)
    torch.save(network.state_dict(), "weights.pt")
    chosen = ("backbone=torchvision", "backbone.name=resnet18", "init_from=weights.pt", f"output_dir={tmp_path}")
    assert command(*(option for option in QUICK if not option.startswith("width")), *chosen) == 0
    assert run_of(tmp_path, "resnet18")[1]["init_from/share"] == 1.0


REFUSED = {
    "neither": (["init_from=nowhere"], "init_from=nowhere is neither a run nor a file"),
    "no weights": (["init_from=README.md"], "init_from=README.md cannot be read as weights"),
    "nobody teaches": (["distillation.weight=1"], "distillation.weight=1 has no effect: nobody teaches"),
    "no run": (["distill=nowhere"], "distill=nowhere is no run's folder; name one"),
    "nearly standard": (["distill=standart"], "distill=standart is no run's folder (did you mean 'standard'?)"),
    "no standard arm": (["distill=standard", "width=0.25"], "train it first: python train.py conv=standard"),
    "too heavy": (["distill=standard", "distillation.weight=1.5"], "distillation.weight=1.5 must be more than 0"),
}


@pytest.mark.parametrize(("arguments", "line"), REFUSED.values(), ids=REFUSED)
def test_a_start_that_is_none_is_refused_in_one_line(tmp_path, capsys, arguments, line):
    assert command(*QUICK, f"output_dir={tmp_path}", *arguments) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert line in said


def test_weights_that_fit_nothing_are_refused(tmp_path, capsys):
    torch.save({"other": torch.zeros(3, 3)}, tmp_path / "other.pt")
    assert command(*QUICK, f"output_dir={tmp_path}", f"init_from={tmp_path / 'other.pt'}") == 1
    assert (
        "fits nothing of this model: it holds other, …, and the model backbone.stem.conv.weight"
        in capsys.readouterr().err
    )
    assert not list(tmp_path.glob("runs/*"))


def test_a_run_is_found_by_its_name_and_weights_of_another_width_are_refused_before_there_is_a_folder(taught, capsys):
    teacher, _ = run_of(taught, "standard_seed0")
    start = ("conv=standard", f"init_from={teacher.name}", f"output_dir={taught}")
    before = len(list(taught.glob("runs/*")))
    assert command(*QUICK, *start, "seed=8", "width=1") == 1
    said = "its backbone.stem.conv.weight is (8, 3, 3, 3), and the model's (16, 3, 3, 3); name weights of the same backbone"
    assert said in capsys.readouterr().err
    assert len(list(taught.glob("runs/*"))) == before
    assert command(*QUICK, *start, "seed=8") == 0
    assert run_of(taught, "seed8")[1]["init_from/share"] == 1.0


@pytest.mark.parametrize(
    ("others", "line"),
    [
        (["task=segmentation"], "was trained for task=classification and this is task=segmentation"),
        (["data=probe", "data.kind=context"], "was trained on other data: classes"),
    ],
)
def test_a_teacher_of_something_else_is_refused(taught, tmp_path, capsys, others, line):
    teacher, _ = run_of(taught, "standard_seed0")
    assert command(*QUICK, *others, f"output_dir={tmp_path}", f"distill={teacher}") == 1
    assert line in capsys.readouterr().err


def test_a_teacher_that_did_not_complete_is_refused(taught, tmp_path, capsys):
    teacher, summary = run_of(taught, "standard_seed0")
    shutil.copytree(teacher, tmp_path / "cut")
    (tmp_path / "cut" / "summary.json").write_text(json.dumps(summary | {"status": "interrupted"}))
    assert command(*QUICK, f"output_dir={tmp_path}", f"distill={tmp_path / 'cut'}") == 1
    assert "that run is interrupted; a teacher must be a completed one" in capsys.readouterr().err


def test_a_standard_arm_of_a_sweep_teaches_beside_the_locks_of_its_runs(tmp_path):
    sweep = ("sweep=first", f"output_dir={tmp_path}", *QUICK)
    assert command("-m", "conv=standard", *sweep) == 0
    assert command("conv=grouped", "distill=standard", f"output_dir={tmp_path}", *QUICK) == 0
    teacher = run_of(tmp_path, "grouped_seed0")[1]["distill/teacher"]
    assert "standard_seed0" in teacher


def test_the_standard_arm_teaches_and_its_part_of_the_loss_is_recorded(taught):
    options = ("conv=grouped", "distill=standard", "seed=1", f"output_dir={taught}", "distillation.features=0.5")
    assert command(*QUICK, *options) == 0
    run, summary = run_of(taught, "grouped", "seed1")
    assert "standard_seed0" in summary["distill/teacher"]
    row = pd.read_csv(run / "metrics.csv").iloc[0]
    parts = 0.5 * row["train/loss_labels"] + 0.5 * row["train/loss_teacher"] + 0.5 * row["train/loss_features"]
    assert row["train/loss"] == pytest.approx(parts, rel=1e-4)
    assert not [key for key in state(run) if "teacher" in key]
    assert summary["arm"] == "grouped ×0.5 wide distill=standard distillation.features=0.5"


def test_a_loss_of_logits_is_hintons_by_hand():
    torch.manual_seed(0)
    ours, theirs = torch.randn(6, 5), torch.randn(6, 5)
    p, q = (F.softmax(theirs / 3, 1), F.softmax(ours / 3, 1))
    by_hand = (p * (p / q).log()).sum(1).mean()
    assert divergence(ours, theirs, 3, None).item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert divergence(ours, ours, 3, None).item() == pytest.approx(0, abs=1e-6)


def test_of_masks_only_labelled_pixels_count():
    torch.manual_seed(0)
    ours, theirs, labelled_ = torch.randn(2, 4, 3, 3), torch.randn(2, 4, 3, 3), torch.zeros(2, 3, 3, dtype=torch.bool)
    assert divergence(ours, theirs, 2, labelled_).item() == 0
    labelled_[1, 2, 0] = True
    one = divergence(ours[1, :, 2, 0][None], theirs[1, :, 2, 0][None], 2, None)
    assert divergence(ours, theirs, 2, labelled_).item() == pytest.approx(one.item(), rel=1e-5)


def test_attention_maps_compare_networks_of_unlike_widths_and_sizes():
    torch.manual_seed(0)
    ours, theirs = torch.randn(2, 3, 4, 4), torch.randn(2, 7, 4, 4)
    maps = [(m**2).sum(1).flatten(1) for m in (ours, theirs)]
    q, p = (m / m.norm(dim=1, keepdim=True) for m in maps)
    assert attention_distance([ours], [theirs]).item() == pytest.approx(((q - p) ** 2).sum(1).mean().item(), rel=1e-5)
    assert attention_distance([ours], [torch.cat([ours, ours], 1)]).item() == pytest.approx(0, abs=1e-6)
    larger = ours.repeat_interleave(2, 2).repeat_interleave(2, 3)  # of the same content
    assert attention_distance([ours], [larger]).item() == pytest.approx(0, abs=1e-6)
    with pytest.raises(ConfigError, match="the teacher's backbone has 1 stages and this one has 2"):
        attention_distance([ours, ours], [theirs])


class Small(nn.Module):
    """A backbone and a head, as litconv's networks have them."""

    def __init__(self, channels, outputs, pixels):
        super().__init__()
        torch.manual_seed(channels)
        self.backbone = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU())
        self.backbone.register_forward_hook(lambda module, inputs, output: [output])
        self.head, self.pixels = nn.Conv2d(channels, outputs, 1), pixels

    def forward(self, x):
        logits = self.head(self.backbone(x)[0])
        return logits if self.pixels else logits.mean((2, 3))


@pytest.mark.parametrize("kind", ["labels", "masks"])
def test_a_student_comes_to_say_what_its_teacher_says_and_the_teacher_stays_as_it_is(tmp_path, kind):
    """By the teacher alone (weight 1), whatever the labels are."""
    make, batch, outputs = (classification, labelled, 3) if kind == "labels" else (segmentation, masked, 4)
    network = Small(8, outputs, kind == "masks")
    before = {key: value.clone() for key, value in network.state_dict().items()}
    task = make(Small(6, outputs, kind == "masks"))
    task.learn_from(Teacher(network, weight=1.0, temperature=2.0, features=1.0))
    batches = [batch(16, seed=seed) for seed in range(8)]
    x = torch.cat([images for images, _ in batches])

    def apart():
        with torch.no_grad():
            return divergence(task.eval()(x), network(x), 1.0, None if kind == "labels" else torch.ones(len(x), 12, 12))

    first = apart()
    trainer(tmp_path, max_epochs=12).fit(task.train(), Loader(*batches), Loader(batches[0]))
    assert apart() < first / 3
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_features_of_a_whole_network_are_refused():
    network = nn.Module()
    network.backbone = nn.Linear(3, 2)
    Features(network)
    with pytest.raises(ConfigError, match=r"use distillation\.features=0"):
        network.backbone(torch.zeros(1, 3))


def test_a_configuration_without_a_start_has_the_hash_of_before_there_were_any():
    plain = {"seed": 0, "data": {}, "trainer": {}}
    off = plain | {"init_from": None, "distill": None, "distillation": {"weight": 0.9}}
    assert config_hash(off) == config_hash(plain) != config_hash(off | {"distill": "standard"})
    assert config_hash(off | {"init_from": "a"}) != config_hash(off | {"init_from": "b"})


def test_the_comparison_names_arms_that_did_not_start_alike_and_a_start_that_changed():
    def arm(name, share, digests):
        runs = pd.DataFrame({"init_from/share": [share] * 2, "distill/digest": digests})
        return SimpleNamespace(name=name, runs=runs, asked={"distill": "runs/teacher"})

    notes = starts([arm("standard", 1.0, ["aa", "aa"]), arm("grouped", 0.142, ["aa", "bb"])])
    assert notes == [
        "init_from fits the arms unequally, so that they do not start alike; of its params has: standard 100 %, grouped 14.2 %",
        "distill=runs/teacher is not one file in all runs: it was written anew between them",
    ]
    assert starts([arm("standard", 1.0, ["aa", "aa"]), arm("dilated", 1.0, ["aa", "aa"])]) == []


def test_pixels_that_are_ignored_teach_nothing():
    x, y = masked(4)
    assert (y == IGNORE).any()
    network = Small(8, 4, True)
    task = segmentation(Small(6, 4, True))
    task.learn_from(Teacher(network, weight=1.0, temperature=1.0, features=0.0))
    inner = divergence(task(x)[:, :, 1:], network(x)[:, :, 1:], 1.0, (y != IGNORE)[:, 1:])
    task.teacher.network.eval()
    assert task.train_batch(x, y)["loss_teacher"].item() == pytest.approx(inner.item(), rel=1e-4)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"fold": 0}, ""),
        ({"fold": 0, "split_seed": 0}, ""),
        ({"fold": 1}, "data.fold=0 there and 1 here"),
        ({"fold": 0, "split_seed": 3}, "data.split_seed=0 there and 3 here"),
        ({"fold": 1, "root": "other"}, ""),
    ],
    ids=str,
)
def test_a_start_that_has_seen_what_is_held_out_is_named(caplog, own, said):
    theirs = OmegaConf.create({"data": {"_target_": "ImageFolder", "root": "photos", "folds": 5, "fold": 0}})
    say_seen("init_from=RUN", theirs, OmegaConf.merge(theirs, {"data": own}))
    assert bool(said) == ("init_from=RUN was trained on images that this run validates or tests on" in caplog.text)
    assert said in caplog.text


def test_a_teacher_of_an_earlier_version_is_judged_by_its_shapes(taught, tmp_path, capsys):
    teacher, _ = run_of(taught, "standard_seed0")
    shutil.copytree(teacher, tmp_path / "old")
    (tmp_path / "old" / "card.json").unlink()
    others = ("data=probe", "data.kind=context")
    assert command(*QUICK, *others, f"output_dir={tmp_path}", f"distill={tmp_path / 'old'}") == 1
    assert "was trained on other classes or channels: its head.classifier.bias is (10," in capsys.readouterr().err
