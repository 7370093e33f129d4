"""Three opinions on every count: they agree on everything here and on torchvision's models, and say where they do not."""

import json
import logging

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune
from torchvision import models, ops

from golden import regenerate
from litconv.conv import Standard
from litconv.conv.slot import Formula
from litconv.cost import count
from litconv.errors import ConfigError
from yamls import in_turn

HEADS = sorted(path.stem for path in (regenerate.CONF / "head").glob("*.yaml"))
TORCHVISION = {
    "resnet18": 224,
    "mobilenet_v2": 224,
    "shufflenet_v2_x1_0": 224,
    "convnext_tiny": 224,
    "vit_b_16": 224,
    "deeplabv3_resnet50": 96,
}


@pytest.mark.slow
@pytest.mark.parametrize("backbone", [name for name in regenerate.BACKBONES if name != "resnet"])
@pytest.mark.parametrize(("operator", "head"), in_turn("head", each=len(HEADS)))
def test_every_operator_backbone_and_head_costs_the_same_in_all_three_opinions(backbone, operator, head):
    all_agree(backbone, operator, head)


@pytest.mark.parametrize(("operator", "head"), in_turn("head"))
def test_every_operator_and_head_costs_the_same_in_all_three_opinions(operator, head):
    """In one backbone; with the linear head all stand in the ledger."""
    all_agree("resnet", operator, head)


def all_agree(backbone: str, operator: str, head: str) -> None:
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


# -- what costs a forward nothing --------------------------------------------------------------------------------------


def layers() -> list[nn.Module]:
    return [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 6, 3, groups=2), nn.Flatten(), nn.Linear(216, 4)]


def plain() -> nn.Module:
    return nn.Sequential(nn.Sequential(*layers()[:3]), *layers()[3:])


def with_inner(change) -> nn.Module:
    """`change` wraps the first part and is applied to every layer with a weight."""
    model = plain()
    return nn.Sequential(change(model[0]), *model[1:])


def every_weight(change):
    def changed(module: nn.Module) -> nn.Module:
        for layer in module:
            if hasattr(layer, "weight"):
                change(layer)
        return module

    return changed


@pytest.fixture
def one_process():
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def facts(cost) -> tuple:
    rows = [(layer.name, layer.operator, layer.params, layer.macs) for layer in cost.layers]
    return cost.params, cost.macs, cost.activations, cost.elementwise_ops, cost.receptive_field, rows


def halved(layer: nn.Module) -> None:
    prune.l1_unstructured(layer, "weight", amount=0.5)
    prune.random_unstructured(layer, "weight", amount=0.5)


class Symmetric(nn.Module):
    def forward(self, weight):
        return (weight + weight.flip(-1)) / 2


WRAPPERS = {
    "DataParallel": nn.DataParallel,
    "compiled": torch.compile,
    "both": lambda module: nn.DataParallel(torch.compile(module)),
    "both, the other way": lambda module: torch.compile(nn.DataParallel(module)),
    "old weight_norm": every_weight(nn.utils.weight_norm),
    "old spectral_norm": every_weight(nn.utils.spectral_norm),
    "weight_norm": every_weight(parametrizations.weight_norm),
    "spectral_norm": every_weight(parametrizations.spectral_norm),
    "orthogonal": every_weight(parametrizations.orthogonal),
    "two of them": every_weight(lambda layer: parametrizations.spectral_norm(parametrizations.weight_norm(layer))),
    "one's own": every_weight(lambda layer: parametrize.register_parametrization(layer, "weight", Symmetric())),
    "pruned": every_weight(halved),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_and_what_is_computed_of_parameters_alone_cost_nothing(wrapper):
    expected = facts(count(plain(), 3, (8, 8)))
    model = with_inner(WRAPPERS[wrapper])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    image = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        out = model.eval()(image) if "compiled" not in wrapper and "both" not in wrapper else None
    for _ in range(2):  # counting leaves no trace
        cost = count(model, 3, (8, 8))
        assert cost.agrees
        assert cost.uncounted_ops == {}
        assert facts(cost) == expected
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    if out is not None:
        with torch.no_grad():
            assert torch.equal(model(image), out)


@pytest.mark.parametrize("wrapper", [nn.DataParallel, torch.compile])
def test_a_model_that_is_wrapped_whole_costs_what_it_wraps(wrapper):
    assert facts(count(wrapper(plain()), 3, (8, 8))) == facts(count(plain(), 3, (8, 8)))


def test_ddp_is_looked_through(one_process):
    expected = facts(count(plain(), 3, (8, 8)))
    ddp = nn.parallel.DistributedDataParallel
    assert facts(count(with_inner(ddp), 3, (8, 8))) == expected
    assert facts(count(ddp(plain()), 3, (8, 8))) == expected


def test_a_weight_that_is_shared_with_a_wrapped_module_is_counted_once():
    model = nn.ModuleDict({"a": nn.Conv2d(3, 3, 3, padding=1)})
    model["b"] = nn.DataParallel(model["a"])
    shared = nn.Sequential(model["a"], model["b"])
    cost = count(shared, 3, (8, 8))
    assert (cost.params, cost.macs) == (9 * 9 + 3, 2 * 9 * 9 * 64)


def test_parameters_that_are_only_named_as_those_of_a_norm_stay():
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight_g, self.weight_orig = nn.Parameter(torch.ones(3, 1, 1)), nn.Parameter(torch.ones(3, 1, 1))

        def forward(self, x):
            return x * self.weight_g + self.weight_orig

    cost = count(nn.Sequential(Named()), 3, (8, 8))
    assert (cost.params, cost.elementwise_ops) == (6, 2 * 3 * 64)


MOVES = {
    "reshape_as": lambda x: x.reshape_as(x.flatten()),
    "view_as": lambda x: x.view_as(x.flatten()),
    "broadcast_to": lambda x: x.broadcast_to(2, 3, 8, 8),
    "tile": lambda x: x.tile(1, 1, 2, 1),
    "hstack": lambda x: torch.hstack([x, x]),
    "vstack": lambda x: torch.vstack([x, x]),
    "dstack": lambda x: torch.dstack([x, x]),
    "concat": lambda x: torch.concat([x, x]),
    "meshgrid": lambda x: torch.meshgrid(x[0, 0, 0], x[0, 0, 1], indexing="ij")[0],
    "ravel": lambda x: x.ravel(),
    "moveaxis": lambda x: x.moveaxis(1, 3),
    "swapdims": lambda x: x.swapdims(1, 3),
    "mT": lambda x: x.mT,
    "mH": lambda x: x.mH,
    "fliplr": lambda x: x.fliplr(),
    "flipud": lambda x: x.flipud(),
    "rot90": lambda x: x.rot90(1, (2, 3)),
    "diagonal": lambda x: x.diagonal(0, 2, 3),
    "diag_embed": lambda x: x.diag_embed(),
    "take_along_dim": lambda x: x.take_along_dim(torch.zeros(1, 3, 8, 1, dtype=torch.long, device=x.device), 3),
    "scatter": lambda x: x.scatter(3, torch.zeros(1, 3, 8, 1, dtype=torch.long, device=x.device), 0.0),
    "slice_scatter": lambda x: x.slice_scatter(x[:, :, :2], 2, 0, 2),
    "select_scatter": lambda x: x.select_scatter(x[:, :, 0], 2, 0),
    "index_copy": lambda x: x.index_copy(2, torch.tensor([1], device=x.device), x[:, :, :1]),
    "index_fill": lambda x: x.index_fill(2, torch.tensor([1], device=x.device), 0.0),
    "reflection_pad": lambda x: nn.functional.pad(x[0], (1, 1), mode="reflect"),
    "circular_pad": lambda x: nn.functional.pad(x, (1, 1, 1, 1), mode="circular"),
    "hsplit": lambda x: x.hsplit(3)[0],
    "unsafe_chunk": lambda x: x.unsafe_chunk(2, 2)[0],
    "atleast_3d": lambda x: torch.atleast_3d(x),
    "as_strided": lambda x: x.as_strided((2, 2), (1, 2)),
    "view_as_complex": lambda x: torch.view_as_real(torch.view_as_complex(x.reshape(-1, 2))),
    "record_function": lambda x: recorded(x),
}


def recorded(x):
    with torch.profiler.record_function("a part"):
        return x.flatten()


class Only(nn.Module):
    def __init__(self, operation) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, x):
        return self.operation(x)


@pytest.mark.parametrize("name", MOVES)
def test_what_moves_values_about_is_no_operation(name):
    cost = count(nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), Only(MOVES[name])), 3, (8, 8))
    assert (cost.macs, cost.elementwise_ops, cost.uncounted_ops) == (9 * 64, 0, {})
    assert cost.agrees


SUMS = {  # element-wise operations of an image of 3×8×8 = 192 values
    "rms_norm": (nn.RMSNorm((3, 8, 8)), 4 * 192),
    "rms_norm without weights": (nn.RMSNorm((3, 8, 8), elementwise_affine=False), 3 * 192),
    "fold": (nn.Sequential(nn.Unfold(2), nn.Fold((8, 8), 2)), 3 * 4 * 49),  # 7×7 windows of 2×2
    "avg_pool3d": (Only(lambda x: nn.functional.avg_pool3d(x[:, None], (1, 2, 2))), 192),
    "divide": (Only(lambda x: x.divide(2.0)), 192),
    "atan2": (Only(lambda x: x.atan2(x)), 192),
}


@pytest.mark.parametrize("name", SUMS)
def test_sums_and_arithmetic_are_element_wise_operations(name):
    module, operations = SUMS[name]
    cost = count(nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), module), 3, (8, 8))
    assert (cost.macs, cost.elementwise_ops, cost.uncounted_ops) == (9 * 64, operations, {})
