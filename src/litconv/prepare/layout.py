"""`memory_format=auto`: in which layout a training step of this network is faster on this device, found by trying both.

One file for each network, device and batch in `<output_dir>/layouts/`: every seed of an arm, every process of a run and
a run that is taken up again train in one layout. Where the file is removed, the next run measures anew.
"""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from litconv import build
from litconv.config import composed
from litconv.cost.latency import clock_of, time_beside
from litconv.cost.replica import untouched
from litconv.data.problem import Problem
from litconv.device import describe, in_precision
from litconv.errors import ConfigError
from litconv.files import write_once

log = logging.getLogger(__name__)

STEP_MS = 30  # of a measured step at most; where it takes longer, it is of fewer images
ROUNDS_MS = 400
TIE = 0.03  # what noise may come to: the default stands
MODEL_KEYS = ("backbone", "head", "upsample")


@dataclass(frozen=True)
class Layout:
    """`facts` are keys of summary.json; `of` is a configuration in this layout."""

    name: str
    facts: dict[str, str]

    def of(self, config: Any) -> Any:
        return config if config.memory_format == self.name else with_format(config, self.name)


def with_format(config: Any, name: str) -> Any:
    return composed.with_values(config, {"memory_format": name})


def choose_layout(config: Any, problem: Problem, device: torch.device) -> Layout:
    """The layout that is asked for; of `auto` the one that is faster on this device."""
    if config.memory_format != "auto":
        return Layout(config.memory_format, {"memory_format": config.memory_format})
    path = Path(config.output_dir, "layouts", f"{key_of(config, problem, device)}.json")
    if not path.exists():
        try:
            measurement = measured(config, problem, device)
        except torch.OutOfMemoryError:  # the training will say which batch fits
            return Layout(
                "channels_last", {"memory_format": "channels_last", "memory_format/chosen": "no memory to measure"}
            )
        write_once(path, json.dumps(measurement, indent=2).encode())
    try:
        facts = json.loads(path.read_text())
        return Layout(facts["memory_format"], facts)
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); remove it, and the layout is measured anew") from error


def key_of(config: Any, problem: Problem, device: torch.device) -> str:
    """Of all that decides which is faster; not of seed, schedule or learning rate."""
    settings = composed.plain(config)
    network = {key: node for key, node in settings.items() if key in MODEL_KEYS or key.startswith("conv")}
    images = [problem.num_classes, problem.training_size, problem.batch_size]
    step = [*images, config.trainer.precision, config.matmul_precision]
    place = [describe(device), torch.__version__]
    text = json.dumps([network, step, place], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def measured(config: Any, problem: Problem, device: torch.device) -> dict[str, str]:
    """Forward and backward in both layouts, in turns; keys of summary.json."""
    dtype, cast = in_precision(config.trainer.precision, device)
    clock, shape = clock_of(device), (problem.batch_size, problem.in_channels, *problem.training_size)

    def step(name: str, images: int) -> Callable[[], None]:
        memory_format = build.memory_format(with_format(config, name))
        model: nn.Module = build.assemble(config, problem.in_channels, problem.num_classes)
        model = model.to(device=device, dtype=dtype, memory_format=memory_format).train()
        x = torch.randn((images, *shape[1:]), device=device, dtype=dtype)

        def call() -> None:
            with torch.enable_grad():
                with cast():
                    loss = model(x).float().square().mean()
                loss.backward()
            model.zero_grad()

        return call

    with untouched(device):
        images = shape[0]
        first = step("channels_last", images)
        clock(first)
        if (milliseconds := clock(first)) > STEP_MS:
            images = max(2, int(images * STEP_MS / milliseconds))  # batch norm needs two
        both = [step(name, images) for name in ("channels_last", "contiguous")]
        ratio = time_beside(*both, clock, ROUNDS_MS).ratio
    chosen = "contiguous" if ratio > 1 + TIE else "channels_last"
    why = (
        f"measured: a training step in channels_last takes {ratio:.2f} times that in contiguous "
        f"({images} images, {config.trainer.precision}, {describe(device)})"
    )
    log.info("memory_format=auto: %s (%s)", chosen, why)
    return {"memory_format": chosen, "memory_format/chosen": why}
