"""Claims: against scipy and statsmodels on known data, and by simulation of what they promise."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from litconv.compare.pareto import front
from litconv.compare.statistics import (
    compare_all,
    n_min,
    power,
    seeds_for_power,
    sign_flip_p,
    sign_patterns,
    student_interval,
)

# Top-1 of two networks over ten seeds, written down once.
ARM = [0.9355, 0.9290, 0.9405, 0.9312, 0.9388, 0.9299, 0.9351, 0.9420, 0.9276, 0.9344]
REFERENCE = [0.9391, 0.9342, 0.9401, 0.9377, 0.9455, 0.9310, 0.9398, 0.9433, 0.9361, 0.9352]


def scores(values):
    return dict(enumerate(values))


def by_scipy(differences):
    test = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", alternative="two-sided", n_resamples=np.inf
    )
    return test.pvalue


def test_interval_and_p_are_those_of_scipy_on_known_data():
    (found,) = compare_all([(scores(ARM), scores(REFERENCE))])
    differences = np.subtract(ARM, REFERENCE)
    interval = stats.ttest_rel(ARM, REFERENCE).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert (found.mean, found.sd) == pytest.approx((differences.mean(), differences.std(ddof=1)))
    assert found.p == pytest.approx(by_scipy(differences))
    assert found.p == 4 / 2**10  # one difference of the ten is positive, and smaller than all others
    assert found.claimed


@pytest.mark.parametrize("n", [2, 3, 5, 8, 11])
def test_the_sign_flip_p_is_that_of_scipy_with_ties_and_zeros_too(n):
    random = np.random.default_rng(n)
    for differences in (random.normal(0.3, 1, n), random.integers(-2, 3, n) / 1000, np.zeros(n), np.full(n, 0.1)):
        assert sign_flip_p(differences) == pytest.approx(by_scipy(differences))


def test_many_seeds_are_sampled_and_agree_with_the_exact_test():
    differences = np.random.default_rng(3).normal(0.5, 1, 18)
    exact = (np.abs(all_signs(18) @ differences) >= abs(differences.sum()) - 1e-12).mean()
    assert len(sign_patterns(18)) < 2**17
    assert sign_flip_p(differences) == pytest.approx(exact, abs=4 * np.sqrt(exact / 1e5))


def all_signs(n):
    return 1.0 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)


def test_the_adjusted_p_are_those_of_statsmodels():
    random = np.random.default_rng(0)
    reference = scores(random.normal(0, 1, 8))
    arms = [scores(random.normal(gap, 1, 8)) for gap in (0, 0.5, 1, 2, 3)]
    found = compare_all([(arm, reference) for arm in arms])
    reject, adjusted, *_ = multipletests([c.p for c in found], 0.05, method="holm")
    assert [c.p_holm for c in found] == pytest.approx(adjusted.tolist())
    assert [c.claimed for c in found] == reject.tolist()


def test_runs_are_paired_by_seed_whatever_the_order_and_whatever_else_there_is():
    arm, reference = {3: 0.5, 1: 0.9, 7: 0.1}, {1: 0.8, 2: 0.0, 3: 0.3}
    (found,) = compare_all([(arm, reference)])
    assert found.seeds == (1, 3)
    assert found.mean == pytest.approx(0.15)


@pytest.mark.parametrize(("comparisons", "seeds"), [(1, 6), (2, 7), (3, 7), (5, 8), (8, 9), (9, 9), (10, 9), (20, 10)])
def test_n_min_is_where_the_smallest_p_can_first_be_claimed_of_every_arm(comparisons, seeds):
    assert n_min(comparisons) == seeds
    smallest = [sign_flip_p(np.ones(n)) for n in (seeds - 1, seeds)]
    assert smallest[0] * comparisons > 0.05 >= smallest[1] * comparisons


def test_one_seed_or_none_claims_nothing():
    none, one = compare_all([({1: 0.5}, {2: 0.5}), ({1: 0.5}, {1: 0.9})])
    assert (none.n, none.claimed) == (0, False)
    assert (one.n, one.claimed, one.mean) == (1, False, pytest.approx(-0.4))
    assert np.isnan([one.low, one.sd, none.mean]).all()


# What the claims promise, simulated. Tolerance: three standard errors of the simulation.


def simulated(experiments, comparisons, n, draw, gap=0.0):
    """compare_all on noise; `gap` is added to the first arm. Each run's luck has a part that its seed gives to all arms."""
    random = np.random.default_rng(comparisons)
    for _ in range(experiments):
        shared = draw(random, n)
        reference = scores(shared + draw(random, n))
        arms = [shared + draw(random, n) + gap * (i == 0) for i in range(comparisons)]
        yield compare_all([(scores(arm), reference) for arm in arms])


def normal(random, n):
    return random.normal(0, 1, n)


def heavy_tailed(random, n):
    return random.standard_t(2, n)


@pytest.mark.parametrize(("comparisons", "draw"), [(1, normal), (3, normal), (3, heavy_tailed), (8, normal)])
def test_equal_arms_are_called_different_in_at_most_five_of_a_hundred_comparisons(comparisons, draw):
    experiments = 1200
    families = simulated(experiments, comparisons, n_min(comparisons) + 1, draw)
    false_alarms = np.mean([any(c.claimed for c in family) for family in families])
    assert false_alarms <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / experiments)


@pytest.mark.parametrize("n", [3, 6, 9])
def test_the_interval_holds_the_true_gap_in_at_least_93_of_a_hundred_cases(n):
    random = np.random.default_rng(n)
    intervals = [student_interval(random.normal(0.7, 1.3, n)) for _ in range(3000)]
    assert np.mean([low <= 0.7 <= high for low, high in intervals]) >= 0.93


@pytest.mark.parametrize("comparisons", [1, 3, 8])
def test_a_gap_of_two_sd_is_found_with_power_of_at_least_80_percent_two_seeds_above_n_min(comparisons):
    gap = 2 * np.sqrt(2)  # the differences' SD is √2: two runs' own noise, while the luck of the seed cancels
    families = simulated(500, comparisons, n_min(comparisons) + 2, normal, gap)
    assert np.mean([family[0].claimed and family[0].mean > 0 for family in families]) >= 0.8


def test_the_power_that_is_printed_is_the_share_of_simulated_claims():
    n, gap = 7, 1.2
    draws = np.random.default_rng(5).normal(gap, 1, (3000, n))
    claimed = np.mean([by_rank(d) <= 0.05 / 2 for d in draws])
    assert power(gap, 1, n, 2) == pytest.approx(claimed, abs=0.06)
    assert power(gap, 1, 6, 2) == 0  # no p of six seeds reaches 0.025
    needed = seeds_for_power(gap, 1, 2)
    assert power(gap, 1, needed, 2) >= 0.8 > power(gap, 1, needed - 1, 2)
    assert seeds_for_power(0.01, 5, 2) is None


def by_rank(differences):
    """The sign-flip p, by counting."""
    sums = np.abs(all_signs(len(differences)) @ differences)
    return np.mean(sums >= abs(differences.sum()) - 1e-12)


def test_the_front_is_what_nothing_beats():
    random = np.random.default_rng(0)
    for _ in range(50):
        costs, values = random.integers(1, 6, 12), random.integers(1, 6, 12)
        on = front(costs, values)
        for i, flag in enumerate(on):
            others = [j for j in range(12) if (costs[j], values[j]) != (costs[i], values[i])]
            assert flag == (not any(costs[j] <= costs[i] and values[j] >= values[i] for j in others))
    assert front([1, float("nan"), 2], [0.5, 0.9, float("nan")]) == [True, False, False]
