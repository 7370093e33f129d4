"""Where the arms run: their order on every runtime, the cheapest good one, int8 beside float32; in tables, words and the page."""

import json
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from scipy import stats

from deployed_runs import ARMS, RUNTIMES, SEEDS, make_deployed, make_table, places, write
from litconv.compare import Question, analyse, load
from litconv.compare.columns import chosen, default
from litconv.compare.deployed.devices import on_devices
from litconv.compare.deployed.figure import small_multiples
from litconv.compare.deployed.markdown import write_markdown
from litconv.compare.deployed.order import flips, ranks, spearman
from litconv.compare.deployed.quantised import changes
from litconv.compare.deployed.scales import batches, scales
from litconv.compare.deployed.view import deployed_view
from litconv.compare.deployed.within import candidates, choices
from litconv.compare.drawing.figures import write_figures
from litconv.compare.inference import looks
from litconv.compare.inference.statistics import Rule
from litconv.compare.metric import Metric
from litconv.compare.table_files import markdown
from litconv.compare.verdict import verdict
from litconv.cost.device_csv import device_tables
from made_runs import OPERATORS, make_run, make_sweep

INT8 = "deploy/onnxruntime/int8"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return make_deployed(tmp_path_factory.mktemp("deployed"))


@pytest.fixture(scope="module")
def result(sweep):
    return analyse(load(sweep), "made")


def scale_of(result, label, batch="single"):
    return next(scale for scale in scales(result, batch) if scale.label == label)


def test_deployed_figures_are_read_as_if_they_stood_in_the_summary(result, sweep):
    folder = next(sweep.glob("*_grouped_*"))
    figures = json.loads((folder / "deployed.json").read_text())["figures"]
    row = result.runs[result.runs["folder"] == str(folder)].iloc[0]
    assert {key: row[key] for key in figures} == pytest.approx(figures)
    assert row["deploy/threads"] == 1
    assert row["deploy/versions/onnxruntime"] == "1.32.0"


def test_a_torn_deployed_json_leaves_its_run_in_the_comparison_and_is_said(tmp_path):
    for seed in range(3):
        make_run(tmp_path, "grouped", seed)
        folder = make_run(tmp_path, "standard", seed)
    (folder / "deployed.json").write_text('{"figures": {"deploy/onn')
    write(next((tmp_path / "sweeps" / "made").glob("*_grouped_*seed1")), {f"{INT8}/latency_ms": "fast"})
    result = analyse(load(tmp_path / "sweeps" / "made"), "made")
    assert len(result.runs) == 6
    assert sorted(problem.what.partition(":")[0] for problem in result.problems) == [
        "deploy/onnxruntime/int8/latency_ms='fast' is no number; left out",
        "deployed.json",
    ]


def test_every_cost_is_an_axis_and_every_figure_a_column(result):
    for place in places():
        for name in ("latency_ms", "latency_ratio", "latency_single_ms", "file_mb", "peak_memory_mb"):
            assert place.key(name) in result.cost_keys
            assert place.key(name) in result.fronts
    assert result.cost_keys[0] == "cost/macs"
    table = markdown(result.arms, chosen(result, ["arm", "onnxruntime/int8/latency", "onnxruntime/int8/accuracy"]))
    assert table.splitlines()[0] == "| arm | ONNX Runtime int8 latency (ms) | ONNX Runtime int8 top-1 accuracy |"
    assert "| grouped | 16 (1.60×) | 0.94" in table
    assert not any(column.name.startswith("onnxruntime") for column in default(result))


def test_a_deployed_figure_is_a_metric_with_its_direction(sweep):
    latency = analyse(load(sweep), "made", Question(metric=f"{INT8}/latency_single_ms"))
    assert latency.metric.better == "lower"
    assert [arm.name for arm in latency.arms][:2] == ["bottleneck", "standard"]
    accuracy = analyse(load(sweep), "made", Question(metric=f"{INT8}/accuracy"))
    assert (accuracy.metric.better, accuracy.metric.unit) == ("higher", "points")
    assert accuracy.comparisons["depthwise_separable"].word == "worse"


def test_over_a_cost_in_int8_stands_the_accuracy_in_int8(result):
    assert result.scored_by(f"{INT8}/latency_ms").key == f"{INT8}/accuracy"
    assert result.scored_by("cost/macs").key == "test/accuracy"
    on = result.fronts[f"{INT8}/latency_single_ms"]
    assert on == {"bottleneck", "standard", "deformable"}
    assert result.fronts["deploy/onnxruntime/float32/latency_single_ms"] == {
        "depthwise_separable",
        "grouped",
        "standard",
        "deformable",
    }


def test_ranks_and_rho_are_those_of_scipy(result):
    macs = scale_of(result, "MACs")
    for batch in batches(result):
        for scale in scales(result, batch):
            values = [scale.of(arm) for arm in result.arms]
            places_ = ranks(result.arms, scale)
            assert [places_[arm.name] for arm in result.arms] == stats.rankdata(values, "min").tolist()
            if scale is not macs:
                expected = stats.spearmanr([OPERATORS[arm.name][1] for arm in result.arms], values).statistic
                assert spearman(result.arms, macs, scale) == pytest.approx(expected)
    assert spearman(result.arms[:2], macs, scale_of(result, "PyTorch")) is None


def test_equal_macs_are_no_order(tmp_path):
    for conv in ("standard", "dilated", "grouped"):
        for seed in range(3):
            folder = make_run(tmp_path, conv, seed, summary={"cost/macs": 1000 + len(conv)})
            write(folder, {f"{INT8}/latency_single_ms": float(len(conv)), f"{INT8}/accuracy": 0.9})
    result = analyse(load(tmp_path / "sweeps" / "made"), "made")
    macs, int8 = scale_of(result, "MACs"), scale_of(result, "ONNX Runtime int8")
    assert spearman(result.arms, macs, int8) is None
    view = deployed_view(result).orders[0]
    assert view.equal == "MACs"
    assert all(cells[0].rank is None for cells in view.rows.values())
    assert [row[0] for row in view.choices] == ["ONNX Runtime int8"]


def test_arms_change_places_only_where_both_orders_are_beyond_noise(result):
    whole, int8 = (scale_of(result, f"ONNX Runtime {precision}") for precision in ("float32", "int8"))
    expected = set()
    for one, other in combinations(ARMS, 2):
        before, after = (ARMS[one][i] / ARMS[other][i] for i in (1, 2))
        if (before - 1) * (after - 1) < 0:
            expected.add(frozenset((one, other)))
    found = flips(result.arms, whole, int8)
    assert {frozenset((flip.first.name, flip.second.name)) for flip in found} == expected
    for flip in found:
        assert (flip.before, flip.after) == pytest.approx(
            tuple(ARMS[flip.first.name][i] / ARMS[flip.second.name][i] for i in (1, 2))
        )
        assert flip.before < 1 < flip.after
    assert {frozenset(("standard", "grouped")), frozenset(("depthwise_separable", "bottleneck"))} <= expected


def test_what_percentiles_overlap_is_no_change_of_places(tmp_path):
    for conv, whole, int8 in (("standard", 1.0, 1.0), ("grouped", 0.88, 1.12)):
        for seed in range(3):
            figures = {}
            for precision, ms in (("float32", whole), ("int8", int8)):
                named = {"ms": ms, "p10_ms": ms * 0.9, "p90_ms": ms * 1.1}
                figures |= {f"deploy/onnxruntime/{precision}/latency_single_{n}": v for n, v in named.items()}
            write(make_run(tmp_path, conv, seed), figures)
    result = analyse(load(tmp_path / "sweeps" / "made"), "made")
    assert flips(result.arms, *(scale_of(result, f"ONNX Runtime {p}") for p in ("float32", "int8"))) == []
    for folder in (tmp_path / "sweeps" / "made").glob("*/deployed.json"):
        written = json.loads(folder.read_text())
        kept = {key: value for key, value in written["figures"].items() if key.endswith("single_ms")}
        folder.write_text(json.dumps(written | {"figures": kept}))
    result = analyse(load(tmp_path / "sweeps" / "made"), "made")  # 10 % without percentiles
    assert len(flips(result.arms, *(scale_of(result, f"ONNX Runtime {p}") for p in ("float32", "int8")))) == 1


def scores_at(result, key):
    return {arm.name: arm.runs.sort_values("seed")[key].to_numpy(dtype=float) for arm in result.arms}


def test_the_cheapest_within_the_margin_is_that_of_brute_force(result):
    for batch in batches(result):
        for choice in choices(result, scales(result, batch)):
            place = choice.scale.place
            key = place.key("accuracy") if place else "test/accuracy"
            assert choice.metric.key == key
            means = {name: values.mean() for name, values in scores_at(result, key).items()}
            near = [arm for arm in result.arms if means[arm.name] >= max(means.values()) - 0.01]
            assert choice.cheapest.arm.name == min(near, key=choice.scale.of).name
            assert choice.best.arm.name == max(means, key=means.get)
            assert choice.cheapest.gap == pytest.approx(means[choice.cheapest.arm.name] - max(means.values()))
    by = {choice.scale.label: choice.cheapest.arm.name for choice in choices(result, scales(result, "single"))}
    assert by["ONNX Runtime float32"] == "grouped"
    assert by["ONNX Runtime int8"] == "standard"


def test_the_gap_to_the_truly_best_arm_is_bounded_by_the_worst_rival_that_may_be_it(result):
    found = {one.arm.name: one for one in candidates(result.arms, Metric("test/accuracy"), result.rule)}
    scores = scores_at(result, "test/accuracy")
    level = looks.level(0.05 / (len(ARMS) - 1), SEEDS, SEEDS)

    def low(one, other):
        gaps = scores[one] - scores[other]
        return gaps.mean() - stats.t.isf(level / 2, SEEDS - 1) * stats.sem(gaps)

    beaten = {name for name in ARMS if any(low(other, name) > 0 for other in ARMS if other != name)}
    assert beaten == {"standard", "grouped", "depthwise_separable", "bottleneck"}
    for name, one in found.items():
        expected = min(0.0, *(low(name, rival) for rival in ARMS if rival != name and rival not in beaten), 0.0)
        assert one.at_least == pytest.approx(expected)
        assert one.shown(0.01) == (expected > -0.01)


class Fake:
    """What `candidates` asks of an arm."""

    def __init__(self, name: str, scores: np.ndarray) -> None:
        self.name = name
        self.runs = pd.DataFrame({"seed": range(len(scores)), "test/accuracy": scores})

    def column(self, key: str) -> pd.Series:
        return self.runs[key]


def test_the_bound_holds_whichever_arm_is_truly_best():
    random, wrong, trials = np.random.default_rng(0), 0, 400
    true = np.array([0.0, -0.002, -0.004, -0.02])
    for _ in range(trials):
        arms = [Fake(f"arm {i}", random.normal(0.9 + gap, 0.003, SEEDS)) for i, gap in enumerate(true)]
        found = candidates(arms, Metric("test/accuracy"), Rule(SEEDS))
        wrong += any(one.at_least > gap + 1e-12 for one, gap in zip(found, true, strict=True))
    assert wrong <= 0.05 * trials


def test_int8_is_held_against_float32_of_the_same_seed(result, sweep):
    found = {(one.arm.name, one.place.runtime): one for one in changes(result)}
    assert len(found) == len(ARMS) * len(RUNTIMES)
    level = looks.level(0.05 / len(found), SEEDS, SEEDS)
    for (name, runtime), one in found.items():
        whole, int8 = (scores_at(result, f"deploy/{runtime}/{p}/accuracy")[name] for p in ("float32", "int8"))
        gaps = int8 - whole
        half = stats.t.isf(level / 2, SEEDS - 1) * stats.sem(gaps)
        assert one.comparison.mean == pytest.approx(gaps.mean())
        if one.comparison.word != "worse":  # of a claim it is cut at 0
            assert (one.comparison.low, one.comparison.high) == pytest.approx((gaps.mean() - half, gaps.mean() + half))
        assert (one.float32, one.int8) == pytest.approx((whole.mean(), int8.mean()))
    assert found["depthwise_separable", "onnxruntime"].comparison.word == "worse"


def test_without_int8_scores_nothing_is_judged_in_int8(tmp_path):
    for conv, ms in (("standard", 1.0), ("grouped", 0.7)):
        for seed in range(3):
            figures = {f"{INT8}/latency_single_ms": ms, "deploy/onnxruntime/float32/latency_single_ms": ms}
            write(make_run(tmp_path, conv, seed), figures)
    result = analyse(load(tmp_path / "sweeps" / "made"), "made")
    assert [one.scale.label for one in choices(result, scales(result, "single"))] == [
        "MACs",
        "ONNX Runtime float32",
    ]
    assert changes(result) == []


def test_a_device_is_judged_by_the_files_scored_on_onnx_runtime(sweep, tmp_path):
    table = device_tables(str(make_table(tmp_path / "rpi5.csv", sweep)))
    result = analyse(on_devices(load(sweep), table), "made")
    found = {one.scale.label: one for one in choices(result, scales(result, "batch"))}
    assert found["rpi5 int8"].metric.key == f"{INT8}/accuracy"
    assert found["rpi5 int8"].cheapest.arm.name == "standard"
    assert "rpi5: a board, 4 threads, onnxruntime 1.20" in deployed_view(result).about


def test_the_words_say_the_choice_the_order_and_what_int8_takes(result):
    said = "\n".join(verdict(result).sentences)
    assert "The cheapest within 1 point of the best (one image; " in said
    assert "ONNX Runtime int8: standard" in said
    assert "Spearman's ρ of the arms' latencies (one image) with MACs: PyTorch" in said
    assert (
        "grouped takes 0.70× the time of standard in ONNX Runtime float32, and 1.60× in ONNX Runtime int8"
        in "\n".join(deployed_view(result).orders[0].disagreements)
    )
    assert "the largest loss is depthwise_separable's, −4." in said


def test_a_margin_that_is_not_asked_for_gives_no_choice(sweep):
    result = analyse(load(sweep), "made", Question(margin=None))
    assert choices(result, scales(result, "single")) == []
    assert deployed_view(result).orders[0].choices == []


def test_deployed_md_has_the_tables_and_a_figure_has_a_panel_a_place(result, tmp_path):
    write_markdown(result, deployed_view(result), tmp_path)
    written = (tmp_path / "deployed.md").read_text()
    order, _, rest = written.partition("## The cheapest within 1 point of the best, one image")
    assert "| grouped | 3. 6.6 M |" in order
    assert "| 4. 0.8 ms (1.60×) |" in order
    assert "| ONNX Runtime int8 | standard | 0.5 ms |" in rest
    assert "| depthwise_separable | OpenVINO int8 |" in rest.partition("## int8 beside float32")[2]
    figure = Figure(layout="constrained")
    small_multiples(result, figure)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["PyTorch", *(place.label for place in places()), ""]
    drawn = [
        tuple(points.get_offsets()[0]) for points in figure.axes[2].collections if isinstance(points, PathCollection)
    ]
    expected = [(OPERATORS[arm.name][1], 0.5 * ARMS[arm.name][2]) for arm in result.arms]
    np.testing.assert_allclose(sorted(drawn), sorted(expected))


def test_of_a_single_arm_no_figure_of_orders_is_drawn(sweep, tmp_path):
    runs = load(sweep)
    alone = analyse(runs[runs["folder"].str.contains("_grouped_")], "made")
    assert len(alone.arms) == 1
    assert not {"deployed_latency", "rankings"} & set(write_figures(alone, tmp_path))


def test_without_deployed_figures_there_is_nothing_of_it(tmp_path):
    result = analyse(load(make_sweep(tmp_path, 3, ("standard", "grouped"))), "made")
    assert deployed_view(result) is None
    assert batches(result) == []
    assert not any("ρ" in sentence for sentence in verdict(result).sentences)
