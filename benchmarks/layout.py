"""Memory format × precision × torch.compile, for every operator: python benchmarks/layout.py

Prints Markdown: a training step (forward and backward) of ResNet-8 at 32², as the default recipe trains it, ÷ the one of
standard convolutions in channels_last, float32, uncompiled: medians over rounds in turns, at least 5. The first time torch
compiles for some minutes. `--threads` sets a CPU's; `--device cuda` measures a GPU.
"""

import argparse
import copy
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from litconv import build
from litconv.callbacks import programs
from litconv.config import composed as config
from litconv.config.quiet import quiet
from litconv.cost import latency
from litconv.cost.latency import clock_of, time_beside
from litconv.device import describe, device_named, in_precision

FORMATS = {"NHWC": torch.channels_last, "NCHW": torch.contiguous_format}
WAYS = {  # (layout, precision, compiled)
    "float32 NHWC": ("NHWC", "32-true", False),
    "float32 NCHW": ("NCHW", "32-true", False),
    "bf16-mixed NHWC": ("NHWC", "bf16-mixed", False),
    "bf16-mixed NCHW": ("NCHW", "bf16-mixed", False),
    "float32 NHWC compiled": ("NHWC", "32-true", True),
    "bf16-mixed NHWC compiled": ("NHWC", "bf16-mixed", True),
}


def training_step(
    model: nn.Module, batch: int, device: torch.device, layout: str, precision: str, compiled: bool
) -> Callable[[], None]:
    dtype, cast = in_precision(precision, device)
    model = copy.deepcopy(model).to(device, dtype, memory_format=FORMATS[layout]).train()
    if compiled:
        torch._dynamo.reset()
        model.compile(dynamic=False)
    images = torch.randn(batch, 3, 32, 32, device=device, dtype=dtype)
    labels = torch.randint(10, (batch,), device=device)

    def step() -> None:
        model.zero_grad()
        with cast():
            logits = model(images)
        F.cross_entropy(logits.float(), labels).backward()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.5, help="of rounds per figure; 5 rounds at least")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--depth", type=int, default=8, help="of the ResNet: 8, 14, 20, …")
    parser.add_argument(
        "--conv", nargs="+", default=sorted(path.stem for path in Path(config.CONF, "conv").glob("*.yaml"))
    )
    parser.add_argument("--uncompiled", action="store_true", help="leave out what torch.compile takes minutes for")
    arguments = parser.parse_args()
    quiet()
    programs.keep()
    latency.MIN_ROUNDS = 5
    torch.set_num_threads(arguments.threads)
    device = device_named(arguments.device, "--device")
    ways = {name: way for name, way in WAYS.items() if not (way[-1] and arguments.uncompiled)}

    def network(conv: str) -> nn.Module:
        return build.model(config.compose([f"backbone.depth={arguments.depth}", f"conv={conv}"]), 3, 10)

    standard = training_step(network("standard"), arguments.batch, device, *WAYS["float32 NHWC"])
    print(f"{describe(device)}, torch {torch.__version__}, batch {arguments.batch}, `python benchmarks/layout.py`\n")
    print(f"| `conv=` | {' | '.join(ways)} |\n|{' --- |' * (len(ways) + 1)}", flush=True)
    for conv in sorted(arguments.conv, key=lambda name: name != "standard"):
        built, ratios = network(conv), []
        for way in ways.values():
            step = training_step(built, arguments.batch, device, *way)
            ratios.append(time_beside(step, standard, clock_of(device), 1e3 * arguments.seconds).ratio)
        print(f"| `{conv}` | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |", flush=True)


if __name__ == "__main__":
    main()
