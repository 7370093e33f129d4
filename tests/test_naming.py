import re
from functools import cache

import pytest

from litconv.config.composed import choices, compose, plain
from litconv.run.naming import arm_hash, config_hash, run_name


@cache
def hashed(*overrides):
    return config_hash(plain(compose(list(overrides))))


def test_equal_configurations_meet_whatever_way_they_were_asked_for():
    assert hashed("conv=grouped", "groups=4") == hashed("conv=grouped", "conv.groups=4")
    assert hashed("conv=grouped", "groups=2") == hashed("conv=grouped")
    assert hashed("width=1") == hashed("width=1.0") == hashed()
    assert hashed("upsample=nearest") == hashed("upsample=bilinear")  # classification has no upsampler


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("trainer.precision=32", "trainer.precision=32-true"),
        ("trainer.precision=bf16", "trainer.precision=bf16-mixed"),
        ("data.image_size=48", "data.image_size=[48,48]"),
        ("+data.crop_size=24", "+data.crop_size=[24,24]"),
        ("trainer.devices=1", "trainer.devices='0,'"),
        ("trainer.devices=2", "trainer.devices=[0,3]"),
        ("optim.lr=0.2", "optim.lr=2e-1"),
    ],
)
def test_two_spellings_of_a_value_are_one(one, other):
    assert hashed(one) == hashed(other)


@pytest.mark.parametrize("change", ["data.num_workers=4", "data.memory_limit_mb=0", "allowed_packages=[mine]"])
def test_how_images_are_read_does_not_change_the_hash(change):
    assert hashed("data=image_folder") == hashed("data=image_folder", change)
    assert hashed("data=image_folder") != hashed("data=image_folder", "data.root=elsewhere")


@pytest.mark.parametrize(
    "change",
    [
        "output_dir=elsewhere",
        "logger=csv",
        "sweep=other",
        "trainer.devices=[1]",
        "threads=2",
        "best_of=optim.lr",
        "tuning_seeds=5",
    ],
)
def test_what_cannot_change_the_result_does_not_change_the_hash(change):
    assert hashed("trainer.devices=[0]") == hashed("trainer.devices=[0]", change)


@pytest.mark.parametrize(
    "change",
    ["seed=1", "conv=dilated", "width=0.5", "kernel_size=5", "optim.lr=0.3", "epochs=1", "data.batch_size=8",
     "conv@conv_stage3=deformable", "trainer.devices=2", "trainer.precision=bf16-mixed",
     "memory_format=auto", "memory_format=contiguous",
     "+callbacks.extra={stop:{_target_:pytorch_lightning.callbacks.EarlyStopping,monitor:val/loss}}"],
)  # fmt: skip
def test_what_can_change_the_result_changes_the_hash(change):
    assert hashed() != hashed(change)


def test_keys_that_are_off_leave_the_hash_of_before_there_were_such_keys():
    config = plain(compose([]))
    before = {key: value for key, value in config.items() if key not in ("compile", "matmul_precision", "ema")}
    assert config_hash(before) == config_hash(config) == hashed("matmul_precision=default", "compile.enabled=false")
    assert (
        len({hashed(), *map(hashed, ("compile.enabled=true", "matmul_precision=high", "ema=0.999", "ema=0.99"))}) == 5
    )


def test_the_arm_is_everything_but_the_seed():
    first, second, other = (plain(compose(o)) for o in (["seed=1"], ["seed=2"], ["seed=1", "conv=grouped"]))
    assert config_hash(first) != config_hash(second)
    assert arm_hash(first) == arm_hash(second) != arm_hash(other)


@pytest.mark.parametrize(
    "overrides", [[], ["conv=grouped", "groups=4"], [f"conv@conv_stage{n}=deformable" for n in (1, 2, 3)]]
)
def test_a_run_name_is_a_short_slug_that_ends_in_the_hash(overrides):
    config = compose(overrides)
    name = run_name(plain(config), choices(config))
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name)
    assert name.endswith(config_hash(plain(config)))
