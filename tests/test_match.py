"""Equal budgets: what match= finds costs what it says, by closed forms and by hand, and is what is trained."""

import importlib
import json
import re
from itertools import product

import pytest
import torch
from torch import nn

from command import ROOT, TINY, command
from litconv import build
from litconv.config import composed as configuration
from litconv.config.composed import compose, load, plain
from litconv.cost.latency import WARM_UP, Latency
from litconv.cost.tally import tally
from litconv.errors import ConfigError
from litconv.match import Width, find_width
from litconv.run.asked import Asked
from litconv.run.naming import config_hash
from yamls import own_backbones

OPERATORS = sorted(path.stem for path in (ROOT / "conf" / "conv").glob("*.yaml"))
BACKBONES = own_backbones()
HEADS = sorted(path.stem for path in (ROOT / "conf" / "head").glob("*.yaml") if path.stem != "linear")
TOLERANCE = 0.02
MEASURE = importlib.import_module("litconv.cost.measurement")  # the package has a function of that name


def found(*overrides: str):
    """The configuration that is trained, and the facts."""
    return found_of(compose(list(overrides)))


def found_of(config):
    width = width_of(config)
    return width.config, width.facts


def width_of(config) -> Width:
    return find_width(Asked.of(config), build.data(config).problem, torch.device("cpu"))


def model_of(config) -> nn.Module:
    problem = build.data(config).problem
    return build.on_meta(config, problem.in_channels, problem.num_classes).eval()


def by_closed_forms(model: nn.Module, size: int = 32) -> int:
    """MACs of slots by their formula, of other convolutions and linear layers by theirs."""
    total = 0
    inside: list[nn.Module] = []

    def note(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        nonlocal total
        if any(module is not slot and module in set(slot.modules()) for slot in inside):
            return
        if hasattr(module, "formula"):
            total += module.formula(*inputs[0].shape[-2:]).macs
        elif isinstance(module, nn.Linear):
            total += module.weight.numel()

    inside += [module for module in model.modules() if hasattr(module, "formula")]
    hooks = [module.register_forward_hook(note) for module in model.modules()]
    model(torch.zeros(1, 3, size, size, device="meta"))
    for hook in hooks:
        hook.remove()
    return total


def params(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def check_macs(*overrides: str) -> dict:
    asked = compose(["match=macs", *overrides])
    config, facts = found_of(asked)
    target = by_closed_forms(model_of(configuration.with_standard(asked)))
    assert facts["match/target"] == target
    assert facts["match/error"] == pytest.approx(by_closed_forms(model_of(config)) / target - 1)
    check_reason(facts)
    return facts


def check_reason(facts: dict) -> None:
    """A note says that the target is missed where it is and nowhere else, with the costs on either side of it."""
    said = re.search(
        r"([+-][\d.]+%): the nearest costs that can be built are ([\d,]+) \D+ \(.*?\) and ([\d,]+) ",
        facts.get("match/note", ""),
    )
    assert (said is not None) == (abs(facts["match/error"]) > TOLERANCE), facts
    if said:
        below, above = (int(cost.replace(",", "")) for cost in said.groups()[1:])
        target = facts["match/target"]
        assert said[1] == f"{facts['match/error']:+.1%}"
        assert below < (1 - TOLERANCE) * target < (1 + TOLERANCE) * target < above
        assert target * (1 + facts["match/error"]) == pytest.approx(min(below, above, key=lambda c: abs(c - target)))


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_costs_as_many_macs_as_the_standard_convolution(operator):
    assert abs(check_macs(f"conv={operator}")["match/error"]) <= TOLERANCE


@pytest.mark.parametrize("backbone", [name for name in BACKBONES if name != "resnet"])
def test_every_backbone_finds_its_width(backbone):
    assert abs(check_macs(f"backbone={backbone}", "conv=grouped", "groups=4")["match/error"]) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by", "place"),
    [
        *((by, []) for by in ("macs", "params", "activations")),
        *(("macs", ["task=segmentation", f"head={head}"]) for head in HEADS),
    ],
    ids=str,
)
def test_at_most_one_in_ten_of_operators_and_backbones_misses_and_says_why(by, place):
    missed = []
    for backbone in BACKBONES:
        for operator in OPERATORS:
            _, facts = found(f"backbone={backbone}", f"conv={operator}", f"match={by}", *place)
            check_reason(facts)
            if abs(facts["match/error"]) > TOLERANCE:
                missed.append((backbone, operator, facts["match/error"]))
    assert len(missed) <= len(BACKBONES) * len(OPERATORS) / 10, missed


@pytest.mark.parametrize("head", HEADS)
def test_segmentation_heads_follow_the_width(head):
    facts = check_macs("task=segmentation", f"head={head}", "conv=pointwise")
    assert abs(facts["match/error"]) <= TOLERANCE
    if "hidden" in compose(["task=segmentation", f"head={head}"]).head:
        shares = facts["match/head_hidden"] / 64, facts["match/channels"][-1] / 64  # published: 64 of either
        assert shares[0] == pytest.approx(shares[1], rel=0.15)


def test_params_are_matched_by_params():
    config, facts = found("conv=depthwise_separable", "match=params")
    assert facts["match/target"] == 78042  # the ResNet-8 of standard convolutions
    assert facts["match/error"] == pytest.approx(params(model_of(config)) / 78042 - 1)
    assert abs(facts["match/error"]) <= TOLERANCE


def test_activations_are_matched_by_what_the_convolutions_put_out():
    config, facts = found("conv=bottleneck", "match=activations")
    outputs = 0

    def note(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        nonlocal outputs
        outputs += output.numel()

    model = model_of(config)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(note)
    model(torch.zeros(1, 3, 32, 32, device="meta"))
    assert facts["match/error"] == pytest.approx(outputs / facts["match/target"] - 1)
    assert abs(facts["match/error"]) <= TOLERANCE


def test_a_number_is_a_target():
    config, facts = found("conv=separable", "match=macs", "match.to=40e6")
    assert facts["match/to"] == facts["match/target"] == 40e6
    assert by_closed_forms(model_of(config)) == pytest.approx(40e6, rel=TOLERANCE)


def test_another_operator_is_a_reference():
    config, _ = found("conv=standard", "match=macs", "match.to=pointwise")
    pointwise = by_closed_forms(model_of(compose(["conv=pointwise"])))
    assert by_closed_forms(model_of(config)) == pytest.approx(pointwise, rel=TOLERANCE)


def test_operators_of_single_stages_are_matched_together():
    facts = check_macs("conv=depthwise_separable", "conv@conv_stage3=deformable")
    assert abs(facts["match/error"]) <= TOLERANCE


def test_the_width_that_is_asked_for_is_the_references():
    narrow = by_closed_forms(model_of(compose(["width=0.5"])))
    config, facts = found("conv=grouped", "width=0.5", "match=macs")
    assert facts["match/target"] == narrow
    assert by_closed_forms(model_of(config)) == pytest.approx(narrow, rel=TOLERANCE)


@pytest.mark.parametrize("operator", ["standard", "dilated"])
def test_what_costs_the_same_as_it_is_stays_as_it_is(operator):
    config = compose([f"conv={operator}", "match=macs", "width=0.75"])
    result = width_of(config)
    assert result.config is config
    assert (result.facts["match/error"], result.facts["match/width"]) == (0, 0.75)
    assert "match/note" not in result.facts


def test_without_match_nothing_is_searched_and_nothing_said():
    config = compose([])
    result = width_of(config)
    assert (result.config is config, result.facts, result.line) == (True, {}, "")


def test_a_trim_is_one_multiple_in_one_layer_and_is_recorded():
    config, facts = found("conv=pointwise", "match=macs")
    width, channels, multiple = (facts[f"match/{key}"] for key in ("width", "channels", "multiple"))
    rounded = [multiple * int(published * width / multiple + 0.5) for published in (16, 32, 64)]
    changes = [actual - share for actual, share in zip(channels, rounded, strict=True)]
    assert sorted(map(abs, changes)) == [0, 0, multiple]
    (stage,) = (number for number, change in enumerate(changes, start=1) if change)
    assert f"stage {stage} is trimmed by one multiple ({changes[stage - 1]:+d} channels)" in facts["match/note"]
    assert list(config.backbone.base_channels) == channels


def test_channels_are_multiples_of_what_the_operator_divides():
    multiple = 5
    config, facts = found("conv=bottleneck", "conv.reduction=5", "match=macs")
    assert all(channels % multiple == 0 for channels in facts["match/channels"])
    assert facts["match/multiple"] % multiple == 0
    assert abs(facts["match/error"]) <= TOLERANCE
    assert f"channels are multiples of {facts['match/multiple']}, not of 8" in facts["match/note"]
    model_of(config)


def test_depthwise_finds_channels_that_divide_one_another():
    config, facts = found("conv=depthwise", "match=macs", "task=segmentation")
    first, second, third = facts["match/channels"]
    assert second % first == third % second == 0
    model_of(config)


def test_what_misses_by_less_than_five_tolerances_is_trained_and_says_why():
    facts = check_macs("conv=depthwise", "task=segmentation", "head=unet")
    assert TOLERANCE < abs(facts["match/error"]) <= 5 * TOLERANCE
    below, above = (
        tuple(map(int, sizes.split(", "))) for sizes in re.findall(r"\(channels ([\d, ]+)\)", facts["match/note"])
    )
    between = product(*(range(low, high + 1) for low, high in zip(below, above, strict=True)))
    assert [s for s in between if s[1] % s[0] == s[2] % s[1] == 0] == [below, above]  # what depthwise can build
    assert "; channels between them are refused: depthwise needs in_channels=" in facts["match/note"]


def macs_of(call) -> float:
    """A clock to which a forward takes a millisecond for a million MACs."""
    model = next(cell.cell_contents for cell in call.__closure__ if isinstance(cell.cell_contents, nn.Module))
    return tally(model, 3, (32, 32)).macs / 1e6


@pytest.fixture
def clocked(monkeypatch):
    """Latencies by that clock; the list of all models that were timed."""
    timed = []

    def clock(call):
        timed.append(call)
        return macs_of(call)

    monkeypatch.setattr(MEASURE, "clock_of", lambda device: clock)
    monkeypatch.setattr("litconv.match.matching._matches", {})
    return timed


def test_latency_is_matched_in_turns_with_the_reference_and_kept_for_the_other_seeds(clocked, tmp_path):
    arguments = ("conv=grouped", "match=latency", "match.batch=1", "match.seconds=0.001", f"output_dir={tmp_path}")
    config, facts = found(*arguments, "trainer=cpu")
    standard = by_closed_forms(model_of(compose([])))
    assert facts["match/target"] == pytest.approx(standard / 1e6)
    assert by_closed_forms(model_of(config)) == pytest.approx(standard, rel=0.05)
    assert len(clocked) > 4 * WARM_UP
    timed = len(clocked)
    other, same = found(*arguments, "trainer=cpu", "seed=1")
    assert len(clocked) == timed
    assert same == facts
    assert other.backbone == config.backbone
    (kept,) = tmp_path.rglob("*.json")
    kept.write_text("torn")
    with pytest.raises(ValueError, match=r"cannot be read .*; remove it, and the width is measured anew"):
        found(*arguments, "trainer=cpu", "seed=2")


def test_a_latency_that_does_not_hold_when_measured_again_is_refused(monkeypatch, tmp_path):
    def slower_when_watched(model, reference, shape, *, seconds, **settings) -> Latency:
        ms = tally(model, 3, (32, 32)).macs / 1e6 * (1 if seconds == 0.001 else 2)
        return Latency(ms, ms, ms, 1.0, 4, False)

    monkeypatch.setattr("litconv.match.meters.latency", slower_when_watched)
    with pytest.raises(ConfigError, match=r"took .* in the search and .* when measured again: the machine is too busy"):
        found("match=latency", "match.to=20", "match.seconds=0.001", f"output_dir={tmp_path}", "trainer=cpu")
    assert not list(tmp_path.rglob("*.json"))


def test_a_run_trains_the_network_that_was_found_under_the_hash_of_what_was_asked(tmp_path, capsys):
    overrides = [*TINY, "conv=grouped", "groups=3", "match=macs", f"output_dir={tmp_path}", "logger=csv"]
    assert command(*overrides) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["config_hash"] == config_hash(plain(compose(overrides)))
    assert summary["width"] == 0.5
    assert "equal-macs" in summary["name"]
    assert summary["match/by"] == "macs"
    assert summary["match/error"] == pytest.approx(summary["cost/macs"] / summary["match/target"] - 1)
    trained = load(folder / "config.yaml")
    assert list(trained.backbone.base_channels) == summary["match/channels"]
    assert params(model_of(trained)) == summary["cost/params"]
    assert "match=macs: width " in capsys.readouterr().err
    assert command(f"run={folder}", "accelerator=cpu", module="evaluate") == 0
    assert f"{summary['test/accuracy']:.4f}" in capsys.readouterr().out


def test_the_cost_table_shows_what_was_found(tmp_path):
    out = tmp_path / "costs.md"
    options = ("backbone=resnet", "match=macs", "cost.latency.enabled=false", f"out={out}")
    assert command("-m", "conv=standard,pointwise", *options, module="cost") == 0
    header, _, standard, pointwise = out.read_text().splitlines()
    assert header.startswith("| conv | backbone | match_width | match_channels | match_error | params |")
    assert header.endswith("| match_note |")
    assert standard.startswith("| standard | resnet | 1.000 | 16, 32, 64 | 0.000 | 78,042 |")
    _, facts = found("conv=pointwise", "match=macs")
    shown = f"| pointwise | resnet | {facts['match/width']:.3f} | {', '.join(map(str, facts['match/channels']))} | "
    assert pointwise.startswith(f"{shown}{facts['match/error']:.3f} |")
    assert pointwise.endswith(f"| {facts['match/note']} |")


def test_every_point_of_a_table_is_matched_with_the_classes_of_its_data(tmp_path):
    out = tmp_path / "costs.json"
    options = (
        "task=segmentation",
        "head=fcn",
        "match=macs",
        f"out={out}",
    )  # shapes: eleven classes, background and all
    assert command("-m", "conv=standard,grouped", *options, module="cost") == 0
    rows = json.loads(out.read_text())
    for row in rows:
        assert row["match/error"] == pytest.approx(row["cost/macs_ratio"] - 1)
        assert abs(row["match/error"]) <= TOLERANCE
    assert len(rows) == 2


REFUSED = {
    "match=mac": "match=mac: no such match (did you mean 'macs'?); choose from activations, deployed, latency, macs, params",
    "match=macs match.to=standrd": "match.to=standrd is neither a number nor an operator (did you mean 'standard'?); ",
    "match=macs match.to=40M": "match.to=40M is neither a number nor an operator; choose a number such as 40e6, or one of ",
    "match=macs match.to=0": "match.to=0 must be greater than 0, or the name of an operator",
    "match=macs match.to=nan": "match.to=nan must be finite",
    "match=macs match.to=null": "match.to=null must be a string or a number",
    "match=macs match.to=1000": (
        "match=macs: conv=standard in backbone=resnet has no width that costs 1,000 MACs; nearest: 52,170 MACs (channels "
        "1, 1, 1); choose another match.to, width or option of the operator"
    ),
    "match=macs match.to=1e15": "match=macs: its target needs a network of more than 10,000,000,000 params",
    "match=macs match.to=12e6 width=0.5": "width=0.5 has no effect: match.to=12,000,000 decides the width; remove one ",
    "match=macs match.tolerance=0": "match.tolerance=0 must be greater than 0 and less than 1",
    "match=macs match.by=flops": "match.by=flops must be macs or params or activations",
    "match=macs +backbone.base_channels=[8,16,32]": (
        "match=macs has nothing to vary: backbone.base_channels=[8, 16, 32] is given; remove one of them"
    ),
    "match.to=12e6": "match.to: no match is chosen; choose one with match=…, or remove match.to",
    "match=macs backbone.depth=21": "depth=21 must be 18, 34, 50 (ImageNet) or 6n+2",
    "match=latency match.batch=0": "match.batch=0 and match.seconds=1.0 must be at least 1 and greater than 0",
    "match=deployed match.runtime=onnx": (
        "match.runtime=onnx must be onnxruntime or openvino, or a device's table such as rpi5.csv"
    ),
    "match=deployed match.precision=int4": "match.precision=int4 must be float32 or int8",
    "match=deployed match.threads=0": "match.threads=0 must be at least 1",
    "match=deployed match.runtime=none.csv": "match.runtime=none.csv: there is no such file",
}  # fmt: skip


@pytest.mark.parametrize("arguments", REFUSED)
def test_a_match_that_cannot_be_is_refused_in_one_line(arguments, capsys, tmp_path):
    assert command(*arguments.split(), f"output_dir={tmp_path}", "logger=csv") == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"error: {REFUSED[arguments]}")
    assert printed.count("\n") == 1


def test_a_backbone_without_channels_to_set_has_nothing_to_vary(tmp_path, capsys):
    target = "backbone._target_=test_match.Fixed"
    allowed = "allowed_packages=[test_match]"
    assert command("match=macs", target, allowed, "~backbone.depth", "~backbone.stem", f"output_dir={tmp_path}") == 1
    assert "match=macs has nothing to vary: backbone=Fixed takes no base_channels" in capsys.readouterr().err


class Fixed(nn.Module):
    def __init__(self, conv, in_channels=3, width=1.0, output_stride=32, *, stage_convs=None) -> None:
        super().__init__()


def test_a_network_much_narrower_than_asked_is_noted():
    _, facts = found("match=macs", "match.to=2e5")
    times = round(1 / facts["match/width"])
    assert times > 8
    assert f"{times} times as narrow as asked" in facts["match/note"]
