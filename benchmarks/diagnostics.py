"""What a diagnosis costs beside a validation pass: python benchmarks/diagnostics.py

The network of each operator on `--images` random images of 32×32 in batches of 128: a forward of all of them in eval mode
against `litconv.diagnostics.diagnose`, all of it (the pass, the statistics, the receptive field; pictures are drawn later), in
turns. The medians of `--rounds` rounds and the ratio.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from litconv import build
from litconv.config.composed import compose
from litconv.diagnostics import diagnose

OPERATORS = {
    "standard": [],
    "grouped": ["groups=4"],
    "depthwise_separable": [],
    "separable": [],
    "bottleneck": [],
    "deformable": [],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--overrides", nargs="*", default=[], help="such as backbone.depth=20 width=2")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    images = torch.randn(arguments.images, 3, 32, 32).to(memory_format=torch.channels_last)
    batches = images.split(128)
    print("| `conv=` | forward, s | diagnosis, s | ratio |\n| --- | --- | --- | --- |")
    for operator, options in OPERATORS.items():
        config = compose([f"conv={operator}", *options, *arguments.overrides])
        model = build.model(config, in_channels=3, num_classes=10).eval()

        def validate(model: torch.nn.Module = model) -> None:
            with torch.inference_mode():
                for batch in batches:
                    model(batch)

        def watch(model: torch.nn.Module = model) -> None:
            diagnose(model, batches).summary()

        taken = [(seconds(validate), seconds(watch)) for _ in range(arguments.rounds + 1)][1:]
        plain, watched = (statistics.median(column) for column in zip(*taken, strict=True))
        print(f"| `{operator}` | {plain:.2f} | {watched:.2f} | {watched / plain:.2f} |", flush=True)


def seconds(call: Callable[[], None]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
