"""The options of Lightning's trainer: with a plus and without, and no other key so."""

import json

import pytest

from command import TINY, command
from litconv.config.composed import compose
from litconv.config.keys import PASSED
from litconv.config.signatures import signature
from litconv.config.spelling import TRAINER_OPTIONS, as_hydra_reads
from litconv.run.asked import Asked


def test_every_option_that_the_trainer_takes_is_in_its_yaml_or_in_the_list():
    taken = signature("pytorch_lightning.Trainer").parameters.keys()
    written = {key for key in compose([]).trainer if key != "_target_"}
    assert set(TRAINER_OPTIONS) == taken - PASSED - written
    assert len(set(TRAINER_OPTIONS)) == len(TRAINER_OPTIONS)


@pytest.mark.parametrize("trainer", ["auto", "debug"])
@pytest.mark.parametrize(
    "option", ["limit_val_batches=3", "gradient_clip_val=0.5", "max_time={hours: 1}", "strategy=ddp"]
)
def test_an_option_of_the_trainer_is_read_with_a_plus_and_without(option, trainer):
    written = [Asked.of(compose([f"trainer={trainer}", f"{plus}trainer.{option}"])) for plus in ("", "+", "++")]
    assert len({asked.config_hash for asked in written}) == 1
    assert written[0].config_hash != Asked.of(compose([f"trainer={trainer}"])).config_hash
    key, _, value = option.partition("=")
    assert str(written[0].settings["trainer"][key]) == value.replace("{hours", "{'hours'")


def test_no_other_argument_is_changed():
    others = (
        "trainer=debug",
        "~trainer.strategy",
        "trainer.max_epochs=3",
        "trainer.limits=1",
        "optim.strategy=1",
        "-m",
    )
    assert [as_hydra_reads(argument) for argument in others] == list(others)


def test_a_run_and_a_sweep_take_an_option_without_a_plus(tmp_path):
    quick = (*TINY, "logger=csv", "trainer.limit_train_batches=1", "trainer.accumulate_grad_batches=2")
    assert command(*quick, f"output_dir={tmp_path}") == 0
    assert command("-m", *quick, "seed=0,1", "sweep=s", "hydra/launcher=basic", f"output_dir={tmp_path}") == 0
    hashes = {json.loads(path.read_text())["arm_hash"] for path in tmp_path.rglob("summary.json")}
    assert len(list(tmp_path.rglob("summary.json"))) == 3
    assert len(hashes) == 1


@pytest.mark.parametrize(
    "folder", ["/home/müller/läufe", "/data/图像 (2)", "runs/lr=0.1", "it's", "a&b;c", "/plain/path 2"]
)
def test_a_folder_may_be_called_anything(folder):
    assert compose([as_hydra_reads(f"output_dir={folder}")]).output_dir == folder
    root = compose(["data=image_folder", as_hydra_reads(f"data.root={folder}"), "data.image_size=8"]).data.root
    assert root == folder


def test_the_users_folder_is_found_where_the_shell_leaves_its_sign(monkeypatch):
    monkeypatch.setenv("HOME", "/home/o'me")
    assert compose([as_hydra_reads("output_dir=~/my runs")]).output_dir == "/home/o'me/my runs"
    assert as_hydra_reads("~optim.lr") == "~optim.lr"
