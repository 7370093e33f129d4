"""What the operators beyond the core set promise besides the slot: fused forms, parts, refusals, timm's modules."""

import copy

import pytest
import torch
from torch import nn

from litconv import build
from litconv.config.composed import compose
from litconv.conv.bsconv_s import BSConvS
from litconv.conv.condconv import CondConv
from litconv.conv.depthwise_separable import DepthwiseSeparable
from litconv.conv.ghost import Ghost
from litconv.conv.inception_depthwise import InceptionDepthwise
from litconv.conv.involution import Involution, involution
from litconv.conv.large_kernel import LargeKernel
from litconv.conv.mixed import Mixed
from litconv.conv.octave import Octave
from litconv.conv.partial import Partial
from litconv.conv.reparam import Reparam
from litconv.conv.slot import HasDeployedForm
from litconv.conv.standard import Standard
from litconv.conv.wavelet import Wavelet, back, butterfly, haar
from litconv.cost import count
from litconv.cost.folding import in_deployed_form


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(2, 16, 9, 7, generator=torch.Generator().manual_seed(0))


def trained(module: nn.Module, channels: int) -> nn.Module:
    """With statistics and scales that are not those it started with."""
    generator = torch.Generator().manual_seed(0)
    module.train()
    for _ in range(3):
        module(2 + 3 * torch.randn(4, channels, 8, 8, generator=generator))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module.eval()


SLOTS = [(3, 1, 1), (3, 2, 1), (5, 1, 2), (2, 1, 1), (4, 2, 1), (1, 1, 1), (7, 2, 3)]
FUSED = {
    "RepVGG": Reparam,
    "MobileOne": lambda *slot: Reparam(*slot, branches=4),
    "large kernel": LargeKernel,
    "large kernel, 3": lambda *slot: LargeKernel(*slot, small_kernel=3),
}


@pytest.mark.parametrize("slot", SLOTS, ids=str)
@pytest.mark.parametrize("out_channels", [16, 10])
@pytest.mark.parametrize("kind", FUSED)
def test_the_fused_form_is_exact_and_costs_what_the_formula_says(x, kind, out_channels, slot):
    module = trained(FUSED[kind](16, out_channels, *slot), 16)
    expected = module(x)
    fused = in_deployed_form(copy.deepcopy(module))
    assert not isinstance(fused, HasDeployedForm)
    assert (fused(x) - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert sum(p.numel() for p in fused.parameters()) == module.formula(9, 7).params
    assert fused.formula(9, 7) == module.formula(9, 7)
    assert sum(p.numel() for p in module.parameters()) > module.formula(9, 7).params


@pytest.mark.parametrize("conv", ["reparam", "large_kernel"])
def test_a_network_is_costed_fused_and_fuses_exactly(conv):
    network = trained(build.model(compose([f"conv={conv}", "width=0.5"]), 3, 10), 3)
    image = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    fused = in_deployed_form(copy.deepcopy(network))
    assert (fused(image) - network(image)).abs().max() <= 1e-4 * network(image).abs().max()  # six of them in a row
    cost = count(network, 3, (32, 32))
    assert cost.params == sum(p.numel() for p in fused.parameters()) < cost.trainable_params


def test_a_large_kernel_is_depthwise_separable_when_it_is_deployed():
    module = LargeKernel(6, 10, 31)
    assert type(module.deployed()) is DepthwiseSeparable
    assert module.formula(40, 40) == DepthwiseSeparable(6, 10, 31).formula(40, 40)


def test_a_wavelet_transform_is_orthonormal_and_its_way_back_the_inverse(x):
    bands = haar(x)
    assert bands.shape == (2, 64, 5, 4)
    assert bands.square().sum() == pytest.approx(x.square().sum().item(), rel=1e-5)
    torch.testing.assert_close(back(bands)[..., :9, :7], x)
    torch.testing.assert_close(bands[:, ::4, :4, :3], 2 * nn.functional.avg_pool2d(x, 2))
    torch.library.opcheck(torch.ops.litconv.butterfly.default, (bands.requires_grad_(),))
    torch.testing.assert_close(butterfly(butterfly(bands)), bands)


def test_without_its_bands_a_wavelet_convolution_is_depthwise_separable(x):
    module, plain = Wavelet(16, 10, 3, 2), DepthwiseSeparable(16, 10, 3, 2)
    plain.depthwise.weight, plain.pointwise.weight = module.spatial.weight, module.pointwise.weight
    for conv in module.bands:
        nn.init.zeros_(conv.weight)
    torch.testing.assert_close(module(x), plain(x))


def test_an_image_has_its_own_kernel_whatever_images_are_beside_it(x):
    module = CondConv(16, 10, 3, 2)
    nn.init.normal_(module.routing.weight)
    together = module(x)
    torch.testing.assert_close(together, torch.cat([module(image[None]) for image in x]))
    shares = module.routing(x.mean((2, 3))).sigmoid()
    assert (shares[0] - shares[1]).abs().max() > 0.01


def test_equal_experts_are_one_standard_convolution(x):
    module, standard = CondConv(16, 10, experts=2), Standard(16, 10)
    nn.init.zeros_(module.routing.weight)  # both shares ½
    with torch.no_grad():
        module.experts.weight.copy_(standard.weight.repeat(2, 1, 1, 1))
    torch.testing.assert_close(module(x), standard(x))


@pytest.mark.parametrize("stride", [1, 2])
def test_an_octave_convolution_takes_seven_sixteenths_of_the_standard_one(stride):
    ours, standard = Octave(16, 32, 3, stride).formula(32, 32), Standard(16, 32, 3, stride).formula(32, 32)
    assert ours.params == standard.params
    assert ours.macs == 0.4375 * standard.macs


@pytest.mark.parametrize("channels", [(16, 16), (16, 6)])
def test_an_involution_whose_kernels_are_the_same_everywhere_is_a_filter(x, channels):
    """Where nothing but the norm's shift makes the kernels, every place of a group has the same one."""
    module = Involution(*channels, 3, 2).eval()
    nn.init.zeros_(module.between[0].weight)
    nn.init.ones_(module.between[0].bias)
    kernel = module.span.weight.sum(1).detach().view(1, 1, 3, 3).repeat(16, 1, 1, 1)
    filtered = nn.functional.conv2d(x, kernel, stride=2, padding=1, groups=16)
    torch.testing.assert_close(module(x), module.pointwise(filtered))


def test_torch_library_finds_no_fault_in_the_involution():
    for dtype in (torch.float32, torch.float64):
        arguments = (torch.randn(2, 8, 9, 8, dtype=dtype), torch.randn(2, 2, 9, 3, 2, dtype=dtype))
        inputs = [t.requires_grad_() for t in arguments]
        results = torch.library.opcheck(torch.ops.litconv.involution.default, (*inputs, 2, 2))
        assert set(results.values()) == {"SUCCESS"}
    assert torch.autograd.gradcheck(lambda x, kernels: involution(x, kernels, 2, 2), inputs, fast_mode=True)


@pytest.mark.parametrize("kind", [Involution, Wavelet])
@pytest.mark.parametrize("stride", [1, 2])
def test_compiled_as_one_graph_an_operator_with_an_operation_of_its_own_equals_eager(x, kind, stride):
    torch.compiler.reset()
    module = kind(16, 10, 3, stride)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    found = []
    for run in (module, compiled):
        module.zero_grad()
        y = run(x)
        y.square().mean().backward()
        found.append([y.detach(), *(p.grad.clone() for p in module.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("channels", [7, 10, 2])
def test_channels_that_do_not_divide_go_to_the_first_part(channels):
    module = Mixed(channels, 5, kernels=3)
    assert sum(module.sizes) == channels
    assert module.sizes == {7: [3, 2, 2], 10: [4, 3, 3], 2: [1, 1]}[channels]
    assert module(torch.zeros(1, channels, 5, 5)).shape == (1, 5, 5, 5)


@pytest.mark.parametrize(("in_channels", "out_channels"), [(3, 7), (5, 1), (7, 9), (12, 5)])
def test_odd_channels_are_taken(in_channels, out_channels):
    kinds = [BSConvS, CondConv, Ghost, InceptionDepthwise, Involution, LargeKernel, Mixed, Octave, Reparam, Wavelet]
    for kind in kinds if out_channels > 1 else set(kinds) - {Octave}:
        module = kind(in_channels, out_channels, 3, 2).eval()
        assert module(torch.randn(1, in_channels, 5, 4)).shape == (1, out_channels, 3, 2), kind
        cost = count(module, in_channels, (5, 4))
        assert module.formula(5, 4) == (cost.params, cost.macs), kind


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (lambda: Partial(3, 8), r"^ratio=4 leaves none of in_channels=3; use 3 or less$"),
        (lambda: InceptionDepthwise(2, 8), r"three kinds of kernels: in_channels=2 must be at least 3$"),
        (lambda: Octave(8, 1), r"^alpha=0.5 must leave channels .* in_channels=8 and out_channels=1;"),
        (lambda: Octave(8, 8, alpha=1.0), r"^alpha=1.0 must leave channels at both resolutions"),
        (lambda: Reparam(8, 8, 4, dilation=2), r"cannot dilate an even kernel_size=4 by 2: .* use an odd kernel_size$"),
        (lambda: LargeKernel(8, 8, 7, small_kernel=9), r"^small_kernel=9 must not exceed kernel_size=7$"),
        (lambda: CondConv(8, 8, experts=0), r"^experts=0 must be at least 1$"),
        (lambda: Wavelet(8, 8, levels=0), r"^levels=0 must be at least 1$"),
    ],
)
def test_what_cannot_be_is_refused_with_its_values(refused, message):
    with pytest.raises(ValueError, match=message):
        refused()


# timm's modules, where they compute the same


@pytest.fixture
def layers():
    return pytest.importorskip("timm").layers


def same_weights(ours: list[nn.Parameter], theirs: nn.Module) -> nn.Module:
    """Theirs with our weights, in order; everything else as it starts."""
    weights = [p for p in theirs.parameters() if p.ndim > 1]
    assert [p.numel() for p in weights] == [p.numel() for p in ours]
    with torch.no_grad():
        for mine, other in zip(ours, weights, strict=True):
            other.copy_(mine.view_as(other))
    return theirs.eval()


def test_the_depthwise_half_of_mixed_is_timms(x, layers):
    module = Mixed(16, 10, 3, 2)
    theirs = layers.MixedConv2d(16, 16, [3, 5, 7], stride=2, padding="", depthwise=True)
    theirs = same_weights([conv.weight for conv in module.depthwise], theirs)
    torch.testing.assert_close(module(x), module.pointwise(theirs(x)))


def test_condconv_is_timms(x, layers):
    module = CondConv(16, 10, 3, 2)
    theirs = same_weights([module.experts.weight], layers.CondConv2d(16, 10, 3, 2, padding="", num_experts=4))
    torch.testing.assert_close(module(x), theirs(x, module.routing(x.mean((2, 3))).sigmoid()), rtol=1e-4, atol=1e-5)


def test_ghost_is_timms_up_to_the_norm_that_the_backbone_has(x):
    ghostnet = pytest.importorskip("timm.models.ghostnet")
    module = Ghost(16, 10, 3, 2, norm_between=True).eval()
    theirs = ghostnet.GhostModule(16, 10, kernel_size=3, stride=2)
    theirs = same_weights([module.primary.weight, module.cheap.weight], theirs)
    unit = (1 + 1e-5) ** -0.5
    torch.testing.assert_close((module(x) * unit).relu(), theirs(x))


def test_the_spatial_half_of_partial_is_timms(x):
    fasternet = pytest.importorskip("timm.models.fasternet")
    module = Partial(16, 10)
    theirs = same_weights([module.spatial.weight], fasternet.Partial_conv3(16, 4, "split_cat"))
    torch.testing.assert_close(module(x), module.pointwise(theirs(x)))


def test_the_depthwise_half_of_inception_is_timms(x):
    metanext = pytest.importorskip("timm.models.inception_next")
    module = InceptionDepthwise(16, 10)
    theirs = metanext.InceptionDWConv2d(16, square_kernel_size=3, band_kernel_size=11, branch_ratio=0.125)
    theirs = same_weights([conv.weight for conv in module.bands.values()], theirs)
    for parameter in theirs.parameters():
        if parameter.ndim == 1:
            nn.init.zeros_(parameter)
    torch.testing.assert_close(module(x), module.pointwise(theirs(x)))


def test_reparam_is_timms_mobileone_before_its_relu(x):
    byobnet = pytest.importorskip("timm.models.byobnet")
    module = Reparam(16, 16, branches=3).eval()
    theirs = byobnet.MobileOneBlock(16, 16, 3, num_conv_branches=3).eval()
    *wide, small, identity = module.branches
    pairs = [(identity.norm, theirs.identity), (small.conv, theirs.conv_scale.conv), (small.norm, theirs.conv_scale.bn)]
    for mine, other in zip(wide, theirs.conv_kxk, strict=True):
        pairs += [(mine.conv, other.conv), (mine.norm, other.bn)]
    for mine, other in pairs:
        other.load_state_dict(mine.state_dict())
    torch.testing.assert_close(module(x).relu(), theirs(x))
