"""What a search has found, in words and as the keys of summary.json."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from litconv.match.network import Network
from litconv.match.search import Search
from litconv.match.sizes import Candidate, Sizes, rounded

WIDE, NARROW = 4, 8  # times what was asked for, which a reader must know


@dataclass(frozen=True)
class Match:
    sizes: Sizes
    facts: dict[str, Any]  # the keys of summary.json
    line: str  # the facts in words


@dataclass(frozen=True)
class Verdict:
    search: Search
    network: Network
    chosen: Candidate
    cost: float  # confirmed

    @property
    def error(self) -> float:
        return self.search.budget.error(self.cost, self.search.target)

    def match(self) -> Match:
        budget, (width, multiple, sizes, _) = self.search.budget, self.chosen
        base, head = self.network.split(sizes)
        notes = list(self.notes())
        facts = {
            "match/by": budget.by,
            "match/to": budget.to,
            **budget.facts,
            "match/target": self.search.target,
            "match/width": width,
            "match/channels": list(base),
            **({"match/head_hidden": head[0]} if head else {}),
            "match/multiple": multiple,
            "match/error": self.error,
            **({"match/note": "; ".join(notes)} if notes else {}),
        }
        line = (
            f"match={budget.by}: width {width} ({self.shown(sizes)}) costs {budget.shown(self.cost)}, "
            f"{self.error:+.1%} from {self.reference()}"
        )
        return Match(sizes, facts, line)

    def notes(self) -> Iterator[str]:
        (width, multiple, sizes, trimmed), network, budget = self.chosen, self.network, self.search.budget
        yield from budget.notes
        if multiple != network.usual_multiple:
            yield f"channels are multiples of {multiple}, not of {network.usual_multiple}"
        if trimmed is not None:
            change = sizes[trimmed] - rounded(network.nominal, width, multiple)[trimmed]
            yield f"{network.layer(trimmed)} is trimmed by one multiple ({change:+d} channels)"
        searched = self.search.error(self.chosen)
        if abs(searched) > budget.tolerance:
            refusal = self.search.costs.refusal
            why = f"; channels between them are refused: {refusal}" if refusal else ""
            yield f"{searched:+.1%}: the nearest costs that can be built are {' and '.join(self.nearest())}{why}"
        elif abs(self.error) > budget.tolerance:
            yield f"{self.error:+.1%} when measured again, {searched:+.1%} in the search"
        if width > WIDE * network.asked.width:
            times = width / network.asked.width
            yield f"{times:.0f} times as wide as asked: so are its activations, which must fit in memory"
        if width * NARROW < network.asked.width:
            yield f"{network.asked.width / width:.0f} times as narrow as asked: little is left of the network"

    def too_noisy(self) -> str:
        show = self.search.budget.shown
        return (
            f"match={self.search.budget.by}: width {self.chosen.width} took "
            f"{show(self.search.costs(self.chosen.sizes))} in the search and {show(self.cost)} when measured again: the "
            "machine is too busy to measure; wait until it is not, or try a larger match.seconds"
        )

    def no_match(self, choices: dict[str, str]) -> str:
        budget, error = self.search.budget, self.search.error(self.chosen)
        accept = f", or accept {error:+.1%} by match.tolerance={abs(error) + 0.005:.2f}" if abs(error) < 0.99 else ""
        return (
            f"match={budget.by}: conv={choices['conv']} in backbone={choices['backbone']} has no width that costs "
            f"{self.reference()}; nearest: {' and '.join(self.nearest())}; choose another match.to, width or option of "
            f"the operator{accept}"
        )

    def nearest(self) -> Iterator[str]:
        """The costs on either side of the target."""
        known = sorted((cost, sizes) for sizes, cost in self.search.costs.known.items() if cost is not None)
        below, above = ([k for k in known if (k[0] > self.search.target) == side] for side in (False, True))
        for cost, sizes in (*below[-1:], *above[:1]):
            yield f"{self.search.budget.shown(cost)} ({self.shown(sizes)})"

    def reference(self) -> str:
        budget = self.search.budget
        cost = budget.shown(self.search.target)
        return cost if budget.is_number else f"the {cost} of conv={budget.to}"

    def shown(self, sizes: Sizes) -> str:
        base, head = self.network.split(sizes)
        return "; ".join([f"channels {', '.join(map(str, base))}", *(f"head {hidden}" for hidden in head)])
