"""Every operator yaml in the conv slot: sizes, values against a naive reference, cost against the table of formulas.

The yamls are globbed: one without an entry in REFERENCES or TABLE is still held to the contract and both counters.
"""

import copy
import inspect
import subprocess
import sys
from collections.abc import Iterator
from functools import cache, partial
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import beyond_core
from beyond_core import once
from litconv.conv import Bottleneck, Deformable, Depthwise, Dilated, Grouped, Pointwise, SameConv2d, Separable, Standard
from litconv.conv.bsconv_u import BSConvU
from litconv.conv.initial import initialise
from litconv.conv.slot import DECLARED_COSTS, ConvFactory
from litconv.cost import count
from litconv.cost.folding import in_deployed_form
from litconv.device import in_precision
from naive import array, correlate, deform
from smooth import smooth

CONF = Path(__file__).parents[1] / "conf" / "conv"
OPERATORS = sorted(path.stem for path in CONF.glob("*.yaml"))
VARIANTS = {
    "grouped": [{"groups": 4}, {"groups": 4, "shuffle": True}],
    "separable": [{"depthwise": True}],
    "depthwise_separable": [{"groups": 2}, {"norm_between": True}],
    "deformable": [{"modulated": True}, {"offset_groups": 2}, {"modulated": True, "offset_groups": 4}],
    "bottleneck": [{"reduction": 2}],
    **beyond_core.VARIANTS,
}
CASES = [
    pytest.param(operator, options, id="-".join([operator, *(f"{k}={v}" for k, v in options.items())]))
    for operator in OPERATORS
    for options in [{}, *VARIANTS.get(operator, [])]
]
KERNELS, STRIDES, DILATIONS = range(1, 8), (1, 2), (1, 2)
SIZES = ((8, 8), (7, 9), (6, 5), (5, 5))
CHANNELS = ((8, 16), (16, 8))


@cache
def plain_hydra(operator: str) -> ConvFactory:
    return instantiate(OmegaConf.create({"conv": OmegaConf.load(CONF / f"{operator}.yaml")}).conv)


def build(operator: str, options: dict[str, Any], channels: tuple[int, int], *slot: int) -> nn.Module | None:
    """None where the operator says that it cannot dilate, which it may."""
    kernel_size, stride, dilation = slot
    factory = partial(plain_hydra(operator), **options)
    try:
        return factory(*channels, kernel_size=kernel_size, stride=stride, dilation=dilation)
    except ValueError as error:
        if dilation == 1 or "dilat" not in str(error):
            raise
        return None


def slots() -> Iterator[tuple[tuple[int, int], tuple[int, int], tuple[int, int, int]]]:
    """Every kernel × stride × dilation, the sizes and channels taking turns: 28 of 224 in all."""
    sizes = list(product(SIZES, CHANNELS))
    turns = cycle(sizes + sizes[:3])  # 11 shares no factor with 3 or 4
    for slot in product(KERNELS, STRIDES, DILATIONS):
        yield *next(turns), slot


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_takes_the_slots_arguments_by_place_and_its_options_by_keyword_alone(operator):
    parameters = list(inspect.signature(plain_hydra(operator).func).parameters.values())
    assert [p.name for p in parameters[:5]] == ["in_channels", "out_channels", "kernel_size", "stride", "dilation"]
    assert [p.default for p in parameters[2:5]] == [3, 1, 1]
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters[5:])


@pytest.mark.parametrize(("operator", "options"), CASES)
def test_the_output_has_the_ceil_of_size_over_stride_and_no_bias(operator, options):
    for channels, kernel_size, stride, dilation in product(CHANNELS, KERNELS, STRIDES, DILATIONS):
        module = build(operator, options, channels, kernel_size, stride, dilation)
        if module is None:
            continue
        module.eval()
        for h, w in SIZES:
            with torch.no_grad():
                y = module(torch.zeros(1, channels[0], h, w))
            assert y.shape == (1, channels[1], -(-h // stride), -(-w // stride))
            assert not y.any()


# What each operator computes, once more and naively (`naive`).


def naive_grouped(m, x, s, d, groups=2, shuffle=False):
    y = correlate(x, array(m.weight), (s, s), (d, d), groups)
    each = y.shape[1] // groups
    order = [group * each + i for i in range(each) for group in range(groups)]  # the first of every group, the second …
    return y[:, order] if shuffle else y


def naive_depthwise(m, x, s, d):
    return correlate(x, array(m.weight), (s, s), (d, d), min(x.shape[1], m.weight.shape[0]))


def naive_depthwise_separable(m, x, s, d, groups=None, norm_between=False):
    y = correlate(x, array(m.depthwise.weight), (s, s), (d, d), groups or x.shape[1])
    if norm_between:  # statistics 0 and 1, scale 1, shift 0
        y = np.maximum(y / np.sqrt(1 + m.between[0].eps), 0)
    return correlate(y, array(m.pointwise.weight))


def naive_separable(m, x, s, d, depthwise=False):
    c_out = m.horizontal.weight.shape[0]
    y = correlate(x, array(m.vertical.weight), (s, 1), (d, 1), min(x.shape[1], c_out) if depthwise else 1)
    return correlate(y, array(m.horizontal.weight), (1, s), (1, d), c_out if depthwise else 1)


def naive_bottleneck(m, x, s, d, reduction=4):
    y = correlate(correlate(x, array(m.reduce.weight)), array(m.spatial.weight), (s, s), (d, d))
    return correlate(y, array(m.expand.weight))


def naive_deformable(m, x, s, d, modulated=False, offset_groups=1):
    guide = correlate(x, array(m.offset.weight), (s, s), (d, d)) + array(m.offset.bias)[:, None, None]
    split = 2 * m.weight.shape[-1] ** 2 * offset_groups
    mask = 2 / (1 + np.exp(-guide[:, split:])) if modulated else None
    return deform(x, array(m.weight), guide[:, :split], mask, s, d, offset_groups)


REFERENCES = {
    "standard": lambda m, x, s, d: correlate(x, array(m.weight), (s, s), (d, d)),
    "dilated": lambda m, x, s, d: correlate(x, array(m.weight), (s, s), (2 * d, 2 * d)),
    "pointwise": lambda m, x, s, d: np.einsum("nchw,oc->nohw", x[..., ::s, ::s], array(m.weight)[..., 0, 0]),
    "grouped": naive_grouped,
    "depthwise": naive_depthwise,
    "depthwise_separable": naive_depthwise_separable,
    "separable": naive_separable,
    "bottleneck": naive_bottleneck,
    "deformable": naive_deformable,
    **beyond_core.REFERENCES,
}


def shake(module: nn.Module) -> nn.Module:
    """Every parameter random, zero-initialised offsets and biases too; norms stay as they are."""
    for name, parameter in module.named_parameters():
        if parameter.ndim > 1 or (name.endswith("bias") and not name.startswith("between")):
            nn.init.normal_(parameter, std=0.3)
    return module.double().eval()


@pytest.mark.parametrize(("operator", "options"), [case for case in CASES if case.values[0] in REFERENCES])
def test_the_output_is_that_of_a_naive_reference(operator, options):
    torch.manual_seed(0)
    for (h, w), channels, (kernel_size, stride, dilation) in slots():
        built = build(operator, options, channels, kernel_size, stride, dilation)
        if built is None:
            continue
        module = shake(built)
        x = torch.randn(1, channels[0], h, w, dtype=torch.double)
        expected = REFERENCES[operator](module, array(x), stride, dilation, **options)
        np.testing.assert_allclose(array(module(x)), expected, rtol=1e-10, atol=1e-11)


# Gradients. A naive reference has none, and autograd differentiates whatever an operator computes, rightly or not.


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize(("operator", "options"), CASES)
def test_the_gradients_are_those_of_finite_differences(operator, options, stride):
    torch.manual_seed(0)
    module = shake(smooth(build(operator, options, (8, 16), 3, stride, 1)))
    x = torch.randn(1, 8, 5, 4, dtype=torch.double, requires_grad=True)
    names, parameters = zip(*module.named_parameters(), strict=True)

    def output(x: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), (x,))

    assert torch.autograd.gradcheck(output, (x, *parameters), fast_mode=True)


ROUNDING = {"32-true": 32 * 2**-24, "bf16-mixed": 4 * 2**-8, "bf16-true": 4 * 2**-8}  # measured: 6 and 1 units


@pytest.mark.parametrize("precision", ROUNDING)
@pytest.mark.parametrize(("operator", "options"), CASES)
def test_output_and_gradients_in_every_precision_are_those_of_float64_on_the_same_numbers(operator, options, precision):
    """Weights, images and offsets are numbers that bfloat16 has: what differs is the rounding of the operator itself."""
    for stride in STRIDES:
        module = smooth(build(operator, options, (8, 16), 3, stride, 1)).train()
        initialise(module, seed=stride)
        if isinstance(module, Deformable):
            nn.init.constant_(module.offset.bias, 0.4)  # away from whole pixels, where the slope jumps
        exact, rounded = (gradients_in(name, copy.deepcopy(module).bfloat16()) for name in ("64-true", precision))
        assert exact.keys() == rounded.keys()
        for name, expected in exact.items():
            assert (rounded[name] - expected).norm() <= ROUNDING[precision] * expected.norm(), (name, stride)


def gradients_in(precision: str, module: nn.Module) -> dict[str, torch.Tensor]:
    dtype, cast = in_precision(precision, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 8, 9, 7, generator=generator).bfloat16().to(dtype).requires_grad_()
    module.to(dtype)
    with cast():
        y = module(x)
    y.backward(torch.randn(y.shape, generator=generator).bfloat16().to(y.dtype))
    found = {"the output": y.detach(), "the image": x.grad, **{name: p.grad for name, p in module.named_parameters()}}
    return {name: tensor.double() for name, tensor in found.items()}


# The table of formulas: (K, Cin, Cout, H, W, Ho, Wo, …) → (params, MACs)


def deformable_cost(k, c, o, h, w, ho, wo, modulated=False, offset_groups=1):
    channels = (3 if modulated else 2) * k * k * offset_groups
    params = k * k * c * o + k * k * c * channels + channels
    return params, (k * k * c * o + k * k * c * channels) * ho * wo


def separable_cost(k, c, o, h, w, ho, wo, depthwise=False):
    first, second = (k * max(c, o), k * o) if depthwise else (k * c * o, k * o * o)
    return first + second, first * ho * w + second * ho * wo


def depthwise_separable_cost(k, c, o, h, w, ho, wo, groups=None, norm_between=False):
    params = k * k * c * c // (groups or c) + c * o
    return params + 2 * c * norm_between, params * ho * wo


def bottleneck_cost(k, c, o, h, w, ho, wo, reduction=4):
    first, rest = c * o // reduction, k * k * (o // reduction) ** 2 + o * o // reduction
    return first + rest, first * h * w + rest * ho * wo


TABLE = {
    "standard": lambda k, c, o, h, w, ho, wo: once(k * k * c * o, ho, wo),
    "dilated": lambda k, c, o, h, w, ho, wo: once(k * k * c * o, ho, wo),
    "grouped": lambda k, c, o, h, w, ho, wo, groups=2, shuffle=False: once(k * k * c * o // groups, ho, wo),
    "depthwise": lambda k, c, o, h, w, ho, wo: once(k * k * max(c, o), ho, wo),
    "pointwise": lambda k, c, o, h, w, ho, wo: once(c * o, ho, wo),
    "depthwise_separable": depthwise_separable_cost,
    "separable": separable_cost,
    "bottleneck": bottleneck_cost,
    "deformable": deformable_cost,
    **beyond_core.TABLE,
}


def torch_macs(module: nn.Module, x: torch.Tensor) -> int:
    """By PyTorch's own counter, which is told of the operations that declare their cost."""
    mapping = {}
    for name, cost in DECLARED_COSTS.items():
        namespace, operation = name.split("::")
        mapping[getattr(getattr(torch.ops, namespace), operation)] = lambda *shapes, out_shape, cost=cost: (
            2 * cost.macs(shapes, out_shape)
        )
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter, torch.no_grad():
        in_deployed_form(copy.deepcopy(module).eval())(x)
    return counter.get_total_flops() // 2


@pytest.mark.parametrize(("operator", "options"), CASES)
def test_the_formula_is_the_table_and_what_both_counters_count(operator, options):
    for (h, w), channels, slot in list(slots())[::3]:  # tracing is slow
        module = build(operator, options, channels, *slot)
        if module is None:
            continue
        counted = count(module, channels[0], (h, w))
        assert module.formula(h, w) == (counted.params, counted.macs), slot
        assert torch_macs(module, torch.zeros(1, channels[0], h, w)) == counted.macs, slot
        assert counted.trainable_params == sum(p.numel() for p in module.parameters())
        assert counted.uncounted_ops == {}
        if operator in TABLE:
            out = (-(-h // slot[1]), -(-w // slot[1]))
            assert TABLE[operator](slot[0], *channels, h, w, *out, **options) == module.formula(h, w), slot


@pytest.mark.parametrize("step", [1, 3])
def test_every_kernel_stride_dilation_size_and_channel_pair_has_its_turn(step):
    sizes, channels, chosen = zip(*list(slots())[::step], strict=True)
    assert {slot[0] for slot in chosen} == set(KERNELS)
    assert {slot[1:] for slot in chosen} == set(product(STRIDES, DILATIONS))
    assert set(zip(sizes, channels, strict=True)) == set(product(SIZES, CHANNELS))


# Identities


def twin(module: nn.Module, **weights: torch.Tensor) -> nn.Module:
    """The module with these weights."""
    with torch.no_grad():
        for name, weight in weights.items():
            getattr(module, name).copy_(weight)
    return module.double()


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(2, 8, 9, 7, dtype=torch.double, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("kernel_size", [3, 4])
def test_operators_at_the_end_of_their_range_are_the_standard_convolution(x, kernel_size, stride):
    standard = Standard(8, 12, kernel_size, stride).double()
    ends = {
        "one group": Grouped(8, 12, kernel_size, stride, groups=1),
        "rate 1": Dilated(8, 12, kernel_size, stride, rate=1),
        "v1 at its start": Deformable(8, 12, kernel_size, stride),
        "v2 at its start": Deformable(8, 12, kernel_size, stride, modulated=True, offset_groups=2),
    }
    for name, module in ends.items():
        torch.testing.assert_close(twin(module, weight=standard.weight)(x), standard(x), msg=name)


def test_as_many_groups_as_channels_is_the_depthwise_convolution(x):
    depthwise = Depthwise(8, 8).double()
    torch.testing.assert_close(twin(Grouped(8, 8, groups=8), weight=depthwise.weight)(x), depthwise(x))


def test_pointwise_is_a_linear_layer_at_every_pixel(x):
    pointwise = Pointwise(8, 5).double()
    linear = twin(nn.Linear(8, 5, bias=False), weight=pointwise.weight[..., 0, 0])
    torch.testing.assert_close(pointwise(x), linear(x.movedim(1, -1)).movedim(-1, 1))


def test_three_by_three_at_rate_two_is_a_five_by_five_with_gaps(x):
    dilated = Dilated(8, 12).double()
    gaps = torch.zeros(12, 8, 5, 5, dtype=torch.double)
    gaps[..., ::2, ::2] = dilated.weight.detach()
    torch.testing.assert_close(dilated(x), twin(Standard(8, 12, 5), weight=gaps)(x))
    assert dilated.weight[0, 0].numel() == 9


def test_the_bottleneck_is_three_convolutions_in_a_row(x):
    module = Bottleneck(8, 12, 3, 2, reduction=3).double()
    one, two, three = module.reduce.weight, module.spatial.weight, module.expand.weight
    whole = torch.einsum("om,mnij,nc->ocij", three[..., 0, 0], two, one[..., 0, 0])  # all linear: one 3×3 of low rank
    torch.testing.assert_close(module(x), twin(Standard(8, 12, 3, 2), weight=whole)(x))
    assert torch.linalg.matrix_rank(whole.flatten(2)[..., 4]) == 4


def test_the_kernels_of_a_blueprint_separable_convolution_are_multiples_of_one_blueprint_per_output(x):
    module = BSConvU(8, 12, 3, 2).double()
    kernels = torch.einsum("ohw,oc->ochw", module.depthwise.weight[:, 0], module.pointwise.weight[..., 0, 0])
    torch.testing.assert_close(module(x), twin(Standard(8, 12, 3, 2), weight=kernels)(x))


def test_per_channel_separable_is_sobel_and_no_filter_of_rank_two():
    column, row = torch.tensor([1.0, 2.0, 1.0]), torch.tensor([1.0, 0.0, -1.0])
    module, image = Separable(3, 3, depthwise=True).double(), torch.randn(1, 3, 6, 7, dtype=torch.double)
    with torch.no_grad():
        module.vertical.weight.copy_(column.view(1, 1, 3, 1).expand(3, 1, 3, 1))
        module.horizontal.weight.copy_(row.view(1, 1, 1, 3).expand(3, 1, 1, 3))
    sobel = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
    torch.testing.assert_close(module(image), twin(Depthwise(3, 3), weight=sobel.expand(3, 1, 3, 3))(image))
    assert module.formula(1, 1).params == 6 * 3  # 9 → 6 multiplications a pixel and channel

    def distance(kernel: torch.Tensor) -> float:
        """To the nearest filter that a column times a row can be (Eckart-Young): the second singular value."""
        return torch.linalg.svdvals(kernel)[1].item()

    impulse = torch.zeros(1, 3, 5, 5, dtype=torch.double)
    impulse[:, :, 2, 2] = 1
    initialise(module, seed=0)  # whatever the weights: what it does to an impulse has rank 1
    assert all(distance(response) < 1e-12 for response in module(impulse)[0])
    assert distance(sobel) < 1e-6
    assert distance(torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])) > 0.4  # Laplace: rank 2


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_depthwise_separable_costs_one_over_cout_plus_one_over_k_squared(kernel_size):
    params, macs = build("depthwise_separable", {}, (32, 64), kernel_size, 1, 1).formula(7, 9)
    standard = Standard(32, 64, kernel_size).formula(7, 9)
    for ours, theirs in ((params, standard.params), (macs, standard.macs)):
        assert ours * 64 * kernel_size**2 == theirs * (64 + kernel_size**2)


def test_a_kernel_may_differ_between_its_axes(x):
    module = SameConv2d(8, 4, (2, 5), (1, 3), (3, 1)).double()
    expected = correlate(array(x), array(module.weight), (1, 3), (3, 1))
    np.testing.assert_allclose(array(module(x)), expected, rtol=1e-10, atol=1e-12)
    assert module.formula(9, 7).macs == torch_macs(module, x[:1])


STRIDED = """
import torch
from litconv.conv import SameConv2d
for channels in (4, 8, 12, 16):
    for size in (64, 96):
        conv = SameConv2d(channels, 16, 1, stride=2).to(memory_format=torch.channels_last)
        x = torch.randn(8, channels, size, size).contiguous(memory_format=torch.channels_last).requires_grad_()
        for _ in range(8):
            conv(x).sum().backward()
"""


def test_a_strided_pointwise_convolution_of_few_channels_does_not_write_out_of_bounds():
    """oneDNN's does, in backward: a crash, or worse."""
    assert subprocess.run([sys.executable, "-c", STRIDED]).returncode == 0


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("stride", [2, (2, 1), (1, 3)])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_strided_pointwise_convolution_is_torchs(size, stride, groups):
    torch.manual_seed(0)
    ours = SameConv2d(8, 6, 1, stride=stride, groups=groups, bias=True).double()
    plain = nn.Conv2d(8, 6, 1, stride=stride, groups=groups).double()
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(2, 8, size, size, dtype=torch.float64)
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    upstream = torch.randn_like(plain(theirs))
    ours(mine).backward(upstream)
    plain(theirs).backward(upstream)
    torch.testing.assert_close(ours(mine), plain(theirs))
    torch.testing.assert_close(mine.grad, theirs.grad)
    torch.testing.assert_close(ours.weight.grad, plain.weight.grad)
