"""Which 8-bit integers: what is fast and right depends on the processor.

x86 multiplies uint8 activations by int8 weights. With VNNI sums of four products go into 32 bits at once. Without, two products
are added in 16 bits first (VPMADDUBSW), where 2 · 255 · 127 does not fit; so weights take 7 bits there. Signed activations are
faster nowhere on x86. ARM multiplies int8 by int8. All this is what ONNX Runtime advises
(https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
"""

import platform
from dataclasses import dataclass
from typing import Literal

from litconv.device import cpu_fact

WITH_VNNI = {"avx512_vnni", "avx_vnni"}


@dataclass(frozen=True)
class Scheme:
    activations: Literal["uint8", "int8"]
    symmetric: bool  # of activations: zero is the number 0
    weight_bits: int  # int8 holds them, one scale for each output channel

    def words(self) -> str:
        symmetric = "symmetric " if self.symmetric else ""
        return f"{symmetric}{self.activations} activations, int8 weights of {self.weight_bits} bits per channel"


VNNI = Scheme("uint8", symmetric=False, weight_bits=8)
NO_VNNI = Scheme("uint8", symmetric=False, weight_bits=7)
ARM = Scheme("int8", symmetric=True, weight_bits=8)


def scheme_of(machine: str, flags: set[str]) -> Scheme:
    """`flags`: of the processor; where nobody tells them, none: seven bits are right everywhere."""
    if machine.lower() in ("arm64", "aarch64"):
        return ARM
    return VNNI if flags & WITH_VNNI else NO_VNNI


def scheme_here() -> Scheme:
    return scheme_of(platform.machine(), cpu_flags())


def cpu_flags() -> set[str]:
    return set(cpu_fact("flags").split())


def processor() -> str:
    return cpu_fact("model name") or platform.processor() or platform.machine()
