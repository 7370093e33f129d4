"""What is known to be slow on the runtimes where models are deployed: which convolutions of a model are of the kind, how much
slower that is here, and who else has found it.

The factors are measured by benchmarks/hazards.py and lie in hazard_factors.json, with the processor named. A factor is a time for
each MAC ÷ that of the neighbour without the hazard; in other sizes and on other processors it is another.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from litconv.cost.observed import tensors_of

FACTORS = Path(__file__).with_name("hazard_factors.json")
VECTOR = 8  # float32 values of AVX2; AVX-512 has 16, NEON 4
IMAGE = 4  # channels: the first layer has few, and one layer of a model does not matter
DEFORMABLE = {"litconv::deform_conv2d", "torchvision::deform_conv2d"}
SHOWN = 3  # names
NOTICEABLE = 1.1  # a factor


@dataclass(frozen=True)
class Convolution:
    """One call."""

    place: str  # the name of the innermost module
    channels: tuple[int, int]  # in, out
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    is_deformable: bool = False
    is_padded_unevenly: bool = False

    @property
    def a_group(self) -> int:
        """Channels that one output channel reads."""
        return self.channels[0] // self.groups

    @property
    def is_depthwise(self) -> bool:
        return self.groups > 1 and self.a_group == 1


class Kind(NamedTuple):
    what: str  # … of these layers
    is_of: Callable[[Convolution], bool]
    neighbour: str  # what the factor is measured against
    source: str


KINDS = {
    "few_channels": Kind(
        f"fewer than {VECTOR} channels a group",
        lambda c: not c.is_depthwise and c.groups > 1 and c.a_group < VECTOR,
        "4 channels a group against 16",
        "https://github.com/microsoft/onnxruntime/issues/9192",
    ),
    "off_vector": Kind(
        f"channels (of a group) that are no multiple of {VECTOR}",
        lambda c: not c.is_depthwise and c.a_group > max(VECTOR, IMAGE) and c.a_group % VECTOR > 0,
        "60 channels against 64",
        "https://intel.github.io/intel-extension-for-pytorch/cpu/2.5.0+cpu/_sources/tutorials/features/nhwc.md.txt",
    ),
    "even_kernel": Kind(
        "even kernels",
        lambda c: any(k % 2 == 0 and k != s for k, s in zip(c.kernel, c.stride, strict=True)),
        "4×4 against 3×3",
        "https://github.com/TexasInstruments/edgeai-tidl-tools/pull/78",
    ),
    "uneven_padding": Kind(
        "more padding on one side than on the other",
        lambda c: c.is_padded_unevenly,
        "a Pad of its own before the convolution against none",
        "https://github.com/microsoft/onnxruntime/pull/4627",
    ),
    "dilated_depthwise": Kind(
        "dilated depthwise convolutions",
        lambda c: c.is_depthwise and max(c.dilation) > 1,
        "dilation 2 against 1",
        "https://github.com/ARM-software/ComputeLibrary/issues/1051",
    ),
    "depthwise_int8": Kind(
        "depthwise convolutions, which gain little from int8",
        lambda c: c.is_depthwise,
        "depthwise against standard, each as int8 ÷ as float32",
        "https://github.com/openvinotoolkit/openvino/issues/356",
    ),
    "deformable": Kind(
        "deformable convolutions, which stay float32 in an int8 model",
        lambda c: c.is_deformable,
        "deformable against standard",
        "https://docs.openvino.ai/2024/api/c_cpp_api/classov_1_1op_1_1v8_1_1_deformable_convolution.html",
    ),
}


@dataclass(frozen=True)
class Hazard:
    kind: str
    where: tuple[str, ...]  # names
    of: str = "layers"

    def __str__(self) -> str:
        """One line: which layers, how much slower, who else says so."""
        kind = KINDS[self.kind]
        shown = ", ".join(name or "the model itself" for name in self.where[:SHOWN])
        more = f", … {len(self.where)} {self.of}" if len(self.where) > SHOWN else ""
        return f"{kind.what} ({shown}{more}): {slower(self.kind)}; {kind.source}"


class Hazards:
    """An observer of `Observed`; `running` names the modules that run, the outermost first."""

    def __init__(self, running: Sequence[str]) -> None:
        self.running = running
        self.seen: list[Convolution] = []

    def __call__(self, func: Any, args: tuple, kwargs: dict[str, Any], out: Any) -> None:
        name = func.name().partition(".")[0]
        if name == "aten::constant_pad_nd":
            out.is_padded_unevenly = is_uneven(args[1])
        elif name == "aten::convolution" and not args[6]:
            x, weight, _, stride, _, dilation, _, _, groups, *_ = args
            self.note(x, weight, tuple(stride), tuple(dilation), groups, False)
        elif name in DEFORMABLE:
            x, weight = list(tensors_of(args))[:2]
            self.note(x, weight, (1, 1), (1, 1), x.shape[1] // weight.shape[1], True)

    def note(
        self,
        x: Tensor,
        weight: Tensor,
        stride: tuple[int, ...],
        dilation: tuple[int, ...],
        groups: int,
        deformable: bool,
    ) -> None:
        place = self.running[-1] if self.running else ""
        channels, uneven = (x.shape[1], weight.shape[0]), getattr(x, "is_padded_unevenly", False)
        kernel = tuple(weight.shape[2:])
        self.seen.append(Convolution(place, channels, kernel, stride, dilation, groups, deformable, uneven))

    def found(self) -> list[Hazard]:
        of_kinds = {
            name: tuple(dict.fromkeys(c.place for c in self.seen if kind.is_of(c))) for name, kind in KINDS.items()
        }
        return [Hazard(name, layers) for name, layers in of_kinds.items() if layers]


def is_uneven(padding: Sequence[int]) -> bool:
    return any(padding[i] != padding[i + 1] for i in range(0, len(padding), 2))


@cache
def factors() -> dict[str, Any]:
    return json.loads(FACTORS.read_text())


def slower(kind: str) -> str:
    """1.8 × the time per MAC in ONNX Runtime float32, 2.2 int8, …"""
    measured = factors()
    of_runtimes = [
        f"{runtime} {', '.join(f'{factor:.1f} {precision}' for precision, factor in of_precisions.items())}"
        for runtime, of_precisions in measured["factors"].get(kind, {}).items()
    ]
    if not of_runtimes:
        return f"not measured here ({KINDS[kind].neighbour})"
    most = max(factor for of_precisions in measured["factors"][kind].values() for factor in of_precisions.values())
    here = "" if most > NOTICEABLE else "not here: "
    return f"{here}× time for each MAC ({KINDS[kind].neighbour}) {'; '.join(of_runtimes)} on {measured['processor']}"
