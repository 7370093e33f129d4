"""Which channels cost the target: a search over counted costs, no training.

First the width at which the layers, in their published proportions, would cost it. Then the roundings around that
width, from the backbone's usual multiple down to the operator's own; at each, what the width alone misses is sought by
one multiple more or less in a single layer. The first that lands within the tolerance is taken: round numbers of
channels are fast, and worth more than the last per mille.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import log

from litconv.match.budget import Budget
from litconv.match.sizes import Candidate, Sizes, in_proportion, near, rounded, roundings, trims, unit

ROUNDINGS = 6  # looked at for each multiple
TRIMMED = 3  # the best roundings, which are trimmed
SMALL = 1 / 8  # a trim's share of its layer, as long as there is a finer multiple
LARGEST = 2**20  # channels
CLOSE = 1.2  # between widths as near as this, a power law tells the cost
WIDEST = 4  # times the width that was asked for, of what a device may have measured
GAP = 16  # proportions tried in search of one that can be built


@dataclass
class Costs:
    """What sizes cost, each counted once; None for sizes that cannot be built."""

    count: Callable[[Sizes], float]
    known: dict[Sizes, float | None] = field(default_factory=dict)
    refusal: ValueError | None = None

    def __call__(self, sizes: Sizes) -> float | None:
        if sizes not in self.known:
            try:
                self.known[sizes] = self.count(sizes)
            except ValueError as error:
                self.known[sizes], self.refusal = None, error
        return self.known[sizes]


@dataclass
class Search:
    """`costs` of the nominal sizes' roundings, against the target."""

    costs: Costs
    target: float
    budget: Budget
    nominal: Sequence[float]
    stages: int  # how many of the sizes are the backbone's
    asked: Candidate
    multiples: Sequence[int]  # coarse first; all are multiples of the operator's own, the last

    def run(self) -> Candidate:
        """The asked network where it fits as it is, else the first that does, else the nearest of all."""
        candidates = self.buildable([self.asked])
        if self.fits(candidates):
            return self.asked
        centre = self.centre()
        for multiple in self.multiples:
            roundings = [c for c, _ in zip(near(self.nominal, centre, multiple), range(ROUNDINGS), strict=False)]
            alone = self.buildable([*roundings, *in_proportion(self.nominal, centre, multiple)])
            if self.fits(alone):
                return self.best(alone)
            trimmed = self.buildable(self.trims(alone, SMALL))
            if self.fits(trimmed):
                return self.best(trimmed)
            candidates += alone + trimmed
        candidates += self.buildable(self.trims(alone, 1.0))
        if not candidates:
            raise self.costs.refusal
        return self.best(candidates)

    def centre(self) -> float:
        """The width at which the layers, in their published proportions, would cost the target."""
        step = unit(self.nominal, self.multiples[-1])
        low = self.in_proportion(max(1, int(self.asked.width / step)), step)
        while low[1] > self.target and low[0] // 2:
            low = self.in_proportion(low[0] // 2, step)
        high = self.in_proportion(low[0] + 1, step)
        while high[1] < self.target and high[0] * step * max(self.nominal) < LARGEST:
            low, high = high, self.in_proportion(2 * high[0], step)
        while high[0] > CLOSE * low[0] and high[0] - low[0] > 1:
            middle = self.in_proportion((low[0] + high[0]) // 2, step)
            if middle[0] >= high[0]:
                break
            low, high = (low, middle) if middle[1] >= self.target else (middle, high)
        if high[1] <= self.target:
            return high[0] * step
        power = log(high[1] / low[1]) / log(high[0] / low[0])
        return low[0] * step * (self.target / low[1]) ** (1 / power)

    def in_proportion(self, count: int, step: float) -> tuple[int, float]:
        """The first count of steps from this one on that can be built, and what it costs."""
        for tried in range(count, count + GAP):
            cost = self.costs(rounded(self.nominal, tried * step, self.multiples[-1]))
            if cost is not None:
                return tried, cost
        raise self.costs.refusal

    def buildable(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        return [candidate for candidate in candidates if self.costs(candidate.sizes) is not None]

    def trims(self, candidates: Sequence[Candidate], share: float) -> Iterator[Candidate]:
        for candidate in sorted(candidates, key=self.distance)[:TRIMMED]:
            yield from trims(candidate, self.stages, more=self.error(candidate) < 0, share=share)

    def error(self, candidate: Candidate) -> float:
        return self.budget.error(self.costs(candidate.sizes), self.target)

    def distance(self, candidate: Candidate) -> float:
        return abs(self.error(candidate))

    def best(self, candidates: Sequence[Candidate]) -> Candidate:
        return min(candidates, key=self.distance)

    def fits(self, candidates: Sequence[Candidate]) -> bool:
        return bool(candidates) and self.distance(self.best(candidates)) <= self.budget.tolerance


def among_measured(search: Search) -> Candidate:
    """The nearest of those that somebody has measured: the asked network, and all that `width=` makes up to WIDEST times as
    wide."""
    widest = WIDEST * search.asked.width
    found = search.buildable([search.asked, *roundings(search.nominal, widest, search.multiples[0])])
    if not found:
        raise search.costs.refusal
    return search.best(found)
