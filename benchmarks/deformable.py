"""Deformable convolution beside the standard one, by every implementation: python benchmarks/deformable.py

Prints Markdown: time ÷ the standard convolution's and ÷ torchvision's (medians over rounds in turns), peak memory of
forward and backward ÷ torchvision's, and a training step of ResNet-20 in float32. NHWC, offsets of about a pixel.
`--device cuda` measures a GPU, `--precision` float32 with exact products, TF32 or bf16 there, `--threads` sets a CPU's.
"""

import argparse
import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from litconv import build
from litconv.config import composed as config
from litconv.config.quiet import quiet
from litconv.conv import Deformable
from litconv.conv.deform_op import deform_conv2d
from litconv.cost.latency import clock_of, time_beside
from litconv.cost.memory import peak_bytes
from litconv.device import describe, device_named, set_matmul_precision

CELLS = list(itertools.product((16, 32, 64, 128, 256), (28, 64)))  # channels, height = width
VALUES = 2**20  # of the input, which gives the batch; at most 32 images
PRECISIONS = {
    "float32": (torch.float32, "highest"),
    "TF32": (torch.float32, "high"),
    "bf16": (torch.bfloat16, "highest"),
}
PLACES = ((1, 1), (1, 1), (1, 1), 1)  # stride, padding, dilation, offset groups


def forward_and_backward(forward: Callable[..., Tensor], inputs: list[Tensor]) -> Callable[[], object]:
    inputs = [t.detach().requires_grad_() for t in inputs]
    upstream = torch.randn_like(forward(*inputs))

    def call() -> object:
        return torch.autograd.grad(forward(*inputs), inputs, upstream)

    return call


def forward_alone(forward: Callable[..., Tensor], inputs: list[Tensor]) -> Callable[[], object]:
    def call() -> object:
        with torch.inference_mode():
            return forward(*inputs)

    return call


def operator(name: str) -> Callable[..., Tensor]:
    if name == "standard":
        return lambda x, weight: F.conv2d(x, weight, padding=1)
    return lambda x, weight, offset: deform_conv2d(x, weight, offset, None, *PLACES, name)


def inputs(channels: int, size: int, device: torch.device, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    torch.manual_seed(0)
    batch = max(1, min(32, VALUES // (channels * size**2)))
    shapes = (batch, channels, size, size), (channels, channels, 3, 3), (batch, 18, size, size)
    return [torch.randn(s, device=device).to(dtype, memory_format=torch.channels_last) for s in shapes]


def row(tensors: list[Tensor], names: list[str], device: torch.device, milliseconds: float) -> str:
    clock, (batch, channels, size, _) = clock_of(device), tensors[0].shape
    ratios = []
    for mode in (forward_alone, forward_and_backward):
        standard = mode(operator("standard"), tensors[:2])
        ratios.append({n: time_beside(mode(operator(n), tensors), standard, clock, milliseconds).ratio for n in names})
    peaks = {n: peak_bytes(forward_and_backward(operator(n), tensors), device) for n in names}
    figures = [f"{ratio[name]:.1f}" for ratio in ratios for name in names]
    figures += [f"**{ratios[1]['torchvision'] / ratios[1][name]:.1f}**" for name in names if name != "torchvision"]
    figures += [f"{peaks[name] / peaks['torchvision']:.2f}" for name in names if name != "torchvision"]
    return f"| {channels}, {size}² × {batch} | {' | '.join(figures)} |"


def training_step(conv: str, batch: int, device: torch.device) -> Callable[[], None]:
    built = build.model(config.compose(["backbone.depth=20", f"conv={conv.partition(' ')[0]}"]), 3, 10)
    model: nn.Module = built.to(device).train()
    for module in model.modules():
        if isinstance(module, Deformable):
            module.implementation = conv.partition(" ")[2]
            nn.init.normal_(module.offset.weight, std=0.02)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    images = torch.randn(batch, 3, 32, 32, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch,), device=device)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0, help="of rounds per figure; 4 rounds at least")
    parser.add_argument("--batch", type=int, default=32, help="of ResNet-20's training step")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    arguments = parser.parse_args()
    quiet()
    torch.set_num_threads(arguments.threads)
    device, milliseconds = device_named(arguments.device, "--device"), 1e3 * arguments.seconds
    names = ["torchvision", "gather", "cpp" if device.type == "cpu" else "triton"]
    ours, (dtype, products) = names[1:], PRECISIONS[arguments.precision]
    set_matmul_precision(products)
    for name in names:
        operator(name)(*inputs(16, 28, device, dtype))  # compiled before anything is printed
    heads = [f"{mode}: {name}" for mode in ("forward", "fwd + bwd") for name in names]
    heads += [f"torchvision ÷ {name}" for name in ours] + [f"memory: {name}" for name in ours]
    print(f"{describe(device)}, torch {torch.__version__}, {arguments.precision}, `python benchmarks/deformable.py`\n")
    print(f"| C, H = W × batch | {' | '.join(heads)} |\n|{' --- |' * (len(heads) + 1)}", flush=True)
    for channels, size in CELLS:
        print(row(inputs(channels, size, device, dtype), names, device, milliseconds), flush=True)
    print("\nA training step of ResNet-20 at 32², deformable ÷ standard:", end=" ", flush=True)
    standard = training_step("standard", arguments.batch, device)
    for name in names:
        step = training_step(f"deformable {name}", arguments.batch, device)
        print(f"{name} {time_beside(step, standard, clock_of(device), milliseconds).ratio:.1f}", end="; ", flush=True)
    print()


if __name__ == "__main__":
    main()
