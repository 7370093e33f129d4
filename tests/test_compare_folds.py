"""Cross-validation in the comparison: the folds of a seed are one figure, and seeds are what is paired and tested."""

import numpy as np
import pytest
from scipy import stats

from litconv.compare import analyse
from litconv.compare.collect import load
from litconv.errors import ConfigError
from made_runs import make_run

SCORES = {  # arm → seed → fold
    "standard": [[0.90, 0.80, 0.70], [0.91, 0.83, 0.72], [0.88, 0.84, 0.71]],
    "grouped": [[0.86, 0.79, 0.69], [0.90, 0.80, 0.66], [0.85, 0.83, 0.70]],
}


def make(root, left_out=()):
    for conv, seeds in SCORES.items():
        for seed, folds in enumerate(seeds):
            for fold, score in enumerate(folds):
                if (conv, seed, fold) not in left_out:
                    data = {"image_size": 32, "batch_size": 8, "folds": 3, "fold": fold}
                    make_run(root, conv, seed, score, config={"data": data, "data.fold": fold}, sweep="folded")
    return analyse(load(root / "sweeps" / "folded"), "folded")


def test_a_seeds_figure_is_the_mean_over_its_folds_and_seeds_are_paired(tmp_path):
    result = make(tmp_path)
    means = {arm.conv: [arm.scores[seed] for seed in range(3)] for arm in result.arms}
    for conv, seeds in SCORES.items():
        assert means[conv] == pytest.approx([np.mean(folds) for folds in seeds])
    (comparison,) = result.comparisons.values()
    apart = np.subtract(means["grouped"], means["standard"])
    assert comparison.n == 3
    assert comparison.differences == pytest.approx(apart)
    assert comparison.p == pytest.approx(stats.ttest_1samp(apart, 0).pvalue)
    assert any("mean over its folds" in note for note in result.notes)


def test_a_seed_that_lacks_a_fold_is_left_out_and_named(tmp_path):
    result = make(tmp_path, left_out={("grouped", 1, 2)})
    (grouped,) = (arm for arm in result.arms if arm.conv == "grouped")
    assert sorted(grouped.scores) == [0, 2]
    assert any("seed 1: no fold 2 of 3; left out" in note for note in result.notes)


def test_where_no_seed_has_all_folds_there_is_nothing_to_compare(tmp_path):
    every = {(conv, seed, 0) for conv in SCORES for seed in range(3)}
    with pytest.raises(ConfigError, match="no seed has all of its folds"):
        make(tmp_path, left_out=every)


def test_the_command_for_missing_seeds_trains_every_fold(tmp_path):
    result = make(tmp_path)
    assert result.commands
    assert all("data.fold=0,1,2" in command for command in result.commands)
