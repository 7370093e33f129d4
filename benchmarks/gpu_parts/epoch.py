"""An epoch of ResNet-20 in bf16, validation and checkpoint included: litconv eager, compiled and as CUDA graphs, ÷ a bare loop
around a compiled model, whose images lie normalised on the device and are not augmented. And how often a step of litconv waits.

On a CPU the compiler stops before it generates code, and there are no graphs.
"""

import time
import warnings
from itertools import pairwise
from statistics import median
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import nn

from gpu_parts.commands import accelerator, images_of, network
from gpu_parts.part import Report, Setting
from litconv import build
from litconv.callbacks.compilation import SKIPPED as SKIPPED_GRAPHS
from litconv.callbacks.compilation import Compilation
from litconv.config import composed
from litconv.device import in_precision
from litconv.fit.training import fit
from litconv.optim import optimizer_for

PRECISION = "bf16-mixed"
WAYS = {
    "eager": [],
    "compiled": ["compile.enabled=true"],
    "CUDA graphs": ["compile.enabled=true", "compile.mode=reduce-overhead"],
}
FIRST = 5  # before it the optimiser's state is made, and libraries choose their algorithms
STEPS = 20  # that are watched for waits
WAIT = "called a synchronizing CUDA operation"  # what torch warns of; of the mode itself it warns in other words
TITLE = "An epoch ÷ a bare compiled loop"


class Clock(pl.Callback):
    """When each epoch began, and when the training was over."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.times = device, []

    def on_train_epoch_start(self, *unused: object) -> None:
        self.times.append(now(self.device))

    on_fit_end = on_train_epoch_start


class Waits(pl.Callback):
    """From the FIRST step on to the last, the making of batches included, torch warns of each time that the host waits for
    the GPU."""

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, index: int
    ) -> None:
        if index == FIRST:
            torch.cuda.set_sync_debug_mode("warn")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, index: int
    ) -> None:
        if index == FIRST + STEPS - 1:
            torch.cuda.set_sync_debug_mode("default")


def run(setting: Setting, report: Report) -> None:
    device, epochs = torch.device(setting.device), 2 if setting.quick else 5
    if setting.quick:
        nn.Module.compile = without_code
    data, _ = images_of(setting)
    asked = [*data, *network(setting), f"trainer.precision={PRECISION}", accelerator(setting), "logger=csv"]
    if setting.quick:
        report.skip("a step does not wait for the GPU", "no GPU")
    else:
        waited = waits(setting, [*asked, "epochs=1", f"+trainer.limit_train_batches={FIRST + STEPS}"])
        report.check(
            "a step does not wait for the GPU", not waited, f"{len(waited)} waits in {STEPS} steps; {waited[:2]}"
        )
    report.head(TITLE, ("way", "seconds", "÷ the bare loop", "graphs", "programs without CUDA graphs", "compiling, s"))
    bare = seconds_of(bare_epochs(asked, device, epochs))
    report.row(TITLE, "bare, compiled", f"{bare:.3f}", "1.00", "", "", "")
    ratios: dict[str, float] = {}
    for name, overrides in WAYS.items():
        if name == "CUDA graphs" and setting.quick:
            report.skip("CUDA graphs", "no GPU")
            continue
        if setting.left() < 15 and not setting.quick:
            report.skip(name, "no time was left")
            continue
        clock = Clock(device)
        facts = train(setting, [*asked, *overrides, f"epochs={epochs}"], clock)
        seconds = seconds_of(clock.times)
        ratios[name] = seconds / bare
        figures = [facts.get(key, "") for key in ("compile/graphs", SKIPPED_GRAPHS)]
        report.row(
            TITLE, name, f"{seconds:.3f}", f"{ratios[name]:.2f}", *figures, round(facts.get("compile/seconds", 0), 1)
        )
        report.check(f"{name} trains", seconds > 0, f"{seconds:.3f} s an epoch")
        if overrides:
            report.check(f"{name}: one graph", facts["compile/graphs"] == 1, facts)
        if name == "CUDA graphs":
            report.check("no CUDA graph is skipped", facts[SKIPPED_GRAPHS] == 0, facts)
    report.fact("ratios", ratios)
    if setting.quick:  # of so few steps nothing is known
        return
    for name, before in {"compiled": "eager", "CUDA graphs": "compiled"}.items():
        if {name, before} <= ratios.keys():
            said = f"{ratios[name]:.2f} and {ratios[before]:.2f} times the bare loop"
            report.check(f"{name} is not slower than {before}", ratios[name] <= 1.1 * ratios[before], said)


def without_code(model: nn.Module, **options: Any) -> None:
    model._compiled_call_impl = torch.compile(model._call_impl, backend="aot_eager", dynamic=False)


def now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def seconds_of(times: list[float]) -> float:
    """Of an epoch; the first compiles."""
    return median(end - start for start, end in pairwise(times[1:]))


def train(setting: Setting, overrides: list[str], *own: pl.Callback) -> dict[str, Any]:
    """With all that a run has; what became of compiling."""
    config = composed.compose(overrides)
    data = build.data(config)
    data.setup("fit")
    callbacks = [*build.callbacks(config, setting.folder), *own]
    fit(build.trainer(config, callbacks), build.task(config, data), data, None)
    return {k: v for one in callbacks if isinstance(one, Compilation) for k, v in one.facts().items()}


def bare_epochs(asked: list[str], device: torch.device, epochs: int) -> list[float]:
    """When each began, and the end."""
    config = composed.compose([*asked, f"epochs={epochs}"])
    data = build.data(config)
    data.setup("fit")
    mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (data.mean, data.std))

    def on_device(loader: Any) -> tuple[torch.Tensor, torch.Tensor]:
        images = (loader.arrays.images.to(device).float().div(255) - mean) / std
        return images.contiguous(memory_format=torch.channels_last), loader.arrays.targets.to(device)

    (images, targets), val = on_device(data.train_dataloader()), on_device(data.val_dataloader())
    model = build.model(config, 3, data.num_classes).to(device)
    _, cast = in_precision(PRECISION, device)
    optimizer = optimizer_for(model, build.part(config.optim))
    steps = len(images) // data.batch_size
    schedule = build.part(config.schedule)(optimizer, epochs * steps)
    torch.compiler.reset()
    model.compile(dynamic=False)
    times = []
    for _ in range(epochs):
        times.append(now(device))
        torch.compiler.set_stance("default")
        for index in torch.randperm(len(images), device=device).split(data.batch_size)[:steps]:
            with cast():
                loss = F.cross_entropy(model.train()(images[index]), targets[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        torch.compiler.set_stance("force_eager")
        with torch.no_grad(), cast():
            model.eval()
            sum(
                (model(x).argmax(1) == y).sum()
                for x, y in zip(*(part.split(data.batch_size) for part in val), strict=True)
            )
    times.append(now(device))
    torch.compiler.set_stance("default")
    return times


def waits(setting: Setting, overrides: list[str]) -> list[str]:
    """Where each time was when a step waited."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            train(setting, overrides, Waits())
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return [f"{one.filename}:{one.lineno}" for one in caught if WAIT in str(one.message)]
