"""From a configuration with `match=` to the one that is trained, and what summary.json says of it."""

import json
import logging
from dataclasses import dataclass
from functools import partial
from typing import Any

from litconv import build
from litconv.config import composed as configuration
from litconv.config.messages import did_you_mean
from litconv.cost.counter import Count
from litconv.errors import ConfigError
from litconv.match.budget import Budget, LatencyBudget
from litconv.match.memory import remembered
from litconv.match.meters import meter_of
from litconv.match.network import Network
from litconv.match.report import Found, Report
from litconv.match.search import Costs, Search
from litconv.match.sizes import multiples

log = logging.getLogger(__name__)

CLASSES = 10  # until the data says how many


@dataclass(frozen=True)
class Matched:
    """Without `match=`: the configuration as asked, and no facts."""

    config: Any
    facts: dict[str, Any]
    line: str  # the facts in words

    def announce(self) -> None:
        if self.line:
            log.info("%s", self.line)

    def summary(self, counted: Count) -> dict[str, Any]:
        """The facts, with the error by the full count of the model; the search has made a quicker one."""
        if not hasattr(counted, self.facts.get("match/by", "")):
            return self.facts
        cost = getattr(counted, self.facts["match/by"])
        return {**self.facts, "match/error": cost / self.facts["match/target"] - 1}


_found: dict[str, Found] = {}  # a run asks twice: before the data is read, and when its classes are known


def matched(config: Any, data: Any, num_classes: int = CLASSES) -> Matched:
    if configuration.select(config, "match") is None:
        return Matched(config, {}, "")
    with build.as_config_error():
        budget = build.part(config.match)
        check(config, budget)
        network = Network(config, data.in_channels)
        key = json.dumps([configuration.plain(config), num_classes, data.image_size], sort_keys=True, default=str)
        if key not in _found:
            search = partial(find, config, data, num_classes, budget, network)
            _found[key] = remembered(config, num_classes, search) if isinstance(budget, LatencyBudget) else search()
    found = _found[key]
    return Matched(network.sized(found.sizes), found.facts, found.line)


def find(config: Any, data: Any, classes: int, budget: Budget, network: Network) -> Found:
    meter = meter_of(budget, config, data, classes)
    steps = multiples(network.own_multiple, network.usual_multiple)
    costs = Costs(lambda sizes: meter(network.model(sizes)))
    search = Search(costs, meter.target, budget, network.nominal, len(network.published), network.asked, steps)
    chosen = search.run()
    report = Report(search, network, chosen, meter.confirm(network.model(chosen.sizes)))
    if search.distance(chosen) > budget.limit:
        raise ConfigError(report.no_match(configuration.choices(config)))
    if abs(report.error) > budget.limit:
        raise ConfigError(report.too_noisy())
    return report.found()


def check(config: Any, budget: Budget) -> None:
    backbone, name = config.backbone, configuration.choices(config)["backbone"]
    names = sorted(path.stem for path in (configuration.CONF / "conv").glob("*.yaml"))
    if not budget.is_number and budget.to not in names:
        raise ConfigError(
            f"match.to={budget.to} is neither a number nor an operator{did_you_mean(budget.to, names)}; "
            f"choose a number such as 40e6, or one of {', '.join(names)}"
        )
    if "base_channels" in backbone:
        raise ConfigError(
            f"match={budget.by} has nothing to vary: backbone.base_channels={list(backbone.base_channels)} is given; "
            "remove one of them"
        )
    if not configuration.takes(backbone, "base_channels"):
        raise ConfigError(
            f"match={budget.by} has nothing to vary: backbone={name} takes no base_channels; remove match"
        )
    if budget.is_number and any(o.startswith("width=") for o in configuration.hydra_state(config)[0]):
        raise ConfigError(
            f"width={config.width} has no effect: match.to={budget.to:,.0f} decides the width; remove one of them "
            "(match.to=standard matches the standard convolution at this width)"
        )
