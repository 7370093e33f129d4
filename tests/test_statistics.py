"""Claims: against scipy and statsmodels on known data, and by simulation of what they promise."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from benchmarks import verdicts
from scipy import stats
from statsmodels.stats.multitest import multipletests

from litconv.compare.inference import looks
from litconv.compare.inference.broken import medians_of_others
from litconv.compare.inference.outlook import power, seeds_for_power, seeds_to_settle, settled
from litconv.compare.inference.sign_flip import judged, sign_flip_p, sign_patterns
from litconv.compare.inference.statistics import Rule, compare_all, holm_in_either_direction, n_min, student_interval
from litconv.compare.pareto import front

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


TEN = Rule(planned=10)


def test_interval_and_p_are_those_of_scipy_on_known_data():
    (found,) = compare_all([(scores(ARM), scores(REFERENCE))], TEN)
    differences = np.subtract(ARM, REFERENCE)
    test = stats.ttest_rel(ARM, REFERENCE)
    interval = test.confidence_interval(1 - looks.level(0.05, 10, 10))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert (found.mean, found.sd) == pytest.approx((differences.mean(), differences.std(ddof=1)))
    assert found.p == pytest.approx(test.pvalue)
    assert found.p_holm == pytest.approx(looks.over_all_looks(test.pvalue, 10, 10))
    assert found.word == "worse"


def test_the_exact_test_is_scipys_permutation_test():
    (found,) = compare_all([(scores(ARM), scores(REFERENCE))], replace(TEN, test="exact"))
    assert found.p == pytest.approx(by_scipy(np.subtract(ARM, REFERENCE)))
    assert found.p == 4 / 2**10  # one difference of the ten is positive, and smaller than all others
    assert found.word == "worse"


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


def test_the_intervals_of_many_arms_at_once_are_made_of_the_means_of_the_subsets_of_each():
    random = np.random.default_rng(4)
    arms = [random.normal(0.3, 1, n) for n in (18, 18, 6, 18, 7)]
    for d, (p, ends) in zip(arms, judged(arms, [0.05] * 5), strict=True):
        n = len(d)
        taken = sign_patterns(n) < 0 if n > 16 else np.array([*product((False, True), repeat=n)])
        means = sorted(float(d[one].mean()) for one in taken if one.any())
        out = int(0.05 * (len(means) + 1) / 2)
        assert ends == pytest.approx((means[out - 1], means[-out]))
        assert p == sign_flip_p(d)


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.25], [3, 1, 2], [1, 1, 2, 2], [5, 1, 4, 2, 3], [0, 0, 0, 7, 0, 0]])
def test_the_medians_of_all_but_one_are_those_of_numpy(values):
    found = medians_of_others(np.array(values, dtype=float))
    by_hand = [np.median(np.delete(values, i)) if len(values) > 1 else np.nan for i in range(len(values))]
    assert found == pytest.approx(by_hand, nan_ok=True)


def all_signs(n):
    return 1.0 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)


@pytest.mark.parametrize("test", ["student", "exact"])
def test_the_adjusted_p_are_those_of_statsmodels_where_all_arms_go_one_way(test):
    random = np.random.default_rng(0)
    reference = scores(random.normal(0, 1, 8))
    arms = [scores(random.normal(gap, 1, 8)) for gap in (2, 2.5, 3, 4, 5)]
    found = compare_all([(arm, reference) for arm in arms], Rule(8, test))
    assert all(c.mean > 0 for c in found)
    over_looks = [looks.over_all_looks(c.p, 8, 8) for c in found]
    adjusted = multipletests(over_looks, 0.05, method="holm")[1]
    assert [c.p_holm for c in found] == pytest.approx(adjusted.tolist())


def test_each_direction_is_adjusted_over_all_arms_at_half_the_level():
    p, means = [0.01, 0.02, 0.004, 0.5], [1.0, -1.0, -2.0, 0.3]
    one_sided = {way: [q / 2 if way * m > 0 else 1 - q / 2 for q, m in zip(p, means, strict=True)] for way in (1, -1)}
    by_hand = {way: multipletests(q, 0.025, method="holm")[1] for way, q in one_sided.items()}
    expected = [min(1.0, 2 * by_hand[1 if m > 0 else -1][i]) for i, m in enumerate(means)]
    assert holm_in_either_direction(p, means) == pytest.approx(expected)


def test_runs_are_paired_by_seed_whatever_the_order_and_whatever_else_there_is():
    arm, reference = {3: 0.5, 1: 0.9, 7: 0.1}, {1: 0.8, 2: 0.0, 3: 0.3}
    (found,) = compare_all([(arm, reference)], TEN)
    assert found.seeds == (1, 3)
    assert found.mean == pytest.approx(0.15)


@pytest.mark.parametrize("comparisons", [1, 3, 8, 20])
def test_the_exact_test_needs_the_seeds_whose_smallest_p_every_arm_can_be_claimed_with(comparisons):
    rule = Rule(8, "exact")
    seeds = n_min(comparisons, rule)
    smallest = [sign_flip_p(np.ones(n)) <= looks.level(0.05 / comparisons, n, 8) for n in (seeds - 1, seeds)]
    assert smallest == [False, True]
    assert n_min(comparisons, Rule(8)) == 3


def test_one_seed_or_none_claims_nothing():
    none, one = compare_all([({1: 0.5}, {2: 0.5}), ({1: 0.5}, {1: 0.9})], replace(TEN, margin=1.0))
    assert (none.n, none.word) == (0, "cannot tell yet")
    assert (one.n, one.word, one.mean) == (1, "cannot tell yet", pytest.approx(-0.4))
    assert (one.low, one.high) == (-np.inf, np.inf)


@pytest.mark.parametrize("n", [3, 6, 9])
def test_an_interval_leaves_out_what_the_test_rejects(n):
    """Of the exact test: by trying values one by one."""
    d, level = np.random.default_rng(n).normal(0.3, 1, n), 0.08
    ((_, (low, high)),) = judged([d], [level])
    tried = np.linspace(-6, 6, 2401)
    kept = tried[[sign_flip_p(d - value) > level for value in tried]]
    if n == 3:
        assert (low, high) == (-np.inf, np.inf)  # its smallest p is 0.25
        assert len(kept) == len(tried)
    else:
        assert (kept.min(), kept.max()) == (pytest.approx(low, abs=0.006), pytest.approx(high, abs=0.006))


def test_a_verdict_and_its_interval_agree_in_every_family():
    random, words = np.random.default_rng(7), set()
    for i in range(300):
        n = int(random.integers(3, 10))
        rule = Rule(int(random.choice([3, 5, 8])), ("student", "exact")[i % 2], margin=1.0)
        reference = scores(random.normal(0, 0.5, n))
        for c in compare_all([(scores(random.normal(g, 0.5, n)), reference) for g in random.normal(0, 1.5, 4)], rule):
            words.add(c.word)
            assert (c.low >= 0 and c.mean > 0) == (c.word == "better")
            assert (c.high <= 0 and c.mean < 0) == (c.word == "worse")
            assert (c.word == "as good") == (not c.claimed and c.low > -1)
    assert words == {"better", "worse", "as good", "cannot tell yet"}


def test_two_one_sided_tests_are_those_of_scipy():
    random = np.random.default_rng(2)
    d = random.normal(0.1, 1, 12)
    (found,) = compare_all([(scores(d), scores(np.zeros(12)))], Rule(12, margin=1.2))
    each = looks.level(0.05, 12, 12) / 2
    lower = stats.ttest_1samp(d, -1.2, alternative="greater").pvalue <= each
    upper = stats.ttest_1samp(d, 1.2, alternative="less").pvalue <= each
    assert (found.word == "as good", found.equivalent) == (lower, lower and upper) == (True, True)


@pytest.mark.parametrize("noise", verdicts.NOISES)
@pytest.mark.parametrize(("arms", "seeds"), [(1, 3), (8, 5), (3, 8)])
def test_equal_arms_are_claimed_to_differ_in_at_most_5_percent_of_families(noise, arms, seeds):
    share, _ = verdicts.false_alarms(verdicts.NOISES[noise], arms, seeds, Rule(seeds), 600)
    assert share <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)


@pytest.mark.parametrize(("arms", "planned", "test"), [(1, 3, "student"), (4, 5, "student"), (1, 8, "exact")])
def test_no_sequence_of_looks_claims_more_often(arms, planned, test):
    new, old = verdicts.at_any_look(verdicts.NOISES["normal"], arms, 12, Rule(planned, test), 400)
    assert new <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert old > new  # the level of one look at every look


def test_all_intervals_hold_their_gaps_in_at_least_95_of_a_hundred_families():
    held = verdicts.coverage(verdicts.NOISES["normal"], 5, 4, Rule(4), 600)
    assert held >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 600)


def test_an_arm_at_the_margin_is_not_called_as_good():
    wrong = verdicts.falsely_as_good(verdicts.NOISES["normal"], 5, 5, Rule(5, margin=4.0), 600)
    assert wrong <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)


def test_an_arm_far_behind_is_worse_with_three_seeds():
    assert verdicts.words(-30.0, 8, 3, Rule(3, margin=1.0), 200) == {"worse": 1.0}


@pytest.mark.parametrize("n", [3, 6, 9])
def test_the_interval_holds_the_true_gap_in_at_least_93_of_a_hundred_cases(n):
    random = np.random.default_rng(n)
    intervals = [student_interval(random.normal(0.7, 1.3, n)) for _ in range(3000)]
    assert np.mean([low <= 0.7 <= high for low, high in intervals]) >= 0.93


def test_the_outlook_is_the_share_of_simulated_verdicts():
    n, gap, sd, rule = 7, 1.2, 1.0, Rule(7, margin=0.5)
    random = np.random.default_rng(5)
    zero = scores(np.zeros(n))
    words = [compare_all([(scores(random.normal(gap, sd, n)), zero)] * 2, rule)[0].word for _ in range(1500)]
    assert power(gap, sd, n, 2, rule) == pytest.approx(np.mean([w in ("better", "worse") for w in words]), abs=0.05)
    assert settled(gap, sd, n, 2, rule) == pytest.approx(np.mean([w != "cannot tell yet" for w in words]), abs=0.05)
    needed = seeds_for_power(gap, sd, 2, rule)
    assert power(gap, sd, needed, 2, rule) >= 0.8 > power(gap, sd, needed - 1, 2, rule)
    assert seeds_for_power(0.01, 5, 2, rule) is None  # more than are looked at


def test_what_cannot_be_told_says_how_many_seeds_would_likely_settle_it():
    random = np.random.default_rng(8)
    d = random.normal(0, 1, 5)
    (c,) = compare_all([(scores(d - d.mean() - 0.3), scores(np.zeros(5)))], Rule(5, margin=0.9))
    assert c.word == "cannot tell yet"
    needed = seeds_to_settle(c)
    assert settled(c.mean, c.sd, needed, 1, c.rule) >= 0.8 > settled(c.mean, c.sd, needed - 1, 1, c.rule)


def test_the_front_is_what_nothing_beats():
    random = np.random.default_rng(0)
    for _ in range(50):
        costs, values = random.integers(1, 6, 12), random.integers(1, 6, 12)
        on = front(costs, values)
        for i, flag in enumerate(on):
            others = [j for j in range(12) if (costs[j], values[j]) != (costs[i], values[i])]
            assert flag == (not any(costs[j] <= costs[i] and values[j] >= values[i] for j in others))
    assert front([1, float("nan"), 2], [0.5, 0.9, float("nan")]) == [True, False, False]
