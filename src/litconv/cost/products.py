"""Operations made of products: their MACs and activations, as fvcore's handles and as FlopCounterMode's formulas.

Activations are fvcore's: the values that convolutions, linear layers and matrix products put out. Attention is its two
matrix products, whatever kernel computes it: its activations are the scores and the output.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from fvcore.nn.jit_handles import addmm_flop_jit, bmm_flop_jit, conv_flop_jit, einsum_flop_jit, linear_flop_jit

from litconv.conv.slot import DECLARED_COSTS, DeclaredCost, Window
from litconv.cost.elementwise import ELEMENTWISE, Handle, elementwise_handles
from litconv.cost.shapes import numel, shape

MACS, ACTIVATIONS = "macs", "activations"


def _deformable_macs(inputs: Sequence[Sequence[int] | None], output: Sequence[int]) -> int:
    return math.prod(output) * math.prod(inputs[1][1:])  # Cin/g·K² for every output value


def _deformable_sampling(inputs: Sequence[Sequence[int] | None], output: Sequence[int]) -> int:
    x, weight, _, mask = inputs[:4]
    masked = len(mask) == 4  # torchvision gives (N, 1) where there is no mask
    return x[0] * x[1] * math.prod(weight[2:]) * math.prod(output[2:]) * (4 + masked)


def _deformable_window(x, weight, offset, mask, bias, *numbers) -> Window:
    return Window(weight.shape[2:], numbers[0:2], numbers[4:6], numbers[2:4])


TORCHVISION = {"torchvision::deform_conv2d": DeclaredCost(_deformable_macs, _deformable_sampling, _deformable_window)}


def conv_mode_macs(inputs: list[Any], outputs: list[Any]) -> int:
    """F.conv2d(padding="same"): (input, weight, bias, stride, padding, dilation, groups)."""
    n, _, *space = shape(outputs[0])
    return n * numel(inputs[1]) * math.prod(space)


def matmul_macs(inputs: list[Any], outputs: list[Any]) -> int:
    """fvcore's own is wrong where the first operand is the one that is broadcast."""
    return numel(outputs[0]) * shape(inputs[0])[-1]


def einsum_macs(inputs: list[Any], outputs: list[Any]) -> int:
    """Two operands: the product of all indices. fvcore's own rounds to four digits."""
    equation = inputs[0].toIValue().replace(" ", "")
    operands = [shape(value) for value in inputs[1].node().inputs()]
    if len(operands) == 1:
        return 0
    if len(operands) != 2 or "." in equation:
        return int(einsum_flop_jit(inputs, outputs))
    sizes: dict[str, int] = {}
    for letters, operand in zip(equation.partition("->")[0].split(","), operands, strict=True):
        for letter, size in zip(letters, operand, strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))
    return math.prod(sizes.values())


def recurrent(inputs: list[Any], outputs: list[Any]) -> Counter:
    """LSTM, GRU, RNN: every weight matrix, of each layer and direction, once for each position of each sequence."""
    *positions, _ = shape(inputs[0])
    matrices = [size for value in inputs[2].node().inputs() if len(size := shape(value)) == 2]
    times = math.prod(positions)
    values = times * sum(rows for rows, _ in matrices)
    macs = times * sum(rows * columns for rows, columns in matrices)
    return Counter({MACS: macs, ACTIVATIONS: values, ELEMENTWISE: values})


PRODUCTS: dict[str, Callable[[list[Any], list[Any]], int | Counter]] = {
    "aten::_convolution": conv_flop_jit,
    "aten::_convolution_mode": conv_mode_macs,
    "aten::addmm": addmm_flop_jit,
    "aten::baddbmm": lambda inputs, outputs: bmm_flop_jit(inputs[1:3], outputs),
    "aten::bmm": bmm_flop_jit,
    "aten::einsum": einsum_macs,
    "aten::linear": linear_flop_jit,
    **dict.fromkeys(("aten::matmul", "aten::mm", "aten::mv", "aten::dot"), matmul_macs),
}


def product(rule: Callable[[list[Any], list[Any]], int | Counter]) -> Handle:
    def handle(inputs: list[Any], outputs: list[Any]) -> Counter:
        macs = rule(inputs, outputs)
        macs = sum(macs.values()) if isinstance(macs, Counter) else macs
        return Counter({MACS: int(macs), ACTIVATIONS: numel(outputs[0])})

    return handle


def attention(inputs: list[Any], outputs: list[Any]) -> Counter:
    """Scores q·kᵀ, softmax, times v."""
    (*batch, queries, depth), value = shape(inputs[0]), shape(inputs[2])
    scores = math.prod(batch) * queries * value[-2]
    return Counter(
        {MACS: scores * (depth + value[-1]), ACTIVATIONS: scores + numel(outputs[0]), ELEMENTWISE: 3 * scores}
    )


def declared(cost: DeclaredCost) -> Handle:
    def handle(inputs: list[Any], outputs: list[Any]) -> Counter:
        arguments = [shape(value) for value in inputs], shape(outputs[0])
        return Counter(
            {
                MACS: cost.macs(*arguments),
                ACTIVATIONS: numel(outputs[0]),
                ELEMENTWISE: cost.elementwise_ops(*arguments),
            }
        )

    return handle


def fvcore_handles() -> dict[str, Handle]:
    """Operation of a trace → its MACs, activations and element-wise operations. What is not here is not counted."""
    return {
        **elementwise_handles(),
        **{name: product(rule) for name, rule in PRODUCTS.items()},
        **{name: declared(cost) for name, cost in (DECLARED_COSTS | TORCHVISION).items()},
        "aten::scaled_dot_product_attention": attention,
        **dict.fromkeys(("aten::lstm", "aten::gru", "aten::rnn_tanh", "aten::rnn_relu"), recurrent),
    }


def torch_formulas() -> dict[Any, Callable[..., int]]:
    """What FlopCounterMode has no formula for, in FLOPs: 2 × MACs."""
    aten = torch.ops.aten
    formulas: dict[Any, Callable[..., int]] = dict.fromkeys(
        (aten.mv, aten.dot), lambda a, b, *rest, out_shape, **named: 2 * math.prod(a)
    )
    for name, cost in (DECLARED_COSTS | TORCHVISION).items():
        namespace, operation = name.split("::")
        if hasattr(getattr(torch.ops, namespace), operation):  # torchvision's is there once torchvision is imported
            packet = getattr(getattr(torch.ops, namespace), operation)
            formulas[packet] = lambda *shapes, out_shape, cost=cost: 2 * cost.macs(shapes, out_shape)
    return formulas
