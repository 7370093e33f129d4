"""Memory formats and precisions: what `auto` chooses, that every run of an arm has it, that figures are the same."""

import json
import time

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from command import TINY, command
from litconv import build
from litconv.config.composed import compose, load
from litconv.conv import Deformable
from litconv.device import in_precision, set_matmul_precision
from litconv.errors import ConfigError
from litconv.prepare import costs
from litconv.prepare import layout as layouts
from litconv.prepare.layout import measured
from smooth import smooth
from yamls import names

CPU = torch.device("cpu")
QUICK = (*TINY, "logger=csv")


def train(folder, *arguments):
    assert command(*QUICK, f"output_dir={folder}", *arguments) == 0
    written = max(folder.glob("runs/*/summary.json"), key=lambda path: path.stat().st_mtime_ns)
    return json.loads(written.read_text()), load(written.with_name("config.yaml"))


def chosen_layout(folder, *arguments):
    config = compose([*QUICK, "memory_format=auto", f"output_dir={folder}", *arguments])
    return layouts.choose_layout(config, build.data(config).problem, CPU)


@pytest.fixture
def few_rounds(monkeypatch):
    """Where it does not matter which layout is chosen."""
    monkeypatch.setattr("litconv.prepare.layout.ROUNDS_MS", 1)


def choices(folder):
    return sorted((folder / "layouts").glob("*.json"))


class Sleeper(nn.Module):
    """Slow in one layout."""

    def __init__(self, slow: str) -> None:
        super().__init__()
        self.conv, self.slow = nn.Conv2d(3, 4, 3), slow

    def forward(self, x):
        is_last = self.conv.weight.is_contiguous(memory_format=torch.channels_last)
        time.sleep(0.004 if is_last == (self.slow == "channels_last") else 0)
        return self.conv(x)


@pytest.mark.parametrize(("slow", "chosen"), [("channels_last", "contiguous"), ("contiguous", "channels_last")])
def test_auto_chooses_the_layout_that_was_faster(slow, chosen, monkeypatch):
    monkeypatch.setattr(build, "assemble", lambda *arguments: Sleeper(slow))
    config = compose(["memory_format=auto"])
    facts = measured(config, build.data(config).problem, CPU)
    assert facts["memory_format"] == chosen
    assert facts["memory_format/chosen"].startswith("measured: a training step in channels_last takes ")


@pytest.mark.usefixtures("few_rounds")
def test_a_layout_is_measured_once_an_arm_and_stands_in_summary_and_configuration(tmp_path):
    chosen_layout(tmp_path)
    (choice,) = choices(tmp_path)
    first = json.loads(choice.read_text())["memory_format"]
    other = {"channels_last": "contiguous", "contiguous": "channels_last"}[first]
    choice.write_text(json.dumps({"memory_format": other, "memory_format/chosen": "by hand"}))
    summary, config = train(tmp_path, "memory_format=auto", "seed=1", "optim.lr=0.01")
    assert choices(tmp_path) == [choice]
    assert (summary["memory_format"], summary["memory_format/chosen"]) == (other, "by hand")
    assert config.memory_format == other  # what rebuilds the run's model
    chosen_layout(tmp_path, "conv=depthwise")
    chosen_layout(tmp_path, "data.batch_size=8")
    assert len(choices(tmp_path)) == 3


@pytest.mark.usefixtures("few_rounds")
def test_a_run_by_auto_gives_the_figures_of_the_layout_it_chose(tmp_path):
    (tmp_path / "auto").mkdir()
    auto, _ = train(tmp_path / "auto", "memory_format=auto")
    asked, _ = train(tmp_path, f"memory_format={auto['memory_format']}")
    figures = {key: auto[key] for key in auto if key.startswith(("val/", "test/"))}
    assert {"val/loss", "val/accuracy", "test/loss", "test/accuracy"} <= figures.keys()
    assert figures == {key: asked[key] for key in asked if key.startswith(("val/", "test/"))}
    assert auto["config_hash"] != asked["config_hash"]


@pytest.mark.parametrize("operator", names("conv"))
def test_the_layout_changes_rounding_alone(arm, operator):
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    one, other = (
        step(arm(operator, "width=0.5", f"memory_format={name}"), x, "64-true")
        for name in ("channels_last", "contiguous")
    )
    assert one[0] == pytest.approx(other[0], rel=1e-10)
    torch.testing.assert_close(one[1], other[1], rtol=1e-8, atol=1e-10)


@pytest.mark.usefixtures("few_rounds")
def test_a_choice_that_cannot_be_read_is_named(tmp_path):
    chosen_layout(tmp_path)
    choices(tmp_path)[0].write_text("{}")
    with pytest.raises(ConfigError, match="remove it, and the layout is measured anew"):
        chosen_layout(tmp_path)


@pytest.mark.usefixtures("few_rounds")
def test_under_auto_the_standard_convolution_is_measured_in_its_own_layout(tmp_path, monkeypatch):
    """As its own runs found it: the file that they left is the only one in the folder."""
    chosen_layout(tmp_path, "conv=standard")
    (choice,) = choices(tmp_path)
    seen = []
    monkeypatch.setattr(costs, "measure", lambda *_, **settings: seen.append(settings))
    config = compose(
        [*QUICK, "memory_format=auto", "conv=grouped", "cost.latency.enabled=true", f"output_dir={tmp_path}"]
    )
    problem = build.data(config).problem
    for name in ("contiguous", "channels_last"):
        choice.write_text(json.dumps({"memory_format": name}))
        costs.measured(config, build.model(config, 3, 10), problem, CPU, "channels_last")
    assert [settings["memory_format"] for settings in seen] == [torch.channels_last] * 2
    assert [settings["reference_format"] for settings in seen] == [torch.contiguous_format, torch.channels_last]
    assert choices(tmp_path) == [choice]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true"])
@pytest.mark.parametrize("operator", names("conv"))
def test_every_operator_trains_in_every_precision_close_to_float64(arm, operator, precision):
    """In a whole network, where rounding adds up: to 5 times 2⁻⁸ in bfloat16, and to 46 times where ReLUs turn at their kinks.
    test_conv.py holds single operators to less. Networks differ in what they make of a difference (those of involutions, which
    multiply what they have learned of the image with the image, forty times as much): one that is further off is held to what
    an image and weights that are rounded once do to it in float64."""
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    loss_off, gradient_off = (1e-6, 1e-5) if precision == "32-true" else (2**-8, 16 * 2**-8)
    exact, rounded = (step(smooth(arm(operator, "width=0.5")), x, name) for name in ("64-true", precision))
    assert rounded[0] == pytest.approx(exact[0], rel=loss_off)
    expected, found = (torch.cat([g.flatten() for g in gradients.values()]) for _, gradients in (exact, rounded))
    off = (found - expected).norm()
    if off >= gradient_off * expected.norm():
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(2), dtype=x.dtype)
        unit = 2**-24 if precision == "32-true" else 2**-9
        network = smooth(arm(operator, "width=0.5"))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(1 + unit * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
        _, shaken = step(network, x * (1 + unit * noise), "64-true")
        assert off < 4 * (torch.cat([g.flatten() for g in shaken.values()]) - expected).norm()


def step(model, x, precision):
    """Loss and each layer's gradient, the offsets of deformable convolutions away from whole pixels."""
    dtype, cast = in_precision(precision, CPU)
    for module in model.modules():
        if isinstance(module, Deformable):
            nn.init.constant_(module.offset.bias, 0.4)
    model = model.to(dtype).train()
    with cast():
        logits = model(x.to(dtype))
    loss = F.cross_entropy(logits.double(), torch.arange(len(x)) % 10)
    loss.backward()
    return loss.item(), {name: p.grad.double() for name, p in model.named_parameters()}


def test_the_precision_of_products_is_set_and_put_back():
    set_matmul_precision("high")
    assert torch.get_float32_matmul_precision() == "high"
    assert torch.backends.cudnn.allow_tf32
    set_matmul_precision("highest")
    assert not torch.backends.cudnn.allow_tf32
    set_matmul_precision("default")
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.cudnn.allow_tf32  # as torch itself starts
