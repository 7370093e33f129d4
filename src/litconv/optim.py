"""Parameter groups and learning-rate schedules.

A schedule is `(optimizer, total_steps) -> LRScheduler`, stepped once per optimiser step. `warmup` is a fraction of all
steps: over the first w = round(warmup · total_steps) steps the rate rises linearly from lr/w to lr
(https://arxiv.org/abs/1706.02677).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim import lr_scheduler as torch_schedules
from torch.optim.lr_scheduler import LRScheduler

from litconv.conv.slot import lr_scale_of
from litconv.errors import ConfigError

OptimizerFactory = Callable[[list[dict]], Optimizer]
Schedule = Callable[[Optimizer, int], LRScheduler]


def parameter_groups(model: nn.Module) -> list[dict]:
    """Weights, which the optimiser's own weight_decay decays, and norms and biases (fewer than two dimensions), never decayed.

    A layer that its operator marks with `lr_scale` (the offsets of a deformable convolution) has groups of its own.
    """
    groups: dict[tuple[bool, float], dict] = {}
    for module_name, module in model.named_modules():
        scale = lr_scale_of(module)
        for name, parameter in module.named_parameters(module_name, recurse=False):
            if not parameter.requires_grad:
                continue
            plain = parameter.ndim < 2 or name.split(".")[-1] == "bias"
            group = groups.setdefault((plain, scale), {"params": [], **({"weight_decay": 0.0} if plain else {})})
            group["params"].append(parameter)
            if scale != 1.0:
                group["lr_scale"] = scale
    return sorted(groups.values(), key=lambda group: ("lr_scale" in group, "weight_decay" in group))


def optimizer_for(model: nn.Module, optim: OptimizerFactory) -> Optimizer:
    """The optimiser over the model's groups, each at its own share of the learning rate."""
    optimizer = optim(parameter_groups(model))
    for group in optimizer.param_groups:
        group["lr"] *= group.get("lr_scale", 1.0)
    return optimizer


def unfused(optimizer: Optimizer, model: nn.Module, optim: OptimizerFactory) -> Optimizer:
    """The same optimiser in a form that leaves the gradients' scale to others, who clip them before its step."""
    try:
        return optimizer_for(model, partial(optim, fused=False))
    except TypeError as error:
        raise ConfigError(
            f"optim: {type(optimizer).__name__} scales gradients inside its step and has no option fused=false, so that they "
            "cannot be clipped in a mixed precision; remove trainer.gradient_clip_val, or set trainer.precision=32-true"
        ) from error


def scales_inside_its_step(optimizer: Optimizer) -> bool:
    """Fused ones take the scale of 16-bit training back there. By torch's own mark, which Lightning goes by as well."""
    return getattr(optimizer, "_step_supports_amp_scaling", False)


def check(optim: OptimizerFactory, schedule: Schedule) -> None:
    """Refuse an impossible optimiser or schedule before any data is read: both are built, and a step is made."""
    check_step(optim)
    try:
        schedule(optimizer_for(small_model(), optim), 1000)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise error if isinstance(error, ConfigError) else ConfigError(f"schedule: {error}") from error


def small_model() -> nn.Module:
    """With a parameter for each kind of group: weights, biases and norms, a rate of its own."""
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1))
    model[2].lr_scale = 0.5
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.5)
    return model


def check_step(optim: OptimizerFactory) -> None:
    """Refuse one that asks for the loss more than once a step (LBFGS, SAM), or for what this training has not got.

    Each evaluation would be another training step to everything else: batch norm's statistics, mixup's draws, the losses
    that are averaged, gradients that were added up over several batches.
    """
    name, evaluations = getattr(optim, "func", optim).__name__, 0
    model = small_model()

    def loss() -> torch.Tensor:
        nonlocal evaluations
        evaluations += 1
        model.zero_grad()
        value = torch.stack([parameter.square().sum() for parameter in model.parameters()]).sum()
        value.backward()
        return value

    try:
        optimizer = optimizer_for(model, optim)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"optim{option_at_fault(optim)}: {error}") from error
    try:
        with torch.enable_grad():
            optimizer.step(loss)
    except Exception as error:  # whatever an optimiser of anybody's says in its first step
        said = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(
            f"optim: {name} fails in its first step ({said}); choose one that takes a step from one gradient of all parameters, "
            "such as optim=sgd or optim=adamw"
        ) from error
    if evaluations != 1:
        raise ConfigError(
            f"optim: {name} evaluates the loss {evaluations} times a step, and this training does so once; choose another, such "
            "as optim=sgd or optim=adamw"
        )


def option_at_fault(optim: OptimizerFactory) -> str:
    """The one without which the optimiser can be built, and its value; empty where there is no such."""

    def can_be_built(options: dict[str, Any]) -> bool:
        try:
            optim.func([nn.Parameter(torch.zeros(1, 1))], **options)
        except (TypeError, ValueError, RuntimeError):
            return False
        return True

    options = optim.keywords
    if can_be_built(options):  # it is the groups that it does not take
        return ""
    for key, value in options.items():
        if can_be_built({k: v for k, v in options.items() if k != key}):
            return f".{key}={value}"
    return ""


def cosine(optimizer: Optimizer, total_steps: int, *, warmup: float = 0.0) -> LRScheduler:
    """lr_t = lr/2 · (1 + cos(π (t − w) / (total − w))), to 0 at the end (https://arxiv.org/abs/1608.03983)."""
    steps = _warmup_steps(warmup, total_steps)
    return _after_warmup(optimizer, steps, torch_schedules.CosineAnnealingLR(optimizer, T_max=total_steps - steps))


def step(
    optimizer: Optimizer,
    total_steps: int,
    *,
    warmup: float = 0.0,
    milestones: Sequence[float] = (0.5, 0.75),
    gamma: float = 0.1,
) -> LRScheduler:
    """lr times gamma at each milestone, a fraction of all steps."""
    steps = _warmup_steps(warmup, total_steps)
    if not all(warmup < milestone < 1 for milestone in milestones):
        raise ConfigError(f"schedule.milestones={list(milestones)} must lie between schedule.warmup={warmup} and 1")
    at = [round(milestone * total_steps) - steps for milestone in milestones]
    return _after_warmup(optimizer, steps, torch_schedules.MultiStepLR(optimizer, milestones=at, gamma=gamma))


def one_cycle(
    optimizer: Optimizer, total_steps: int, *, warmup: float = 0.3, start: float = 25.0, final: float = 1e4
) -> LRScheduler:
    """Cosine up from lr/start to lr over the warm-up, cosine down to lr/(start·final) (https://arxiv.org/abs/1708.07120).

    The momentum is left as the optimiser has it: cycled, its own setting would have no effect.
    """
    _warmup_steps(warmup, total_steps)
    if warmup == 0:
        raise ConfigError(
            "schedule.warmup=0 must be greater than 0 for one_cycle; without a warm-up use schedule=cosine"
        )
    for key, divisor in (("start", start), ("final", final)):
        if divisor <= 0:
            raise ConfigError(f"schedule.{key}={divisor} must be greater than 0: a learning rate is divided by it")
    peak = [group["lr"] for group in optimizer.param_groups]
    return torch_schedules.OneCycleLR(
        optimizer, peak, total_steps, pct_start=warmup, cycle_momentum=False, div_factor=start, final_div_factor=final
    )


def constant(optimizer: Optimizer, total_steps: int, *, warmup: float = 0.0) -> LRScheduler:
    """lr at every step after the warm-up."""
    steps = _warmup_steps(warmup, total_steps)
    return _after_warmup(optimizer, steps, torch_schedules.ConstantLR(optimizer, factor=1.0, total_iters=0))


def _warmup_steps(warmup: float, total_steps: int) -> int:
    if not 0 <= warmup < 1:
        raise ConfigError(f"schedule.warmup={warmup} must be a fraction of all steps: at least 0, less than 1")
    return min(round(warmup * total_steps), total_steps - 1)


def _after_warmup(optimizer: Optimizer, steps: int, schedule: LRScheduler) -> LRScheduler:
    if steps == 0:
        return schedule
    rise = torch_schedules.LinearLR(optimizer, start_factor=1 / steps, total_iters=steps)
    return torch_schedules.SequentialLR(optimizer, [rise, schedule], milestones=[steps])
