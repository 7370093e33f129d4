"""What a model costs on this device: latency, throughput, memory, energy. Measured on copies, in the deployed form."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from litconv.cost.energy import joules_per_call
from litconv.cost.latency import Latency, clock_of, time_beside, waits_for_a_core
from litconv.cost.memory import peak_bytes
from litconv.cost.replica import replica, untouched
from litconv.device import describe, in_precision

log = logging.getLogger(__name__)

MB = 2**20


@dataclass(frozen=True)
class Measured:
    device: str
    batch: int
    single: Latency  # of one image
    batched: Latency
    peak_bytes: int | None  # of inference at `batch`: weights, images, activations, the kernels' own
    train_peak_bytes: int | None  # of a training step at `batch`: gradients and the optimiser's state as well
    joules: float | None  # of inference at `batch`

    @property
    def is_disturbed(self) -> bool:
        return self.single.is_disturbed or self.batched.is_disturbed

    def summary(self) -> dict[str, Any]:
        """The flat keys of summary.json; what could not be measured is absent."""
        values = {
            "cost/latency_ms": self.batched.median_ms,
            "cost/latency_p10_ms": self.batched.p10_ms,
            "cost/latency_p90_ms": self.batched.p90_ms,
            "cost/latency_ratio": self.batched.ratio,
            "cost/latency_batch": self.batch,
            "cost/latency_single_ms": self.single.median_ms,
            "cost/latency_single_p10_ms": self.single.p10_ms,
            "cost/latency_single_p90_ms": self.single.p90_ms,
            "cost/latency_single_ratio": self.single.ratio,
            "cost/latency_disturbed": self.is_disturbed or None,
            "cost/images_per_second": 1e3 * self.batch / self.batched.median_ms,
            "cost/peak_memory_mb": self.peak_bytes and self.peak_bytes / MB,
            "cost/train_peak_memory_mb": self.train_peak_bytes and self.train_peak_bytes / MB,
            "cost/energy_mj_per_image": self.joules and 1e3 * self.joules / self.batch,
            "cost/device": self.device,
        }
        return {key: value for key, value in values.items() if value is not None}


def measure(
    model: nn.Module,
    reference: nn.Module | None,
    optimizer: Callable[[nn.Module], Optimizer],
    in_channels: int,
    image_size: tuple[int, int],
    *,
    device: torch.device,
    precision: str,  # as Lightning writes it: 32-true, bf16-mixed, …
    memory_format: torch.memory_format,
    reference_format: torch.memory_format,
    batch: int,
    seconds: float,
    shared: bool = False,  # with jobs whose energy the device's counter would count as ours
) -> Measured | None:
    """Latencies of one image and of `batch`, some `seconds` each, in turns with `reference` (None: the model is its own).

    None, and a warning, where the device's memory does not hold it.
    """
    try:
        with untouched(device):
            return _measure(
                model,
                reference,
                optimizer,
                (batch, in_channels, *image_size),
                device,
                precision,
                (memory_format, reference_format),
                seconds,
                shared,
            )
    except torch.OutOfMemoryError:
        log.warning("cost: %s has no memory for a batch of %d; try a smaller cost.latency.batch", device, batch)
        return None


def _measure(
    model: nn.Module,
    reference: nn.Module | None,
    optimizer: Callable[[nn.Module], Optimizer],
    shape: tuple[int, ...],
    device: torch.device,
    precision: str,
    formats: tuple[torch.memory_format, torch.memory_format],  # of the model, of the reference
    seconds: float,
    shared: bool,
) -> Measured:
    dtype, cast = in_precision(precision, device)
    images = torch.randn(shape, device=device, dtype=dtype)  # zeros would need less energy
    images, others = (images.contiguous(memory_format=memory_format) for memory_format in formats)

    def placed(model: nn.Module, deployed: bool = True, memory_format: torch.memory_format = formats[0]) -> nn.Module:
        return replica(model, device, deployed).to(dtype=dtype, memory_format=memory_format)

    def step() -> None:
        trained = placed(model, deployed=False).train().requires_grad_()
        with torch.enable_grad():
            optimiser = optimizer(trained)
            with cast():
                loss = trained(torch.zeros_like(images)).float().square().mean()
            loss.backward()
            optimiser.step()

    train_peak = peak_bytes(step, device)
    copied = placed(model)
    beside = placed(reference, memory_format=formats[1]) if reference is not None else None
    latencies = [
        time_beside(
            forward(copied, x, cast),
            forward(beside, y, cast) if beside is not None else None,
            clock_of(device),
            1e3 * seconds,
            waits_for_a_core,
        )
        for x, y in ((images[:1], others[:1]), (images, others))
    ]
    peak = peak_bytes(lambda: forward(placed(model), torch.zeros_like(images), cast)(), device)
    energy = None if shared else joules_per_call(forward(copied, images, cast), device)
    measured = Measured(describe(device), shape[0], *latencies, peak, train_peak, energy)
    if measured.is_disturbed:
        log.warning(
            "cost: the machine was too busy to measure latencies, other programs had its cores in almost every round; "
            "their ratio to standard may hold, the milliseconds do not (cost/latency_disturbed)"
        )
    return measured


def latency(
    model: nn.Module,
    reference: nn.Module | None,
    shape: tuple[int, ...],
    *,
    device: torch.device,
    precision: str,
    memory_format: torch.memory_format,
    seconds: float,
) -> Latency:
    """Of a batch of this shape, in turns with `reference` (None: the model is its own), and nothing else."""
    dtype, cast = in_precision(precision, device)
    with untouched(device):
        x = torch.randn(shape, device=device, dtype=dtype).contiguous(memory_format=memory_format)
        copies = [
            replica(m, device).to(dtype=dtype, memory_format=memory_format) for m in (model, reference) if m is not None
        ]
        calls = [forward(copied, x, cast) for copied in copies]
        return time_beside(
            calls[0], calls[1] if len(calls) > 1 else None, clock_of(device), 1e3 * seconds, waits_for_a_core
        )


def forward(model: nn.Module, x: Tensor, cast: Callable[[], AbstractContextManager]) -> Callable[[], object]:
    def call() -> object:
        with torch.inference_mode(), cast():
            return model(x)

    return call
