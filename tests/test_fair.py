"""Two arms differ in the operator alone: equal weights, batches and variance, no norm decayed, no trace of counting."""

import logging
import pickle
import random
import warnings
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

from litconv import build
from litconv.config.composed import compose
from litconv.conv import ConvFactory, Deformable, Standard
from litconv.conv.initial import initialise
from litconv.cost import count
from litconv.errors import ConfigError
from litconv.optim import parameter_groups
from yamls import in_turn, own_backbones

CONF = Path(__file__).parents[1] / "conf"
OPERATORS = sorted(path.stem for path in (CONF / "conv").glob("*.yaml"))
BACKBONES = own_backbones()
# The deepest are cut short: what is shown holds for every layer.
SHORT = {"wide_resnet": ["backbone.depth=10", "backbone.widen=1"], "vgg": ["width=0.25"], "mobilenet": ["width=0.25"]}
SMALL_SET = ["++data.n_train=70", "++data.n_val=8", "++data.n_test=8"]
# Options that the yamls leave off and that change how a layer is initialised.
OPTIONS = {
    "grouped": [{"groups": 4}, {"groups": 16, "shuffle": True}],
    "separable": [{"depthwise": True}],
    "depthwise_separable": [{"groups": 4}],
    "deformable": [{"modulated": True}],
    "bottleneck": [{"reduction": 2}],
    "condconv": [{"experts": 3}],
    "ghost": [{"norm_between": True}],
    "octave": [{"alpha": 0.25}],
    "reparam": [{"branches": 3}],
    "wavelet": [{"levels": 3}],
}


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


@pytest.fixture(scope="module")
def standard(arm):
    """The standard arm's weights, built once for each set of overrides."""
    return cache(lambda *overrides: weights(arm("standard", *overrides)))


@pytest.mark.parametrize(("operator", "backbone"), in_turn("backbone"))
def test_layers_of_equal_name_and_shape_start_equal_to_the_standard_ones(arm, standard, operator, backbone):
    for task, parts in {"segmentation": (".scores.", ".ups."), "classification": (".classifier.",)}.items():
        overrides = [f"backbone={backbone}", *SHORT.get(backbone, []), f"task={task}"]
        expected = standard(*overrides)
        torch.rand(len(operator))  # the global generator's state must not matter
        mine = weights(arm(operator, *overrides))
        shared = [name for name, p in mine.items() if name in expected and p.shape == expected[name].shape]
        assert [name for name in shared if not torch.equal(mine[name], expected[name])] == []
        for part in (".stem.", *parts, *([".shortcut."] if "resnet" in backbone else [])):
            outside_the_slot = {name for name in expected if part in name}
            assert outside_the_slot, part
            assert outside_the_slot <= set(shared)


def test_another_seed_draws_other_weights(arm, standard):
    first, second = standard("backbone=resnet"), weights(arm("standard", "backbone=resnet", "seed=1"))
    assert all(not torch.equal(first[name], p) for name, p in second.items() if p.ndim > 1)


def test_layers_of_equal_shape_and_different_name_start_different(standard):
    same = [p for p in standard("backbone=resnet", "backbone.depth=14").values() if p.shape == (64, 64, 3, 3)]
    assert len(same) == 3
    assert not torch.equal(same[0], same[1])


@cache
def batches(operator: str, *overrides: str) -> list[torch.Tensor]:
    """Two epochs, after the model is built, which leaves every operator with another state of the global generator."""
    config = compose([f"conv={operator}", "data=shapes", *SMALL_SET, *overrides])
    build.model(config, in_channels=3, num_classes=10)
    data = build.data(config)
    data.prepare_data()
    data.setup("fit")
    loader, drawn = data.train_dataloader(), []
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        for x, y in loader:
            torch.rand(len(operator))  # what dropout draws between two batches
            drawn += [x, y]
    return drawn


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_sees_the_same_batches(operator):
    mine, expected = batches(operator), batches("standard")
    assert len(mine) == len(expected) == 2 * 2 * 2
    assert all(torch.equal(a, b) for a, b in zip(mine, expected, strict=True))


def test_another_epoch_or_seed_has_other_batches():
    first, second, other = batches("standard")[0], batches("standard")[4], batches("standard", "seed=1")[0]
    assert not torch.equal(first, second)
    assert not torch.equal(first, other)


VARIANCE_CASES = [(64, 64, 1), (64, 128, 1), (64, 64, 2), (64, 128, 2)]


def plain_hydra(operator: str) -> ConvFactory:
    return instantiate(OmegaConf.create({"conv": OmegaConf.load(CONF / "conv" / f"{operator}.yaml")}).conv)


def output_variance(factory, c_in: int, c_out: int, stride: int, seeds: int = 5) -> float:
    """Of white noise, averaged over seeds, in the middle of the map: the zeros around it are felt more by wider kernels."""
    total = 0.0
    for seed in range(seeds):
        module = factory(c_in, c_out, stride=stride)
        initialise(module, seed)
        x = torch.randn(1, c_in, 40, 40, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            y = module(x)
        border = y.shape[-1] // 4
        total += y[..., border:-border, border:-border].var().item()
    return total / seeds


@cache
def standard_variance(*case: int) -> float:
    return output_variance(Standard, *case)


@pytest.mark.parametrize("case", VARIANCE_CASES, ids=lambda case: "{}→{}/{}".format(*case))
@pytest.mark.parametrize("operator", OPERATORS)
def test_the_output_variance_at_the_start_is_within_a_tenth_of_the_standard_one(operator, case):
    factory = plain_hydra(operator)
    for options in [{}, *OPTIONS.get(operator, [])]:
        variance = output_variance(partial(factory, **options), *case)
        assert variance == pytest.approx(standard_variance(*case), rel=0.1), options


@pytest.mark.parametrize("case", VARIANCE_CASES, ids=lambda case: "{}→{}/{}".format(*case))
def test_the_standard_output_keeps_the_variance_through_a_relu(case):
    """gain² = 2: a ReLU then leaves a mean square of 1."""
    assert standard_variance(*case) == pytest.approx(2.0, rel=0.06)


@pytest.mark.parametrize("operator", OPERATORS)
def test_what_starts_at_zero_is_left_there_and_everything_else_is_drawn(operator):
    for options in [{}, *OPTIONS.get(operator, [])]:
        module = partial(plain_hydra(operator), **options)(16, 32)
        before = {name: p.detach().clone() for name, p in module.named_parameters()}
        initialise(module, seed=0)
        for name, parameter in module.named_parameters():
            drawn = parameter.ndim > 1 and bool(before[name].any())
            assert torch.equal(parameter, before[name]) != drawn, name


@pytest.mark.parametrize("modulated", [False, True], ids=["v1", "v2"])
def test_offsets_are_zero_after_initialisation(modulated):
    module = Deformable(16, 32, modulated=modulated)
    initialise(module, seed=0)
    assert not module.offset.weight.any()
    assert not module.offset.bias.any()
    assert module.weight.any()


@pytest.mark.parametrize("operator", OPERATORS)
def test_norms_and_biases_are_not_decayed_and_all_else_is(arm, operator):
    whole = arm(operator, "backbone=resnet", "task=segmentation")
    groups = parameter_groups(whole)
    assert {group.get("weight_decay") for group in groups} == {None, 0}  # None: the optimiser's own
    plain = [p for group in groups if "weight_decay" in group for p in group["params"]]
    decayed = [p for group in groups if "weight_decay" not in group for p in group["params"]]
    names = {id(p): name for name, p in whole.named_parameters()}
    norms = {id(p) for m in whole.modules() if isinstance(m, nn.BatchNorm2d | nn.GroupNorm) for p in m.parameters()}
    biases = {key for key, name in names.items() if name.endswith("bias")}
    assert {id(p) for p in plain} == norms | biases
    assert {id(p) for p in decayed} == names.keys() - norms - biases


# Counting cost leaves no trace


def fingerprint(module: nn.Module) -> dict[str, object]:
    """Everything that counting could change, as bytes and plain values."""
    state = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_state_dict_hooks")
    return {
        "state": pickle.dumps(state),
        "storage": [tensor.data_ptr() for tensor in module.state_dict().values()],
        "modes": [m.training for m in module.modules()],
        "hooks": [list(getattr(m, hook).items()) for m in module.modules() for hook in hooks],
        "attributes": [sorted(vars(m)) for m in module.modules()],
        "types": [(type(m), m.forward.__func__) for m in module.modules()],
        "requires_grad": [p.requires_grad for p in module.parameters()],
        "gradients": [None if p.grad is None else (id(p.grad), p.grad.sum().item()) for p in module.parameters()],
        "random": (torch.get_rng_state().tolist(), pickle.dumps(np.random.get_state()), random.getstate()),
        "global": (torch.is_grad_enabled(), torch.get_default_dtype(), list(warnings.filters)),
        "log levels": [logging.getLogger(name).level for name in (None, "fvcore", "fvcore.nn.jit_analysis")],
    }


@pytest.fixture
def worn(arm):
    """Models in the middle of their life: statistics, gradients, a frozen layer, mixed modes, a hook."""

    def build(operator: str) -> nn.Module:
        whole = arm(operator, "backbone=resnet", "width=0.5").train()
        whole(torch.randn(2, 3, 16, 16)).sum().backward()
        whole.backbone.stage1.eval()
        whole.backbone.stem.requires_grad_(False)
        whole.head.register_forward_hook(lambda *_: None)
        return whole

    return build


@pytest.mark.parametrize("operator", OPERATORS)
def test_counting_cost_leaves_no_trace(worn, operator):
    whole = worn(operator)
    before = fingerprint(whole)
    count(whole, 3, (16, 16))
    after = fingerprint(whole)
    for what, value in before.items():
        assert after[what] == value, what


def test_the_count_does_not_depend_on_mode_precision_or_frozen_layers(arm, worn):
    expected = count(arm("deformable", "backbone=resnet", "width=0.5"), 3, (16, 16))
    changed = count(worn("deformable").double(), 3, (16, 16))
    assert (changed.params, changed.macs, changed.activations) == (expected.params, expected.macs, expected.activations)
    assert changed.trainable_params == expected.trainable_params - (27 * 8 + 8 + 8)


@pytest.mark.parametrize("operator", ["standard", "deformable"])
def test_a_model_is_pickled_the_same_after_counting_and_a_compiled_one_is_counted_as_what_it_compiles(worn, operator):
    whole = worn(operator)
    del whole.head._forward_hooks[next(iter(whole.head._forward_hooks))]  # a lambda cannot be pickled
    before = pickle.dumps(whole)
    expected = count(whole, 3, (16, 16))
    assert pickle.dumps(whole) == before
    assert count(torch.compile(whole), 3, (16, 16)) == expected
    whole.backbone.stage2 = torch.compile(whole.backbone.stage2)
    assert count(whole, 3, (16, 16)) == expected
    assert hasattr(whole.backbone.stage2, "_orig_mod")


class Broken(nn.Module):
    """Draws random numbers and then fails."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.rand(3)
        raise RuntimeError("no forward")


def test_counting_that_fails_leaves_no_trace_either(worn):
    whole = worn("standard")
    whole.head.classifier = Broken()
    before = fingerprint(whole)
    with pytest.raises(
        ConfigError, match=r"^the model's forward fails on one image of 3×16×16: RuntimeError: no forward$"
    ):
        count(whole, 3, (16, 16))
    after = fingerprint(whole)
    for what, value in before.items():
        assert after[what] == value, what
