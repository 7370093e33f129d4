"""Parameter groups and schedules, against their formulas and built from every yaml of conf/optim and conf/schedule."""

from functools import partial
from math import cos, pi

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import nn

from litconv import optim
from litconv.errors import ConfigError
from yamls import CONF, names

LR, TOTAL, WARMUP = 0.4, 200, 20


def from_yaml(group: str, name: str, *overrides: str):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return instantiate(compose(overrides=[f"+{group}={name}", *overrides])[group])


def rates(schedule, total: int = TOTAL) -> list[float]:
    parameter = nn.Parameter(torch.zeros(2, 2))
    optimizer = torch.optim.SGD([parameter], lr=LR)
    scheduler = schedule(optimizer, total)
    seen = []
    for _ in range(total):
        seen.append(optimizer.param_groups[0]["lr"])
        parameter.grad = torch.zeros(2, 2)
        optimizer.step()
        scheduler.step()
    return seen


def risen(t: int) -> float:
    return LR * (1 / WARMUP + (1 - 1 / WARMUP) * t / WARMUP)


def one_cycle_formula(t: int) -> float:
    up, end = WARMUP - 1, TOTAL - 1
    low, high, part = (LR / 25, LR, t / up) if t <= up else (LR / 25e4, LR, 1 - (t - up) / (end - up))
    return low + (high - low) * (1 - cos(pi * part)) / 2


FORMULAS = {
    "cosine": lambda t: risen(t) if t < WARMUP else LR / 2 * (1 + cos(pi * (t - WARMUP) / (TOTAL - WARMUP))),
    "step": lambda t: risen(t) if t < WARMUP else LR * 0.1 ** sum(t >= m * TOTAL for m in (0.5, 0.75)),
    "constant": lambda t: risen(t) if t < WARMUP else LR,
    "one_cycle": one_cycle_formula,
}


@pytest.mark.parametrize("name", names("schedule"))
def test_every_schedule_follows_its_formula_at_every_step(name):
    schedule = from_yaml("schedule", name, f"schedule.warmup={WARMUP / TOTAL}")
    assert rates(schedule) == pytest.approx([FORMULAS[name](t) for t in range(TOTAL)], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", sorted(set(FORMULAS) - {"one_cycle"}))
def test_a_schedule_without_warmup_starts_at_the_full_rate(name):
    assert rates(partial(getattr(optim, name), warmup=0.0))[0] == LR


@pytest.mark.parametrize("name", names("schedule"))
@pytest.mark.parametrize("total", [1, 2, 3])
def test_every_schedule_survives_runs_of_a_few_steps(name, total):
    seen = rates(from_yaml("schedule", name), total)
    assert len(seen) == total
    assert all(0 <= rate <= LR * (1 + 1e-9) for rate in seen)


@pytest.mark.parametrize("name", names("schedule"))
def test_a_schedule_continues_from_its_state(name, tmp_path):
    schedule = from_yaml("schedule", name)
    whole = rates(schedule)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(2, 2))], lr=LR)
    scheduler = schedule(optimizer, TOTAL)
    optimizer.step()
    for _ in range(120):
        scheduler.step()
    torch.save([optimizer.state_dict(), scheduler.state_dict()], tmp_path / "state")
    states = torch.load(tmp_path / "state", weights_only=True)
    resumed = torch.optim.SGD([nn.Parameter(torch.zeros(2, 2))], lr=LR)
    again = schedule(resumed, TOTAL)
    resumed.load_state_dict(states[0])
    again.load_state_dict(states[1])
    seen = []
    resumed.step()
    for _ in range(120, TOTAL):
        seen.append(resumed.param_groups[0]["lr"])
        again.step()
    assert seen == whole[120:]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=True)
        self.norm = nn.BatchNorm2d(4)
        self.group_norm = nn.GroupNorm(2, 4)
        self.linear = nn.Linear(4, 2)
        self.frozen = nn.Conv2d(1, 1, 1).requires_grad_(False)


def test_norms_and_biases_are_not_decayed_and_weights_are():
    model = Block()
    groups = optim.parameter_groups(model)
    decayed, plain = ({id(p) for p in group["params"]} for group in groups)
    by_name = {name: id(parameter) for name, parameter in model.named_parameters()}
    assert decayed == {by_name["conv.weight"], by_name["linear.weight"]}
    assert plain == {
        by_name[f"{layer}.{kind}"]
        for layer, kind in [
            *[("norm", "weight"), ("norm", "bias"), ("group_norm", "weight"), ("group_norm", "bias")],
            *[("conv", "bias"), ("linear", "bias")],
        ]
    }
    assert groups[1]["weight_decay"] == 0.0
    assert "weight_decay" not in groups[0]


@pytest.mark.parametrize("name", names("optim"))
def test_every_optimiser_decays_weights_alone(name):
    model = Block()
    optimizer = from_yaml("optim", name, "optim.weight_decay=0.5")(optim.parameter_groups(model))
    before = {key: parameter.detach().clone() for key, parameter in model.named_parameters()}
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for key, parameter in model.named_parameters():
        shrunk = not torch.equal(parameter, before[key])
        assert shrunk == (key in ("conv.weight", "linear.weight")), key


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", names("optim"))
def test_the_fused_optimiser_equals_the_plain_one(name, memory_format):
    results = []
    for fused in ("true", "false"):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 5, 3)).to(memory_format=memory_format)
        optimizer = from_yaml("optim", name, f"optim.fused={fused}")(optim.parameter_groups(model))
        for _ in range(5):
            optimizer.zero_grad()
            model(torch.randn(4, 3, 8, 8).to(memory_format=memory_format)).square().mean().backward()
            optimizer.step()
        results.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-6)


sgd = partial(torch.optim.SGD, lr=0.1)


@pytest.mark.parametrize(
    ("optimizer", "schedule", "message"),
    [
        (partial(torch.optim.SGD, lr=-1.0), optim.cosine, r"optim\.lr=-1\.0: Invalid learning rate: -1\.0"),
        (
            partial(torch.optim.SGD, lr=0.1, nesterov=True),
            optim.cosine,
            r"optim\.nesterov=True: Nesterov momentum requires",
        ),
        (
            partial(torch.optim.SGD, lr=0.1, beta=1),
            optim.cosine,
            r"optim\.beta=1: .*unexpected keyword argument 'beta'",
        ),
        (partial(torch.optim.SGD, lr=-1.0, momentum=-1.0), optim.cosine, "^optim: Invalid"),
        (sgd, partial(optim.cosine, warmup=1.5), "schedule.warmup=1.5 must be a fraction of all steps"),
        (sgd, partial(optim.one_cycle, warmup=-0.1), "schedule.warmup=-0.1 must be a fraction of all steps"),
        (
            sgd,
            partial(optim.step, warmup=0.6),
            r"schedule.milestones=\[0.5, 0.75\] must lie between schedule.warmup=0.6 and 1",
        ),
    ],
)
def test_an_impossible_optimiser_or_schedule_is_refused_before_any_data(optimizer, schedule, message):
    with pytest.raises(ConfigError, match=message):
        optim.check(optimizer, schedule)


@pytest.mark.parametrize("name", names("optim"))
def test_every_optimiser_passes_the_check_with_every_schedule(name):
    for schedule in names("schedule"):
        optim.check(from_yaml("optim", name), from_yaml("schedule", schedule))


def test_a_layer_marked_with_lr_scale_learns_at_that_share_of_the_rate_all_along():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3))
    model[2].lr_scale = 0.1
    optimizer = optim.optimizer_for(model, partial(torch.optim.SGD, lr=0.5, weight_decay=0.01))
    schedule = optim.cosine(optimizer, 10, warmup=0.2)
    for _ in range(10):
        rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
        assert rates[id(model[2].weight)] == pytest.approx(0.1 * rates[id(model[0].weight)])
        assert rates[id(model[2].bias)] == pytest.approx(0.1 * rates[id(model[1].weight)])
        optimizer.step()
        schedule.step()
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decay[id(model[2].weight)] == decay[id(model[0].weight)] > 0
    assert decay[id(model[2].bias)] == decay[id(model[1].weight)] == 0
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))


def test_an_option_is_blamed_only_where_the_optimiser_can_be_built_without_it():
    assert optim.option_at_fault(partial(torch.optim.SGD, lr=-1.0, momentum=0.9)) == ".lr=-1.0"
    assert optim.option_at_fault(partial(torch.optim.LBFGS, lr=0.1)) == ""  # it takes no groups, whatever its options
