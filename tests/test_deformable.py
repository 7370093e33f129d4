"""`litconv::deform_conv2d` against torchvision's, its gradients, and everything that must see it as one operation."""

import copy
import shutil
from functools import partial
from itertools import product

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import Tensor, nn

from deform_cases import GEOMETRIES, IMPLEMENTATIONS, ours, relative_error, tensors, theirs, with_gradients
from litconv.conv import Deformable
from litconv.conv.deform_kernels import cpp
from litconv.conv.deform_op import deform_conv2d
from litconv.conv.slot import DECLARED_COSTS
from litconv.cost import count

SPREADS = {"near": 1.0, "far": 30.0, "none": 0.0}  # of the offsets, in pixels; far: most samples lie outside


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.double, 1e-12), (torch.float, 1e-5)], ids=["64", "32"])
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_output_and_every_gradient_are_torchvisions(implementation, geometry, spread, dtype, tolerance):
    inputs = tensors(geometry, SPREADS[spread], dtype)
    mine = with_gradients(partial(ours, implementation=implementation), inputs, geometry)
    reference = with_gradients(theirs, inputs, geometry)
    assert mine.keys() == reference.keys()
    for name, expected in reference.items():
        assert mine[name].dtype == dtype
        assert relative_error(mine[name], expected) <= tolerance, name


@pytest.mark.parametrize("whole", [-2.0, -1.0, 1.0, 5.0])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_gradients_on_whole_pixels_are_torchvisions_one_sided_ones(implementation, whole):
    """There the slope jumps; training starts there, with the border's samples exactly one pixel outside."""
    inputs = tensors(GEOMETRIES[1], 0.0)
    inputs[2] = torch.full_like(inputs[2], whole)
    mine = with_gradients(partial(ours, implementation=implementation), inputs, GEOMETRIES[1])
    reference = with_gradients(theirs, inputs, GEOMETRIES[1])
    for name, expected in reference.items():
        assert relative_error(mine[name], expected) <= 1e-12, name


@pytest.mark.parametrize("geometry", [GEOMETRIES[3], GEOMETRIES[2]])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_gradients_are_those_of_finite_differences(implementation, geometry):
    inputs = [None if t is None else t.detach()[:1, ..., :4, :4] for t in tensors(geometry, 1.0, c=4)]
    inputs[1] = tensors(geometry, 1.0, c=4)[1].detach()[:4]
    inputs = [None if t is None else t.clone().requires_grad_() for t in inputs]
    assert torch.autograd.gradcheck(lambda *t: ours(*t, geometry, implementation), inputs, fast_mode=True)


@pytest.mark.parametrize(("geometry", "implementation"), [(GEOMETRIES[0], "auto"), (GEOMETRIES[4], "gather")])
def test_torch_library_finds_no_fault_in_the_operation(geometry, implementation):
    arguments = (*tensors(geometry, 1.0, torch.float), *geometry[4:], geometry[1], implementation)
    results = torch.library.opcheck(torch.ops.litconv.deform_conv2d.default, arguments)
    assert set(results.values()) == {"SUCCESS"}


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 8, 9, 7, generator=torch.Generator().manual_seed(0))


def shaken(modulated: bool, **options) -> nn.Module:
    torch.manual_seed(0)
    module = Deformable(8, 6, modulated=modulated, **options)
    nn.init.normal_(module.offset.weight, std=0.1)
    nn.init.normal_(module.offset.bias, std=0.5)
    return module


def gradients(module: nn.Module, x: Tensor) -> list[Tensor]:
    module.zero_grad()
    x = x.detach().clone().requires_grad_()
    y = module(x)
    y.float().square().mean().backward()
    return [y.detach(), x.grad, *(p.grad.clone() for p in module.parameters())]


class InFloat32AfterItsOffsets(nn.Module):
    """The operation in float32, on the offsets and masks of whatever precision is in force."""

    def __init__(self, module: nn.Module, out: torch.dtype) -> None:
        super().__init__()
        self.module, self.out = module, out

    def forward(self, x: Tensor) -> Tensor:
        module = self.module
        guide = module.offset(x)
        offset, logits = guide[:, : 2 * module.samples], guide[:, 2 * module.samples :]
        mask = (2 * logits.sigmoid()).float() if module.offset.out_channels > 2 * module.samples else None
        with torch.autocast("cpu", enabled=False):
            arguments = (module.stride, module.padding, module.dilation, module.offset_groups)
            y = deform_conv2d(x.float(), module.weight.float(), offset.float(), mask, *arguments)
        return y.to(self.out)


@pytest.mark.parametrize("modulated", [False, True], ids=["v1", "v2"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.half], ids=str)
def test_autocast_computes_the_operation_in_float32_forward_and_backward(x, dtype, modulated):
    module = shaken(modulated)
    with torch.autocast("cpu", dtype):
        mixed, expected = gradients(module, x), gradients(InFloat32AfterItsOffsets(module, torch.float32), x)
    for a, b in zip(mixed, expected, strict=True):
        assert a.dtype == torch.float32
        assert torch.equal(a, b)


@pytest.mark.parametrize("modulated", [False, True], ids=["v1", "v2"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.half], ids=str)
def test_a_module_in_half_precision_samples_in_float32(x, dtype, modulated):
    module = shaken(modulated)
    low = copy.deepcopy(module).to(dtype)
    expected = gradients(InFloat32AfterItsOffsets(low, dtype), x.to(dtype))
    for a, b in zip(gradients(low, x.to(dtype)), expected, strict=True):
        assert a.dtype == dtype
        assert torch.equal(a, b)


def test_bfloat16_reaches_every_column_of_a_wide_image():
    """In bfloat16, 301 is 300 or 302: positions must not be computed in it."""
    wide = torch.arange(310.0).remainder(7).bfloat16().view(1, 1, 1, 310)
    one, still = torch.ones(1, 1, 1, 1).bfloat16(), torch.zeros(1, 2, 1, 310).bfloat16()
    assert torch.equal(deform_conv2d(wide, one, still, None, (1, 1), (0, 0), (1, 1), 1), wide)


def test_autocast_leaves_the_precision_of_what_comes_in():
    """As a convolution does: between two of them activations stay in 16 bits."""
    module = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), shaken(False))
    with torch.autocast("cpu", torch.bfloat16):
        assert module(torch.randn(2, 4, 6, 5)).dtype == torch.bfloat16


@pytest.mark.parametrize("implementation", ["gather", "cpp", "torchvision"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_an_activation_passes_through_memory_once_on_its_way_in_and_once_on_its_way_out(implementation, dtype):
    """Converted to float32 and laid out anew in one pass, and not at all where it lies and counts right already."""
    if implementation == "cpp" and (reason := cpp.why_not()):
        pytest.skip(reason)
    x = torch.randn(2, 16, 24, 20, dtype=dtype).contiguous(memory_format=torch.channels_last)
    weight, offset = torch.randn(16, 16, 1, 1, dtype=dtype), torch.zeros(2, 2, 24, 20, dtype=dtype)
    offset = offset.contiguous(memory_format=torch.channels_last)
    deform_conv2d(x, weight, offset, None, (1, 1), (0, 0), (1, 1), 1, implementation)  # imports and compiles
    with torch.autograd.profiler.profile(record_shapes=True) as profile:
        deform_conv2d(x, weight, offset, None, (1, 1), (0, 0), (1, 1), 1, implementation)
    copies = [event for event in profile.function_events if event.name == "aten::copy_"]
    of_activations = [event for event in copies if event.input_shapes[0] == list(x.shape)]
    needed = dtype != torch.float32 or implementation == "torchvision"  # which alone reads and writes NCHW
    assert len(of_activations) == (2 if needed else 0)


@pytest.mark.parametrize("modulated", [False, True], ids=["v1", "v2"])
def test_channels_last_changes_nothing(x, modulated):
    module = shaken(modulated, kernel_size=4, stride=2, offset_groups=2)
    expected = gradients(module, x)
    module.to(memory_format=torch.channels_last)
    for a, b in zip(gradients(module, x.to(memory_format=torch.channels_last)), expected, strict=True):
        torch.testing.assert_close(a, b)


def compiled_equals_eager(x: Tensor, backend: str) -> None:
    torch.compiler.reset()
    for modulated in (False, True):
        module = shaken(modulated, kernel_size=2, stride=2, offset_groups=2)
        compiled = torch.compile(module, fullgraph=True, backend=backend)
        for a, b in zip(gradients(compiled, x), gradients(module, x), strict=True):
            torch.testing.assert_close(a, b)


def test_compiled_as_one_graph_it_equals_eager(x):
    compiled_equals_eager(x, "aot_eager")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
def test_compiled_by_inductor_it_equals_eager(x):
    compiled_equals_eager(x, "inductor")


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_offsets_that_are_not_numbers_give_nan_where_they_are_and_no_wild_read(implementation):
    for geometry, value in product(GEOMETRIES[:5], (float("nan"), float("inf"), -float("inf"), 1e30)):
        inputs = tensors(geometry, 1.0, torch.float)
        clean = ours(*inputs, geometry, implementation).detach()
        with torch.no_grad():
            inputs[2][1, :, 1, 2] = value
        y = ours(*inputs, geometry, implementation)
        y.sum().backward()
        hit = torch.zeros_like(y, dtype=torch.bool)
        hit[1, :, 1, 2] = True
        assert torch.equal(y[~hit], clean[~hit])
        assert y[hit].isnan().all() if value != value else (y[hit] == 0).all()  # infinitely far outside: 0
        assert inputs[2].grad[0].isfinite().all()


@pytest.mark.parametrize(("modulated", "products"), [(False, 4), (True, 5)], ids=["v1", "v2"])
@pytest.mark.parametrize("implementation", ["auto", "gather"])
def test_counters_see_one_operation_that_declares_its_cost(x, implementation, modulated, products):
    module = Deformable(8, 6, stride=2, modulated=modulated, implementation=implementation)
    declared = DECLARED_COSTS["litconv::deform_conv2d"]
    unaware = FlopCountAnalysis(module, x[:1]).unsupported_ops_warnings(False)
    counted = count(module, 8, (9, 7))
    assert counted.macs - unaware.total() == 9 * 8 * 6 * 5 * 4
    assert unaware.unsupported_ops()["litconv::deform_conv2d"] == 1
    assert counted.activations == 6 * 5 * 4 + module.offset.out_channels * 5 * 4
    shapes = [[1, 8, 9, 7], [6, 8, 3, 3], [1, 18, 5, 4], [1, 9, 5, 4] if modulated else None]
    assert declared.elementwise_ops(shapes, [1, 6, 5, 4]) == 8 * 9 * products * 5 * 4


def test_offset_groups_that_do_not_divide_the_input_channels_are_refused():
    with pytest.raises(ValueError, match=r"^offset_groups=3 must divide in_channels=8; try 1, 2, 4, 8$"):
        Deformable(8, 6, offset_groups=3)
