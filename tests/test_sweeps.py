"""Sweeps by the local launcher: what is trained, what is not, and what is said of jobs that end badly.

All sweeps that are started in the tests' own process are here: they share its fork server, whose imports take seconds.
"""

import json
import multiprocessing.forkserver
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import redirect_stdout
from importlib.util import find_spec
from itertools import product
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import SimpleNamespace

import hydra
import pytest
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import HydraContext
from omegaconf import DictConfig

from command import TINY, command
from hydra_plugins.litconv_sweeper.grid import GridSweeper
from litconv import build
from litconv.compare import analyse, load
from litconv.compare.settings import read_config
from litconv.config import composed as config
from litconv.config.environment import cores
from litconv.cost import count
from litconv.run import state
from litconv.run.summary import write_summary
from litconv.sweep.plan import Plan
from litconv.sweep.running import Job, Point
from litconv.sweep.session import Session
from sweep_process import wait_until
from wandb_reader import read_run


def sweep(folder: Path, *arguments: str) -> int:
    return command("-m", *TINY, "logger=csv", f"output_dir={folder}", "sweep=s", *arguments)


def runs(folder: Path) -> dict[int, dict]:
    """Seed → summary."""
    found = [json.loads(path.read_text()) for path in folder.glob("sweeps/s/*/summary.json")]
    return {summary["seed"]: summary for summary in found}


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """A sweep of two seeds that is completed; its console is beside it."""
    folder = tmp_path_factory.mktemp("done")
    with (folder / "printed.log").open("w") as log, redirect_stdout(log):
        assert sweep(folder, "seed=0,1") == 0
    return folder


@pytest.fixture
def swept(done, tmp_path) -> Path:
    """A copy of it."""
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_the_same_command_again_trains_only_what_is_missing(swept, capsys):
    assert "[2/2]  completed" in (swept / "printed.log").read_text()
    assert all(1 <= summary["train/threads"] <= max(1, cores() // 2) for summary in runs(swept).values())
    before = {path: path.stat().st_mtime_ns for path in swept.rglob("*.ckpt")}
    assert sweep(swept, "seed=0,1,2", "n_jobs=1") == 0
    printed = capsys.readouterr().out
    assert printed.count("completed before in this sweep; not trained again") == 2
    assert "[1/1]  completed" in printed
    assert runs(swept).keys() == {0, 1, 2}
    assert before.items() <= {path: path.stat().st_mtime_ns for path in swept.rglob("*.ckpt")}.items()


def test_points_are_composed_once_and_those_that_are_known_to_be_completed_are_not(swept, monkeypatch):
    composed, compose = [], ConfigLoaderImpl.load_sweep_config

    def counted(self: ConfigLoaderImpl, config: DictConfig, overrides: list[str]) -> DictConfig:
        composed.append(overrides)
        return compose(self, config, overrides)

    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", counted)
    assert sweep(swept, "seed=0,1") == 0  # of another output_dir, in which nothing is known
    assert sweep(swept, "seed=0,1,2", "n_jobs=1") == 0
    seeds = [next(override for override in point if "seed=" in override) for point in composed]
    assert seeds == ["seed=0", "seed=1", "seed=0", "seed=2"]  # the third stands for all that are known


def test_jobs_that_end_badly_are_recorded_and_the_others_go_on(tmp_path, capsys):
    bad = ("+callbacks.extra.bad._target_=bad_callbacks.End", "allowed_packages=[bad_callbacks]")
    assert sweep(tmp_path, "seed=0,1,2,3,4", *bad) == 1
    found = runs(tmp_path)
    assert {seed: summary["status"] for seed, summary in found.items()} == {
        0: "completed", 1: "failed", 2: "failed", 3: "failed", 4: "failed",
    }  # fmt: skip
    assert "killed by signal 9 (SIGKILL); out of memory?" in found[2]["error"]
    assert "killed by signal 11 (SIGSEGV)" in found[3]["error"]
    assert found[4]["error"] == "RuntimeError: of a user's callback"
    assert all(found[seed]["conv"] == "standard" for seed in found)  # whoever wrote it
    segfault = next(tmp_path.glob("sweeps/s/*seed3*/console.log")).read_text()
    assert "bad_callbacks.py" in segfault  # faulthandler's stack
    printed = capsys.readouterr()
    assert printed.out.count("failed     shapes_") == 4
    assert printed.err.strip() == "error: 4 runs of this sweep failed"


def test_rerun_says_which_earlier_points_are_trained_again(swept, capsys):
    (failed,) = swept.glob("sweeps/s/*seed1*")
    write_summary(failed / "summary.json", {**runs(swept)[1], "status": "failed", "error": "by hand"})
    assert sweep(swept, "seed=0,1", "rerun=none") == 1
    assert "failed before, and rerun=none; not trained again" in capsys.readouterr().out
    assert runs(swept)[1]["error"] == "by hand"
    assert sweep(swept, "seed=0,1") == 0
    assert "[1/1]  completed" in capsys.readouterr().out
    assert runs(swept)[1]["status"] == "completed"
    assert sweep(swept, "seed=0", "rerun=all") == 0
    assert len(list(swept.glob("sweeps/s/aside/*"))) == 1
    assert len(list(swept.glob("sweeps/s/*/console.log"))) == 2  # of these runs, not of the ones kept aside


def test_a_job_over_its_time_limit_fails_with_that_reason(tmp_path):
    assert sweep(tmp_path, "seed=0", "epochs=5000", "time_limit_minutes=0.02") == 1
    summary = runs(tmp_path)[0]
    assert summary["status"] == "failed"
    assert summary["error"].startswith("time_limit_minutes=0.02 was over")


def test_a_point_that_another_launch_trains_is_waited_for_and_not_trained_twice(swept):
    (folder,) = swept.glob("sweeps/s/*seed1*")
    finished = runs(swept)[1]
    (folder / "summary.json").unlink()
    elsewhere = state.lock(folder)

    def finish() -> None:
        write_summary(folder / "summary.json", {**finished, "by": "another launch"})
        elsewhere.close()

    threading.Timer(2, finish).start()
    assert sweep(swept, "seed=1") == 0
    assert runs(swept)[1]["by"] == "another launch"


@pytest.mark.usefixtures("done")
def test_the_fork_server_has_one_thread_and_its_jobs_have_gone():
    server = multiprocessing.forkserver._forkserver._forkserver_pid
    assert len(os.listdir(f"/proc/{server}/task")) == 1  # noqa: PTH208
    children = Path(f"/proc/{server}/task/{server}/children")
    assert wait_until(lambda: children.read_text() == ""), (
        children.read_text()
    )  # on a busy machine they take a moment to end


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_moment_in_which_a_job_is_forked_is_not_lost(tmp_path, monkeypatch, number):
    start = Session.start

    def start_and_stop(session: Session, *arguments: object) -> None:
        start(session, *arguments)
        session.running[-1].stop(number)

    monkeypatch.setattr(Session, "start", start_and_stop)
    assert sweep(tmp_path, "seed=0,1", "n_jobs=1") == 1
    assert [summary["status"] for summary in runs(tmp_path).values()] == ["interrupted"] * 2


def test_a_job_that_is_killed_by_its_launcher_before_it_was_asked_to_end_is_interrupted(tmp_path):
    """As when two signals come at once."""
    sleeper = subprocess.Popen(["sleep", "60"], start_new_session=True)
    process = SimpleNamespace(pid=sleeper.pid, kill=sleeper.kill)
    job = Job(Point(0, "", None), Plan("a", tmp_path / "s" / "a"), process, (0, 0), time.monotonic())
    job.kill()
    process.exitcode = sleeper.wait(10)
    assert process.exitcode == -signal.SIGKILL
    outcome = job.outcome(float("inf"))
    assert (outcome.status, outcome.error) == ("interrupted", "")


def test_a_ctrl_c_in_the_moment_in_which_the_only_job_is_forked_ends_it_too(tmp_path, monkeypatch):
    start, started = ForkServerProcess.start, []

    def start_amid_a_signal(process: ForkServerProcess) -> None:
        start(process)
        started.append(process)
        if len(started) == 2:  # the first checks the points
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(ForkServerProcess, "start", start_amid_a_signal)
    assert sweep(tmp_path, "seed=0,1", "n_jobs=1") == 130
    assert [summary["status"] for summary in runs(tmp_path).values()] == ["interrupted"]


def test_every_seed_of_an_arm_has_the_cost_of_its_model(tmp_path):
    assert sweep(tmp_path, "seed=0,1", "conv=standard,grouped", "n_jobs=1") == 0
    found = [json.loads(path.read_text()) for path in tmp_path.glob("sweeps/s/*/summary.json")]
    for conv in ("standard", "grouped"):
        first, second = (
            {key: value for key, value in summary.items() if key.startswith("cost/")}
            for summary in found
            if summary["conv"] == conv
        )
        assert first == second
        model = build.model(config.compose([f"conv={conv}", "width=0.5"]), 3, 10)
        assert first["cost/macs"] == count(model, 3, (32, 32)).macs
        assert first["cost/second_opinion"] == "agrees: fvcore, FlopCounterMode, closed forms"


def test_a_multirun_gives_each_point_its_own_folder_wandb_run_and_summary(tmp_path):
    assert command("-m", *TINY, f"output_dir={tmp_path}", "conv=standard,grouped") == 0
    found = [json.loads(path.read_text()) for path in tmp_path.rglob("summary.json")]
    assert sorted(s["conv"] for s in found) == ["grouped", "standard"]
    kept = [read_run(path.parent) for path in tmp_path.rglob("summary.json")]
    assert len({k["run"]["run_id"] for k in kept}) == 2
    assert {k["run"]["run_group"] for k in kept} == {found[0]["sweep"]}


def test_equal_points_of_a_grid_are_trained_once_and_the_output_says_so(tmp_path, capsys):
    assert sweep(tmp_path, "conv=standard,grouped", "groups=2,4") == 0
    found = [json.loads(path.read_text()) for path in tmp_path.glob("sweeps/s/*/summary.json")]
    points = {(s["conv"], s.get("groups")) for s in found}
    assert points == {("standard", None), ("grouped", 2), ("grouped", 4)}
    assert capsys.readouterr().out.count("not trained again") == 1


def test_a_sweep_in_which_no_point_uses_a_short_name_is_refused_and_the_fault_is_said_once(capsys, tmp_path):
    assert command("-m", "conv=standard", "groups=8", "seed=0,1,2", f"output_dir={tmp_path}", "logger=csv") == 1
    printed = capsys.readouterr()
    fault, last = printed.err.strip().splitlines()
    assert fault.startswith("error: seed=0: groups=8 has no effect: conv=standard has no groups")
    assert fault.endswith(" (and the same at 2 other points)")
    assert last == "error: 3 runs of this sweep failed"
    rows = printed.out.strip().splitlines()[-3:]
    assert [row.split()[:2] for row in rows] == [["refused", f"seed={seed}"] for seed in range(3)]
    assert [row.endswith("  the same") for row in rows] == [False, True, True]


@pytest.mark.parametrize("key", ["n_jobs=2", "slots_per_gpu=2", "time_limit_minutes=5", "rerun=all"])
def test_keys_of_a_launch_are_refused_without_one(key, capsys, tmp_path):
    assert command(key, f"output_dir={tmp_path}") == 1
    assert f"{key} has no effect: it is for the jobs of a sweep; remove it, or add -m" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["n_jobs=0", "slots_per_gpu=0", "time_limit_minutes=0", "rerun=some", "sweep=../s"])
def test_values_that_no_launch_can_have_are_refused(key, capsys, tmp_path):
    assert sweep(tmp_path, "seed=0", key) == 1
    assert f"{key} must be" in capsys.readouterr().err
    assert not list(tmp_path.rglob("summary.json"))


TUNED = ("conv=standard,grouped", "optim.lr=0.05,0.2", "best_of=optim.lr", "tuning_seeds=1")


def test_a_tuned_sweep_tries_every_value_with_seeds_that_choose_and_tests_the_best_with_others(tmp_path, capsys):
    assert sweep(tmp_path, *TUNED, "seed=0") == 0
    printed = capsys.readouterr().out
    assert "best_of=optim.lr: 2 arms × 2 values × 1 seed (1000), then 2 runs of what is chosen on validation" in printed
    assert printed.index("[4/4]") < printed.index("conv=grouped: optim.lr=") < printed.index("[2/2]")
    folder = tmp_path / "sweeps" / "s"
    table = load(folder)
    table["rate"] = [read_config(run)["optim"]["lr"] for run in table["folder"]]
    choosing = table[table["seed"] >= 1000]
    assert len(choosing) == 4
    means = choosing.groupby(["conv", "rate"])["val/accuracy"].mean().unstack()
    tested = table[table["seed"] < 1000]
    assert sorted(tested["conv"]) == ["grouped", "standard"]
    chosen = dict(zip(tested["conv"], tested["rate"], strict=True))
    assert {conv: means.loc[conv, rate] for conv, rate in chosen.items()} == means.max(axis=1).to_dict()
    record = json.loads((folder / "tuning.json").read_text())
    said = {arm["overrides"][-1]: float(arm["chosen"]["optim.lr"]) for arm in record["arms"]}
    assert said == {f"conv={conv}": rate for conv, rate in chosen.items()}

    # Killed amid both stages, and asked for another seed: what is there is not trained again, and the choice is the same.
    lost = [choosing["folder"].iloc[0], tested["folder"].iloc[0]]
    for run in lost:
        shutil.rmtree(run)
    assert sweep(tmp_path, *TUNED, "seed=0,1") == 0
    printed = capsys.readouterr().out
    assert printed.count("completed before in this sweep; not trained again") == 3 + 1
    assert "[1/1]  completed" in printed
    assert "[3/3]  completed" in printed
    assert {read_config(run)["optim"]["lr"] for run in lost} == {choosing["rate"].iloc[0], tested["rate"].iloc[0]}
    result = analyse(load(folder), "s")
    assert {arm.name: float(result.tuning.texts(arm)[0]) for arm in result.arms} == chosen
    assert {tuple(arm.scores) for arm in result.arms} == {(0, 1)}


def test_trials_that_fail_are_said_and_an_arm_of_which_all_fail_is_not_tested(tmp_path, capsys):
    assert sweep(tmp_path, "conv=grouped", "groups=2,3", "best_of=groups", "tuning_seeds=1", "seed=0") == 0
    printed = capsys.readouterr()
    assert "groups=3 must divide in_channels=8" in printed.err
    assert "groups=2 chosen" in printed.out
    assert "(3: 1 of 1 failed)" in printed.out
    assert sorted(runs(tmp_path)) == [0, 1000]
    assert sweep(tmp_path, "conv=grouped", "groups=3,5", "best_of=groups", "tuning_seeds=1", "seed=0") == 1
    assert sorted(runs(tmp_path)) == [0, 1000]


BADLY_TUNED = {
    "best_of=optim.lrr optim.lr=0.1,0.2": "best_of=optim.lrr: unknown key (did you mean 'optim.lr'?); accepted here: ",
    "best_of=optim.lr conv=standard,grouped": "best_of=optim.lr: it does not vary, every run has optim.lr=0.2, and one trial ",
    "best_of=optim.lr optim.lr=0.1": "best_of=optim.lr: it does not vary, every run has optim.lr=0.1, and one trial ",
    "best_of=seed seed=0,1": "best_of=seed: the best of several seeds is luck, which no test repeats; ",
    "best_of=[] optim.lr=0.1,0.2": "best_of=[] must name keys, such as optim.lr or [optim.lr,optim.weight_decay]",
    "best_of=optim.lr,optim.momentum optim.lr=0.1,0.2": "best_of=optim.lr,optim.momentum would be a sweep of best_of itself",
    "best_of=optim.lr optim.lr=0.1,0.2 seed=0,1001": "seed=1001 is one of those that choose (1000–1002), and a seed that ",
    "best_of=optim.lr optim.lr=0.1,0.2 tuning_seeds=0": "tuning_seeds=0 must be a whole number of at least 1",
    "best_of=groups conv=standard,grouped groups=2,4": "best_of=groups: conv=standard has 1 of the 2 trials that others have",
}


@pytest.mark.parametrize("arguments", BADLY_TUNED)
def test_a_tuning_that_chooses_nothing_is_refused_before_anything_is_trained(arguments, capsys, tmp_path):
    assert sweep(tmp_path, *arguments.split()) == 1
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith(f"error: {BADLY_TUNED[arguments]}")
    assert not runs(tmp_path)


def test_seeds_that_choose_without_a_choice_are_refused(capsys, tmp_path):
    assert sweep(tmp_path, "optim.lr=0.1,0.2", "tuning_seeds=2") == 1
    assert (
        "tuning_seeds=2 has no effect: nothing is tuned; name what is, such as best_of=optim.lr"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "grid",
    [
        ["conv=standard,grouped", "optim.lr=range(1,3)", "seed=0"],
        ["experiment=operators", "seed=4"],
        ["experiment=operators", "conv=glob(s*)", "+data.crop_size=24,32", "groups=2", "groups=4"],
    ],
)
def test_the_grid_of_a_sweep_is_that_of_hydras_own_sweeper(grid, tmp_path):
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    composed = config.compose(grid[:1] if "experiment" in grid[0] else [])
    params = [f"{key}={values}" for key, values in (composed.hydra.sweeper.params or {}).items()]
    ours, theirs = GridSweeper(None, 3), BasicSweeper(None)
    with hydra.initialize_config_dir(str(config.CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        ours.hydra_context = HydraContext(loader, Callbacks())
        (expected,) = theirs.split_arguments(
            OverridesParser.create(loader).parse_overrides([*params, *grid[bool(params) :]]), None
        )
        axes = ours.axes([*params, *grid[bool(params) :]])
    assert [list(point) for point in product(*axes.values())] == expected
    assert len(expected) > 1


def test_the_launcher_itself_imports_no_torch():
    code = "import litconv.sweep.session, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.mark.skipif(find_spec("hydra_plugins.hydra_optuna_sweeper") is None, reason="pip install 'litconv[search]'")
def test_a_search_goes_on_where_it_stopped_and_leaves_its_pareto_front(tmp_path, capfd):
    space = ("conv=choice(standard,grouped)", "groups=choice(3,5)")

    def search() -> str:
        assert sweep(tmp_path, "hydra/sweeper=optuna", "hydra.sweeper.n_trials=4", *space) == 0
        printed = capfd.readouterr()
        assert "must divide in_channels=8" in printed.err  # trials of conv=grouped
        return printed.out

    assert "completed  shapes_" in search()
    again = search()
    assert "not trained again" in again
    assert "[1/" not in again  # the same trials were proposed, and all that can run had been
    folder = tmp_path / "sweeps" / "s"
    summaries = [json.loads(path.read_text()) for path in folder.glob("*/summary.json")]
    front = json.loads((folder / "pareto.json").read_text())["runs"]
    cheapest = min(summaries, key=lambda run: (run["cost/macs"], -run["val/accuracy"]))
    assert front[0]["name"] == cheapest["name"]
    assert max(run["val/accuracy"] for run in summaries) == front[-1]["val/accuracy"]
