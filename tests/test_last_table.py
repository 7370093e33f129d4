"""What a run prints last: what a person wants to know first, and all figures when asked."""

import json

import pytest

from command import TINY, command
from litconv.run.summary import details, duration, table

SUMMARY = {
    "status": "completed",
    "conv": "grouped",
    "seed": 0,
    "monitor": "val/accuracy",
    "overrides": ["conv=grouped"],
    "cost/params": 41178,
    "cost/macs": 6602752,
    "cost/latency_ratio": 0.827,
    "cost/uncounted_ops": [],
    "train/seconds": 200.4,
    "val/accuracy": 0.941,
    "test/accuracy": 0.93519,
    "test/loss": 0.2,
    "test/split": "test",
}
SCORE = "  accuracy            0.9352 on test"


def test_it_holds_score_cost_and_time_and_says_where_the_rest_is():
    assert table(SUMMARY).splitlines() == [
        SCORE,
        "  params              41,178",
        "  MACs                6,602,752",
        "  latency ÷ standard  0.83",
        "  training time       3 min 20 s",
        "  all figures: summary.json, or details=true",
    ]


def test_a_set_without_a_test_split_and_a_run_without_a_latency_say_so():
    summary = {k: v for k, v in SUMMARY.items() if k != "cost/latency_ratio"}
    summary |= {"monitor": "val/miou", "test/miou": 0.5, "test/split": "val"}
    assert table(summary).splitlines()[0] == "  mIoU           0.5000 on val: the set has no test split"
    assert "latency" not in table(summary)


def test_details_hold_every_figure():
    lines = dict(line.split() for line in details(SUMMARY).splitlines())
    figures = {k for k, v in SUMMARY.items() if isinstance(v, int | float)}
    assert lines.keys() == figures | {"status", "conv", "test/split"}
    assert lines["cost/macs"] == "6,602,752"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.34, "0.3 s"), (27.4, "27 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_a_time_is_said_as_a_person_would(seconds, said):
    assert duration(seconds) == said


def test_a_run_ends_with_its_folder_and_the_table_and_with_details_it_is_the_same_run(tmp_path, capsys):
    assert command(*TINY, "logger=csv", f"output_dir={tmp_path}") == 0
    (folder,) = (tmp_path / "runs").iterdir()
    summary = json.loads((folder / "summary.json").read_text())
    assert capsys.readouterr().out.splitlines() == [str(folder), *table(summary).splitlines()]
    assert command(*TINY, "details=true", "logger=csv", f"output_dir={tmp_path}") == 0
    aside, first, *rest = capsys.readouterr().out.splitlines()
    assert aside.startswith("a completed run was here")
    assert first == str(folder)
    assert {line.split()[0] for line in rest} > {"status", "test/loss", "train/images_per_second"}
