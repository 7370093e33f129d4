"""What whole networks cost, held against a reference: equal, more or less."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from litconv.claims.finding import COMPUTED, Finding, Line, all_of
from litconv.claims.hypothesis import Say
from litconv.config import composed, own_yamls
from litconv.config.front import spelled
from litconv.cost.keys import COST_KEYS
from litconv.errors import ConfigError

NAMES = {cost.key: cost.heading for cost in COST_KEYS}
Relation = Literal["equal", "more", "less"]


@dataclass(frozen=True)
class NetworkCosts:
    says: str
    networks: Mapping[str, str]  # label → overrides
    against: Mapping[str, str]  # one
    expect: Mapping[str, Relation]  # key of a cost → how it stands to the reference's

    def find(self, say: Say) -> Finding:
        ((name, overrides),) = self.against.items()
        reference = self.costs(overrides)
        lines = []
        for label, own in self.networks.items():
            costs = self.costs(own)
            for key, relation in self.expect.items():
                right = holds(costs[key], relation, reference[key])
                text = f"{NAMES[key]} {costs[key]:,} against {reference[key]:,}, expected {relation}"
                lines.append(Line(f"{label} against {name}", text, "supported" if right else "refuted"))
        right = sum(line.word == "supported" for line in lines)
        because = f"{right} of {len(lines)} figures are as expected"
        commands = [f"{' '.join(spelled('cost'))} {own}" for own in (*self.against.values(), *self.networks.values())]
        return Finding(
            self.says, COMPUTED, all_of(line.word for line in lines), because, lines, commands=commands,
            rule="exact: what fvcore counts, confirmed by a second counter and by formulas",
        )  # fmt: skip

    def costs(self, overrides: str) -> dict[str, int]:
        from litconv.prepare.points import survey

        row = survey(composed.compose([*overrides.split(), *own_yamls.of_user()], "cost")).row
        unknown = [key for key in self.expect if not isinstance(row.get(key), int | float)]
        if unknown:
            raise ConfigError(f"{unknown[0]} is no figure of {overrides!r}")
        return row


def holds(own: float, relation: Relation, other: float) -> bool:
    return {"equal": own == other, "more": own > other, "less": own < other}[relation]
