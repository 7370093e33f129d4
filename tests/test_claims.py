"""Claims: hypotheses judged on planted numbers, what is computed beside other libraries, and the command."""

import json
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf
from scipy import ndimage, stats

from command import ROOT, command
from litconv.claims import Gap, LayerCosts, NetworkCosts, Peak, RankOne, Reordering, Sobel, Speed
from litconv.claims.claim import Claim, read
from litconv.claims.finding import COMPUTED, Finding, Line, all_of, any_of
from litconv.claims.forest import forest
from litconv.claims.grounds import Ground
from litconv.claims.judgement import Judged, judge
from litconv.claims.kernels import fitted
from litconv.claims.trials import Trials
from litconv.compare.inference import looks
from litconv.compare.inference.statistics import Rule
from litconv.config.composed import CONF, compose
from litconv.errors import ConfigError
from litconv.run.asked import Asked
from yamls import names

RULE = Rule(5, margin=0.01)
SAYS = "something"


def silent(_: str) -> None:
    pass


def runs(key: str, values: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"seed": range(len(values)), key: values})


def around(mean: float, spread: float = 0.002, n: int = 5, turn: int = 0) -> list[float]:
    """With exactly this mean."""
    return list(mean + spread * np.roll(np.linspace(-1, 1, n), turn))


def gap(expect: str, **more: object) -> Gap:
    given = {"against": {"a": "conv=standard"}, "challengers": {"b": "conv=grouped"}, "metric": "test/accuracy", **more}
    return Gap(says=SAYS, grounds={"shapes": ""}, expect=expect, **given)


@pytest.mark.parametrize(
    ("expect", "b", "word"),
    [
        ("higher", 0.60, "supported"),
        ("higher", 0.40, "refuted"),
        ("higher", 0.5005, "refuted"),  # within a point on both sides: no difference that matters
        ("lower", 0.40, "supported"),
        ("lower", 0.60, "refuted"),
        ("as good", 0.4995, "supported"),
        ("as good", 0.60, "supported"),
        ("as good", 0.45, "refuted"),
    ],
)
def test_a_gap_is_judged_by_what_was_expected(expect, b, word):
    given = {"a": runs("test/accuracy", around(0.5)), "b": runs("test/accuracy", around(b, turn=2))}
    assert gap(expect).judge(given, RULE, "shapes").word == word


@pytest.mark.parametrize("expect", ["higher", "lower", "as good"])
def test_noise_is_no_verdict(expect):
    noise = np.random.default_rng(0).normal(0.5, 0.1, (2, 5))
    given = {name: runs("test/accuracy", list(v)) for name, v in zip("ab", noise, strict=True)}
    assert gap(expect).judge(given, RULE, "shapes").word == "cannot tell"


def test_without_runs_nothing_is_judged_and_two_seeds_claim_nothing():
    one = gap("higher")
    empty = {"a": runs("test/accuracy", []), "b": runs("test/accuracy", [])}
    assert one.judge(empty, RULE, "shapes").word == "not run"
    two = {"a": runs("test/accuracy", [0.1, 0.1001]), "b": runs("test/accuracy", [0.9, 0.9001])}
    assert one.judge(two, RULE, "shapes").word == "cannot tell"


def test_a_gaps_interval_is_students_at_bonferronis_level_over_the_looks():
    a, b, c = around(0.5), [0.55, 0.53, 0.58, 0.54, 0.56], [0.52, 0.50, 0.51, 0.54, 0.49]
    given = {name: runs("test/accuracy", values) for name, values in (("a", a), ("b", b), ("c", c))}
    several = gap("higher", challengers={"b": "conv=grouped", "c": "conv=separable"}, of="any")
    finding = several.judge(given, RULE, "shapes")
    level = looks.level(0.05 / 2, 5, 5)
    for line, own in zip(finding.lines, (b, c), strict=True):
        d = np.array(own) - np.array(a)
        low, high = stats.t.interval(1 - level, 4, d.mean(), stats.sem(d))
        assert line.value == pytest.approx(100 * d.mean())
        if line.word != "supported":  # a claimed one is cut at 0
            assert (line.low, line.high) == pytest.approx((100 * low, 100 * high))
    assert [line.word for line in finding.lines] == ["supported", "cannot tell"]
    assert finding.word == "supported"  # any
    assert gap("higher", challengers=several.challengers).judge(given, RULE, "shapes").word == "cannot tell"  # all


def test_two_figures_of_the_same_runs_are_held_against_each_other():
    given = {"b": runs("x", [0.3, 0.31, 0.29]).assign(y=[0.1, 0.12, 0.09])}
    finding = gap("higher", against={}, metric="x", against_metric="y", margin=0.02).judge(given, Rule(3), "shapes")
    assert finding.word == "supported"
    assert finding.lines[0].value == pytest.approx(np.mean([0.2, 0.19, 0.2]))


def peak(*means: float) -> Finding:
    given = {str(i): runs("test/accuracy", around(mean, turn=i)) for i, mean in enumerate(means)}
    return Peak(SAYS, {"shapes": ""}, dict.fromkeys(given, ""), "test/accuracy").judge(given, RULE, "shapes")


def test_a_peak_has_one_in_between_that_is_better_than_both_ends():
    assert peak(0.5, 0.6, 0.4).word == "supported"
    assert peak(0.5, 0.4, 0.6, 0.3).because.startswith("2 is better")
    falling = peak(0.6, 0.5, 0.4, 0.3)
    assert (falling.word, falling.because) == ("refuted", "nothing is better than 0: it does not rise")
    assert peak(0.3, 0.4, 0.5).word == "refuted"  # it rises only
    noise = np.random.default_rng(1).normal(0.5, 0.1, (3, 5))
    given = {str(i): runs("test/accuracy", list(v)) for i, v in enumerate(noise)}
    assert Peak(SAYS, {}, dict.fromkeys(given, ""), "test/accuracy").judge(given, RULE, "").word == "cannot tell"


def reordering(first: dict[str, float], second: dict[str, float]) -> Finding:
    one = Reordering(SAYS, {}, dict.fromkeys(first, ""), {"here": "", "there": ""}, "test/accuracy")
    given = {
        f"{name} {where}": runs("test/accuracy", around(mean, turn=turn))
        for where, means in (("here", first), ("there", second))
        for turn, (name, mean) in enumerate(means.items())
    }
    return one.judge(given, RULE, "shapes")


def test_a_reordering_has_two_that_change_places():
    found = reordering({"a": 0.5, "b": 0.6, "c": 0.7}, {"a": 0.5, "b": 0.4, "c": 0.7})
    assert (found.word, found.because) == ("supported", "a and b change places")
    assert reordering({"a": 0.5, "b": 0.6}, {"a": 0.3, "b": 0.7}).word == "refuted"
    assert reordering({"a": 0.5, "b": 0.6}, {"a": 0.5, "b": 0.5}).word == "refuted"  # a tie within the margin


def test_all_and_any():
    assert [all_of(w) for w in (["supported"], ["supported", "cannot tell"], ["refuted", "not run"])] == [
        *("supported", "cannot tell", "refuted")
    ]
    assert [any_of(w) for w in (["refuted", "supported"], ["refuted", "cannot tell"], ["refuted", "refuted"])] == [
        *("supported", "cannot tell", "refuted")
    ]


def judged(*words: str) -> Judged:
    grounds = {"made": Ground("made", "", "made", False), "real": Ground("real", "", "real", True)}
    findings = [
        Finding(SAYS, ground, word, "") for ground, word in zip(("made", "real", COMPUTED), words, strict=False)
    ]
    return Judged(Claim("x", "X", "x", "y", []), findings, grounds)


def test_a_claim_is_what_its_tested_hypotheses_are():
    words = (("supported", "supported"), ("supported", "not run"), ("refuted", "refuted"), ("supported", "refuted"))
    assert [judged(*w).word for w in words] == ["supported", "supported", "refuted", "in part"]
    assert judged("supported", "cannot tell").word == "cannot tell"
    assert judged("not run").word == "not run"


def test_where_made_and_real_data_differ_is_said():
    assert judged("supported", "supported").unlike == []
    assert judged("supported", "not run").unlike == []
    assert judged("supported", "refuted").unlike == ["something made: supported; real: refuted."]


# what is computed


def test_a_layers_ratio_is_held_as_a_fraction():
    small = {"channels": [8], "kernel_sizes": [3]}
    right = LayerCosts(SAYS, "grouped", "1/groups", options={"groups": [1, 4]}, **small).find(silent)
    assert right.word == "supported"
    assert [line.word for line in right.lines] == ["supported", "supported"]
    wrong = LayerCosts(SAYS, "grouped", "1/(groups+1)", options={"groups": [4]}, **small).find(silent)
    assert wrong.word == "refuted"
    separable = LayerCosts(SAYS, "depthwise_separable", "1/out_channels + 1/kernel_size**2", **small).find(silent)
    assert separable.word == "supported"
    assert str(Fraction(1, 8) + Fraction(1, 9)) in separable.lines[0].text
    with pytest.raises(ConfigError, match="only in_channels, out_channels, kernel_size are known"):
        LayerCosts(SAYS, "standard", "1/depth", **small).find(silent)


def test_networks_costs_are_held_against_a_reference():
    def found(relation: str) -> str:
        networks = {"wide": "conv=dilated dilation=2"}
        return NetworkCosts(SAYS, networks, {"standard": "conv=standard"}, {"cost/macs": relation}).find(silent).word

    assert [found(relation) for relation in ("equal", "more", "less")] == ["supported", "refuted", "refuted"]


def test_only_kernels_of_rank_1_are_separable_and_sobels_are():
    assert RankOne(SAYS, kernel_sizes=[3]).find(silent).word == "supported"
    assert Sobel(SAYS, size=16).find(silent).word == "supported"


@pytest.mark.parametrize(("rank", "exact"), [(1, True), (2, False)])
def test_a_fitted_kernel_is_scipys_correlation_where_its_rank_is_1(rank, exact):
    random = np.random.default_rng(0)
    kernel = random.normal(size=(3, rank)) @ random.normal(size=(rank, 3))
    image = random.normal(size=(12, 12))
    with torch.no_grad():
        got = fitted(torch.from_numpy(kernel)[None])(torch.from_numpy(image)[None, None])[0, 0].numpy()
    assert np.allclose(got, ndimage.correlate(image, kernel, mode="constant")) == exact


def test_the_answer_to_a_speed_is_the_intervals():
    slow = Speed(
        SAYS, "grouped", [{"groups": 2}], [1e-6], channels=8, size=8, batch=1, threads=[1], repeats=3, seconds=0.01
    )
    finding = slow.find(silent)
    assert finding.word == "refuted"  # a millionth of the time is not to be had
    assert finding.lines[0].low <= finding.lines[0].value <= finding.lines[0].high


# the files and the trials


@pytest.fixture(scope="module")
def grounds() -> dict[str, Ground]:
    written = OmegaConf.load(CONF / "claims.yaml").grounds
    return {name: Ground(name, one.overrides, one.title, "root" in one) for name, one in written.items()}


@pytest.mark.parametrize("name", names("claims"))
def test_a_claim_can_be_read_and_every_arm_of_it_composed(name, grounds):
    claim = read(name, set(grounds))
    assert claim.sentence.endswith(".")
    for hypothesis in claim.hypotheses:
        assert hypothesis.says.endswith((".", ")"))
    Trials([claim], grounds, [])  # composes each, and says which cannot be


def test_claims_share_their_arms(grounds):
    claims = [read(name, set(grounds)) for name in ("transposed", "dilation")]
    both = Trials(claims, grounds, [])
    alone = [len(Trials([claim], grounds, []).points) for claim in claims]
    assert len(both.points) < sum(alone)
    hashes = [Asked.of(compose(shlex.split(point))).arm_hash for point in both.points]
    assert len(set(hashes)) == len(hashes)


def test_a_ground_that_is_not_there_is_not_run_and_says_why(grounds, tmp_path):
    claim = read("transposed", set(grounds))
    missing = {name: Ground(name, "", name, True, f"{name}=FOLDER was not given") for name in grounds}
    (one,) = judge([claim], (trials := Trials([claim], missing, [])), trials.runs(tmp_path / "none"), 5, silent)
    assert [(f.word, f.because) for f in one.findings if f.ground == "camvid"] == [
        ("not run", "camvid=FOLDER was not given")
    ]


def test_runs_are_found_by_their_arm(grounds, tmp_path):
    claim = read("transposed", set(grounds))
    made = {"shapes_masks": grounds["shapes_masks"], "camvid": Ground("camvid", "", "camvid", True, "no")}
    trials = Trials([claim], made, [])
    for arm, mean in zip(("bilinear", "transposed"), (0.5, 0.6), strict=True):
        overrides = trials.arms(claim.hypotheses[0], "shapes_masks")[arm]
        asked = Asked.of(compose(shlex.split(overrides)))
        for seed, value in enumerate(around(mean)):
            folder = tmp_path / "sweep" / f"{arm}{seed}"
            folder.mkdir(parents=True)
            summary = {"status": "completed", "seed": seed, "arm_hash": asked.arm_hash, "test/miou": value}
            (folder / "summary.json").write_text(json.dumps(summary))
    (one,) = judge([claim], trials, trials.runs(tmp_path / "sweep"), 5, silent)
    finding = one.findings[0]
    assert (finding.word, finding.lines[0].text.split(";")[0][:6]) == ("supported", "+10.00")
    assert "upsample=transposed" in finding.commands[1]
    assert finding.commands[1].endswith("seeds=5")


def test_a_forest_is_xml_with_a_whisker_for_each_interval():
    lines = [Line("a < b", "x & y", "supported", 1, 0.5, 1.5), Line("c", "no run", "not run")]
    drawn = ET.fromstring(forest(Finding(SAYS, "shapes", "supported", "", lines, "points"), alone=True))
    assert len([e for e in drawn.iter() if "whisker" in e.get("class", "")]) == 1
    assert any(e.text == "a < b" for e in drawn.iter())
    assert forest(Finding(SAYS, "shapes", "supported", "", lines[1:], "points")) == ""


# the command


def claims(*arguments: str) -> int:
    return command(*arguments, module="claims")


def test_the_command_writes_page_tables_and_numbers(tmp_path, capsys):
    assert claims("only=[sobel,transposed]", "train=false", f"output_dir={tmp_path}") == 0
    said = capsys.readouterr().out
    assert "supported    Sobel" in said
    assert "note: camvid=FOLDER was not given" in said
    out = tmp_path / "claims"
    html, markdown = (out / "index.html").read_text(), (out / "claims.md").read_text()
    records = {record["claim"]: record for record in json.loads((out / "claims.json").read_text())}
    assert records["sobel"]["verdict"] == "supported"
    assert [f["word"] for f in records["transposed"]["findings"]] == ["not run", "not run", "supported"]
    for name in records:
        assert f'id="{name}"' in html
        assert f"only={name}" in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("| ")]
    assert rows[0] == "| claim | verdict | computed, measured | made data | real data |"
    assert rows[2].endswith("| **supported** | ✔ |  |  |")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["only=dilatoin"], "only=dilatoin is no claim (did you mean 'dilation'?); there: budgets, "),
        (["only=[sobel,nothing]"], "only=nothing is no claim; there: "),
        (["only=[]"], "only=[] names none; there are: "),
        (["seeds=2"], "seeds=2 must be a whole number from 3 (fewer claim nothing) to"),
        (["train=perhaps"], "train=perhaps must be true or false"),
        (["cifar10=/nowhere"], "cifar10=/nowhere: there is no such folder"),
        (["onyl=sobel"], "onyl"),
        (["+grounds.mine.title=x"], "grounds.mine must have title and overrides"),
        (
            ["only=transposed", "grounds.shapes_masks.overrides='data=shaeps'"],
            "conf/claims/transposed.yaml: data=shaeps",
        ),
    ],
)
def test_what_is_wrong_with_the_command_is_one_line(arguments, said, tmp_path, capsys):
    assert claims("train=false", *arguments, f"output_dir={tmp_path}") == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith(f"error: {said}")
    assert "\n" not in error


def test_a_claim_of_the_users_own_is_judged_with_an_operator_of_theirs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    (tmp_path / "their_operators.py").write_text("from litconv.conv import Grouped\nclass Op(Grouped): ...\n")
    (tmp_path / "conf" / "conv").mkdir(parents=True)
    (tmp_path / "conf" / "conv" / "theirs.yaml").write_text(
        "_target_: their_operators.Op\n_partial_: true\ngroups: 4\n"
    )
    (tmp_path / "conf" / "claims").mkdir()
    claim = {
        "title": "Theirs",
        "sentence": "Theirs costs less.",
        "source": "they",
        "hypotheses": [
            {
                "_target_": "litconv.claims.NetworkCosts",
                "says": "Theirs has fewer params.",
                "against": {"standard": "conv=standard"},
                "networks": {"theirs": "conv=theirs"},
                "expect": {"cost/params": "less"},
            }
        ],
    }
    (tmp_path / "conf" / "claims" / "theirs.yaml").write_text(json.dumps(claim))
    own = ("--config-dir", str(tmp_path / "conf"), "allowed_packages=[their_operators]")
    assert claims("train=false", "only=theirs", *own, f"output_dir={tmp_path}") == 0
    assert "supported    Theirs: Theirs costs less." in capsys.readouterr().out


@pytest.mark.slow
def test_what_claims_need_is_trained_as_one_sweep_that_goes_on(tmp_path):
    """In a process of its own, as a user would."""
    small = "data=shapes task=segmentation head=unet width=0.5 epochs=1 data.n_train=64 data.n_val=32 data.n_test=32"
    arguments = ["only=transposed", "seeds=3", f"output_dir={tmp_path}", f"grounds.shapes_masks.overrides='{small}'"]
    for _ in range(2):
        process = subprocess.run(
            [sys.executable, "scripts/claims.py", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=600
        )
        assert process.returncode == 0, process.stderr
    assert "completed before in this sweep" in process.stdout
    (record,) = json.loads((tmp_path / "claims" / "claims.json").read_text())
    finding = record["findings"][0]
    assert finding["word"] != "not run"
    assert finding["lines"][0]["text"].endswith("3 seeds")


def points_of(file: str, *arguments: str, tmp_path: Path) -> list[list[str]]:
    """What the sweeper would launch."""
    launched = []
    path = tmp_path / "points.txt"
    path.write_text(file)
    given = [
        "-m",
        "hydra/sweeper=listed",
        f"hydra.sweeper.file={path}",
        f"output_dir={tmp_path}",
        "sweep=x",
        *arguments,
    ]
    with mock.patch(
        "hydra_plugins.litconv_launcher.local.LocalLauncher.launch", lambda _, batch, **__: launched.extend(batch) or []
    ):
        assert command(*given) == 0
    return launched


def test_a_listed_sweep_has_the_lines_of_a_file_at_each_value_of_the_command_line(tmp_path):
    file = "# two arms\nconv=standard\n\nconv=grouped groups=2,4 seed=7\n"
    launched = points_of(file, "seed=0,1", tmp_path=tmp_path)
    own = [[o for o in point if o.startswith(("conv", "groups", "seed"))] for point in launched]
    arms = [["conv=standard"], ["conv=grouped", "groups=2"], ["conv=grouped", "groups=4"]]
    assert own == [[*arm, f"seed={seed}"] for seed in (0, 1) for arm in arms]  # the command line's seed wins


@pytest.mark.parametrize(("file", "said"), [("# nothing\n", "has no points"), (None, "cannot be read")])
def test_a_file_without_points_is_one_line(file, said, tmp_path, capsys):
    path = tmp_path / "points.txt"
    if file is not None:
        path.write_text(file)
    given = ["-m", "hydra/sweeper=listed", f"hydra.sweeper.file={path}", f"output_dir={tmp_path}", "sweep=x"]
    assert command(*given) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith(f"error: hydra.sweeper.file={path} {said}")
    assert "\n" not in error
