"""The search itself, over costs that are a formula: no networks."""

from itertools import pairwise

import pytest

from litconv.conv.bottleneck import Bottleneck
from litconv.conv.depthwise import Depthwise
from litconv.conv.standard import Standard
from litconv.match.budget import Budget
from litconv.match.search import Costs, Search
from litconv.match.sizes import Candidate, in_proportion, multiples, near, own_multiple, rounded

PUBLISHED = (16, 32, 64)


def search(cost, target, nominal=PUBLISHED, steps=(8, 4, 2, 1), tolerance=0.02):
    asked = Candidate(1.0, 8, tuple(nominal))
    found = Search(Costs(cost), target, Budget("macs", "standard", tolerance), nominal, len(nominal), asked, steps)
    return found, found.run()


def quadratic(sizes):
    return 9 * sum(a * b for a, b in zip((3, *sizes), sizes, strict=False)) + 1000


@pytest.mark.parametrize("target", [3e3, 2e4, 31416, 1e5, 1e6, 1e8])
def test_any_target_within_reach_is_met(target):
    found, chosen = search(quadratic, target)
    assert abs(quadratic(chosen.sizes) / target - 1) <= 0.02
    assert len(found.costs.known) < 80


def test_round_channels_come_before_a_smaller_error():
    _, chosen = search(quadratic, 1e8)
    assert chosen.multiple == 8
    assert all(size % 8 == 0 for size in chosen.sizes)


def test_costs_that_are_not_monotone_are_searched_around_the_target():
    def jagged(sizes):
        return quadratic(sizes) * (1.3 if sizes[1] % 16 else 1.0)

    _, chosen = search(jagged, 123456)
    assert abs(jagged(chosen.sizes) / 123456 - 1) <= 0.02


def test_channels_that_must_divide_one_another_keep_their_proportions():
    def depthwise(sizes):
        for a, b in pairwise(sizes):
            if b % a:
                raise ValueError(f"{a} does not divide {b}")
        return quadratic(sizes)

    _, chosen = search(depthwise, 654321)
    assert abs(depthwise(chosen.sizes) / 654321 - 1) <= 0.02


def test_the_nearest_is_returned_where_nothing_fits():
    found, chosen = search(quadratic, 60000, steps=(32,))
    nearest = min((cost for cost in found.costs.known.values()), key=lambda cost: abs(cost / 60000 - 1))
    assert quadratic(chosen.sizes) == nearest
    assert abs(nearest / 60000 - 1) > 0.02


def test_what_can_never_be_built_is_refused_with_its_own_reason():
    def never(sizes):
        raise ValueError("no such thing")

    with pytest.raises(ValueError, match="no such thing"):
        search(never, 1e6)


@pytest.mark.parametrize(
    ("conv", "multiple"),
    [(Standard, 1), (Depthwise, 1), (lambda i, o, **k: Bottleneck(i, o, reduction=6, **k), 6)],
)
def test_an_operators_own_multiple_is_found_by_trying(conv, multiple):
    assert own_multiple(conv) == multiple


@pytest.mark.parametrize(
    ("own", "usual", "steps"),
    [(1, 8, [8, 4, 2, 1]), (4, 8, [8, 4]), (3, 8, [24, 12, 6, 3]), (16, 8, [16]), (1, 1, [1]), (5, 6, [30, 15, 5])],
)
def test_multiples_go_from_the_usual_one_down_to_the_operators_own(own, usual, steps):
    assert multiples(own, usual) == steps


def test_every_rounding_around_a_width_is_met_once_and_by_the_width_that_it_names():
    met = list(near(PUBLISHED, 1.3, 4))
    assert len({candidate.sizes for candidate in met}) == len(met)
    for candidate in met:
        assert candidate.sizes == rounded(PUBLISHED, candidate.width, 4)
    fine = {rounded(PUBLISHED, 1.15 + step / 1000, 4) for step in range(300)}
    assert fine <= {candidate.sizes for candidate in met}


def test_widths_in_proportion_multiply_every_layer_by_the_same():
    met = list(in_proportion(PUBLISHED, 1.3, 2))
    assert len(met) > 1
    for candidate in met:
        first, second, third = candidate.sizes
        assert (second, third) == (2 * first, 4 * first)
        assert first == 16 * candidate.width
