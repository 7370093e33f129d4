"""Alpha spending over looks: held against simulated paths of Student's test, and against scipy at one look."""

import numpy as np
import pytest
from scipy import stats

from litconv.compare.inference.looks import EDGES, FEWEST, direction, level, over_all_looks, spent, transition

PATHS = 100_000


def p_of_all_looks(most):
    """(paths, most + 1): the two-sided p of the first n values of each path, by scipy; columns below 2 are 1."""
    x = np.random.default_rng(0).standard_normal((PATHS, most))
    found = np.ones((PATHS, most + 1))
    for n in range(2, most + 1):
        found[:, n] = stats.ttest_1samp(x[:, :n], 0, axis=1).pvalue
    return found


@pytest.mark.parametrize("planned", [3, 5, 8])
def test_the_share_of_equal_arms_that_is_claimed_by_a_look_is_what_is_spent_by_then(planned):
    most, gamma = 12, 0.05
    p = p_of_all_looks(most)
    claimed = np.zeros(PATHS, dtype=bool)
    for n in range(FEWEST, most + 1):
        claimed |= p[:, n] <= level(gamma, n, planned)
        expected = gamma * spent(n, planned)
        assert claimed.mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / PATHS) + 2e-4)


def test_less_than_gamma_is_spent_however_many_seeds_there_are():
    for planned in (3, 5, 20):
        shares = [spent(n, planned) for n in range(3, 500)]
        assert shares == sorted(shares)
        assert shares[-1] < 1
        assert spent(planned, planned) == pytest.approx(0.8)


def test_a_level_and_the_p_over_all_looks_are_inverse():
    for planned in (3, 5, 8):
        for n in (3, 4, 5, 8, 13):
            for gamma in (0.05, 0.01, 0.0004):
                assert over_all_looks(level(gamma, n, planned), n, planned) == pytest.approx(gamma, rel=1e-6)


def test_the_p_over_all_looks_is_never_less_than_that_of_one_look_and_rises_with_it():
    for n in (3, 5, 9):
        found = [over_all_looks(p, n, 5) for p in (0, 1e-12, 1e-4, 0.003, 0.02, 0.3, 1)]
        assert found == sorted(found)
        assert all(over_all_looks(p, n, 5) >= p for p in (1e-12, 1e-4, 0.003, 0.02, 0.3))
        assert found[-1] <= 1
    assert over_all_looks(0.0, 2, 5) == 1  # too few seeds for any claim


def test_a_step_of_the_chain_keeps_p_uniform():
    """Equal arms have uniform p at every look."""
    uniform = -np.diff(EDGES)
    for n in (3, 6, 11):
        assert uniform @ transition(n) == pytest.approx(uniform, abs=5e-4)


def test_the_direction_is_that_of_the_t_statistic():
    x = np.random.default_rng(1).normal(0.4, 1, (20, 6))
    w = np.abs(x.sum(1)) / np.sqrt((x**2).sum(1))
    assert direction(stats.ttest_1samp(x, 0, axis=1).pvalue, 6) == pytest.approx(w)
