"""Costs: the golden ledger, published numbers, operations without a MAC rule."""

import json

import pytest
import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn
from torchvision import models

from golden import regenerate
from litconv.conv import Standard
from litconv.cost import count
from litconv.errors import ConfigError
from yamls import in_turn


@pytest.fixture(scope="module")
def ledger() -> dict[str, dict[str, int]]:
    return json.loads(regenerate.LEDGER.read_text())


@pytest.mark.parametrize(("operator", "backbone"), in_turn("backbone"))
def test_the_cost_is_that_of_the_ledger(ledger, backbone, operator):
    cost = regenerate.counted(backbone, operator)
    assert cost.second_opinion == "agrees: fvcore, FlopCounterMode, closed forms"
    assert cost.uncounted_ops == {}
    found = regenerate.row(cost)
    remedy = f"if this is meant, run: {regenerate.COMMAND}"
    assert ledger.get(f"{backbone} {operator}") == found, f"{backbone} {operator} costs {found}; {remedy}"


def test_the_ledger_has_no_row_of_what_is_gone(ledger):
    known = {f"{backbone} {operator}" for backbone in regenerate.BACKBONES for operator in regenerate.OPERATORS}
    assert ledger.keys() == known, f"run: {regenerate.COMMAND}"


@pytest.mark.parametrize(
    ("build", "weights"),
    [
        (models.resnet18, models.ResNet18_Weights.IMAGENET1K_V1),
        (models.mobilenet_v2, models.MobileNet_V2_Weights.IMAGENET1K_V1),
    ],
    ids=["resnet18", "mobilenet_v2"],
)
def test_torchvision_models_cost_what_is_published(build, weights):
    cost = count(build(), 3, (224, 224))
    assert cost.params == weights.meta["num_params"]
    assert round(cost.macs / 1e9, 3) == weights.meta["_ops"]
    assert cost.flops == 2 * cost.macs
    assert cost.uncounted_ops == {}


@pytest.mark.parametrize("path", sorted((regenerate.CONF / "upsample").glob("*.yaml")), ids=lambda path: path.stem)
def test_upsamplers_cost_their_formula(path):
    module = instantiate(OmegaConf.load(path))(6, 10)
    cost = count(module, 6, (5, 7))
    assert (cost.params, cost.macs) == module.formula(5, 7)
    assert cost.uncounted_ops == {}


class Fourier(nn.Module):
    def forward(self, x):
        return torch.fft.fft2(torch.fft.fft2(x)).real


def test_an_operation_that_nobody_can_count_is_refused_or_listed_not_zero():
    model = nn.Sequential(Standard(3, 4), Fourier())
    with pytest.raises(ConfigError, match=r"^no MAC rule for aten::fft_fft2 ×2 \(in 1\): .*allow_uncounted=true$"):
        count(model, 3, (8, 8))
    cost = count(model, 3, (8, 8), allow_uncounted=True)
    assert cost.macs == 9 * 3 * 4 * 64
    assert cost.uncounted_ops["aten::fft_fft2"] == 2
    assert "aten::fft_fft2 ×2" in cost.summary()["cost/uncounted_ops"]


def test_norms_activations_pooling_and_interpolation_are_no_macs():
    layers = (nn.BatchNorm2d(4), nn.ReLU(), nn.SiLU(), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Upsample(scale_factor=2))
    bilinear = nn.Upsample(scale_factor=2, mode="bilinear")
    cost = count(nn.Sequential(Standard(3, 4), *layers, bilinear, nn.AdaptiveAvgPool2d(1)), 3, (16, 16))
    assert cost.macs == 9 * 3 * 4 * 256
    assert cost.activations == 4 * 256  # of the convolution alone
    pixels = 4 * 256  # BatchNorm 2 a value, ReLU and SiLU 1; both pools 2×2 windows; nearest 1, bilinear 4; a mean
    assert cost.elementwise_ops == 4 * pixels + pixels + pixels // 4 + pixels // 4 + 4 * pixels + pixels
    assert cost.uncounted_ops == {}


class Then(nn.Module):
    """A product, then some operation on its (1, 4, 8, 8)."""

    def __init__(self, operation):
        super().__init__()
        self.product, self.operation = nn.Conv2d(4, 4, 1, bias=False), operation

    def forward(self, x):
        return self.operation(self.product(x))


VALUES = 4 * 8 * 8
TABLE = torch.zeros(4, 3)


@pytest.mark.parametrize(
    ("operation", "elementwise_ops"),
    [
        (lambda y: F.embedding(y.argmax(1), TABLE.to(y.device)), VALUES),  # of the argmax
        (lambda y: F.max_unpool2d(*F.max_pool2d(y, 2, return_indices=True), 2), VALUES),  # of the pooling
        (lambda y: y.masked_select(y > 0), VALUES),  # of the comparison
        (lambda y: torch.complex(y, y).imag, 0),
        (lambda y: y.topk(2)[0], VALUES),
        (lambda y: y.flatten(2).sort()[0], VALUES),
        (lambda y: y + torch.randn_like(y), 2 * VALUES),
        (lambda y: torch.zeros_like(y).scatter_add(1, torch.zeros_like(y).long(), y), VALUES),
        (lambda y: F.interpolate(y.flatten(2), scale_factor=2, mode="linear"), 2 * 2 * VALUES),
        (lambda y: F.cosine_similarity(y, y), 6 * VALUES),
    ],
    ids=[
        "embedding",
        "unpooling",
        "masked_select",
        "complex",
        "topk",
        "sort",
        "randn",
        "scatter_add",
        "linear",
        "cosine",
    ],
)
def test_what_only_moves_compares_or_draws_values_is_counted_and_not_refused(operation, elementwise_ops):
    cost = count(Then(operation), 4, (8, 8))
    assert cost.agrees
    assert (cost.macs, cost.elementwise_ops, cost.uncounted_ops) == (16 * 64, elementwise_ops, {})


class Rows(nn.Module):
    """A recurrent layer over the pixels of an image."""

    def __init__(self, kind):
        super().__init__()
        self.layer = kind(4, 6, num_layers=2, bidirectional=True, batch_first=True)

    def forward(self, x):
        return self.layer(x.flatten(2).transpose(1, 2))[0]


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_multiply_by_each_of_their_matrices_at_every_position(kind):
    model = Rows(kind)
    cost = count(model, 4, (8, 8))
    assert cost.agrees
    assert cost.macs == 64 * sum(p.numel() for p in model.parameters() if p.ndim == 2)


def test_a_model_that_is_compiled_in_place_costs_the_same_and_is_not_run():
    model = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    expected = count(model, 4, (8, 8)).summary()
    model.compile(backend="eager")
    assert count(model, 4, (8, 8)).summary() == expected
    assert model[1].num_batches_tracked == 0


def test_trainable_params_are_those_that_are():
    model = nn.Sequential(Standard(3, 4), Standard(4, 4))
    model[0].requires_grad_(False)
    cost = count(model, 3, (8, 8))
    assert (cost.params, cost.trainable_params) == (9 * 12 + 9 * 16, 9 * 16)
