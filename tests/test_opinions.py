"""Three opinions on every count: they agree on everything here and on torchvision's models, and say where they do not."""

import json
import logging

import pytest
import torch
from torch import nn
from torchvision import models, ops

from golden import regenerate
from litconv.conv import Standard
from litconv.conv.slot import Formula
from litconv.cost import count
from litconv.errors import ConfigError

HEADS = sorted(path.stem for path in (regenerate.CONF / "head").glob("*.yaml"))
TORCHVISION = {
    "resnet18": 224,
    "mobilenet_v2": 224,
    "shufflenet_v2_x1_0": 224,
    "convnext_tiny": 224,
    "vit_b_16": 224,
    "deeplabv3_resnet50": 96,
}


def backbones() -> list:
    """All of them with every head are 144 models: a minute; with the linear head they stand in the ledger."""
    return [pytest.param(name, marks=[] if name == "resnet" else pytest.mark.slow) for name in regenerate.BACKBONES]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("operator", regenerate.OPERATORS)
@pytest.mark.parametrize("backbone", backbones())
def test_every_operator_backbone_and_head_costs_the_same_in_all_three_opinions(backbone, operator, head):
    cost = count(regenerate.model(backbone, operator, head), 3, (32, 32))
    assert cost.second_opinion == "agrees: fvcore, FlopCounterMode, closed forms"
    assert cost.uncounted_ops == {}
    assert sum(layer.macs for layer in cost.layers) == cost.macs
    assert sum(layer.params for layer in cost.layers) == cost.params
    assert sum(layer.share for layer in cost.layers) == pytest.approx(1)


@pytest.mark.parametrize(("name", "size"), TORCHVISION.items())
def test_both_counters_agree_on_models_of_torchvision(name, size):
    with torch.device("meta"):
        model = models.get_model(name, weights=None, **({"weights_backbone": None} if "deeplab" in name else {}))
    cost = count(model, 3, (size, size))
    assert cost.second_opinion == "agrees: fvcore, FlopCounterMode"
    assert cost.uncounted_ops == {}


class Hidden(nn.Module):
    """An operator in the manner of an involution: its products are a multiplication and a sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, channels))

    def forward(self, x):
        return (x.unsqueeze(1) * self.weight[..., None, None]).sum(2)

    def formula(self, height: int, width: int) -> Formula:
        return Formula(self.weight.numel(), self.weight.numel() * height * width)


def test_products_that_both_counters_miss_are_found_by_the_closed_form(caplog):
    with caplog.at_level(logging.WARNING, "litconv"):
        cost = count(nn.Sequential(Standard(3, 4), Hidden(4)), 3, (8, 8))
    assert cost.macs == 9 * 3 * 4 * 64
    assert not cost.agrees
    assert cost.second_opinion == "differs: 1 (fvcore 0, closed form 1,024)"
    assert cost.summary()["cost/second_opinion"] == cost.second_opinion
    assert caplog.messages == [f"cost: the counts of this model differ, trust none of them: {cost.second_opinion}"]


class Padded(nn.Module):
    """Two thirds of its work are outside of what its formula says."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, bias=False)

    def forward(self, x):
        return self.conv(torch.cat((x, x, x)))

    def formula(self, height: int, width: int) -> Formula:
        return Formula(self.conv.weight.numel() + 1, self.conv.weight.numel() * height * width)


def test_a_formula_that_is_wrong_is_named_with_both_figures():
    differs = count(nn.Sequential(Padded()), 3, (8, 8)).second_opinion
    assert "0 (fvcore 20,736, closed form 6,912)" in differs
    assert "0 (108 params, closed form 109)" in differs


def test_padding_same_attention_and_deformable_convolution_of_torchvision_are_counted():
    class Deformable(nn.Module):
        def __init__(self, masked: bool) -> None:
            super().__init__()
            self.guide = nn.Conv2d(4, 27, 3, padding="same")
            self.deform = ops.DeformConv2d(4, 6, 3, padding=1)
            self.masked = masked

        def forward(self, x):
            guide = self.guide(x)
            return self.deform(x, guide[:, :18], guide[:, 18:].sigmoid() if self.masked else None)

    for masked in (False, True):
        cost = count(Deformable(masked), 4, (5, 7))
        assert cost.agrees
        assert cost.macs == 9 * 4 * (27 + 6) * 35
        assert cost.activations == (27 + 6) * 35
        assert cost.elementwise_ops == 35 * 4 * 9 * (4 + masked) + masked * 9 * 35
        assert cost.receptive_field == 3  # on the regular grid

    class Attention(nn.Module):
        def forward(self, x):
            q = x.flatten(2).transpose(1, 2).unsqueeze(1)  # (1, 1, H·W, C)
            return nn.functional.scaled_dot_product_attention(q, q, q)

    cost = count(Attention(), 4, (3, 5))
    assert (cost.macs, cost.activations, cost.elementwise_ops) == (2 * 15 * 15 * 4, 15 * 15 + 15 * 4, 3 * 15 * 15)
    assert cost.agrees


def published(name: str) -> tuple[nn.Module, dict, int]:
    """The model that the metadata of its weights is about, on the meta device, and its image size."""
    weights = next(iter(models.get_model_weights(name)))
    options = {"weights": None, "num_classes": len(weights.meta["categories"])}
    transforms = weights.transforms()
    size = 520 if name in models.list_models(models.segmentation) else transforms.crop_size[0]
    if name in models.list_models(models.segmentation):
        options["weights_backbone"] = None
        if "lraspp" not in name:
            options["aux_loss"] = True  # the published figures are those with the auxiliary head
    if name == "vit_h_14":
        options["image_size"] = size
    if name in ("googlenet", "inception_v3"):
        options["init_weights"] = False
    if name == "googlenet":
        options["aux_logits"] = False  # and here those without both
    with torch.device("meta"):
        return models.get_model(name, **options), weights.meta, size


@pytest.mark.slow
@pytest.mark.parametrize("half", [0, 1])  # a core each by `--dist load`
def test_torchvision_models_that_build_on_the_meta_device_cost_what_their_weights_say(half):
    built, wrong = 0, []
    for name in (models.list_models(models) + models.list_models(models.segmentation))[half::2]:
        try:
            model, meta, size = published(name)
        except NotImplementedError:  # RegNets compute their widths with tensors
            assert name.startswith("regnet")
            continue
        built += 1
        cost = count(model, 3, (size, size))
        if (cost.params, f"{cost.macs / 1e9:.3f}") != (meta["num_params"], f"{meta['_ops']:.3f}") or not cost.agrees:
            wrong.append((name, cost.params, meta["num_params"], cost.macs, meta["_ops"], cost.second_opinion))
    assert not wrong, json.dumps(wrong, indent=1)
    assert built >= 33  # 71 in both halves


@torch.library.custom_op("litconv_test::opaque", mutates_args=())
def opaque(x: torch.Tensor) -> torch.Tensor:
    return x * 2


class Opaque(nn.Module):
    def forward(self, x):
        return opaque(x)


def test_an_operation_that_nobody_declared_is_refused_by_name():
    model = nn.Sequential(Standard(3, 4), nn.Sequential(Opaque()))  # it has no implementation on the meta device
    with pytest.raises(ConfigError, match=r"^no MAC rule for litconv_test::opaque ×1 \(in 1\.0\): .*allow_uncounted"):
        count(model, 3, (8, 8))
    cost = count(model, 3, (8, 8), allow_uncounted=True)
    assert cost.summary()["cost/uncounted_ops"] == ["litconv_test::opaque ×1"]
    assert cost.macs == 9 * 3 * 4 * 64


class Squared(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x @ x.transpose(-1, -2)


def test_a_function_with_its_own_gradient_is_refused_by_name():
    class Custom(nn.Module):
        def forward(self, x):
            return Squared.apply(x)

    with pytest.raises(ConfigError, match=r"^no MAC rule for prim::PythonOp\.Squared ×1 \(in the model itself\): "):
        count(Custom(), 3, (8, 8))


def test_broadcast_products_and_sums_over_two_indices_are_counted_exactly():
    class Products(nn.Module):
        def forward(self, x):  # (1, 3, 8, 8)
            left = x[0, 0, :5] @ x  # (5, 8) @ (1, 3, 8, 8): the first is broadcast
            return torch.einsum("bchw,bcgw->bchg", left, x)

    cost = count(Products(), 3, (8, 8))
    assert cost.macs == 3 * 5 * 8 * 8 + 3 * 5 * 8 * 8
    assert cost.agrees
