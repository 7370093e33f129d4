"""What a search has found, in words and as the keys of summary.json."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from litconv.match.budget import UNITS
from litconv.match.network import Network
from litconv.match.search import Search
from litconv.match.sizes import Candidate, Sizes, rounded

WIDE = 4


@dataclass(frozen=True)
class Report:
    search: Search
    network: Network
    found: Candidate
    target: float

    def facts(self) -> dict[str, Any]:
        budget, sizes, stages = self.search.budget, self.found.sizes, self.search.stages
        notes = list(self.notes())
        return {
            "match/by": budget.by,
            "match/to": budget.to,
            "match/target": self.target,
            "match/width": self.found.width,
            "match/channels": list(sizes[:stages]),
            **({"match/head_hidden": sizes[-1]} if len(sizes) > stages else {}),
            "match/multiple": self.found.multiple,
            "match/error": self.search.error(self.found),
            **({"match/note": "; ".join(notes)} if notes else {}),
        }

    def notes(self) -> Iterator[str]:
        found, usual, error = self.found, self.network.usual_multiple, self.search.error(self.found)
        if found.multiple != usual:
            yield f"channels are multiples of {found.multiple}, not of {usual}"
        if found.trimmed is not None:
            change = (
                found.sizes[found.trimmed] - rounded(self.network.nominal, found.width, found.multiple)[found.trimmed]
            )
            yield f"{self.network.layer(found.trimmed)} is trimmed by one multiple ({change:+d} channels)"
        if abs(error) > self.search.budget.tolerance:
            refusal = self.search.costs.refusal
            why = f"; channels between them are refused: {refusal}" if refusal else ""
            yield f"{error:+.1%}: the nearest costs that can be built are {' and '.join(self.nearest())}{why}"
        if found.width > WIDE * self.network.asked.width:
            times = found.width / self.network.asked.width
            yield f"{times:.0f} times as wide as the reference: so are its activations, which must fit in memory"

    def line(self) -> str:
        budget, found = self.search.budget, self.found
        cost = self.search.costs(found.sizes)
        return (
            f"match={budget.by}: width {found.width} ({self.shown(found.sizes)}) costs {cost:,} {UNITS[budget.by]}, "
            f"{self.search.error(found):+.1%} from {self.reference()}"
        )

    def no_match(self, choices: dict[str, str]) -> str:
        budget, error = self.search.budget, self.search.error(self.found)
        accept = f", or accept {error:+.1%} by match.tolerance={abs(error) + 0.005:.2f}" if abs(error) < 0.99 else ""
        return (
            f"match={budget.by}: conv={choices['conv']} in backbone={choices['backbone']} has no width that costs "
            f"{self.reference()}; nearest: {' and '.join(self.nearest())}; choose another match.to, width or option of "
            f"the operator{accept}"
        )

    def nearest(self) -> Iterator[str]:
        """The costs on either side of the target."""
        known = sorted((cost, sizes) for sizes, cost in self.search.costs.known.items() if cost is not None)
        below, above = ([k for k in known if (k[0] > self.target) == side] for side in (False, True))
        for cost, sizes in (*below[-1:], *above[:1]):
            yield f"{cost:,} ({self.shown(sizes)})"

    def reference(self) -> str:
        budget = self.search.budget
        cost = f"{self.target:,.0f} {UNITS[budget.by]}"
        return cost if budget.is_number else f"the {cost} of conv={budget.to}"

    def shown(self, sizes: Sizes) -> str:
        stages = self.search.stages
        head = f"; head {sizes[-1]}" if len(sizes) > stages else ""
        return f"channels {', '.join(map(str, sizes[:stages]))}{head}"
