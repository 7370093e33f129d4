"""From a configuration with `match=` to the one that is trained, and what summary.json says of it."""

import json
import logging
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from omegaconf import DictConfig

from litconv import build
from litconv.config import composed, own_yamls
from litconv.cost import Count
from litconv.data.problem import Problem
from litconv.errors import ConfigError, did_you_mean
from litconv.match.budget import Budget, DeployedBudget, MeasuredBudget
from litconv.match.memory import remembered
from litconv.match.meters import meter_of
from litconv.match.network import Network
from litconv.match.search import Costs, Search, among_measured
from litconv.match.sizes import multiples
from litconv.match.verdict import Match, Verdict
from litconv.run.asked import Asked

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Width:
    """The configuration at the width that `match=` found; without `match=` as it was asked for, and no facts."""

    config: DictConfig
    facts: dict[str, Any]  # keys of summary.json
    line: str  # the facts in words

    def announce(self) -> None:
        if self.line:
            log.info("%s", self.line)

    def summary(self, count: Count) -> dict[str, Any]:
        """The facts, with the error by the full count of the model; the search has made a quicker one."""
        by = self.facts.get("match/by")
        if by is None or not hasattr(count, by):  # no match, or by latency
            return self.facts
        return {**self.facts, "match/error": getattr(count, by) / self.facts["match/target"] - 1}


_matches: dict[str, Match] = {}  # a run asks twice: in its checks and before it trains


def find_width(asked: Asked, problem: Problem, device: torch.device) -> Width:
    """`device` is where `match=latency` measures, unless `match.device` names another."""
    config = asked.config
    if composed.select(config, "match") is None:
        return Width(config, {}, "")
    assert problem.classes_known
    with build.as_config_error():
        budget = build.part(config.match)
        check(asked, budget)
        network = Network(config, problem.in_channels)
        key = json.dumps([asked.settings, str(problem), str(device)], sort_keys=True, default=str)
        if key not in _matches:
            search = partial(run_search, asked, problem, budget, network, device)
            _matches[key] = remembered(asked, problem, search) if isinstance(budget, MeasuredBudget) else search()
    match = _matches[key]
    return Width(network.sized(match.sizes), match.facts, match.line)


def run_search(asked: Asked, problem: Problem, budget: Budget, network: Network, device: torch.device) -> Match:
    meter = meter_of(budget, asked.config, problem, device)
    steps = multiples(network.own_multiple, network.usual_multiple)
    costs = Costs(lambda sizes: meter(network.model(sizes)))
    search = Search(costs, meter.target, budget, network.nominal, len(network.published), network.asked, steps)
    measured = isinstance(budget, DeployedBudget) and budget.on_device
    candidate = among_measured(search) if measured else search.run()
    verdict = Verdict(search, network, candidate, meter.confirm(network.model(candidate.sizes)))
    if search.distance(candidate) > budget.limit:
        raise ConfigError(verdict.no_match(asked.choices))
    if abs(verdict.error) > budget.limit:
        raise ConfigError(verdict.too_noisy())
    return verdict.match()


def check(asked: Asked, budget: Budget) -> None:
    config, backbone = asked.config, asked.config.backbone
    operators = own_yamls.options("conv")
    if not budget.is_number and budget.to not in operators:
        raise ConfigError(
            f"match.to={budget.to} is neither a number nor an operator{did_you_mean(budget.to, operators)}; "
            f"choose a number such as 40e6, or one of {', '.join(operators)}"
        )
    if "base_channels" in backbone:
        raise ConfigError(
            f"match={budget.by} has nothing to vary: backbone.base_channels={list(backbone.base_channels)} is given; "
            "remove one of them"
        )
    if not composed.takes(backbone, "base_channels"):
        raise ConfigError(
            f"match={budget.by} has nothing to vary: backbone={asked.choices['backbone']} takes no base_channels; "
            "remove match"
        )
    if budget.is_number and any(o.startswith("width=") for o in asked.overrides):
        raise ConfigError(
            f"width={config.width} has no effect: match.to={budget.to:,.0f} decides the width; remove one of them "
            "(match.to=standard matches the standard convolution at this width)"
        )
