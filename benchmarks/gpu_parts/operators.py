"""Every operator in every precision, forward and gradients, against the same operator on the CPU in float64; and whether a step
waits for the GPU (`torch.cuda.set_sync_debug_mode`).

An error is ‖a − b‖ ÷ ‖b‖ of the output or of a gradient, the largest of them. Gradients of biases are sums over all pixels, in
which terms cancel: they are held in float32 alone. A deformable convolution's gradients jump where a sample crosses a pixel,
and rounding moves some across: in the half precisions five times the error is let pass.
"""

import copy
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from gpu_parts.part import Report, Setting, one_line
from litconv import build
from litconv.config import composed
from litconv.conv import Deformable
from litconv.conv.initial import initialise
from litconv.device import in_precision, set_matmul_precision

MOST = {"32-true": 1e-4, "bf16-mixed": 6e-2, "16-mixed": 1e-2}  # the largest error that is let pass
TITLE = "Largest error against float64 on the CPU, and waits in a step"


def run(setting: Setting, report: Report) -> None:
    device = torch.device(setting.device)
    set_matmul_precision("highest")
    report.head(TITLE, ("`conv=`", *MOST, "waits"))
    shape = (2, 16, 8, 8) if setting.quick else (4, 32, 28, 28)
    waits: dict[str, str] = {}
    for name in sorted(path.stem for path in Path(composed.CONF, "conv").glob("*.yaml")):
        layer, x, upstream = problem(name, shape)
        expected = step(copy.deepcopy(layer).double(), x.double(), upstream.double())
        cells = []
        for precision in MOST:
            try:
                found, waited = on_device(layer, x, upstream, device, precision)
            except Exception as error:  # of one operator; the others are tried all the same
                report.check(f"{name}, {precision}", False, one_line(error))
                cells.append("error")
                continue
            held = {k: t for k, t in expected.items() if t.ndim > 1 or precision == "32-true"}
            jumps = precision != "32-true" and any(isinstance(module, Deformable) for module in layer.modules())
            most = {k: MOST[precision] * (5 if jumps and k != "output" else 1) for k in held}
            errors = {key: error_of(found[key], value) for key, value in held.items()}
            where = max(errors, key=lambda key: errors[key] / most[key])
            said = f"{errors[where]:.1e} of {where}; at most {most[where]:g}"
            report.check(f"{name}, {precision}", errors[where] <= most[where], said)
            cells.append(f"{errors[where]:.1e}")
            if waited:
                waits[f"{name}, {precision}"] = waited
        mine = [said for key, said in waits.items() if key.startswith(f"{name},")]
        report.row(TITLE, f"`{name}`", *cells, "not tried" if setting.quick else mine[0] if mine else 0)
    if setting.quick:
        report.skip("no operator waits for the GPU", "no GPU")
    else:
        report.check("no operator waits for the GPU", not waits, waits or "0 waits")


def problem(name: str, shape: tuple[int, ...]) -> tuple[nn.Module, Tensor, Tensor]:
    """A layer with weights that are drawn, an input and a gradient of its output."""
    layer = build.part(composed.compose([f"conv={name}"]).conv)(shape[1], shape[1])
    initialise(layer, 0)
    generator = torch.Generator().manual_seed(0)
    for module in layer.modules():
        if isinstance(module, Deformable):  # zero at first, where no sample lies between pixels
            with torch.no_grad():
                module.offset.weight.copy_(0.05 * torch.randn(module.offset.weight.shape, generator=generator))
    x = torch.randn(shape, generator=generator)
    with torch.no_grad():
        size = copy.deepcopy(layer)(x).shape
    return layer.train(), x, torch.randn(size, generator=generator)


def step(layer: nn.Module, x: Tensor, upstream: Tensor) -> dict[str, Tensor]:
    """The output and the gradients of the input and of all weights."""
    x = x.detach().requires_grad_()
    y = layer(x)
    y.backward(upstream.to(y.dtype))
    gradients = {name: parameter.grad for name, parameter in layer.named_parameters()}
    return {"output": y.detach(), "input": x.grad} | {k: g for k, g in gradients.items() if g is not None}


def on_device(
    layer: nn.Module, x: Tensor, upstream: Tensor, device: torch.device, precision: str
) -> tuple[dict[str, Tensor], str]:
    """As a run computes it there: its layout, autocast for the mixed precisions. And what a second step waits for."""
    _, cast = in_precision(precision, device)
    placed = copy.deepcopy(layer).to(device, memory_format=torch.channels_last)
    tensors = [t.to(device).contiguous(memory_format=torch.channels_last) for t in (x, upstream)]
    with cast():
        found = step(copy.deepcopy(placed), *tensors)
        waited = waits_of(lambda: step(placed, *tensors), device)
    return found, waited


def waits_of(call: object, device: torch.device) -> str:
    """Where it first waits; empty where it does not. After a call that compiled and chose what there is to choose."""
    if device.type != "cuda":
        return ""
    torch.cuda.synchronize(device)
    with errors_at_waits():
        try:
            call()
        except RuntimeError as error:
            return " ".join(str(error).split())[:200]
    return ""


@contextmanager
def errors_at_waits():
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def error_of(found: Tensor, expected: Tensor) -> float:
    found, expected = (t.detach().cpu().double() for t in (found, expected))
    return float((found - expected).norm() / expected.norm().clamp(min=1e-30))
