"""Backbones of other libraries: whole networks and pyramids, equal arms, loaded weights, and what has no effect on them."""

import copy
import sys

import pytest
import torch
from torch import nn

from litconv import build
from litconv.config.checks import check
from litconv.config.composed import compose
from litconv.conv import Deformable, Grouped
from litconv.conv.initial import initialise
from litconv.cost import count
from litconv.data.problem import Problem
from litconv.errors import ConfigError
from litconv.foreign import weights
from litconv.foreign.foreign import to_multiple
from litconv.prepare.costs import counted
from litconv.run.asked import Asked
from litconv.surgery.dense import adapter_of

timm = pytest.importorskip("timm")
smp = pytest.importorskip("segmentation_models_pytorch")

SMALL = "backbone.name=resnet10t"  # of timm
CHEAP = ["backbone=timm", SMALL]
OWN = """
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes, hidden=8):
        super().__init__()
        self.stem, self.conv = nn.Conv2d(3, hidden, 3, padding=1), nn.Conv2d(hidden, hidden, 3, padding=1)
        self.classifier = nn.Linear(hidden, num_classes)

    def forward(self, x):
        return self.classifier(self.conv(self.stem(x)).mean((2, 3)))

def maps():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1))

class pair(Net):
    def forward(self, x):
        return super().forward(x), x
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "my_nets.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield ["backbone=module", "backbone.path=my_nets.Net", "allowed_packages=[my_nets]"]
    sys.modules.pop("my_nets", None)


def meta(*overrides: str) -> build.network.Model:
    return build.on_meta(compose(list(overrides)), 3, 10)


def shape(model: nn.Module, *size: int) -> tuple[int, ...]:
    return tuple(model.eval()(torch.empty(1, 3, *size, device="meta")).shape)


def test_a_model_of_timm_is_whole_for_labels_and_a_pyramid_for_masks():
    model = meta(*CHEAP, "conv=grouped", "groups=4")
    assert shape(model, 64, 64) == (1, 10)
    assert sum(isinstance(m, Grouped) for m in model.modules()) == len(model.backbone.swapped.report.swapped) > 0
    model = meta(*CHEAP, "task=segmentation", "head=unet", "conv=grouped", "groups=4")
    assert model.backbone.strides == [2, 4, 8, 16, 32]
    assert shape(model, 45, 61) == (1, 10, 45, 61)


def test_a_model_of_torchvision_and_one_of_smp_are_swapped_and_fit_odd_images(own):
    model = meta("backbone=torchvision", "backbone.name=squeezenet1_1", "conv=depthwise_separable")
    assert shape(model, 64, 64) == (1, 10)
    model = meta("task=segmentation", "backbone=smp", "backbone.decoder=unet", "conv=grouped")
    assert shape(model, 45, 61) == (1, 10, 45, 61)
    model = meta(*own, "conv=deformable", "+backbone.net.hidden=4")
    assert shape(model, 16, 16) == (1, 10)
    assert isinstance(model.backbone.network.conv.operator, Deformable)


def test_features_whose_channels_come_last_reach_a_head_channels_first():
    model = meta("backbone=timm", "backbone.name=mambaout_femto", "task=segmentation", "head=unet", "conv=separable")
    assert model.backbone.network.output_fmt == "NHWC"
    assert shape(model, 45, 61) == (1, 10, 45, 61)


@pytest.mark.parametrize(
    "chosen",
    [
        ["backbone=timm", "backbone.name=vit_tiny_patch16_224", "+backbone.options.img_size=32"],
        ["backbone=torchvision", "backbone.name=vit_b_16", "+backbone.options.image_size=32"],
    ],
)
def test_a_model_of_one_size_is_probed_at_the_size_that_it_was_built_for(chosen):
    config, model = compose(chosen), meta(*chosen)
    assert shape(model, 32, 32) == (1, 10)
    with pytest.raises(ConfigError, match=r"fails on one image of 3×48×48.*choose another data.image_size or backbone"):
        counted(config, model, Problem(3, (48, 48), (48, 48), 1, 10, True))


@pytest.mark.parametrize(
    ("net", "task", "message"),
    [
        ("my_nets.maps", "classification", r"puts out 1×8×16×16 for one image, and .* needs logits of 1×10;"),
        ("my_nets.Net", "segmentation", r"puts out 1×10 for one image, and .* needs logits of 1×10×16×16;"),
        ("my_nets.pair", "classification", r"puts out no single tensor for one image.* must return one tensor"),
    ],
)
def test_a_network_that_puts_out_no_logits_of_the_task_is_refused_before_it_trains(own, net, task, message):
    chosen = [*own, f"backbone.path={net}", f"task={task}"]
    with pytest.raises(ConfigError, match=message):
        counted(compose(chosen), meta(*chosen), Problem(3, (16, 16), (16, 16), 1, 10, True))


@pytest.mark.parametrize("head", ["fcn", "unet", "deeplab"])
@pytest.mark.parametrize("encoder", ["resnet18", "mit_b0"])
def test_an_encoder_of_smp_stands_under_a_head_of_litconv(encoder, head):
    chosen = ["task=segmentation", "backbone=smp", f"backbone.name={encoder}", "backbone.decoder=null", f"head={head}"]
    check(compose([*chosen, "conv=standard"]))
    model = meta(*chosen, "conv=standard")
    assert shape(model, 45, 61) == (1, 10, 45, 61)
    features = model.backbone(torch.zeros(1, 3, 64, 64, device="meta"))
    assert [feature.shape[1] for feature in features] == model.backbone.channels
    assert [64 // feature.shape[2] for feature in features] == model.backbone.strides
    assert count(model, 3, (64, 64)).agrees


def test_a_step_trains_an_encoder_of_smp_under_a_head_of_litconv_and_its_operator():
    chosen = ["task=segmentation", "backbone=smp", "backbone.decoder=null", "head=unet", "conv=grouped"]
    model = build.model(compose(chosen), 3, 10)
    assert Asked.of(compose(chosen)).choices["head"] == "unet"
    model(torch.randn(2, 3, 32, 32)).square().mean().backward()
    swapped = model.backbone.get_submodule("network.layer1.0.conv1")
    assert all(parameter.grad.abs().sum() > 0 for parameter in swapped.parameters())
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)
    cost = count(model, 3, (32, 32))
    whole = count(meta("task=segmentation", "backbone=smp", "conv=grouped"), 3, (32, 32))
    assert cost.agrees
    assert cost.macs != whole.macs


def test_arms_of_one_seed_differ_in_the_swapped_layers_alone(own):
    arms = [
        build.model(compose([*own, f"conv={name}", "seed=3"]), 3, 10) for name in ("standard", "grouped", "separable")
    ]
    states = [dict(arm.named_parameters()) for arm in arms]
    for state in states[1:]:
        shared = [name for name, p in state.items() if name in states[0] and p.shape == states[0][name].shape]
        assert "backbone.network.stem.weight" in shared
        assert all(torch.equal(state[name], states[0][name]) for name in shared)
    again = build.model(compose([*own, "conv=separable", "seed=3"]), 3, 10)
    assert all(torch.equal(p, again.get_parameter(name)) for name, p in states[2].items())
    other = build.model(compose([*own, "conv=standard", "seed=4"]), 3, 10)
    assert not torch.equal(other.backbone.network.stem.weight, arms[0].backbone.network.stem.weight)


def test_the_initialisation_of_its_library_stays_and_the_global_generator_goes_on():
    torch.manual_seed(5)
    expected = timm.create_model("resnet10t", num_classes=10).state_dict()
    state = torch.random.get_rng_state()
    model = build.model(compose([*CHEAP, "seed=5"]), 3, 10)
    assert torch.equal(torch.random.get_rng_state(), state)
    mine = model.backbone.network.state_dict()
    assert mine.keys() == expected.keys()
    assert all(torch.equal(value, mine[name]) for name, value in expected.items())


def test_nothing_that_keeps_its_weights_is_drawn_anew():
    class Keeps(nn.Sequential):
        keeps_weights = True

    model = nn.Sequential(Keeps(nn.Linear(3, 4)), nn.Linear(4, 5))
    before = copy.deepcopy(model.state_dict())
    initialise(model, 0)
    assert torch.equal(model[0][0].weight, before["0.0.weight"])
    assert torch.equal(model[0][0].bias, before["0.0.bias"])
    assert not torch.equal(model[1].weight, before["1.weight"])


# -- weights that are loaded -------------------------------------------------------------------------------------------


def test_weights_of_a_file_are_loaded_and_stay_and_what_does_not_fit_is_named(own, tmp_path):
    model = build.model(compose([*own, "seed=1"]), 3, 7).backbone.network
    torch.save({"state_dict": model.state_dict()}, tmp_path / "mine.pt")
    loaded = build.model(compose([*own, f"backbone.pretrained={tmp_path / 'mine.pt'}", "seed=2"]), 3, 10).backbone
    assert torch.equal(loaded.network.conv.weight, model.conv.weight)
    assert loaded.network.classifier.weight.shape == (10, 8)
    assert (
        loaded.loaded
        == "4 of 6 tensors loaded, 90 % of the params; of another shape: classifier.weight, classifier.bias"
    )


def test_timms_weights_come_from_a_file(tmp_path):
    model = timm.create_model("resnet10t")
    torch.save(model.state_dict(), tmp_path / "r.pt")
    mine = build.model(compose([*CHEAP, f"backbone.pretrained={tmp_path / 'r.pt'}"]), 3, 10).backbone.network
    assert torch.equal(mine.layer3[0].conv1.weight, model.layer3[0].conv1.weight)
    assert mine.fc.out_features == 10


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            [*CHEAP, "backbone.pretrained=true"],
            r"backbone.pretrained=true: this machine holds no weights of resnet10t, and",
        ),
        (
            ["backbone=torchvision", "backbone.pretrained=true"],
            r"this machine holds no weights of resnet18.*name a file",
        ),
        ([*CHEAP, "backbone.pretrained=no.pt"], r"backbone.pretrained=no.pt is no file"),
        (["backbone=timm", "backbone.name=resnet19"], r"backbone.name=resnet19: unknown \(did you mean 'resnet18'"),
        (["backbone=torchvision", "backbone.name=resnet"], r"backbone.name=resnet: unknown \(did you mean 'resnet"),
        (["backbone=torchvision", "data.in_channels=1"], r"torchvision's models read 3"),
        (
            [*CHEAP, "width=0.5", "backbone.name=vgg11"],
            r"width=0.5 has no effect: backbone.name=vgg11 has no width of its own",
        ),
        (
            ["backbone=timm", "backbone.name=mobilenetv3_small_050", "conv=grouped"],
            r"no convolution.*depthwise already",
        ),
        (
            [*CHEAP, "conv=grouped", "groups=3"],
            r"groups=3 must divide in_channels=24 .*in conv1.3.*fit_groups=true takes.*in a run: .*backbone.fit_groups",
        ),
        (
            ["backbone=torchvision", "conv@conv_stage5=deformable"],
            r"conv_stage5 has no effect: this model's .* are 1, 2, 3, 4",
        ),
        (["backbone=timm", "backbone.name=vit_tiny_patch16_224", "conv=grouped"], r"the model has no convolution"),
    ],
)
def test_what_cannot_be_built_is_one_line_with_the_remedy(overrides, message, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(weights, "of_hub", lambda *_: None)
    config = compose([o for o in overrides if not o.startswith("data.")])
    with pytest.raises(ConfigError, match=message) as refusal:
        build.on_meta(config, 1 if "data.in_channels=1" in overrides else 3, 10)
    assert "\n" not in str(refusal.value)


def test_weights_that_fit_nothing_are_refused(own, tmp_path):
    torch.save({"other": torch.zeros(3, 3)}, tmp_path / "x.pt")
    with pytest.raises(
        ConfigError, match=r"x.pt fits nothing of this model: it holds other, …, and the model stem.weight, "
    ):
        build.model(compose([*own, f"backbone.pretrained={tmp_path / 'x.pt'}"]), 3, 10)
    (tmp_path / "empty.pt").touch()
    with pytest.raises(ConfigError, match=r"empty.pt cannot be read as weights \(it is empty or cut off\)"):
        build.model(compose([*own, f"backbone.pretrained={tmp_path / 'empty.pt'}"]), 3, 10)
    (tmp_path / "bad.pt").write_text("no weights")
    with pytest.raises(ConfigError, match=r"bad.pt cannot be read as weights"):
        build.model(compose([*own, f"backbone.pretrained={tmp_path / 'bad.pt'}"]), 3, 10)
    with pytest.raises(ConfigError, match=r"bad.pt cannot be read as weights"):  # timm reads the file itself
        build.model(compose([*CHEAP, f"backbone.pretrained={tmp_path / 'bad.pt'}"]), 3, 10)


# -- options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["backbone=timm", "head=linear"],
            "head=linear has no effect: backbone=timm is a whole network with a head of its own",
        ),
        (["backbone=timm", "head.dropout=0.1"], "head.dropout=0.1 has no effect: backbone=timm is a whole network"),
        (
            ["backbone=timm", "kernel_size=5", "conv=grouped"],
            "kernel_size=5 has no effect: backbone=timm keeps the kernel",
        ),
        (
            ["backbone=smp"],
            "backbone=smp is not for task=classification; models of other libraries that are: module, timm",
        ),
        (
            ["backbone=smp", "task=segmentation", "head=fcn"],
            "head=fcn has no effect: backbone=smp is a whole network.*, or set backbone.decoder=null",
        ),
        (
            ["backbone=torchvision", "task=segmentation"],
            "backbone=torchvision is not for task=segmentation.*: module, smp, timm",
        ),
        (["backbone=module"], r"backbone.path names no class; write backbone.path=my_package.Net"),
        (["backbone=module", "backbone.path=os.system"], r"may not be built.*allowed_packages=\[os\]"),
        (["backbone=timm", "backbone.seed=3"], "backbone.seed=3: write seed=3"),
    ],
)
def test_an_option_without_effect_on_a_model_of_another_library_is_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        check(compose(overrides))


def test_a_run_says_that_its_head_is_the_backbones_own_and_which_model_it_is():
    asked = Asked.of(compose([*CHEAP, "conv=grouped"]))
    assert asked.choices["head"] == "own"
    assert asked.name.startswith("shapes_timm-resnet10t_grouped_seed0_")
    assert asked.arm() == "grouped backbone=timm backbone.name=resnet10t"
    assert Asked.of(compose([*CHEAP, "task=segmentation"])).choices["head"] == "fcn"


def test_a_width_of_the_models_own_is_that_of_its_stages_and_match_finds_one():
    half = meta(*CHEAP, "width=0.5").backbone
    assert half.base_channels == [32, 64, 128, 256]
    assert half.network.fc.in_features == 256
    given = meta("backbone=torchvision", "backbone.name=mobilenet_v3_small", "width=0.5").backbone
    assert given.base_channels == [48]
    assert given.network.features[0][0].out_channels == 8
    with pytest.raises(ConfigError, match=r"match= has nothing to vary: backbone.name=vgg11 has no width of its own"):
        _ = meta("backbone=timm", "backbone.name=vgg11").backbone.base_channels


def test_one_operator_for_each_stage():
    model = meta(*CHEAP, "conv=grouped", "conv@conv_stage5=deformable").backbone.network
    assert isinstance(model.layer4[0].conv1, Deformable)
    assert isinstance(model.layer1[0].conv1, Grouped)


# -- timm's own layers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize("kind", ["StdConv2d", "ScaledStdConv2d", "Conv2d"])
@pytest.mark.parametrize(("kernel", "stride", "size"), [(3, 1, 9), (3, 2, 10), (5, 2, 11), (3, 2, 9), (2, 2, 9)])
def test_an_adapter_says_what_timms_layer_computes(kind, same, kernel, stride, size):
    from timm.layers import conv2d_same, std_conv  # noqa: F401

    import litconv

    if kind == "Conv2d":
        layer = (sys.modules["timm.layers.conv2d_same"].Conv2dSame if same else nn.Conv2d)(4, 6, kernel, stride)
    else:
        arguments = {"padding": "SAME"} if same else {}
        layer = getattr(std_conv, kind + "Same" * same)(4, 6, kernel, stride, **arguments)
    assert adapter_of(layer) is not None
    net = nn.Sequential(nn.Conv2d(4, 4, 1), layer).double()
    if hasattr(layer, "gain"):
        nn.init.normal_(layer.gain)
    x = torch.randn(2, 4, size, size + 1, generator=torch.Generator().manual_seed(0)).double()
    before = net(x)
    litconv.swap(net, "deformable", init="from_dense", probe=(1, 4, size, size + 1))
    torch.testing.assert_close(net(x), before, rtol=1e-9, atol=1e-9)


def test_images_are_enlarged_to_a_multiple_below_and_to_the_right():
    x = torch.ones(1, 1, 5, 8)
    y = to_multiple(x, 4)
    assert y.shape == (1, 1, 8, 8)
    assert torch.equal(y[..., :5, :], x)
    assert to_multiple(x, 1) is x


@pytest.mark.parametrize("name", ["levit_128s", "nf_regnet_b0"])
def test_operations_that_move_values_are_counted_as_nothing_and_attention_has_no_closed_form(name):
    import litconv

    model = timm.create_model(name, num_classes=10)
    size = 224 if name == "levit_128s" else 64
    assert count(model, 3, (size, size)).uncounted_ops == {}
    litconv.swap(model, "depthwise_separable", probe=(1, 3, size, size), where={"grouped": name != "levit_128s"})
    counted = count(model, 3, (size, size))
    assert counted.agrees
    assert counted.second_opinion.startswith("agrees: fvcore, FlopCounterMode, closed forms")
