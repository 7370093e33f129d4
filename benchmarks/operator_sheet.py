"""Draws what every operator reads: docs/operators.png.

    python benchmarks/operator_sheet.py

One panel for each yaml of conf/conv, computed and not drawn by hand: |∂y/∂x| of an operator with random weights, 16 → 16
channels at stride 1, averaged over seeds. Left: where one output value looks (the map, summed over channels; the square marks
its own place). Right: of which input channels each output channel reads. The scale is logarithmic, over three decades.
"""

from pathlib import Path

import matplotlib
import torch
from matplotlib.colors import LogNorm
from torch import Tensor, nn

from litconv import build
from litconv.config.composed import CONF, compose
from litconv.conv import Deformable
from litconv.conv.initial import initialise

matplotlib.use("Agg")
from matplotlib import pyplot

CHANNELS, SIZE, SEEDS, COLUMNS = 16, 25, 8, 4
FILE = Path(__file__).parents[1] / "docs" / "operators.png"


def main() -> None:
    names = sorted(path.stem for path in Path(CONF, "conv").glob("*.yaml"))
    rows = -(-len(names) // COLUMNS)
    figure, axes = pyplot.subplots(rows, 2 * COLUMNS, figsize=(3.4 * COLUMNS, 1.95 * rows), dpi=110)
    for axis in axes.flat:
        axis.axis("off")
    for index, name in enumerate(names):
        row, column = divmod(index, COLUMNS)
        places, channels = reads(name)
        left, right = axes[row, 2 * column], axes[row, 2 * column + 1]
        draw(left, places, name)
        middle = SIZE // 2
        left.add_patch(pyplot.Rectangle((middle - 0.5, middle - 0.5), 1, 1, fill=False, color="tab:red", lw=0.8))
        draw(right, channels, cost(name))
    figure.tight_layout(pad=0.5)
    figure.savefig(FILE)
    print(FILE)


def reads(name: str) -> tuple[Tensor, Tensor]:
    """(SIZE, SIZE) where, and (out, in) of which channels."""
    factory = build.part(compose([f"conv={name}"]).conv)
    places, channels = torch.zeros(SIZE, SIZE), torch.zeros(CHANNELS, CHANNELS)
    for seed in range(SEEDS):
        module = factory(CHANNELS, CHANNELS).eval()
        initialise(module, seed)
        move_samples(module)
        x = torch.randn(1, CHANNELS, SIZE, SIZE, generator=torch.Generator().manual_seed(seed)).requires_grad_()
        y = module(x)[0, :, SIZE // 2, SIZE // 2]
        for channel in range(CHANNELS):
            (gradient,) = torch.autograd.grad(y[channel], x, retain_graph=True)
            places += gradient[0].abs().sum(0)
            channels[channel] += gradient[0].abs().sum((1, 2))
    return places / places.max(), channels / channels.max()


def move_samples(module: nn.Module) -> None:
    """Offsets of a pixel or so: at the start a deformable convolution is the standard one."""
    if isinstance(module, Deformable):
        nn.init.normal_(module.offset.weight, std=0.08)


def cost(name: str) -> str:
    module = build.part(compose([f"conv={name}"]).conv)(64, 64)
    standard = build.part(compose(["conv=standard"]).conv)(64, 64)
    return f"{module.formula(32, 32).macs / standard.formula(32, 32).macs:.2f} of the MACs"


def draw(axis: pyplot.Axes, values: Tensor, title: str) -> None:
    axis.imshow(values.clamp_min(1e-3), norm=LogNorm(1e-3, 1), cmap="Blues")
    axis.set_title(title, fontsize=8, pad=2)
    axis.set_axis_on()
    axis.set_xticks([])
    axis.set_yticks([])


if __name__ == "__main__":
    main()
