"""python scripts/compare.py and dashboard.py: what they write, what they log, what they refuse."""

import csv
import json
import xml.etree.ElementTree as ET

import pytest
import wandb_workspaces.workspaces
from PIL import Image

from command import TINY, command
from litconv.compare import analyse, load
from litconv.compare.dashboard import panels_in, spec, workspace
from made_runs import make_run, make_sweep
from wandb_reader import read_run


def compare(tmp_path, *arguments):
    return command(f"output_dir={tmp_path}", *arguments, module="compare")


def test_a_comparison_leaves_tables_figures_and_a_page(tmp_path, capsys):
    make_sweep(tmp_path, 3, ("standard", "grouped", "depthwise_separable"))
    assert compare(tmp_path, "sweep=made") == 0
    out = tmp_path / "compare" / "made"
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("standard wins: every other arm loses to it, by 2.")
    assert printed[-1] == str(out / "index.html")
    figures = ["pareto_macs", "pareto_params", "pareto_activations", "pareto_latency_ms", "learning_curves", "rankings"]
    assert {p.name for p in out.iterdir()} == {
        *("index.html", "runs.csv", "table.csv", "table.md", "table.tex"),
        *(f"{name}.{kind}" for name in figures for kind in ("png", "svg", "pdf")),
    }
    for name in figures:
        assert min(Image.open(out / f"{name}.png").size) > 300
        assert ET.parse(out / f"{name}.svg").getroot().tag.endswith("svg")
        pdf = (out / f"{name}.pdf").read_bytes()
        assert b"/FontFile2" in pdf  # embedded as TrueType
        assert b"/Type3" not in pdf
    with (out / "runs.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 9
    with (out / "table.csv").open() as file:
        rows = {row["arm"]: row for row in csv.DictReader(file)}
    assert rows["grouped"]["verdict"] == "worse"
    assert float(rows["grouped"]["cost/macs_to_reference"]) == pytest.approx(6_603_392 / 12_501_632)
    header, rule, *lines = (out / "table.md").read_text().splitlines()
    assert {line.count("|") for line in (header, rule, *lines)} == {header.count("|")}
    assert r"depthwise\_separable &" in (out / "table.tex").read_text()


def test_labels_of_a_figure_are_its_arms(tmp_path):
    make_sweep(tmp_path, 2)
    assert compare(tmp_path, "sweep=made") == 0
    drawn = ET.parse(tmp_path / "compare" / "made" / "pareto_macs.svg").getroot()
    texts = {"".join(element.itertext()).strip() for element in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {arm.name for arm in analyse(load(tmp_path / "sweeps"), "made").arms} <= texts


def test_one_run_is_a_page_too(tmp_path, capsys):
    make_run(tmp_path)
    assert compare(tmp_path, "sweep=made") == 0
    assert capsys.readouterr().out.startswith("Only one arm, nothing to compare: standard reaches 0.9000 (1 seed)")
    assert (tmp_path / "compare" / "made" / "index.html").exists()


def test_five_hundred_runs_are_a_page(tmp_path):
    for groups in range(50):
        for seed in range(10):
            make_run(tmp_path, "grouped", seed, 0.5 + 0.008 * groups + 0.001 * seed, config={"conv.groups": groups})
    assert compare(tmp_path, "sweep=made") == 0
    page = (tmp_path / "compare" / "made" / "index.html").read_text()
    assert page.count("<tr data-arm=") == 50


@pytest.mark.slow
def test_sample_predictions_come_from_the_best_checkpoints(tmp_path):
    sweep = (f"output_dir={tmp_path}", "sweep=seg", "logger=csv", "task=segmentation", *TINY)
    assert command("-m", "conv=standard,grouped", *sweep) == 0
    assert compare(tmp_path, "sweep=seg", "samples=2") == 0
    page = (tmp_path / "compare" / "seg" / "index.html").read_text()
    assert page.count('<img src="data:image/png;base64,') == 2 * 3  # the masks of truth and two arms, over the image


REFUSED = {
    "": "give sweep=NAME, or folders=[…] with folders of runs or sweeps",
    "sweep=made folders=[x]": "give sweep=NAME, or folders=[…] with folders of runs or sweeps, not both",
    "sweep=maid": "sweep=maid: no such sweep in ROOT/sweeps (did you mean 'made'?); there: empty, failed, made",
    "sweep=../made": "sweep=../made must be letters, digits",
    "sweep=empty": "empty: no runs there; a run is a folder with config.yaml and summary.json",
    "sweep=failed": "failed: none of 1 runs is completed (1 failed); the first, ",
    "folders=[ROOT/nowhere]": "ROOT/nowhere: there is no such folder",
    "folders=[]": "folders=[] names no folder",
    "folders=ROOT/a.txt": "ROOT/a.txt is a file; give the folder of a run or of a sweep",
    "sweep=made out=ROOT/a.txt": "out=ROOT/a.txt is a file; give a folder",
    "sweep=made metric=test/acc": "metric=test/acc is no number of any summary.json here (did you mean 'test/accuracy'?); there: "
    "val/accuracy, test/accuracy, cost/…, train/…\n",
    "sweep=made reference=groupd": "reference=groupd is no arm of this comparison (did you mean 'grouped'?); choose from",
    "sweep=made samples=-1": "samples=-1 must be a whole number, at least 0",
    "sweep=made mix=perhaps": "mix=perhaps must be true or false",
    "sweep=made wandb=yes": "wandb=yes must be auto, true or false",
    "sweep=made referense=a": "referense: unknown key (did you mean 'reference'?); accepted here: ",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_what_cannot_be_compared_is_refused_in_one_line(arguments, tmp_path, capsys):
    make_sweep(tmp_path, 1, ("standard", "grouped"))
    make_run(tmp_path, sweep="failed", summary={"status": "failed", "error": "ValueError: no"})
    (tmp_path / "sweeps" / "empty").mkdir()
    (tmp_path / "a.txt").touch()
    assert compare(tmp_path, *arguments.replace("ROOT", str(tmp_path)).split()) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {REFUSED[arguments].replace('ROOT', str(tmp_path))}")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert not (tmp_path / "compare").exists()


def test_runs_that_were_logged_to_wandb_are_compared_there_too(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    for seed in range(2):
        make_run(tmp_path, "standard", seed, 0.9)
        folder = make_run(tmp_path, "grouped", seed, 0.8 + 0.01 * seed)
    (folder / "wandb").mkdir()
    assert compare(tmp_path, "sweep=made") == 0
    assert "wandb sync " in capsys.readouterr().err
    run = read_run(tmp_path / "compare" / "made")
    assert run["exit_code"] == 0
    assert (run["run"]["run_group"], run["run"]["job_type"]) == ("made", "compare")
    summary = run["summary"]
    assert summary["grouped/mean"] == pytest.approx(0.805)
    assert summary["grouped/gap"] == pytest.approx(-0.095)
    assert summary["grouped/cost/macs"] == 6_603_392
    assert summary["verdict"].startswith("Cannot tell with 2 seeds")
    logged = {key for row in run["history"] for key in row}
    assert any(key.startswith("comparison/arms") for key in logged)
    assert any(key.startswith("comparison/pareto_macs") for key in logged)
    assert list((tmp_path / "compare" / "made").rglob("*arms*.table.json"))


def test_without_a_key_the_dashboard_is_a_spec_and_what_it_would_do(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    make_sweep(tmp_path, 1, ("standard", "grouped"))
    assert command(f"output_dir={tmp_path}", "sweep=made", "project=mine", module="dashboard") == 0
    said, path = capsys.readouterr().out.splitlines()
    assert said.startswith("no wandb key (`wandb login`), so nothing was sent; with one this saves the workspace")
    written = json.loads((tmp_path / "compare" / "made" / "dashboard.json").read_text())
    assert path == str(tmp_path / "compare" / "made" / "dashboard.json")
    assert f"of {panels_in(written)} panels in project mine, for the runs of made" in said


def test_the_workspace_shows_the_score_against_each_cost_on_a_log_axis(tmp_path):
    make_sweep(tmp_path, 1, ("standard", "grouped"))
    result = analyse(load(tmp_path), "made")
    made = workspace(spec(result, "me", "mine"))
    assert isinstance(made, wandb_workspaces.workspaces.Workspace)
    panels = {panel.title: panel for section in made.sections for panel in section.panels if hasattr(panel, "title")}
    for heading, key in {"MACs": "cost/macs", "params": "cost/params", "latency (ms)": "cost/latency_ms"}.items():
        scatter = panels[f"test top-1 accuracy against {heading}"]
        assert (scatter.x.name, scatter.y.name, scatter.log_x) == (key, "test/accuracy", True)
    columns = [column.metric.name for column in panels["arms, costs and score"].columns]
    assert columns[0] == "arm"
    assert columns[-1] == "test/accuracy"
    assert panels["test top-1 accuracy by arm"].groupby.name == "arm"


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("margin=-1", "margin=-1 must be greater than 0, in points or the metric's own unit"),
        ("margin=abc", "margin=abc must be greater than 0"),
        ("test=foo", "test=foo must be student or exact"),
        ("test=studen", "did you mean 'student'?"),
        ("seeds=0", "seeds=0 must be a whole number, at least 1"),
    ],
)
def test_a_rule_that_is_none_is_refused(tmp_path, capsys, argument, said):
    make_sweep(tmp_path, 3, ("standard", "grouped"))
    assert compare(tmp_path, "sweep=made", argument) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line
