"""Every operator in every backbone for both tasks: forward, backward, and a gradient at every parameter, at 32 px."""

from itertools import cycle, product

import pytest
import torch
import torch.nn.functional as F

from litconv import build
from litconv.config.composed import compose
from yamls import in_turn, names, own_backbones

OPERATORS = names("conv")
# Cheap, and with channels that all divide one another.
CHEAP = {
    "resnet": ["backbone.depth=8", "width=0.5"],
    "wide_resnet": ["backbone.depth=10", "backbone.widen=1", "width=0.5"],
    "vgg": ["backbone.depth=11", "width=0.125"],
    "mobilenet": ["width=0.125"],
}
BACKBONES = own_backbones()
DECODERS = [head for head in names("head") if head != "linear"]
TURNS = cycle(DECODERS)
CELLS = [pytest.param(*cell.values, next(TURNS), marks=cell.marks) for cell in in_turn("backbone")]
QUICK = [cell.values for cell in CELLS if not cell.marks]


def step(model: torch.nn.Module, target: torch.Tensor) -> torch.nn.Module:
    model.train()
    logits = model(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert logits.shape == (2, 10, *target.shape[1:])
    F.cross_entropy(logits, target).backward()
    return model


def test_every_operator_and_every_backbone_meets_every_decoder():
    assert {(operator, head) for operator, _, head in (cell.values for cell in CELLS)} == set(
        product(OPERATORS, DECODERS)
    )
    assert {(backbone, head) for _, backbone, head in QUICK} == set(product(BACKBONES, DECODERS))
    assert {operator: len({b for o, b, _ in QUICK if o == operator}) >= 2 for operator in OPERATORS} == dict.fromkeys(
        OPERATORS, True
    )


def check_gradients(model: torch.nn.Module) -> None:
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.mark.parametrize(("operator", "backbone"), in_turn("backbone"))
def test_classification_reaches_every_parameter(arm, operator, backbone):
    model = arm(operator, f"backbone={backbone}", *CHEAP.get(backbone, []))
    check_gradients(step(model, torch.tensor([3, 7])))


@pytest.mark.parametrize(("operator", "backbone", "head"), CELLS)
def test_segmentation_reaches_every_parameter(arm, operator, backbone, head):
    model = arm(operator, f"backbone={backbone}", *CHEAP.get(backbone, []), "task=segmentation", f"head={head}")
    target = torch.randint(10, (2, 32, 32), generator=torch.Generator().manual_seed(0))
    check_gradients(step(model, target))


@pytest.mark.parametrize("modulated", [False, True], ids=["v1", "v2"])
def test_offsets_get_gradients_from_the_first_step(modulated):
    config = compose(["conv=deformable", f"conv.modulated={modulated}", "backbone=resnet", "width=0.5"])
    model = step(build.model(config, in_channels=3, num_classes=10), torch.tensor([3, 7]))
    offsets = {name: p.grad for name, p in model.named_parameters() if ".offset." in name}
    assert len(offsets) == 2 * 6  # weight and bias of the six slots
    for name, grad in offsets.items():
        assert grad.flatten(1).any(1).all() if grad.ndim > 1 else grad.all(), name  # every channel: y, x and mask
