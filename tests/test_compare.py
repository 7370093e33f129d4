"""Collecting and comparing runs: what is read, what is refused, what an arm is called and held against, what is said."""

import json
import os
import re

import numpy as np
import pandas as pd
import pytest

from litconv.compare import Question, analyse, load
from litconv.compare.commands import missing_seeds
from litconv.compare.drawing.places import places
from litconv.compare.tables import word
from litconv.compare.verdict import verdict
from litconv.errors import ConfigError
from litconv.sweep.given import merged
from made_runs import OPERATORS, make_run, make_sweep


def compare(folder, **options):
    return analyse(load(folder), folder.name, Question(**options))


def test_a_row_is_a_run_with_the_flat_keys_of_its_summary(tmp_path):
    folder = make_run(tmp_path, "grouped", seed=4, score=0.87)
    (row,) = load(tmp_path).to_dict("records")
    summary = json.loads((folder / "summary.json").read_text())
    assert {k: row[k] for k in summary if k != "versions"} == {k: v for k, v in summary.items() if k != "versions"}
    assert row["versions/torch"] == "2.15.0"
    assert row["folder"] == str(folder)


def test_folders_of_runs_of_sweeps_and_patterns_are_read_and_runs_kept_aside_are_not(tmp_path):
    one = make_run(tmp_path, seed=0, sweep="a")
    make_run(tmp_path, seed=1, sweep="a")
    make_run(tmp_path, seed=0, sweep="ab")
    (one.parent / "aside").mkdir()
    (tmp_path / "sweeps" / "a" / "aside" / "old").mkdir()
    (tmp_path / "sweeps" / "a" / "aside" / "old" / "summary.json").write_text("{}")
    assert len(load(one)) == 1
    assert len(load(tmp_path)) == 3
    assert len(load([one, tmp_path / "sweeps" / "a"])) == 2
    assert len(load(str(tmp_path / "sweeps" / "a*"))) == 3
    with pytest.raises(ConfigError, match="nowhere: there is no such folder"):
        load("nowhere")


BROKEN = {
    b'{"status": "completed", "seed": 0, "test/acc': ("unreadable", "summary.json: "),
    b"\xff\xfe\x00": ("unreadable", "summary.json: "),
    b"": ("unreadable", "summary.json: "),
    b"[" * 100_000: ("unreadable", "summary.json: "),
    b"[1, 2]": ("foreign", "not that of a litconv run"),
    b'{"loss": 0.1, "epoch": 3}': ("foreign", "not that of a litconv run"),
    b'{"status": "completed", "seed": "zero"}': ("foreign", "seed='zero' is no integer"),
    b'{"status": "failed", "seed": 0, "error": "ValueError: no"}': ("failed", "ValueError: no"),
    b'{"status": "interrupted", "seed": 0}': ("interrupted", "no figures"),
    b'{"status": "completed", "seed": 0, "test/accuracy": null}': ("completed", "test/accuracy is missing or NaN"),
    b'{"status": "completed", "seed": 0, "test/accuracy": NaN}': ("completed", "test/accuracy is missing or NaN"),
    b'{"status": "completed", "seed": 0, "test/accuracy": "high"}': ("completed", "test/accuracy='high' is no number"),
    b'{"status": "completed", "seed": 0, "test/accuracy": 95.3}': ("completed", "is not a fraction in [0, 1]"),
    b'{"status": "completed", "seed": 0, "test/accuracy": [0.9]}': ("completed", "test/accuracy=[0.9] is no number"),
}


@pytest.mark.parametrize("content", BROKEN, ids=[f"{i} {status}" for i, (status, _) in enumerate(BROKEN.values())])
def test_a_summary_that_cannot_be_used_is_named_and_the_others_are_compared(content, tmp_path):
    sweep = make_sweep(tmp_path, 2, ("standard", "grouped"))
    (sweep / "broken").mkdir()
    (sweep / "broken" / "summary.json").write_bytes(content)
    result = compare(sweep)
    status, what = BROKEN[content]
    (problem,) = result.problems
    assert (problem.run, problem.status) == ("broken", status)
    assert what in problem.what
    assert [arm.n for arm in result.arms] == [2, 2]
    alone = tmp_path / "sweeps" / "alone"
    alone.mkdir()
    (sweep / "broken").rename(alone / "broken")
    with pytest.raises(ConfigError) as refused:
        compare(alone)
    assert "\n" not in str(refused.value)


def test_a_run_without_a_summary_is_still_running_or_killed(tmp_path):
    sweep = make_sweep(tmp_path, 1, ("standard", "grouped"))
    next(sweep.glob("*/summary.json")).unlink()
    (problem,) = compare(sweep).problems
    assert problem.what == "no summary.json: still running, or killed"


def test_hand_edited_costs_are_left_out_and_said(tmp_path):
    make_run(tmp_path, "standard", summary={"cost/macs": "many", "cost/params": -3, "conv": ["odd"]})
    make_run(tmp_path, "grouped")
    result = compare(tmp_path)
    assert {p.what for p in result.problems} == {
        "cost/macs='many' is no number; left out",
        "cost/params=-3 is not above 0; left out",
    }
    assert "cost/macs" not in next(arm for arm in result.arms if arm.name == "standard").costs


def test_older_summaries_without_arm_hash_overrides_or_config_are_grouped_by_what_they_say(tmp_path):
    for conv in ("standard", "grouped"):
        for seed in (0, 1):
            folder = make_run(tmp_path, conv, seed)
            summary = json.loads((folder / "summary.json").read_text())
            kept = {k: v for k, v in summary.items() if k not in ("arm_hash", "overrides", "sweep", "versions")}
            (folder / "summary.json").write_text(json.dumps(kept))
            if seed:
                (folder / "config.yaml").unlink()
    for config in tmp_path.rglob("config.yaml"):
        config.unlink()
    result = compare(tmp_path)
    assert {(arm.name, arm.n) for arm in result.arms} == {("standard", 2), ("grouped", 2)}
    assert result.comparisons["grouped"].n == 2
    (command,) = result.commands
    assert command.startswith("python train.py -m conv=")
    assert "seed=0,1" in command


def test_the_later_of_two_runs_with_one_configuration_and_seed_counts(tmp_path):
    make_run(tmp_path, seed=0, score=0.5, sweep="early")
    late = make_run(tmp_path, seed=0, score=0.7, sweep="late")
    make_run(tmp_path, "grouped", seed=0)
    for path in tmp_path.rglob("summary.json"):
        os.utime(path, (2e9, 2e9) if path.parent == late else (1e9, 1e9))
    result = compare(tmp_path)
    assert next(arm for arm in result.arms if arm.name == "standard").scores == {0: 0.7}
    assert any("1 runs repeat" in note for note in result.notes)


UNLIKE = {
    "data": ({"data": "cifar10"}, {}, "data=shapes (1 run) and data=cifar10 (1 run)"),
    "epochs": ({}, {"trainer.max_epochs": 30}, "epochs=5 (1 run) and epochs=30 (1 run)"),
    "image size": (
        {},
        {"data.image_size": 64},
        "data.image_size=[32, 32] (1 run) and data.image_size=[64, 64] (1 run)",
    ),
    "images": ({}, {"data.n_train": 500}, "data.n_train=2000 (1 run) and data.n_train=500 (1 run)"),
}


@pytest.mark.parametrize("what", UNLIKE)
def test_unlike_runs_are_refused_by_name_unless_told_to_mix(what, tmp_path):
    choices, config, clause = UNLIKE[what]
    make_run(tmp_path, "standard", sweep="a")
    make_run(tmp_path, "grouped", sweep="b", config=config, **choices)
    with pytest.raises(ConfigError) as refused:
        compare(tmp_path)
    assert clause in str(refused.value)
    assert "mix=true" in str(refused.value)
    mixed = compare(tmp_path, mix=True)
    assert any(clause in note for note in mixed.notes)


def test_precision_and_test_split_must_agree_and_one_size_written_in_two_ways_is_one(tmp_path):
    make_run(tmp_path, "standard", config={"data.image_size": [32, 32]}, summary={"precision": "bf16-mixed"})
    make_run(tmp_path, "grouped", summary={"test/split": "val"})
    with pytest.raises(ConfigError) as refused:
        compare(tmp_path)
    assert "precision=32-true (1 run) and precision=bf16-mixed (1 run)" in str(refused.value)
    assert "test/split=val (1 run) and test/split=test (1 run)" in str(refused.value)
    assert "image_size" not in str(refused.value)


def test_precisions_are_never_mixed_unsaid_and_a_run_without_the_key_has_the_default(tmp_path):
    make_run(tmp_path, "standard", summary={"matmul_precision": "high"}, config={"matmul_precision": "high"})
    make_run(tmp_path, "grouped")
    with pytest.raises(
        ConfigError, match=re.escape("matmul_precision=default (1 run) and matmul_precision=high (1 run)")
    ):
        compare(tmp_path)
    mixed = compare(tmp_path, mix=True)
    assert any("matmul_precision=high (1 run)" in note for note in mixed.notes)


def test_layouts_that_auto_chose_are_said_and_are_no_difference_between_arms(tmp_path):
    for conv, layout in (("standard", "channels_last"), ("depthwise", "contiguous")):
        chosen = {"memory_format": layout, "memory_format/chosen": "measured: …"}
        make_run(tmp_path, conv, config={"memory_format": layout}, summary=chosen)
    result = compare(tmp_path)
    assert {arm.name for arm in result.arms} == {"standard", "depthwise"}
    notes = " | ".join(result.notes)
    assert "2 memory formats" in notes
    assert "channels_last (1 runs)" in notes


def test_compiled_runs_beside_others_are_said(tmp_path):
    make_run(tmp_path, "standard", config={"compile": {"enabled": True, "mode": "default"}})
    make_run(tmp_path, "grouped", summary={"compile/mode": "default"}, config={"compile": {"enabled": False}})
    assert any("2 modes of torch.compile" in note for note in compare(tmp_path).notes)


def test_what_a_reader_must_know_is_noted(tmp_path):
    make_run(tmp_path, "standard", 0, summary={"git_dirty": True})
    make_run(tmp_path, "standard", 1, summary={"git_commit": "ffff", "memory_format": "contiguous"})
    make_run(tmp_path, "grouped", 0, summary={"match/note": "MACs missed by 3 %"})
    notes = " | ".join(compare(tmp_path).notes)
    assert "2 commits of the code: 19e311f6f68f (2 runs), ffff (1 runs)" in notes
    assert "2 memory formats" in notes
    assert "1 of 3 runs were made with uncommitted changes" in notes
    assert "grouped has no run of seed 1" in notes
    assert "grouped: MACs missed by 3 %" in notes


def names(tmp_path, *arms):
    for i, (conv, config, choices) in enumerate(arms):
        make_run(tmp_path, conv, score=0.9 - 0.01 * i, config=config, **choices)
    return [arm.name for arm in compare(tmp_path, mix=True).arms]


def test_arms_are_named_by_what_tells_them_apart(tmp_path):
    four, wide = {"conv.groups": 4}, {"width": 1.6}
    assert names(
        tmp_path,
        ("standard", {}, {}),
        ("grouped", {}, {}),
        ("grouped", four, {}),
        ("standard", {}, {"conv@conv_stage3": "deformable"}),
    ) == ["standard", "grouped groups=2", "grouped groups=4", "deformable in stage 3"]
    assert names(tmp_path / "widths", ("standard", {}, {}), ("depthwise_separable", wide, {})) == [
        "standard",
        "depthwise_separable ×1.6 wide",
    ]
    assert names(tmp_path / "options", ("grouped", {}, {}), ("grouped", four, {})) == [
        "grouped groups=2",
        "grouped groups=4",
    ]
    assert names(tmp_path / "upsample", ("standard", {}, {}), ("standard", {}, {"upsample": "nearest"})) == [
        "bilinear",
        "nearest",
    ]
    assert names(tmp_path / "rate", ("standard", {}, {}), ("grouped", {"optim.lr": 0.1}, {})) == ["standard", "grouped"]


def test_operators_of_single_stages_are_part_of_an_arms_name_even_where_all_arms_have_them(tmp_path):
    of_stages = {"conv@conv_stage3": "deformable", "conv@conv_stage4": "deformable"}
    assert names(tmp_path / "one", ("standard", {}, {"conv@conv_stage3": "deformable"})) == ["deformable in stage 3"]
    assert names(
        tmp_path / "several",
        ("standard", {}, of_stages),
        ("grouped", {}, of_stages | {"conv@conv_stage1": "dilated"}),
        ("grouped", {"conv_stage1.dilation": 3}, {"conv@conv_stage1": "dilated"}),
        ("grouped", {"conv_stage1.dilation": 2}, {"conv@conv_stage1": "dilated"}),
    ) == [
        "deformable in stages 3 and 4",
        "grouped, dilated in stage 1, deformable in stages 3 and 4",
        "grouped, dilated in stage 1 dilation=3 in stage 1",
        "grouped, dilated in stage 1 dilation=2 in stage 1",
    ]
    rates = [("standard", {"optim.lr": rate}, of_stages) for rate in (0.1, 0.2)]
    assert names(tmp_path / "rates", *rates) == [f"deformable in stages 3 and 4 optim.lr={r}" for r in (0.1, 0.2)]


def matched(root, conv, by, width, score, **choices):
    make_run(root, conv, score=score, summary={"match/width": width}, config={"match.by": by}, match=by, **choices)


def test_a_width_that_was_matched_is_in_the_name_unless_all_are_matched(tmp_path):
    make_run(tmp_path / "one", "standard", score=0.9)
    matched(tmp_path / "one", "grouped", "macs", 1.3437, 0.8)
    assert [arm.name for arm in compare(tmp_path / "one").arms] == ["standard", "grouped ×1.34 wide"]
    matched(tmp_path / "all", "standard", "macs", 1.0, 0.9)
    matched(tmp_path / "all", "grouped", "macs", 1.3437, 0.8)
    result = compare(tmp_path / "all")
    assert [(arm.name, arm.width) for arm in result.arms] == [("standard", 1.0), ("grouped", 1.3437)]
    assert result.widths_vary


def test_arms_that_differ_in_nothing_but_what_was_matched_have_their_widths_in_their_names(tmp_path):
    matched(tmp_path, "standard", "macs", 1.0, 0.9)
    matched(tmp_path, "grouped", "macs", 1.3437, 0.8)
    matched(tmp_path, "grouped", "params", 1.41, 0.7)
    assert [arm.name for arm in compare(tmp_path).arms] == ["standard", "grouped ×1.34 wide", "grouped ×1.41 wide"]
    matched(tmp_path, "grouped", "latency", 1.4101, 0.6)
    by = [arm.name for arm in compare(tmp_path).arms]
    assert by[1] == "grouped ×1.34 wide"
    assert by[2:] == ["grouped ×1.41 wide match=params", "grouped ×1.41 wide match=latency"]


def test_an_arm_is_held_against_the_reference_in_its_own_backbone(tmp_path):
    for backbone in ("resnet", "vgg"):
        for conv in ("standard", "grouped"):
            make_run(tmp_path, conv, backbone=backbone)
    result = compare(tmp_path)
    assert {arm: reference.name for arm, reference in result.references.items()} == {
        "grouped resnet": "standard resnet",
        "grouped vgg": "standard vgg",
    }
    result = compare(tmp_path, reference="grouped vgg")
    assert {reference.name for reference in result.references.values()} == {"grouped vgg"}
    assert len(result.references) == 3
    result = compare(tmp_path, reference="vgg")
    assert {a: r.name for a, r in result.references.items()} == {
        "standard resnet": "standard vgg",
        "grouped resnet": "grouped vgg",
    }
    with pytest.raises(ConfigError, match=r"reference=grouped vg is no arm .*did you mean 'grouped vgg'"):
        compare(tmp_path, reference="grouped vg")


def test_without_standard_the_costliest_arm_is_the_reference(tmp_path):
    for conv in ("pointwise", "grouped", "depthwise"):
        make_run(tmp_path, conv)
    assert {r.name for r in compare(tmp_path).references.values()} == {"grouped"}


def test_with_too_few_seeds_nothing_is_claimed_and_the_missing_runs_are_a_command(tmp_path):
    sweep = make_sweep(tmp_path, 2, ("standard", "deformable", "grouped", "depthwise"))
    found = verdict(compare(sweep))
    assert found.headline.startswith(
        "Cannot tell with 2 seeds: 3 are needed for 3 comparisons. So far deformable has the highest"
    )
    (command,) = found.missing
    assert command.startswith("python train.py -m conv=")
    assert "seed=2 sweep=made" in command
    assert set(command.split("conv=")[1].split()[0].split(",")) == {"standard", "deformable", "grouped", "depthwise"}


def test_the_exact_test_needs_more_seeds(tmp_path):
    sweep = make_sweep(tmp_path, 3, ("standard", "deformable", "grouped", "depthwise"))
    result = compare(sweep, test="exact")
    assert verdict(result).headline.startswith(
        f"Cannot tell with 3 seeds: {result.seeds_needed} are needed for 3 comparisons by"
    )
    assert result.by_other_test["depthwise"].word == "worse"  # Student's


def test_seeds_that_were_planned_and_are_not_there_are_still_to_be_run(tmp_path):
    sweep = make_sweep(tmp_path, 3, ("standard", "depthwise"))
    (sweep / "plan.json").write_text('{"seeds": 5}')
    result = compare(sweep)
    found = verdict(result)
    assert result.comparisons["depthwise"].word == "worse"  # 34 points behind: an early look claims it, too
    assert "(5 seeds planned; an early look)" in found.text()
    assert "Seeds 3, 4 still to be run:" in found.text()
    assert "seed=3,4 sweep=made" in found.missing[0]


def test_runs_without_a_plan_are_taken_as_of_five_planned_seeds_unless_told(tmp_path):
    for seed in range(3):
        for conv in ("standard", "grouped"):
            make_run(tmp_path, conv, seed, score=0.9 + 0.01 * seed)
    assert "no plan stands with these runs, and 5 seeds are taken as planned" in verdict(compare(tmp_path)).text()
    assert compare(tmp_path, seeds=3).rule.planned == 3
    plan = tmp_path / "sweeps" / "made" / "plan.json"
    plan.write_text("{")
    assert any("plan.json cannot be read, so that no plan is known" in note for note in compare(tmp_path).notes)
    plan.write_text('{"seeds": 4}')
    assert compare(tmp_path).rule.planned == 4
    with pytest.raises(ConfigError, match=r"seeds=3: 4 were planned when the sweep began"):
        compare(tmp_path, seeds=3)


def test_of_unlike_plans_the_smallest_is_taken_and_said(tmp_path):
    for sweep, planned in (("one", 3), ("two", 5)):
        for seed in range(3):
            make_run(tmp_path, "standard" if sweep == "one" else "grouped", seed, 0.9 + 0.01 * seed, sweep=sweep)
        (tmp_path / "sweeps" / sweep / "plan.json").write_text(f'{{"seeds": {planned}}}')
    result = compare(tmp_path)
    assert result.rule.planned == 3
    assert "unlike numbers of seeds were planned (one: 3, two: 5); the smallest is taken" in result.notes


def test_seeds_that_would_settle_an_arm_name_it(tmp_path):
    random = np.random.default_rng(3)
    for seed in range(5):
        make_run(tmp_path, "standard", seed, 0.9)
        make_run(tmp_path, "grouped", seed, 0.9 - 0.012 + 0.006 * float(random.normal()))
        make_run(tmp_path, "dilated", seed, 0.9 - 0.01 + 0.03 * float(random.normal()))
    text = verdict(compare(tmp_path)).text()
    assert "would likely settle grouped, not the other 1 arm of which it cannot be told" in text


def test_an_arm_within_the_margin_is_as_good_and_the_cheapest_leads(tmp_path):
    random = np.random.default_rng(0)
    for seed in range(5):
        for conv, score in (("standard", 0.9), ("grouped", 0.899), ("pointwise", 0.7)):
            make_run(tmp_path, conv, seed, score=score + 0.001 * float(random.normal()))
    result = compare(tmp_path)
    assert result.comparisons["grouped"].word == "as good"
    headline = verdict(result).headline
    assert headline.startswith("grouped is equivalent to standard within 1 point of test top-1 accuracy (gap −0.")
    assert "at 0.53× the MACs" in headline
    assert compare(tmp_path, margin=0.01).comparisons["grouped"].word == "cannot tell yet"
    assert compare(tmp_path, margin=None).comparisons["grouped"].word == "cannot tell yet"


def test_a_seed_that_broke_is_named_and_counted_with_and_without(tmp_path):
    random = np.random.default_rng(0)
    for seed in range(5):
        for conv in ("standard", "grouped", "dilated"):
            score = 0.1 if (conv, seed) == ("grouped", 3) else 0.9 + 0.002 * float(random.normal())
            make_run(tmp_path, conv, seed, score=score)
    result = compare(tmp_path)
    assert [(one.arm, one.seed) for one in result.broken] == [("grouped", 3)]
    assert result.broken[0].curve
    assert len(result.broken[0].sibling_curves) == 4
    assert result.without_broken["grouped"].seeds == (0, 1, 2, 4)
    assert result.comparisons["grouped"].n == 5  # counted all the same
    text = verdict(result).text()
    assert "Seed 3 of grouped is far from its siblings: 0.1000, the median of its other seeds is 0." in text
    assert "With and without these seeds: grouped cannot tell yet (" in text


def test_a_run_that_says_it_diverged_is_named_wherever_its_score_lies(tmp_path):
    for seed in range(3):
        make_run(tmp_path, seed=seed, score=0.9 + 0.001 * seed, summary={"train/diverged": seed == 1})
    assert [(one.seed, one.diverged) for one in compare(tmp_path).broken] == [(1, True)]


def test_equal_arms_read_from_folders_are_seldom_claimed_to_differ(tmp_path):
    """Through the code that reads runs: families of three equal arms, looked at with three, four and five seeds."""
    random, wrong, families = np.random.default_rng(0), 0, 40
    for family in range(families):
        claims = []
        for seed in range(5):
            luck = random.normal()
            for conv in ("standard", "grouped", "dilated"):
                score = 0.8 + 0.01 * (luck + random.normal())
                make_run(tmp_path, conv, seed, float(score), sweep=f"family{family}")
            if seed >= 2:
                found = compare(tmp_path / "sweeps" / f"family{family}").comparisons.values()
                claims += [c.claimed for c in found]
        wrong += any(claims)
    assert wrong <= 6  # 5 % of 40 are two; more than six come once in 200 times


def test_equal_differences_and_odd_ones_are_doubted(tmp_path):
    odd = [0.01, 0.011, 0.012, 0.0105, 0.0115, 0.0108, 0.0111, 0.3]
    for seed in range(8):
        make_run(tmp_path, "standard", seed, score=0.5)
        make_run(tmp_path, "grouped", seed, score=0.4)
        make_run(tmp_path, "dilated", seed, score=0.5 + odd[seed])
    notes = " ".join(compare(tmp_path).notes)
    assert "grouped: its differences are equal in all 8 seeds" in notes
    assert "dilated: its differences do not look normal (Shapiro–Wilk, p = " in notes
    assert "farthest: seed 7" in notes
    assert "normal" not in " ".join(compare(tmp_path, test="exact").notes)


def test_with_enough_seeds_the_winner_its_gap_and_its_price_are_said(tmp_path):
    sweep = make_sweep(tmp_path, 8, ("standard", "deformable", "dilated", "depthwise_separable"))
    result = compare(sweep)
    found = verdict(result)
    gap = 100 * result.comparisons["deformable"].mean
    assert found.headline.startswith(f"deformable beats standard by {gap:.2f} points of test top-1 accuracy (")
    assert "1.66× the MACs, 1.37× the params" in found.headline
    text = found.text()
    assert "depthwise_separable loses to standard by" in text
    assert "dilated: cannot tell it from standard" in text
    assert "A true gap of 1 point would be found by 8 seeds with a probability of" in text
    by_hand = load(sweep).pivot_table(index="seed", columns="conv", values="test/accuracy")
    assert gap == pytest.approx(100 * (by_hand["deformable"] - by_hand["standard"]).mean())


def test_arms_at_one_budget_are_said_to_be(tmp_path):
    for conv, macs in (("standard", 100e6), ("grouped", 101e6), ("depthwise", 99.5e6)):
        make_run(tmp_path, conv, summary={"cost/macs": macs})
    assert "All arms are within 2 % of the same MACs (99.5 M to 101 M)" in verdict(compare(tmp_path)).text()


def test_a_loss_is_better_when_it_is_less(tmp_path):
    for seed in range(6):
        make_run(tmp_path, "standard", seed, summary={"test/loss": 0.5 + 0.01 * seed})
        make_run(tmp_path, "grouped", seed, summary={"test/loss": 0.4 + 0.01 * seed})
    result = compare(tmp_path, metric="test/loss")
    assert result.arms[0].name == "grouped"
    assert verdict(result).headline.startswith("grouped beats standard by 0.1 of test loss")


def test_latency_is_compared_by_its_ratio_to_standard_where_that_was_measured(tmp_path):
    make_run(tmp_path, "standard", summary={"cost/latency_ms": 4.0, "cost/latency_ratio": 1.0})  # the machine was busy
    make_run(tmp_path, "grouped", summary={"cost/latency_ms": 2.0, "cost/latency_ratio": 1.4})
    result = compare(tmp_path)
    grouped = next(arm for arm in result.arms if arm.name == "grouped")
    assert result.ratio(grouped, "cost/latency_ms") == pytest.approx(1.4)
    assert "cost/latency_ratio" in result.budget_keys


def test_points_are_merged_to_grids_that_span_them_and_no_other():
    points = [{"conv": c, "groups": g} for c in ("a", "b") for g in ("1", "2")]
    assert merged(points) == [{"conv": ["a", "b"], "groups": ["1", "2"]}]
    for some in (points[:3], [{"conv": "a"}, *points[2:]], points[:1]):
        grids = merged(some)
        spanned = [
            dict(zip(grid, values, strict=True))
            for grid in grids
            for values in np.array(np.meshgrid(*grid.values())).reshape(len(grid), -1).T.tolist()
        ]
        assert sorted(map(str, spanned)) == sorted(map(str, some))


def test_the_command_of_a_sweep_is_hydras_own_record_of_it(tmp_path):
    sweep = make_sweep(tmp_path, 2, ("standard", "grouped"))
    launched = ["conv=glob([sg]*)", "seed=0,1", "sweep=made", f"output_dir={tmp_path}"]
    overrides = {"hydra": ["hydra.mode=MULTIRUN", "hydra/launcher=joblib"], "task": launched}
    record = {"hydra": {"overrides": overrides, "sweeper": {"params": None}}}
    (sweep / "multirun.yaml").write_text(json.dumps(record))
    (command,) = compare(sweep).commands
    assert command == (
        f"python train.py -m hydra/launcher=joblib 'conv=glob([sg]*)' output_dir={tmp_path} seed=0,1 sweep=made"
    )


def test_a_recipe_is_repeated_by_its_name(tmp_path):
    sweep = make_sweep(tmp_path, 2, ("standard", "grouped"))
    overrides = {"hydra": ["hydra.mode=MULTIRUN"], "task": ["experiment=operators", "n_jobs=2"]}
    record = {"hydra": {"overrides": overrides, "sweeper": {"params": {"conv": "standard, grouped", "seed": "0,1"}}}}
    (sweep / "multirun.yaml").write_text(json.dumps(record))
    (command,) = compare(sweep).missing[1]
    assert command.startswith("python train.py -m experiment=operators n_jobs=2 seed=2 sweep=made")


def test_an_arm_outside_the_last_launch_makes_the_commands_those_of_the_arms(tmp_path):
    sweep = make_sweep(tmp_path, 2, ("standard", "grouped", "dilated"))
    overrides = {"hydra": [], "task": ["conv=dilated", "seed=0,1"]}
    (sweep / "multirun.yaml").write_text(json.dumps({"hydra": {"overrides": overrides, "sweeper": {}}}))
    (command,) = compare(sweep).commands
    assert set(command.split("conv=")[1].split()[0].split(",")) == {"standard", "grouped", "dilated"}


def test_what_a_match_found_is_no_difference_between_arms(tmp_path):
    for backbone in ("resnet", "vgg"):
        for conv, channels in {"standard": [16, 32], "grouped": [24, 48]}.items():
            config = {"backbone.base_channels": channels}
            summary = {"match/width": channels[0] / 16, "cost/macs": 12e6}
            make_run(tmp_path, conv, config=config, summary=summary, backbone=backbone, match="macs")
    result = compare(tmp_path)
    assert set(result.references) == {"grouped resnet", "grouped vgg"}
    assert {arm.name: arm.width for arm in result.arms}["grouped vgg"] == 1.5
    assert "All arms are within 2 % of the same MACs (12 M)" in verdict(result).text()


def test_missing_seeds_are_those_that_any_arm_lacks(tmp_path):
    for conv, seeds in {"standard": (0, 1, 5), "grouped": (0, 5)}.items():
        for seed in seeds:
            make_run(tmp_path, conv, seed)
    assert missing_seeds(compare(tmp_path).arms, 5) == [1, 2, 3]


def test_labels_lie_on_no_other_on_no_point_and_inside_the_axes():
    random = np.random.default_rng(0)
    points = [tuple(p) for p in random.uniform(20, 580, (20, 2))]
    boxes = [b for b in places(points, [(70, 14)] * 20, (0, 0, 640, 600)) if b is not None]
    assert len(boxes) == 20
    for i, (left, bottom, right, top) in enumerate(boxes):
        assert left >= 0
        assert bottom >= 0
        assert right <= 640
        assert top <= 600
        assert not any(left < x < right and bottom < y < top for x, y in points)
        assert not any(left < r and a < right and bottom < t and b < top for a, b, r, t in boxes[:i])
    assert places([(5, 5)], [(900, 14)], (0, 0, 640, 600)) == [None]


def test_the_table_of_runs_is_one_for_a_notebook(tmp_path):
    runs = load(make_sweep(tmp_path, 3))
    assert isinstance(runs, pd.DataFrame)
    means = runs[runs.status == "completed"].groupby("conv")["test/accuracy"].mean()
    assert set(means.index) == set(OPERATORS)
    assert means["deformable"] > means["pointwise"]


def with_diagnostic(tmp_path, key: str, levels: dict[str, float], **more):
    """Three arms with a figure that is a little higher with each seed."""
    for conv, level in levels.items():
        for seed in range(5):
            jitter = 0.001 * (seed + (seed % 2) * (conv != "standard"))
            make_run(tmp_path, conv, seed, 0.9, summary={f"diagnostics/{key}": level + jitter})
    return compare(tmp_path, metric=f"diagnostics/{key}", **more)


def test_of_a_figure_that_is_neither_good_nor_bad_an_arm_is_higher_or_lower(tmp_path):
    levels = {"standard": 0.3, "grouped": 0.5, "dilated": 0.3, "bottleneck": 0.2, "separable": 0.1}
    result = with_diagnostic(tmp_path, "correlation", levels)
    assert {arm.name: word(result, arm) for arm in result.arms} == {
        "grouped": "higher",
        "standard": "reference",
        "dilated": "cannot tell yet",
        "bottleneck": "lower",
        "separable": "lower",
    }
    found = verdict(result)
    assert found.headline.startswith("grouped is higher than standard by 0.2 of channel correlation (")
    assert "separable is lower than standard by 0.2 (0.198 to 0.201) of channel correlation" in found.headline
    assert any(said.startswith("bottleneck is lower than standard by 0.0996 (") for said in found.sentences)
    assert not re.search("beats|loses|wins|better than|worse|Pareto|as good", found.text())
    assert set(result.fronts["cost/macs"]) == set()


def test_fewer_dead_channels_are_better(tmp_path):
    result = with_diagnostic(tmp_path, "dead_channels", {"standard": 0.2, "grouped": 0.1})
    assert verdict(result).headline.startswith("grouped beats standard by 0.0996 of dead channels (")


def test_a_seed_with_a_dead_channel_among_seeds_without_is_no_broken_one(tmp_path):
    for conv in ("standard", "grouped"):
        for seed in range(5):
            make_run(tmp_path, conv, seed, summary={"diagnostics/dead_channels": 0.01 * (seed == 3)})
    assert compare(tmp_path, metric="diagnostics/dead_channels").broken == []


def test_a_cost_that_is_compared_is_no_axis_any_more(tmp_path):
    for seed in range(5):
        make_run(tmp_path, "standard", seed)
        make_run(tmp_path, "grouped", seed)
    result = compare(tmp_path, metric="cost/macs")
    assert verdict(result).headline.startswith(
        "grouped beats standard by 5.9 M of MACs (5.9 M to 5.9 M), at 0.53× the params"
    )
    assert "cost/macs" not in result.cost_keys
    assert result.problems == []


def test_a_margin_within_which_nothing_is_as_good_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"margin=0\.1 with metric=diagnostics/correlation: neither more nor less"):
        with_diagnostic(tmp_path, "correlation", {"standard": 0.3, "grouped": 0.5}, margin=0.1)


def test_text_and_seeds_are_no_metric(tmp_path):
    make_run(tmp_path, summary={"diagnostics/correlation": 0.5})
    for asked in ("task", "seed", "train/diverged", "modified", "git_dirty"):
        with pytest.raises(ConfigError, match=f"metric={asked} is no number of any summary.json"):
            compare(tmp_path, metric=asked)
    with pytest.raises(ConfigError, match=r"\(did you mean 'diagnostics/correlation'\?\); there: .*, diagnostics/…"):
        compare(tmp_path, metric="diagnostics/corelation")
