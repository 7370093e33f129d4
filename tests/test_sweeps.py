"""Sweeps by the local launcher: what is trained, what is not, and what is said of jobs that end badly."""

import json
import multiprocessing.forkserver
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from command import TINY, command
from litconv import state
from litconv.summary import write_summary


def sweep(folder: Path, *arguments: str) -> int:
    return command("-m", *TINY, "logger=csv", f"output_dir={folder}", "sweep=s", *arguments)


def runs(folder: Path) -> dict[int, dict]:
    """Seed → summary."""
    found = [json.loads(path.read_text()) for path in folder.glob("sweeps/s/*/summary.json")]
    return {summary["seed"]: summary for summary in found}


def test_the_same_command_again_trains_only_what_is_missing(tmp_path, capsys):
    assert sweep(tmp_path, "seed=0,1") == 0
    assert "[2/2]  completed" in capsys.readouterr().out
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.ckpt")}
    assert sweep(tmp_path, "seed=0,1,2", "n_jobs=1") == 0
    printed = capsys.readouterr().out
    assert printed.count("completed before in this sweep; not trained again") == 2
    assert "[1/1]  completed" in printed
    assert runs(tmp_path).keys() == {0, 1, 2}
    assert before.items() <= {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.ckpt")}.items()


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


def test_rerun_says_which_earlier_points_are_trained_again(tmp_path, capsys):
    assert sweep(tmp_path, "seed=0,1") == 0
    (failed,) = tmp_path.glob("sweeps/s/*seed1*")
    write_summary(failed / "summary.json", {**runs(tmp_path)[1], "status": "failed", "error": "by hand"})
    capsys.readouterr()
    assert sweep(tmp_path, "seed=0,1", "rerun=none") == 1
    assert "failed before, and rerun=none; not trained again" in capsys.readouterr().out
    assert runs(tmp_path)[1]["error"] == "by hand"
    assert sweep(tmp_path, "seed=0,1") == 0
    assert "[1/1]  completed" in capsys.readouterr().out
    assert runs(tmp_path)[1]["status"] == "completed"
    assert sweep(tmp_path, "seed=0,1", "rerun=all") == 0
    assert len(list(tmp_path.glob("sweeps/s/aside/*"))) == 2
    assert len(list(tmp_path.glob("sweeps/s/*/console.log"))) == 2  # of these runs, not of the ones kept aside


def test_a_job_over_its_time_limit_fails_with_that_reason(tmp_path):
    assert sweep(tmp_path, "seed=0", "epochs=5000", "time_limit_minutes=0.02") == 1
    summary = runs(tmp_path)[0]
    assert summary["status"] == "failed"
    assert summary["error"].startswith("time_limit_minutes=0.02 was over")


def test_a_point_that_another_launch_trains_is_waited_for_and_not_trained_twice(tmp_path, capsys):
    assert sweep(tmp_path, "seed=1") == 0  # for its name
    (folder,) = tmp_path.glob("sweeps/s/*seed1*")
    finished = runs(tmp_path)[1]
    (folder / "summary.json").unlink()
    elsewhere = state.lock(folder)

    def finish() -> None:
        write_summary(folder / "summary.json", {**finished, "by": "another launch"})
        elsewhere.close()

    threading.Timer(3, finish).start()
    capsys.readouterr()
    assert sweep(tmp_path, "seed=1") == 0
    assert runs(tmp_path)[1]["by"] == "another launch"


def test_the_fork_server_has_one_thread_and_its_jobs_have_gone(tmp_path):
    assert sweep(tmp_path, "seed=0") == 0
    server = multiprocessing.forkserver._forkserver._forkserver_pid
    assert len(os.listdir(f"/proc/{server}/task")) == 1  # noqa: PTH208
    assert Path(f"/proc/{server}/task/{server}/children").read_text() == ""


@pytest.mark.parametrize("key", ["n_jobs=2", "slots_per_gpu=2", "time_limit_minutes=5", "rerun=all"])
def test_keys_of_a_launch_are_refused_without_one(key, capsys, tmp_path):
    assert command(key, f"output_dir={tmp_path}") == 1
    assert f"{key} has no effect: it is for the jobs of a sweep; remove it, or add -m" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["n_jobs=0", "slots_per_gpu=0", "time_limit_minutes=0", "rerun=some"])
def test_values_that_no_launch_can_have_are_refused(key, capsys, tmp_path):
    assert sweep(tmp_path, "seed=0,1", key) == 1
    assert f"{key} must be" in capsys.readouterr().err
    assert not list(tmp_path.rglob("summary.json"))


def test_the_launcher_itself_imports_no_torch():
    code = "import litconv.sweep.session, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
