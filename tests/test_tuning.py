"""Arms at their best value: how it is chosen, who is refused, what the comparison and its page say of it."""

import json
import re
import shutil
from itertools import product

import numpy as np
import pandas as pd
import pytest

from litconv.compare import Question, analyse, load
from litconv.compare.report import write_report
from litconv.compare.tuning.families import tuned
from litconv.compare.tuning.view import curve
from litconv.errors import ConfigError
from litconv.sweep.choice import Trial, best, beyond, edges
from litconv.sweep.tuned_grid import Grid
from litconv.sweep.tuning import FILE, Tuned
from tuned_runs import BEST, CHOOSING, RATES, make_trial, make_tuned, peaked


def compare(folder, **options):
    return analyse(load(folder), folder.name, Question(**options))


def rates(result) -> dict[str, float]:
    return {arm.name: result.tuning.of(arm).chosen.value[0] for arm in result.arms}


def refused(folder, **options) -> str:
    with pytest.raises(ConfigError) as error:
        compare(folder, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def noisy(conv, rate, seed) -> float:
    return 0.6 + 0.1 * float(np.random.default_rng([len(conv), int(rate * 1000), seed]).random())


def test_each_arm_stands_at_the_rate_that_validation_chose_and_by_other_seeds(tmp_path, monkeypatch):
    runs = load(make_tuned(tmp_path, tests=(), score=noisy))
    runs["rate"] = [float(re.search(r"optim\.lr=(\S+)", " ".join(overrides))[1]) for overrides in runs["overrides"]]
    means = runs.groupby(["conv", "rate"])["val/accuracy"].mean().unstack()
    monkeypatch.setattr("tuned_runs.BEST", best_rates := means.idxmax(axis=1).to_dict())
    assert len(set(best_rates.values())) > 1
    for conv, rate in best_rates.items():
        for seed in (0, 1, 2):
            make_trial(tmp_path, conv, rate, seed, 0.7 + 0.01 * seed)
    result = compare(tmp_path / "sweeps" / "made")
    assert rates(result) == best_rates
    assert {arm.name: arm.scores for arm in result.arms} == dict.fromkeys(
        BEST, pytest.approx({0: 0.65, 1: 0.66, 2: 0.67})
    )
    assert result.comparisons.keys() == {"grouped", "depthwise_separable"}  # standard at its own best is the reference


def test_what_was_chosen_does_not_hang_on_test_figures(tmp_path):
    sweep = make_tuned(tmp_path)
    before = rates(compare(sweep))
    for path in sweep.glob("*/summary.json"):
        summary = json.loads(path.read_text())
        path.write_text(json.dumps(summary | {"test/accuracy": 1 - summary["test/accuracy"]}))
    assert rates(compare(sweep)) == before == BEST


def test_a_sweep_that_was_not_launched_as_tuned_is_tuned_by_the_seeds_that_its_rates_share(tmp_path):
    recorded = compare(make_tuned(tmp_path / "recorded"))
    plain = make_tuned(tmp_path / "plain", recorded=False)
    result = compare(plain, best_of="optim.lr")
    assert result.tuning.seeds == recorded.tuning.seeds == CHOOSING
    assert rates(result) == rates(recorded)
    assert [arm.scores for arm in result.arms] == [arm.scores for arm in recorded.arms]
    assert compare(plain).tuning is None  # every rate an arm, as before
    assert compare(tmp_path / "recorded" / "sweeps" / "made", best_of=None).tuning is None


def test_arms_of_two_backbones_are_each_held_against_the_tuned_standard_of_their_own(tmp_path):
    for backbone in ("resnet", "vgg"):
        for conv in ("standard", "grouped"):
            for rate in RATES:
                for seed in CHOOSING:
                    make_trial(tmp_path, conv, rate, seed, peaked(conv, rate, seed), backbone=backbone)
            make_trial(tmp_path, conv, BEST[conv], 0, 0.9, backbone=backbone)
    result = compare(tmp_path / "sweeps" / "made", best_of="optim.lr")
    held = {name: reference.name for name, reference in result.references.items()}
    assert held == {"grouped resnet": "standard resnet", "grouped vgg": "standard vgg"}


def test_an_arm_with_fewer_values_is_refused_with_both_numbers_and_the_command(tmp_path):
    sweep = make_tuned(tmp_path, {"standard": RATES, "grouped": RATES[1:]})
    said = refused(sweep)
    assert "grouped was tried with 3 values and standard with 4; only an equal number is fair" in said
    assert said.endswith(f"python train.py -m experiment=operators_tuned sweep=made output_dir={tmp_path}")


def test_an_arm_that_lacks_a_trial_is_refused_with_both_numbers(tmp_path):
    sweep = make_tuned(tmp_path)
    shutil.rmtree(next(sweep.glob("*grouped*seed1001")))
    assert "grouped has 11 of the 12 trials (a value with a seed) that each arm needs; train the rest: " in refused(
        sweep
    )


def test_a_trial_that_failed_is_worse_than_any_score(tmp_path):
    sweep = make_tuned(tmp_path)
    (path,) = (
        path
        for path in sweep.glob("*grouped*seed1000/summary.json")
        if f"optim.lr={BEST['grouped']}" in path.read_text()
    )
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "failed", "error": "loss is nan"}))
    make_trial(tmp_path, "grouped", 0.2, 5, 0.8)
    result = compare(sweep)
    assert rates(result) == BEST | {"grouped": 0.2}
    assert "1 trial of grouped failed, which counts as worse than any score" in result.notes


def test_an_arm_whose_choice_is_not_tested_yet_is_named_and_the_others_are_compared(tmp_path):
    sweep = make_tuned(tmp_path)
    for folder in [folder for seed in (0, 1, 2) for folder in sweep.glob(f"*grouped*seed{seed}")]:
        shutil.rmtree(folder)
    result = compare(sweep)
    assert {arm.name for arm in result.arms} == {"standard", "depthwise_separable"}
    (said,) = (note for note in result.notes if "grouped" in note)
    assert said.startswith(
        "grouped is not compared: no run tests optim.lr=0.4, chosen for it; train it: python train.py -m "
    )


def test_without_a_run_that_tests_the_command_trains_them(tmp_path):
    said = refused(make_tuned(tmp_path / "recorded", tests=()))
    assert "no run tests what was chosen (depthwise_separable optim.lr=0.1; grouped optim.lr=0.4; " in said
    assert said.endswith(f": python train.py -m experiment=operators_tuned sweep=made output_dir={tmp_path}/recorded")
    said = refused(make_tuned(tmp_path / "plain", tests=(), recorded=False), best_of="optim.lr")
    commands = said.partition("train them: ")[2].split(" && ")
    trained = {tuple(re.search(r"conv=(\S+) optim.lr=(\S+) seed=(\S+) ", command).groups()) for command in commands}
    assert trained == {(conv, str(rate), "0,1,2") for conv, rate in BEST.items()}


BAD = {
    "optim.lrr": "best_of=optim.lrr: no run here has such a key (did you mean 'optim.lr'?)",
    "width": "best_of=width: every run here has width=1, so that there is nothing to choose; name a key that varies",
    "seed": "best_of=seed: the best of several seeds is luck",
    "conv.groups": "best_of=conv.groups: every run here has conv.groups=2, so that there is nothing to choose",
}


@pytest.mark.parametrize("key", BAD)
def test_a_key_that_cannot_be_tuned_is_refused(key, tmp_path):
    for conv in ("standard", "grouped"):
        for rate in RATES:
            make_trial(tmp_path, conv, rate, 0, 0.5)
    if key == "conv.groups":
        shutil.rmtree(tmp_path)
        make_trial(tmp_path, "grouped", 0.1, 0, 0.5)
    assert BAD[key] in refused(tmp_path / "sweeps" / "made", best_of=key)


def test_a_key_that_varies_for_some_arms_only_is_refused(tmp_path):
    sweep = make_tuned(tmp_path, {"standard": [0.2], "grouped": RATES}, recorded=False)
    said = refused(sweep, best_of="optim.lr")
    assert "standard was tried with 1 value and grouped with 4" in said


def test_of_equal_means_the_cheaper_is_chosen_then_the_smaller():
    def chosen(*trials):
        return best([Trial((value,), dict(enumerate(scores)), cost) for value, scores, cost in trials]).value[0]

    assert chosen((0.1, [0.5, 0.7], 1), (0.2, [0.6, 0.8], 1)) == 0.2
    assert chosen((0.4, [0.5, 0.7], 2), (0.2, [0.7, 0.5], 2), (0.1, [0.5, 0.7], 3)) == 0.2
    assert chosen(("10", [0.5], 1), ("9", [0.5], 1)) == "9"
    assert chosen((0.1, [None, 0.9], 1), (0.2, [0.1, 0.1], 1)) == 0.2
    assert best([Trial((0.1,), {0: None})]) is None


def test_a_sweep_chooses_by_the_mean_over_its_seeds_and_tests_that_with_the_seeds_of_the_grid():
    axes = {
        "conv": ["conv=a", "conv=b"],
        "optim.lr": ["optim.lr=0.1", "optim.lr=0.2"],
        "seed": ["seed=0", "seed=1"],
        "best_of": ["best_of=optim.lr"],
    }
    grid = Grid.of("optim.lr", 2, axes, list(map(list, product(*axes.values()))))
    by_trial = {
        ("conv=a", "0.1"): [(0.5, 9), (0.9, 9)],
        ("conv=a", "0.2"): [(0.8, 9), (0.5, 9)],
        ("conv=b", "0.1"): [(0.9, 9), None],
        ("conv=b", "0.2"): [(0.1, 9), (0.2, 9)],
    }
    results = [by_trial[arm[0], value[0]][seed - 1000] for arm, value, seed in grid.trials()]
    chosen = Tuned.of(grid, results).chosen
    assert grid.final(chosen) == [
        ["conv=a", "optim.lr=0.1", "seed=0"],
        ["conv=a", "optim.lr=0.1", "seed=1"],
        ["conv=b", "optim.lr=0.2", "seed=0"],
        ["conv=b", "optim.lr=0.2", "seed=1"],
    ]
    none = Tuned.of(grid, [None if arm == ("conv=b",) else (0.5, 9) for arm, _, _ in grid.trials()])
    assert (list(none.chosen), none.without) == ([("conv=a",)], ["conv=b"])


@pytest.mark.parametrize(
    ("grid", "side", "value"),
    [
        ([0.05, 0.1, 0.2, 0.4], "highest", "0.8"),
        ([0.05, 0.1, 0.2, 0.4], "lowest", "0.025"),
        ([0.001, 0.01], "highest", "0.1"),
        ([0.1, 0.3], "lowest", "0.0333"),
        ([1, 2, 4], "highest", "8"),
        ([1, 2, 4], "lowest", None),
        ([0.0, 0.1, 0.2], "highest", "0.3"),
    ],
)
def test_the_next_value_keeps_the_ratio_of_its_grid(grid, side, value):
    assert beyond(grid, side) == value


def test_an_edge_is_one_of_numbers_and_none_at_zero():
    def at(*values, chosen):
        trials = [Trial((value,), {0: 0.5}) for value in values]
        return [edge.side for edge in edges(["k"], trials, Trial((chosen,), {0: 0.5}))]

    assert at(1, 2, 4, chosen=4) == ["highest"]
    assert at(1, 2, 4, chosen=1) == ["lowest"]
    assert at(1, 2, 4, chosen=2) == at("sgd", "adamw", chosen="sgd") == at(0, 0.1, chosen=0) == []


def test_an_optimum_at_the_edge_is_named_with_the_command_that_extends_the_grid_of_every_arm(tmp_path):
    result = compare(make_tuned(tmp_path))
    (said,) = (note for note in result.notes if "edge" in note)
    assert said == (
        "grouped's best optim.lr=0.4 is at the edge of its grid (the highest value tried): python train.py -m "
        f"experiment=operators_tuned sweep=made output_dir={tmp_path} optim.lr=0.05,0.1,0.2,0.4,0.8 extends it"
    )


def test_more_seeds_are_trained_by_the_tuned_sweep_and_else_at_the_chosen_values_alone(tmp_path):
    result = compare(make_tuned(tmp_path / "recorded"), seeds=5)
    seeds, (command,) = result.missing
    assert seeds == [3, 4]
    assert command == (
        f"python train.py -m experiment=operators_tuned sweep=made output_dir={tmp_path}/recorded seed=3,4"
    )
    assert result.commands == [command.replace("seed=3,4", "seed=0,1,2")]
    for conv in BEST:
        for seed in (0, 1, 2):  # these choose here
            for rate in RATES:
                make_trial(tmp_path / "plain", conv, rate, seed, peaked(conv, rate, seed))
        for seed in (3, 4):
            make_trial(tmp_path / "plain", conv, BEST[conv], seed, 0.9)
    seeds, commands = compare(tmp_path / "plain" / "sweeps" / "made", best_of="optim.lr", seeds=3).missing
    assert seeds == [5]
    trained = {tuple(re.search(r"conv=(\S+) optim.lr=(\S+) seed=(\S+) ", command).groups()) for command in commands}
    assert trained == {(conv, str(rate), "5") for conv, rate in BEST.items()}


def test_several_keys_are_chosen_together_and_shown_as_a_table(tmp_path):
    for conv, corner in {"standard": (0.1, 0.0), "grouped": (0.2, 0.01)}.items():
        for rate in (0.1, 0.2):
            for decay in (0.0, 0.01):
                for seed in CHOOSING:
                    score = 0.9 if (rate, decay) == corner else 0.8
                    make_trial(tmp_path, conv, rate, seed, score, config={"optim.weight_decay": decay})
        make_trial(tmp_path, conv, corner[0], 0, 0.9, config={"optim.weight_decay": corner[1]})
    runs = load(tmp_path)
    result = analyse(runs, "made", Question(best_of=["optim.lr", "optim.weight_decay"]))
    assert {arm.name: tuple(result.tuning.texts(arm)) for arm in result.arms} == {
        "standard": ("0.1", "0"),
        "grouped": ("0.2", "0.01"),
    }
    write_report(result, runs, tmp_path, ["python"], samples=0)
    page = (tmp_path / "index.html").read_text()
    assert "Top-1 accuracy over optim.lr and optim.weight_decay" in page
    assert 'id="tuning-plot"' not in page
    assert not list(tmp_path.glob("tuning_*"))


def test_the_page_the_table_and_a_figure_show_the_curve_of_every_arm(tmp_path):
    runs = load(make_tuned(tmp_path))
    result = analyse(runs, "made")
    write_report(result, runs, tmp_path, ["python"], samples=0)
    page = (tmp_path / "index.html").read_text()
    assert "<h2>Top-1 accuracy over optim.lr</h2>" in page
    assert "<li>grouped&#39;s best optim.lr=0.4 is at the edge of its grid" in page
    payload = json.loads(re.search(r'id="payload">(.*?)</script>', page)[1])["tuning"]
    for conv in BEST:
        expected = [np.mean([peaked(conv, rate, seed) for seed in CHOOSING]) for rate in RATES]
        assert payload["curves"][conv]["mean"] == pytest.approx(expected)
        assert RATES[payload["curves"][conv]["chosen"]] == BEST[conv]
    assert payload["log"] is True
    header, _, *lines = (tmp_path / "table.md").read_text().splitlines()
    at = header.split(" | ").index("optim.lr")
    shown = {line.split(" | ")[0].strip("| "): float(line.split(" | ")[at]) for line in lines}
    assert shown == BEST
    assert {path.suffix for path in tmp_path.glob("tuning_optim_lr.*")} >= {".png", ".svg"}
    assert curve(result.tuning, result.arms[0]).low < curve(result.tuning, result.arms[0]).high


def test_a_record_that_cannot_be_read_is_none(tmp_path):
    sweep = make_tuned(tmp_path)
    for content in ("", "[]", '{"best_of": ["optim.lr"]}', '{"best_of": ["optim.lr"], "seeds": ["a"]}'):
        (sweep / FILE).write_text(content)
        assert compare(sweep).tuning is None


def test_a_chosen_arm_has_no_advantage_in_its_test_figures():
    """Of equal arms at equal values: the choice favours lucky runs, and the runs compared are others. (Their own luck is
    part of both their figures, so that the runs that chose would look better than they are.)"""
    random, truth, sd = np.random.default_rng(0), 0.5, 0.01
    widths, choosing, testing = (0.5, 1.0, 2.0, 4.0), range(3), range(3, 8)
    gaps, means, chosen_means = [], [], []
    for _ in range(120):
        rows = []
        for conv in ("standard", "grouped"):
            luck = random.normal(truth, sd, (len(widths), 8))
            val, test = luck + random.normal(0, sd / 4, (2, *luck.shape))
            at = int(val[:, choosing].mean(1).argmax())
            runs = [(w, s) for w in range(len(widths)) for s in choosing] + [(at, s) for s in testing]
            rows += [
                {"folder": f"none/{conv}{widths[w]}", "status": "completed", "seed": s, "conv": conv, "modified": 0.0}
                | {"width": widths[w], "val/accuracy": val[w, s], "test/accuracy": test[w, s]}
                | {"arm_hash": f"{conv}{widths[w]}"}
                for w, s in runs
            ]
            chosen_means.append(test[at, choosing].mean())
        table = pd.DataFrame(rows)
        kept, *_ = tuned(table, table, {}, "width")
        assert set(kept["seed"]) == set(testing)
        by_arm = kept.groupby("conv")["test/accuracy"].mean()
        means += list(by_arm)
        gaps.append(by_arm["grouped"] - by_arm["standard"])

    def z(values, mean):
        return (np.mean(values) - mean) / (np.std(values, ddof=1) / np.sqrt(len(values)))

    assert abs(z(means, truth)) < 3
    assert abs(z(gaps, 0)) < 3
    assert z(chosen_means, truth) > 6  # what comparing the runs that chose would have claimed
