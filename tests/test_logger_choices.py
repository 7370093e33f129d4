"""How loggers are chosen: one, several, one's own, those of runs of before; and what is refused."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from command import ROOT, TINY, command
from litconv.config.grid import points as points_of
from logger_readers import column, events
from wandb_reader import read_run


@pytest.fixture
def runs_of_before(tmp_path) -> Path:
    """Runs whose config.yaml has one logger, not several by name."""
    folder = tmp_path / "runs"
    shutil.copytree(ROOT / "tests" / "saved_runs", folder)
    return folder


def test_a_run_of_before_is_evaluated_and_resumed_under_its_name(runs_of_before, capsys):
    run = runs_of_before / "shapes_resnet8_grouped_groups2_seed7_febc0b91bf60"
    summary = json.loads((run / "summary.json").read_text())
    trained = len(column(run, "val/accuracy"))
    assert command(f"run={run}", "split=val", "accelerator=cpu", module="evaluate") == 0
    assert summary["status"] == "interrupted"
    overrides = [o for o in summary["overrides"] if not o.startswith(("logger=", "output_dir="))]
    assert command(*overrides, "logger=[csv,tensorboard]", f"output_dir={runs_of_before.parent}") == 0
    assert json.loads((run / "summary.json").read_text())["status"] == "completed"
    curve = column(run, "val/accuracy")
    assert len(curve) > trained
    assert [event.value for event in events(run).Scalars("val/accuracy")] == pytest.approx(curve)


@pytest.mark.parametrize("form", ["before", "today"])
def test_a_comparison_is_a_wandb_run_in_the_project_of_its_runs(runs_of_before, form, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    options = {"project": "mine", "mode": "auto"}
    before = {"_target_": "litconv.loggers.make_wandb", "_partial_": True, **options}
    today = {"wandb": {"_target_": "litconv.loggers.wandb.Wandb", **options}}
    chosen = sorted(runs_of_before.glob("*_seed0_*"))[1:]  # without the segmentation
    for run in chosen:
        config = yaml.safe_load((run / "config.yaml").read_text())
        (run / "config.yaml").write_text(yaml.safe_dump(config | {"logger": before if form == "before" else today}))
    out = runs_of_before.parent / "out"
    assert command(f"folders=[{chosen[0]},{chosen[1]}]", "wandb=true", f"out={out}", module="compare") == 0
    kept = read_run(out)
    assert (kept["run"]["project"], kept["run"]["job_type"], kept["exit_code"]) == ("mine", "compare", 0)
    assert any(row.get("comparison/arms.nrows") == 2 for row in kept["history"])
    figures = {path.stem for path in out.glob("*.png")}
    assert figures == {
        key.split("/")[1].removesuffix("._type") for row in kept["history"] for key in row if row[key] == "image-file"
    }


@pytest.mark.parametrize(
    ("points", "loggers"),
    [("logger=csv", {("csv",)}), ("logger=[csv,tensorboard]", {("csv", "tensorboard")}),
     ("logger=csv,tensorboard", {("csv",), ("tensorboard",)})],
)  # fmt: skip
def test_a_list_of_loggers_is_one_value_of_a_sweep(points, loggers):
    assert {tuple(config.logger) for _, config in points_of([points], "train")} == loggers


def test_a_sweep_with_several_loggers_gives_each_run_its_own(tmp_path):
    arguments = ("logger=[csv,tensorboard]", f"output_dir={tmp_path}", "sweep=s", "seed=0,1", "n_jobs=2")
    assert command("-m", *TINY, *arguments) == 0
    runs = sorted(path for path in (tmp_path / "sweeps" / "s").iterdir() if path.is_dir())
    assert len(runs) == 2
    for run in runs:
        assert [event.value for event in events(run).Scalars("val/accuracy")] == pytest.approx(
            column(run, "val/accuracy")
        )


TODAY = "since a run may have several loggers"
REFUSED = {
    "logger.mode=offline": f"logger.mode=offline: write logger.wandb.mode=offline, {TODAY}",
    "logger=csv logger.project=x": f"logger.project=x: write logger.wandb.project=x, {TODAY}",
    "+logger.timeout_seconds=3": f"logger.timeout_seconds=3: write logger.wandb.timeout_seconds=3, {TODAY}",
    "++logger.mode=offline": f"logger.mode=offline: write logger.wandb.mode=offline, {TODAY}",
    "logger={_target_:a.B}": (
        "logger={_target_:a.B}: a group needs one of its options: csv, mlflow, tensorboard, wandb; for one of your own "
        "write +logger.NAME._target_=package.module.Class"
    ),
    "logger=nonsense": "logger=nonsense: no such logger; choose from csv, mlflow, tensorboard, wandb",
    "logger=[csv,tensorbord]": (
        "logger=tensorbord: no such logger (did you mean 'tensorboard'?); choose from csv, mlflow, tensorboard, wandb"
    ),
    "logger=": "logger=: no such logger; choose from csv, mlflow, tensorboard, wandb",
    "logger=csv logger.wandb.mode=offline": (
        "logger.wandb.mode=offline: this run has no logger wandb; add logger=wandb, or remove logger.wandb.mode"
    ),
    "logger.wandb.mod=x": "logger.wandb.mod: unknown key (did you mean 'logger.wandb.mode'?); accepted here: ",
    "+logger.wandb.name=x": "+logger.wandb.name has no effect: litconv itself sets name of Wandb; remove it",
    "+logger.wandb.timeout_seconds=long": "logger.wandb.timeout_seconds=long must be a number",
    "+logger.mine=5": "logger.mine=5 is no logger; write +logger.NAME._target_=package.module.Class",
    "+logger.mine._target_=torch.nn.ReLU": (
        "logger.mine._target_=torch.nn.ReLU is no logger; name a class with the methods metrics, table, image and finish"
    ),
    "+logger.mine={_target_:litconv.loggers.csv.Csv,x:1}": "+logger.mine.x: Csv takes no 'x'; it takes folder, name, ",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_a_wrong_logger_gets_one_line(arguments, tmp_path, capsys):
    assert command(*arguments.split(), f"output_dir={tmp_path}") == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {REFUSED[arguments]}")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("logger", ["tensorboard", "mlflow"])
def test_a_library_that_is_not_installed_is_one_line_before_any_data(logger, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, logger, None)
    assert (
        command(f"logger=[csv,{logger}]", "data=image_folder", "data.root=/no/such/place", f"output_dir={tmp_path}")
        == 1
    )
    assert capsys.readouterr().err == (
        f"error: logger={logger} needs the library {logger}, which is not installed: pip install 'litconv[{logger}]'\n"
    )


def test_help_shows_the_options_of_every_chosen_logger(capsys):
    assert command("--help", "logger=[csv,wandb]") == 0
    printed = capsys.readouterr().out
    assert "  logger      *csv, mlflow, tensorboard, *wandb" in printed
    assert "logger=wandb: write logger.wandb.key=value" in printed
