"""The Triton kernels, in Triton's interpreter: there may be no GPU."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from deform_cases import GEOMETRIES

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")
TOLERANCES = {"64": 1e-12, "32": 1e-5, "many": 1e-12}


def check(*geometries: int) -> None:
    command = [sys.executable, "-W", "ignore", Path(__file__).with_name("triton_process.py"), *map(str, geometries)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert len(found) == 1 + 2 * len(geometries)
    for case, errors in found.items():
        assert {"output", "x", "weight", "offset"} <= errors.keys()
        assert all(error <= TOLERANCES[case.split()[-1]] for error in errors.values()), (case, errors)  # NaN is not


def test_the_triton_kernels_compute_what_torchvision_does():
    check(5)


@pytest.mark.slow
def test_the_triton_kernels_compute_every_geometry_as_torchvision_does():
    check(*range(len(GEOMETRIES)))


@pytest.mark.slow
@pytest.mark.parametrize("architecture", [80, 90])
def test_the_triton_kernels_compile_for_gpus_that_are_not_here(architecture):
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from litconv.conv.deform_kernels import triton as kernels

    tile = {"BM": kernels.PIXELS, "BK": kernels.CHANNELS, "BN": kernels.OUTPUTS, "SPLITS": 16}
    constants = {"TAPS": 9, "KW": 3, "OG": 2, "MASKED": True, "PRECISION": "ieee", **tile}
    types = {"p": kernels.Numbers(*["i32"] * len(kernels.Numbers._fields)), "blocks": "*i32", "starts": "*i32"}
    for kernel in (kernels._forward_kernel, kernels._samples_kernel, kernels._weight_kernel):
        signature = {name: types.get(name, "constexpr" if name in constants else "*fp32") for name in kernel.arg_names}
        bound = {name: constants[name] for name in signature if name in constants}
        compiled = triton.compile(ASTSource(kernel, signature, bound), target=GPUTarget("cuda", architecture, 32))
        assert compiled.asm["cubin"]
