"""A training step in channels_last and contiguous, float32 and bf16, for every operator; and what `memory_format=auto` takes."""

from pathlib import Path

import torch
from layout import WAYS, training_step

from gpu_parts.part import Report, Setting
from litconv import build
from litconv.config import composed
from litconv.cost import latency
from litconv.cost.latency import clock_of, time_beside
from litconv.data.problem import Problem
from litconv.prepare.layout import choose_layout

TITLE = "A training step of ResNet ÷ the standard convolution's in float32, channels_last"


def run(setting: Setting, report: Report) -> None:
    device, batch = torch.device(setting.device), 4 if setting.quick else 256
    latency.MIN_ROUNDS = 1 if setting.quick else 4
    ways = {name: way for name, way in WAYS.items() if not way[-1]}
    names = sorted(
        (path.stem for path in Path(composed.CONF, "conv").glob("*.yaml")), key=lambda n: (n != "standard", n)
    )
    report.head(TITLE, ("`conv=`", *ways, "bf16: NCHW ÷ NHWC"))
    clock, budget = clock_of(device), 1 if setting.quick else 60
    reference = training_step(network("standard"), batch, device, *WAYS["float32 NHWC"])
    for index, name in enumerate(names[:2] if setting.quick else names):
        if setting.left() < 5:
            report.skip(f"{len(names) - index} operators", "no time was left")
            break
        model = network(name)
        ratios = [
            time_beside(training_step(model, batch, device, *way), reference, clock, budget).ratio
            for way in ways.values()
        ]
        report.row(TITLE, f"`{name}`", *(f"{ratio:.2f}" for ratio in ratios), f"{ratios[3] / ratios[2]:.2f}")
        report.check(f"{name} trains in every layout", all(ratio > 0 for ratio in ratios), "yes")
        if name == "standard":
            choice(setting, report, device, ratios)


def network(name: str) -> torch.nn.Module:
    return build.model(composed.compose(["backbone.depth=8", f"conv={name}"]), 3, 10)


def choice(setting: Setting, report: Report, device: torch.device, ratios: list[float]) -> None:
    """`memory_format=auto` takes the faster one, where there is a clear one."""
    asked = ["backbone.depth=8", "memory_format=auto", "trainer.precision=bf16-mixed", f"output_dir={setting.folder}"]
    problem = Problem(3, (32, 32), (32, 32), 4 if setting.quick else 256, 10, True)
    chosen = choose_layout(composed.compose(asked), problem, device).name
    nchw = ratios[3] / ratios[2]
    clear = "contiguous" if nchw < 0.9 else "channels_last" if nchw > 1.1 else chosen
    said = f"{chosen}, where NCHW takes {nchw:.2f} of NHWC"
    if setting.quick:
        report.check("memory_format=auto chooses", chosen in ("contiguous", "channels_last"), said)
    else:
        report.check("memory_format=auto takes the faster layout", chosen == clear, said)
