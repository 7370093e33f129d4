"""hydra/sweeper=optuna: two objectives, resumed without a database, failing trials tolerated."""

import json

import pytest

from command import TINY, command

pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="pip install 'litconv[search]'")
SEARCH = (
    "hydra/sweeper=optuna",
    "hydra.sweeper.n_trials=4",
    "conv=choice(standard,grouped)",
    "groups=choice(3,5)",
)


def test_a_search_goes_on_where_it_stopped_and_leaves_its_pareto_front(tmp_path, capfd):
    def search() -> str:
        assert command("-m", *TINY, *SEARCH, "logger=csv", "sweep=s", f"output_dir={tmp_path}") == 0
        printed = capfd.readouterr()
        assert "must divide in_channels=8" in printed.err  # trials of conv=grouped
        return printed.out

    assert "completed  shapes_" in search()
    again = search()
    assert "not trained again" in again
    assert "[1/" not in again  # the same trials were proposed, and all that can run had been
    sweep = tmp_path / "sweeps" / "s"
    summaries = [json.loads(path.read_text()) for path in sweep.glob("*/summary.json")]
    front = json.loads((sweep / "pareto.json").read_text())["runs"]
    cheapest = min(summaries, key=lambda run: (run["cost/macs"], -run["val/accuracy"]))
    assert front[0]["name"] == cheapest["name"]
    assert max(run["val/accuracy"] for run in summaries) == front[-1]["val/accuracy"]
