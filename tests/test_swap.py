"""`litconv.swap`: what becomes an operator, what stays and why, and that nothing else of the model changes."""

import copy
import inspect
from functools import partial
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import litconv
from litconv.conv import Deformable, Grouped, Standard
from litconv.conv.same import SameConv2d
from litconv.conv.slot import DECLARED_COSTS  # noqa: F401  the operators' own costs are registered by it
from litconv.cost import count
from litconv.errors import ConfigError
from litconv.surgery.operators import modules, operator_named
from litconv.surgery.placed import Placed
from yamls import CONF, names


class Net(nn.Module):
    """A stem, a stage, a coarser stage, a 1×1, a depthwise layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.layer1 = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.layer2 = nn.Sequential(
            nn.Conv2d(8, 16, 5, 2, 2), nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 3, padding=1, groups=16)
        )
        self.classifier = nn.Linear(16, 5)

    def forward(self, x):
        return self.classifier(self.layer2(self.layer1(self.stem(x))).mean((2, 3)))


SIZE = (1, 3, 16, 16)
swap = partial(litconv.swap, probe=SIZE)


def images(*size: int) -> torch.Tensor:
    return torch.randn(*(size or (2, *SIZE[1:])), generator=torch.Generator().manual_seed(1))


def conv(*arguments, **named) -> nn.Sequential:
    """One convolution that reads no image: a 1×1 stands before it."""
    first, second = nn.Conv2d(arguments[0], arguments[0], 1), nn.Conv2d(*arguments, **named)
    return nn.Sequential(first, second)


# -- what is swapped ---------------------------------------------------------------------------------------------------


def test_every_ordinary_convolution_but_the_first_becomes_the_operator():
    net = Net()
    report = swap(net, "grouped", groups=4)
    assert [row.name for row in report.swapped] == ["layer1.0", "layer2.0"]
    assert isinstance(net.layer1[0], Grouped)
    assert net.layer1[0].groups == 4
    assert {row.name: row.why for row in report.kept} == {
        "stem": "the first convolution",
        "layer2.1": "1×1",
        "layer2.2": "depthwise already",
    }
    net(images()).sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_the_report_prints_as_a_table_with_a_reason_for_each_layer():
    text = str(swap(Net(), "depthwise_separable"))
    first, heading, *rows = text.splitlines()
    assert first == "conv=DepthwiseSeparable: 2 swapped, 3 kept"
    assert heading.split("  ")[1] == "layer"
    assert any("layer2.0" in row and "5×5, 8 → 16, stride 2" in row and "drawn" in row for row in rows)
    assert any("stem" in row and "the first convolution" in row for row in rows)
    assert len(rows) == 5


@pytest.mark.parametrize("name", names("conv"))
def test_every_operator_of_conf_is_found_by_its_name(name):
    assert (
        f"_target_: litconv.conv.{name}.{operator_named(name).__name__}" in (CONF / "conv" / f"{name}.yaml").read_text()
    )


def test_what_is_no_operator_is_not_found_among_them():
    found = {name for name in modules() if name in names("conv")}
    assert found == set(names("conv"))
    with pytest.raises(ConfigError, match=r"^conv=same: unknown operator.*there are bottleneck, "):
        swap(Net(), "same")
    with pytest.raises(ConfigError, match=r"did you mean 'grouped'\?"):
        swap(Net(), "groupd")


def test_a_factory_of_ones_own_serves_as_an_operator():
    net = Net()
    report = swap(net, partial(Deformable, modulated=True))
    assert isinstance(net.layer1[0], Deformable)
    assert report.conv == "Deformable"


@pytest.mark.parametrize("name", names("conv"))
def test_every_operator_keeps_channels_stride_and_the_models_output_and_trains(name):
    net = Net()
    options = {"groups": 4} if name == "grouped" else {}
    report = swap(net, name, **options)
    assert len(report.swapped) == 2
    y = net(images())
    assert y.shape == (2, 5)
    y.square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


# -- where -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("layer1.*", ["layer1.0"]),
        ({"name": ["layer1.*", "layer2.*"]}, ["layer1.0", "layer2.0"]),
        ("!layer1.*", ["layer2.0"]),
        (["layer*", "!*2.0"], ["layer1.0"]),
        ({"name": "!layer1.*", "first": True}, ["stem", "layer2.0"]),
        ({"stage": 1}, ["layer1.0"]),
        ({"stage": [2]}, ["layer2.0"]),
        (litconv.Where(kernel=5), ["layer2.0"]),
        ({"kernel": 3, "first": True}, ["stem", "layer1.0"]),
        ({"kernel": 3, "grouped": True}, ["layer1.0", "layer2.2"]),
        (lambda name, layer: layer.in_channels == 3, ["stem"]),
        (lambda name, layer: True, ["stem", "layer1.0", "layer2.0"]),
    ],
)
def test_where_chooses_by_name_stage_kernel_or_function(where, expected):
    assert [row.name for row in swap(Net(), "depthwise_separable", where=where).swapped] == expected


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("layer9.*", r"^where.name=layer9.\* matches no layer; there are stem, layer1.0, layer2.0, layer2.2$"),
        (["layer1.*", "!layr2.*"], r"^where.name=!layr2.\* matches no layer; there are stem, "),
        ({"stage": [2, 3]}, r"^where.stage=3 matches no layer; there are 1, 2$"),
        ({"kernel": 7}, r"^where.kernel=7 matches no layer; there are 3, 5$"),
        ({"stage": 1, "kernel": 5}, r"^where= matches no layer; there are layer1.0, layer2.0$"),
        (lambda name, layer: False, r"^where= matches no layer; there are layer1.0, layer2.0$"),
    ],
)
def test_where_is_refused_if_any_part_of_it_matches_nothing_with_what_there_is(where, message):
    with pytest.raises(ConfigError, match=message):
        swap(Net(), where=where)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"stge": 1}, r"where: stge: unknown \(did you mean 'stage'\?\)"),
        ({"stage": "one"}, r"where: stage=one must be numbers from 1 on"),
        ({"stage": True}, r"where: stage=True must be numbers from 1 on"),
        ({"first": "no"}, r"where: first=no must be true or false"),
        ({"grouped": "maybe"}, r"where: grouped=maybe must be true or false"),
        (7, r"where=7 must be a pattern of names"),
    ],
)
def test_a_where_that_says_nothing_is_refused(where, message):
    with pytest.raises(ConfigError, match=message):
        swap(Net(), where=where)


# -- the identical network ---------------------------------------------------------------------------------------------


def test_standard_to_standard_is_the_identical_network_bit_for_bit():
    net = Net()
    before, state = net(images()), copy.deepcopy(net.state_dict())
    report = swap(net, "standard")
    assert len(report.swapped) == 2
    assert torch.equal(net(images()), before)
    assert state.keys() == net.state_dict().keys()


GEOMETRIES = [
    {"kernel_size": k, "stride": s, "padding": p, "dilation": d, "padding_mode": mode, "bias": bias}
    for k, s, p, d, mode, bias in [
        (3, 1, 1, 1, "zeros", False),
        (3, 2, 1, 1, "zeros", True),
        (3, 1, 0, 1, "zeros", False),
        (3, 2, 0, 1, "zeros", False),
        (3, 1, 3, 1, "zeros", False),
        (3, 2, 2, 1, "zeros", False),
        (5, 3, 1, 2, "zeros", True),
        (2, 2, 0, 1, "zeros", False),
        (4, 2, 1, 1, "zeros", False),
        (4, 4, 0, 1, "zeros", True),
        (7, 4, 2, 1, "zeros", False),
        (3, 1, "same", 2, "zeros", False),
        (4, 1, "same", 1, "zeros", False),
        (3, 1, "valid", 1, "zeros", False),
        ((1, 7), 1, (0, 3), 1, "zeros", False),
        ((7, 1), (2, 2), (3, 0), 1, "zeros", False),
        ((3, 5), (2, 1), (0, 2), (1, 2), "zeros", True),
        (3, 1, 1, 1, "reflect", False),
        (3, 2, 1, 1, "circular", True),
        (3, 1, (2, 1), 1, "replicate", False),
    ]
]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("size", [(16, 16), (15, 17), (14, 19)])
def test_an_operator_that_can_be_the_layer_computes_what_the_layer_did_whatever_its_padding(geometry, size):
    """The deformable convolution without offsets, an implementation of its own."""
    net = conv(4, 6, **geometry).double()
    x = images(2, 4, *size).double()
    before = net(x)
    report = litconv.swap(net, "deformable", init="from_dense", probe=(1, 4, *size))
    assert [row.why for row in report.swapped] == ["copied"]
    torch.testing.assert_close(net(x), before, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "name", ["separable", "depthwise_separable", "bsconv_u", "bottleneck", "depthwise", "dilated", "pointwise"]
)
def test_rectangular_kernels_keep_their_output_size_in_every_operator(name):
    for geometry in (
        {"kernel_size": (1, 7), "padding": (0, 3)},
        {"kernel_size": (3, 1), "padding": 0, "stride": (2, 1)},
    ):
        net = conv(8, 8, **geometry)
        before = net(images(1, 8, 13, 12)).shape
        litconv.swap(net, name, probe=(1, 8, 13, 12))
        assert net(images(1, 8, 13, 12)).shape == before


def test_an_image_of_another_size_than_the_probe_keeps_its_output_size():
    net = conv(4, 4, 3, 2, 0)
    twin = copy.deepcopy(net)
    litconv.swap(net, "separable", probe=(1, 4, 16, 16))
    for height, width in product((7, 8, 9, 30), (11, 12)):
        x = images(1, 4, height, width)
        assert net(x).shape == twin(x).shape


# -- how the operator starts -------------------------------------------------------------------------------------------


def test_weights_are_copied_where_the_shapes_match():
    net = Net()
    weight = net.layer1[0].weight.detach().clone()
    report = swap(net, "dilated", rate=2)
    assert torch.equal(net.layer1[0].weight, weight)
    assert report.swapped[0].why == "copied, 2 times as far apart"


def test_what_is_drawn_is_equal_for_equal_seeds_and_leaves_the_global_generator_alone():
    net = Net()
    nets = [copy.deepcopy(net) for _ in range(2)]
    state = torch.random.get_rng_state()
    for each in nets:
        swap(each, "separable", seed=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(
        torch.equal(a, b) for a, b in zip(nets[0].layer1[0].parameters(), nets[1].layer1[0].parameters(), strict=True)
    )
    other = copy.deepcopy(net)
    swap(other, "separable", seed=4)
    assert not torch.equal(other.layer1[0].vertical.weight, nets[0].layer1[0].vertical.weight)


@pytest.mark.parametrize("name", ["grouped", "separable", "depthwise_separable", "bsconv_u", "bottleneck", "depthwise"])
def test_what_is_drawn_puts_out_the_variance_of_the_layer_that_was_there(name):
    net = conv(64, 64, 3, padding=1, bias=False)
    nn.init.normal_(net[1].weight, std=0.3)
    before = nn.Sequential(net[1])
    x = images(4, 64, 24, 24)
    was = before(x).var().item()
    litconv.swap(net, name, probe=(1, 64, 16, 16))
    assert net[1](x).var().item() / was == pytest.approx(1, abs=0.15)


def like_a_kernel(operator: nn.Module, channels: int, kernel: int) -> torch.Tensor:
    """The dense kernel of a linear operator, from what it does with single pixels: (Cout, Cin, K, K)."""
    x = torch.zeros(channels, channels, 2 * kernel + 1, 2 * kernel + 1)
    x[range(channels), range(channels), kernel, kernel] = 1
    with torch.no_grad():
        y = operator(x).flip(2, 3)  # (Cin, Cout, …)
    reach = kernel // 2
    return y[..., kernel - reach : kernel + reach + 1, kernel - reach : kernel + reach + 1].transpose(0, 1)


APPROXIMATIONS = [
    ("grouped", {"groups": 4}),
    ("grouped", {"groups": 4, "shuffle": True}),
    ("depthwise", {}),
    ("pointwise", {}),
    ("separable", {}),
    ("separable", {"depthwise": True}),
    ("depthwise_separable", {}),
    ("depthwise_separable", {"groups": 2}),
    ("bsconv_u", {}),
    ("bottleneck", {"reduction": 2}),
]


@pytest.mark.parametrize(("name", "options"), APPROXIMATIONS, ids=str)
def test_from_dense_is_as_far_from_the_layer_as_it_says_and_no_small_step_comes_nearer(name, options):
    net = conv(8, 8, 3, padding=1, bias=False)
    dense = net[1].weight.detach().clone()
    report = litconv.swap(net, name, init="from_dense", probe=(1, 8, 16, 16), **options)
    operator = net[1]

    def miss() -> float:
        return float((like_a_kernel(operator, 8, 3) - dense).norm() / dense.norm())

    best = miss()
    assert f"off by {best:.0%}" in report.swapped[0].why
    assert 0.1 < best < 1
    if name == "bottleneck":  # Tucker's truncation is near the best, not it
        return
    generator = torch.Generator().manual_seed(0)
    for parameter in operator.parameters():
        kept = parameter.detach().clone()
        for _ in range(5):
            with torch.no_grad():
                parameter.add_(1e-2 * torch.randn(parameter.shape, generator=generator))
            assert miss() >= best - 1e-6
            with torch.no_grad():
                parameter.copy_(kept)


def test_from_dense_finds_again_what_is_of_the_operators_own_form():
    """A kernel that is a product, and one in blocks, are met exactly."""
    net = conv(6, 6, 3, padding=1, bias=False)
    with torch.no_grad():
        net[1].weight.copy_(torch.einsum("oc,cij->ocij", torch.randn(6, 6), torch.randn(6, 3, 3)))
    x = images(1, 6, 9, 9)
    before = net(x)
    report = litconv.swap(net, "depthwise_separable", init="from_dense", probe=(1, 6, 9, 9))
    torch.testing.assert_close(net(x), before, rtol=1e-4, atol=1e-5)
    assert "off by 0%" in report.swapped[0].why

    net = Net().eval()
    before = net(images())
    report = swap(net, "grouped", groups=4, init="from_dense", where={"name": "layer2.2", "grouped": True})
    assert net.layer2[2].operator.groups == 4
    torch.testing.assert_close(net(images()), before)


@pytest.mark.parametrize("rank", [2, 30])
def test_the_nearest_product_of_a_rank_beyond_the_matrix_trains_all_that_it_has(rank):
    from litconv.conv.low_rank import factors

    matrix = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    left, right = factors(matrix, rank)
    assert left.shape == (5, rank)
    assert right.shape == (rank, 7)
    if rank > 5:
        torch.testing.assert_close(left @ right, matrix, rtol=1e-4, atol=1e-5)
    left, right = (t.requires_grad_() for t in (left, right))
    (left @ right - 2 * matrix).square().sum().backward()
    useful = [left.grad[:, i].any() or right.grad[i].any() for i in range(min(rank, 7))]
    assert all(useful)


# -- what else is kept -------------------------------------------------------------------------------------------------


def test_hooks_mode_type_format_and_frozen_weights_are_kept():
    net = Net().to(torch.bfloat16).to(memory_format=torch.channels_last)
    net.layer2.eval()
    net.layer2[0].requires_grad_(False)
    seen = []
    handle = net.layer1[0].register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    swap(net, "separable")
    seen.clear()
    net(images().bfloat16())
    assert seen == [(2, 8, 16, 16)]
    handle.remove()
    net(images().bfloat16())
    assert len(seen) == 1
    assert net.layer1[0].training
    assert not net.layer2[0].training
    assert {p.dtype for p in net.parameters()} == {torch.bfloat16}
    assert net.layer1[0].vertical.weight.is_contiguous(memory_format=torch.channels_last)
    assert not any(p.requires_grad for p in net.layer2[0].parameters())


def test_every_kind_of_hook_is_called_as_before():
    net, calls = Net(), []
    layer = net.layer1[0]
    layer.register_forward_pre_hook(lambda *_: calls.append("before"))
    layer.register_forward_hook(lambda *_: calls.append("after"))
    layer.register_forward_hook(lambda *_, **__: calls.append("with names"), with_kwargs=True)
    layer.register_full_backward_hook(lambda *_: calls.append("backward"))
    layer.register_state_dict_post_hook(lambda *_: calls.append("saved"))
    layer.register_load_state_dict_post_hook(lambda *_: calls.append("loaded"))

    def use() -> list[str]:
        calls.clear()
        net(images()).sum().backward()
        net.load_state_dict(net.state_dict())
        return calls.copy()

    expected = use()
    assert set(expected) == {"before", "after", "with names", "backward", "saved", "loaded"}
    swap(net, "separable")
    assert use() == expected


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_memory_format_of_a_depthwise_layer_is_kept_though_its_weight_has_both(memory_format):
    net = Net().to(memory_format=memory_format)
    swap(net, "standard", where={"name": "layer2.2", "grouped": True})
    assert net.layer2[2].operator.weight.is_contiguous(memory_format=memory_format)


def test_what_asks_a_layer_for_its_sizes_is_told_those_of_the_layer_that_was_there():
    class Pads(nn.Sequential):
        def forward(self, x):
            (height, width), (down, across) = x.shape[-2:], self[1].kernel_size
            return self[1](self[0](F.pad(x, (0, -width % across, 0, -height % down))))

    net = Pads(*conv(8, 8, 2, 2))
    twin = copy.deepcopy(net[1])
    litconv.swap(net, "depthwise_separable", probe=(1, 8, 15, 15))
    assert net(images(1, 8, 15, 15)).shape == (1, 8, 8, 8)
    facts = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation")
    assert all(getattr(net[1], fact) == getattr(twin, fact) for fact in facts)


def test_a_swapped_model_is_copied_saved_and_loaded_like_any_other(tmp_path):
    net, other = Net().eval(), Net().eval()
    swap(net, "deformable")
    swap(other, "deformable", seed=1)
    y = net(images())
    assert torch.equal(copy.deepcopy(net)(images()), y)
    torch.save(net, tmp_path / "net.pt")
    assert torch.equal(torch.load(tmp_path / "net.pt", weights_only=False)(images()), y)
    torch.save(net.state_dict(), tmp_path / "state.pt")
    other.load_state_dict(torch.load(tmp_path / "state.pt"))
    assert torch.equal(other(images()), y)


def test_a_model_on_the_meta_device_stays_there():
    with torch.device("meta"):
        net = Net()
    swap(net, "deformable")
    assert all(p.is_meta for p in net.parameters())


def test_a_layer_in_several_places_is_swapped_once_for_all():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 3, padding=1)
            self.a = nn.Conv2d(4, 4, 3, padding=1)
            self.b = self.a
            self.list = nn.ModuleList([self.a])

        def forward(self, x):
            return self.list[0](self.b(self.a(self.stem(x))))

    net = Twice()
    report = swap(net, "depthwise")
    assert len(report.swapped) == 1
    assert net.a is net.b
    assert net.a is net.list[0]
    assert not isinstance(net.a, nn.Conv2d)


def test_the_model_is_not_run():
    class Counting(Net):
        calls = 0

        def forward(self, x):
            type(self).calls += x.device.type != "meta"
            return super().forward(x)

    net = Counting()
    statistics = net.layer1[1].running_mean.clone()
    swap(net, "grouped")
    assert Counting.calls == 0
    assert torch.equal(net.layer1[1].running_mean, statistics)


def test_a_model_that_is_compiled_in_place_computes_with_its_operators():
    net = Net().eval()
    net.compile(backend="eager")
    before = net(images())
    swap(net, "separable")
    after = net(images())
    assert not torch.equal(after, before)
    assert torch.equal(after, net.forward(images()))


def test_a_model_of_several_inputs_is_probed_with_all_of_them():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.steps = Net(), nn.Embedding(10, 5)

        def forward(self, x, step):
            return self.net(x) + self.steps(step)

    with pytest.raises(ConfigError, match=r"missing 1 required .*or all tensors that it takes, as probe=\(x, y\)$"):
        swap(Pair(), "separable")
    report = litconv.swap(Pair(), "separable", probe=(images(), torch.tensor([9, 0])))
    assert len(report.swapped) == 2


def test_two_counters_and_the_closed_forms_agree_afterwards():
    for name in ("grouped", "deformable", "separable"):
        net = nn.Sequential(conv(4, 8, 3, 2, 0), nn.ReLU(), conv(8, 8, 4, 4, 0))
        litconv.swap(net, name, probe=(1, 4, 33, 33))
        counted = count(net, 4, (33, 33))
        assert counted.agrees
        assert counted.second_opinion == "agrees: fvcore, FlopCounterMode, closed forms"


def test_swapping_again_takes_no_operator_for_an_ordinary_layer():
    net = Net()
    swap(net, "separable")
    with pytest.raises(ConfigError, match="no convolution that could become"):
        swap(net, "grouped")


def test_litconvs_own_standard_layers_are_ordinary():
    net = nn.Sequential(SameConv2d(3, 4), Standard(4, 8, 4, stride=2))
    report = swap(net, "depthwise")
    assert [row.name for row in report.swapped] == ["1"]


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_a_subclass_without_an_adapter_is_refused_by_name():
    class Odd(nn.Conv2d):
        pass

    net = Net()
    net.layer1[0] = Odd(8, 8, 3, padding=1)
    report = swap(net)
    assert [(row.name, row.why[:4]) for row in report.refused] == [("layer1.0", "Odd ")]
    assert isinstance(net.layer1[0], Odd)


def test_a_parent_that_reads_a_layers_weight_is_refused_by_name():
    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(8, 8, 3, padding=1)
            self.both = nn.Conv2d(8, 8, 3, padding=1)

        def forward(self, x):
            return F.conv2d(x, self.conv.weight, padding=1) + self.both(x) * self.both.weight.mean()

    net = nn.Sequential(nn.Conv2d(3, 8, 3), Reads(), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3))
    net[3].register_forward_hook(lambda layer, _, y: y * layer.weight.mean())
    report = swap(net)
    assert {row.name: row.why for row in report.refused} == {
        "1.conv": "Reads reads its weight without calling it",
        "1.both": "Reads reads its weight without calling it",
        "3": "a hook or a function reads its weight without calling it",
    }
    assert [row.name for row in report.swapped] == ["2"]


def test_weights_that_are_computed_or_shared_are_refused():
    net = Net()
    nn.utils.parametrizations.weight_norm(net.layer1[0])
    tied = nn.Conv2d(8, 16, 5, 2, 2)
    tied.weight = net.layer2[0].weight
    net.unused = tied
    with pytest.raises(
        ConfigError, match=r"2 × its weight is shared with another layer; 1 × its weight is computed before every use"
    ):
        swap(net)


def test_a_layer_that_the_forward_does_not_call_is_kept():
    net = Net()
    net.auxiliary = nn.Conv2d(3, 8, 3)
    assert {row.name: row.why for row in swap(net).kept}["auxiliary"] == "the forward does not call it"


class Wrong(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size=3, stride=1, dilation=1):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, stride)

    def forward(self, x):
        return self.conv(x)[..., 1:]


def test_a_model_whose_shapes_change_is_left_as_it_was():
    net = Net()
    layers, before = list(net.modules()), net(images())
    with pytest.raises(
        ConfigError,
        match=r"^the model is left as it was: layer1.0 put out 8×16×16, and the oper.* 8×16×15",
    ):
        swap(net, Wrong)
    assert list(net.modules()) == layers
    assert torch.equal(net(images()), before)


def test_the_first_layer_that_puts_out_another_size_is_named_where_the_forward_fails():
    class Adds(Net):
        def forward(self, x):
            y = self.stem(x)
            return y + self.layer1(y)

    with pytest.raises(ConfigError, match=r"layer1.0 put out 8×16×16, .* place 8×16×15; leave it out by .*!layer1.0$"):
        swap(Adds(), Wrong)


def test_a_parent_that_holds_the_layer_outside_its_modules_leaves_the_model_as_it_was():
    net = Net()
    net.forward = partial(lambda layer, x: layer(net.stem(x)), net.layer1[0])
    held = net.layer1[0]
    with pytest.raises(ConfigError, match=r"the model is left as it was|no convolution"):
        swap(net)
    assert net.layer1[0] is held


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"groups": 3},
            r"^groups=3 must divide in_channels=8; try 1, 2, 4, 8 \(in layer1.0\); fit_groups=true takes.*!layer1.0$",
        ),
        (
            {"grups": 4},
            r"^grups=4: conv=Grouped has no such option \(did you mean 'groups'\?\); it takes groups, shuffle",
        ),
        ({"kernel_size": 5}, r"^kernel_size=5 has no effect: every layer keeps its own kernel_size"),
        ({"probe": 16}, r"^probe=16 must be an image, its shape, such as"),
        ({"init": "copied"}, r"^init=copied must be one of copy, from_dense"),
        ({"groups": "4"}, r"^groups='4' must be a whole number, such as groups=4$"),
        ({"groups": 2.0}, r"^groups=2.0 must be a whole number, such as groups=4$"),
        ({"fit_groups": "no"}, r"^fit_groups='no' must be True or False$"),
        (
            {"probe": (1, 4, 16, 16)},
            r"^the model's forward fails on a probe image of 1×4×16×16 .*give an image that it takes",
        ),
    ],
)
def test_bad_options_are_one_line_with_the_remedy(options, message):
    net = Net()
    with pytest.raises(ConfigError, match=message) as refusal:
        swap(net, "grouped", **options)
    assert "\n" not in str(refusal.value)
    assert not any(isinstance(module, Grouped) for module in net.modules())


@pytest.mark.parametrize("conv", [None, 3])
def test_a_conv_that_is_neither_a_name_nor_a_factory_is_refused(conv):
    with pytest.raises(
        ConfigError, match=rf"^conv={conv} must be an operator's name, such as grouped, or a factory conv\("
    ):
        swap(Net(), conv)


@pytest.mark.parametrize(
    ("model", "what"), [("resnet18", "a str"), (None, "a NoneType"), (Net, "the class Net"), (Net().state_dict(), "a ")]
)
def test_a_model_that_is_no_module_is_refused(model, what):
    with pytest.raises(ConfigError, match=rf"^model is {what}.*; give the nn.Module itself"):
        swap(model, "grouped")


def test_a_factory_that_returns_no_module_is_refused():
    with pytest.raises(ConfigError, match=r"makes a NoneType of layer1.0; it must return an nn.Module$"):
        swap(Net(), lambda *_, **__: None)


def test_a_factory_that_takes_any_option_is_given_all():
    net = Net()
    swap(net, lambda *sizes, **options: Grouped(*sizes, **options), groups=4)
    assert [m.groups for m in net.modules() if isinstance(m, Grouped)] == [4, 4]


def test_fit_groups_takes_the_largest_that_divides_and_says_so():
    net = Net()
    report = swap(net, "grouped", groups=6, fit_groups=True)
    assert [m.groups for m in net.modules() if isinstance(m, Grouped)] == [4, 4]
    assert {(row.why, row.note) for row in report.swapped} == {("drawn", "groups=4 for 6")}
    assert report.remarks() == ["2 × groups=4 for 6"]
    assert sum("drawn; groups=4 for 6" in line for line in str(report).splitlines()) == 2


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(768, 2)), "it has none at all"),
        (
            nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, groups=4)),
            r"1 × 1×1; 1 × depthwise already",
        ),
        (nn.Conv2d(3, 4, 3), "itself one convolution"),
        (nn.DataParallel(nn.Sequential(nn.Conv2d(3, 4, 3))), "wrapped by DataParallel; swap first"),
        (
            nn.Sequential(torch.compile(nn.Conv2d(3, 4, 3), backend="eager")),
            "^0 is wrapped by OptimizedModule; swap first",
        ),
        (nn.Sequential(nn.LazyConv2d(4, 3)), "lazy layers.*run it once, then swap"),
        (torch.jit.trace(nn.Sequential(nn.Conv2d(3, 4, 3)), torch.zeros(1, 3, 8, 8)), "TorchScript, .*swap first"),
        (nn.Sequential(nn.Conv2d(3, 4, 3)), "1 × the first convolution.*where.first=true takes the first, too"),
    ],
)
def test_a_model_without_a_convolution_to_replace_is_refused(model, message):
    with pytest.raises(ConfigError, match=message):
        swap(model)


def test_the_function_says_in_its_signature_what_it_takes():
    parameters = inspect.signature(litconv.swap).parameters
    assert list(parameters) == ["model", "conv", "where", "init", "fit_groups", "probe", "seed", "options"]
    assert Placed.__doc__
