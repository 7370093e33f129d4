"""`scripts/sweep.py` on made folders: every state a point can be in, for sweeps of any launcher."""

import json
import re
import subprocess
import sys
import time

import pytest

from command import ROOT, command
from litconv.cluster.status.screen import Screen
from litconv.cluster.status.survey import survey
from litconv.cluster.status.text import text
from litconv.sweep import launches
from made_sweeps import MadeSweep, begin, program


@pytest.fixture
def made(tmp_path, monkeypatch) -> MadeSweep:
    """On a machine without Slurm's commands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    return MadeSweep(tmp_path / "outputs")


@pytest.fixture
def slurm(made, tmp_path, monkeypatch):
    """`slurm(*lines)`: what squeue says from now on."""
    folder = tmp_path / "bin"
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def says(*lines: str) -> None:
        program(folder, "squeue", "\n".join(f"echo '{line}'" for line in lines))
        program(folder, "scancel", "")
        program(folder, "scontrol", "exit 1")

    says.folder = folder
    return says


def shown(capsys, *arguments: str) -> tuple[int, list[str], str]:
    """(exit status, lines, errors)"""
    status = command("sweep=made", *arguments, module="sweep")
    out, error = capsys.readouterr()
    return status, out.splitlines(), error


def row(lines: list[str], name: str) -> str:
    """What is said of a point, with single spaces."""
    (line,) = [line for line in lines if name in line.split()]
    return " ".join(line.split())


def test_counts_come_first_and_each_point_is_what_it_is(made, capsys):
    made.run("a", "completed", **{"val/accuracy": 0.5})
    running = made.run("b", seconds=[1000.0] * 3)
    made.run("c", "interrupted", seconds=[1.0] * 2)
    made.run("d", "failed", error="DataError: no such file")
    made.point("e", told="groups=3", error="groups=3 must divide in_channels=8")
    made.point("f")
    with made.held(running, since=time.time() - 3600):
        status, lines, _ = shown(capsys)
    assert lines[0] == "6 points: 1 done, 1 running, 1 interrupted, 1 failed, 1 refused, 1 not started"
    assert row(lines, "a") == "done a val/accuracy 0.5000"
    assert row(lines, "b") == "running b epoch 3/7, 67 min left, n1"  # 4 epochs of 1000 s
    assert row(lines, "c") == "interrupted c epoch 2/7"
    assert row(lines, "d") == "failed d DataError: no such file"
    assert row(lines, "groups=3") == "refused groups=3 groups=3 must divide in_channels=8"
    assert row(lines, "f") == "not started f"
    assert status == 3


def test_the_time_left_goes_by_the_epochs_since_this_start(made, capsys):
    running = made.run("a", seconds=[5000.0, 5000.0, 1000.0])
    with made.held(running, since=time.time() - 1500):  # the first two were an earlier start's
        _, lines, _ = shown(capsys)
    assert row(lines, "a") == "running a epoch 3/7, 67 min left, n1"
    with made.held(running, since=time.time() - 10):
        _, lines, _ = shown(capsys)
    assert row(lines, "a") == "running a epoch 3/7, n1"


def test_a_lock_that_nobody_holds_any_more_is_no_running_point(made, capsys):
    run = made.run("a", seconds=[1.0])
    with made.held(run) as holder:
        holder.kill()
        holder.wait()
        status, lines, _ = shown(capsys)
    assert (status, row(lines, "a")) == (1, "interrupted a epoch 1/7")


@pytest.mark.parametrize(
    ("statuses", "expected"), [(["completed"], 0), (["completed", "failed"], 1), (["completed", "interrupted"], 1)]
)
def test_the_exit_status_says_whether_all_is_done(made, capsys, statuses, expected):
    for number, status in enumerate(statuses):
        made.run(f"run{number}", status)
    assert shown(capsys)[0] == expected


def test_a_point_waits_for_its_turn_while_its_launch_lives_and_is_not_started_when_that_was_killed(made, capsys):
    failed_before = made.run("a", "failed", error="OSError: full")
    made.point("b")
    made.point("of_another_launch")
    with made.launch("a", "b") as launch:
        status, lines, _ = shown(capsys)
        here = launches.launches(made.folder)[0].host
        assert row(lines, "a") == f"queued a in the launch on {here} (process {launch.pid}) (1 of 2)"
        assert row(lines, "b") == f"queued b in the launch on {here} (process {launch.pid}) (2 of 2)"
        assert row(lines, "of_another_launch") == "not started of_another_launch"
        assert status == 3
        (failed_before / "summary.json").write_text('{"status": "failed", "error": "OSError: full again"}')
        assert row(shown(capsys)[1], "a") == "failed a OSError: full again"  # in this launch: that is its end
        launch.kill()
        launch.wait()
        status, lines, _ = shown(capsys)
    assert status == 1
    assert any(
        re.fullmatch(rf"the launch on {here} \(process {launch.pid}\), begun at .*, was killed", x) for x in lines
    )
    assert row(lines, "b") == "not started b"


def test_a_launch_that_ends_leaves_nothing_and_the_next_one_removes_what_a_killed_one_left(made):
    with made.launch("a") as launch:
        launch.kill()
        launch.wait()
    assert [one.lives for one in launches.launches(made.folder)] == [False]
    own = launches.OwnLaunch(made.folder, "local", "failed")
    launches.add_points(made.folder, ["b"])
    assert [(one.lives, one.names) for one in launches.launches(made.folder)] == [(True, ("b",))]
    own.end()
    assert not (made.folder / launches.FOLDER).exists()


@pytest.mark.parametrize("end", ["pass", "raise SystemExit(3)", "raise RuntimeError"])
def test_a_launch_that_ends_by_itself_leaves_nothing_however_badly(made, end):
    begins = "import sys; from pathlib import Path; from litconv.sweep.launches import FOLDER, OwnLaunch"
    code = f"{begins}\nsweep = Path(sys.argv[1])\nown = OwnLaunch(sweep, 'local', 'all')"
    there = "assert list((sweep / FOLDER).iterdir())"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{there}\n{end}", made.folder], capture_output=True, text=True
    )
    assert "AssertionError" not in done.stderr
    assert not (made.folder / launches.FOLDER).exists()


def test_tasks_of_slurm_wait_run_and_end(made, slurm, capsys):
    for name in "abcdefg":
        made.point(name)
    folder = made.batch("7", ["a", "b"], ["c"], ["d"], ["e"], ["f"], begun=[0, 3])
    begin(made.folder / "e", [1.0])
    begin(made.folder / "a", [1.0])
    (folder / "task_3.log").write_text("slurmstepd: error: *** JOB 10 ON n2 CANCELLED ***\n")
    slurm("7_0|RUNNING|n1|10:00|None", "7_2|PENDING||1:00|Priority", "7_1|PENDING||1:00|Resources")
    with made.held(made.folder / "a", task="7_0", since=time.time() - 5):
        status, lines, _ = shown(capsys)
    assert lines[0] == "7 points: 1 running, 3 queued, 1 interrupted, 2 not started"
    assert re.fullmatch(r"running a epoch 1/7, \d+ s left, n1, task 7_0", row(lines, "a"))
    assert row(lines, "b") == "queued b in task 7_0, which runs on n1 (1 of 1)"
    assert row(lines, "c") == "queued c task 7_1: Resources, 1 of 2 tasks"
    assert row(lines, "d") == "queued d task 7_2: Priority, 2 of 2 tasks"
    assert row(lines, "e") == "interrupted e epoch 1/7; its task is over"
    assert row(lines, "f").startswith("not started f its task ended before it began; does that node see")
    assert row(lines, "g") == "not started g"
    assert status == 3
    assert "    slurmstepd: error: *** JOB 10 ON n2 CANCELLED ***" in lines


def test_a_launch_in_a_task_that_was_killed_is_told_before_slurm_knows(made, slurm, capsys):
    made.point("a")
    made.batch("7", ["a"])
    slurm("7_0|RUNNING|n2|10:00|None")
    with made.launch("a", task="7_0") as launch:
        assert row(shown(capsys)[1], "a") == "queued a in task 7_0, which runs on n2 (1 of 1)"
        launch.kill()
        launch.wait()
        status, lines, _ = shown(capsys)
    assert row(lines, "a") == "queued a in task 7_0, which was killed on n2; Slurm has not noticed yet (1 of 1)"
    assert status == 3
    slurm("7_0|PENDING||10:00|BeginTime")  # it has requeued it
    assert row(shown(capsys)[1], "a") == "queued a task 7_0: BeginTime, 1 of 1 tasks"


def test_a_point_whose_task_is_over_is_not_said_to_wait_in_the_launch_that_handed_it_over(made, slurm, capsys):
    made.point("a")
    made.point("b")
    slurm("7_1|PENDING||1:00|Priority")
    with made.launch("a", "b", launcher="slurm"):
        assert row(shown(capsys)[1], "a").startswith("queued a in the launch on")  # which has not submitted it yet
        made.batch("7", ["a"], ["b"], begun=[0])
        status, lines, _ = shown(capsys)
    assert row(lines, "a") == "not started a its task is over"
    assert row(lines, "b") == "queued b task 7_1: Priority, 1 of 1 tasks"
    assert status == 3


def test_what_slurm_cannot_be_asked_for_is_said_and_the_rest_is_shown(made, capsys):
    made.run("a", "completed")
    made.point("b")
    made.batch("7", ["a", "b"])
    status, lines, _ = shown(capsys)
    assert lines[1].startswith("Slurm does not answer (squeue is not on the PATH)")
    assert row(lines, "b") == "not started b handed over as task 7_0"
    assert status == 3  # it may well be under way


def test_a_batch_of_which_all_is_done_asks_slurm_nothing(made, capsys):
    made.run("a", "completed")
    made.batch("7", ["a"])
    assert shown(capsys)[:2] == (0, ["1 point: 1 done", "done         a"])


@pytest.mark.parametrize("torn", ["", '{"launcher": "slurm", ', "{}", "[]"])
def test_a_torn_record_of_what_was_submitted_is_one_line_that_names_it(made, capsys, torn):
    made.point("a")
    folder = made.batch("7", ["a"])
    (folder / "batch.json").write_text(torn)
    status, _, error = shown(capsys)
    assert status == 1
    (line,) = error.splitlines()
    assert line.startswith("error: ")
    relative = folder.relative_to(made.folder.parents[2])
    assert f"{relative}/batch.json is torn" in line
    assert line.endswith(f"remove {relative}")


def test_cancelling_cancels_the_jobs_and_says_what_that_does(made, slurm, capsys):
    made.point("a")
    made.batch("7", ["a"])
    slurm("7_0|PENDING||1:00|Priority")
    status, lines, _ = shown(capsys, "cancel=true")
    assert (slurm.folder / "scancel.log").read_text() == "7\n"
    assert lines[0] == "job 7 is cancelled"
    assert lines[1].startswith("what waits (1) does not begin. `python scripts/sweep.py sweep=made` shows")
    assert status == 0
    slurm()
    status, lines, _ = shown(capsys)
    assert (status, row(lines, "a")) == (1, "not started a its task was cancelled")
    status, _, error = shown(capsys, "cancel=true")
    assert (status, error) == (1, "error: cancel=true: nothing of sweep=made runs or waits\n")


def test_cancelling_ends_a_launch_of_this_machine_and_names_what_runs_elsewhere(made, capsys):
    made.point("a")
    alone = made.run("b")
    with made.launch("a") as launch, made.held(alone, host="far_away"):
        status, lines, _ = shown(capsys, "cancel=true")
        assert launch.wait(10) == -15  # SIGTERM
    assert re.fullmatch(r"the launch on \S+ \(process \d+\) has been sent SIGTERM", lines[0])
    assert lines[1] == "the run b goes on; end it on far_away: kill 4321"
    assert status == 1


def test_cancelling_ends_a_run_of_this_machine_that_has_outlived_its_launch(made, capsys):
    run = made.run("a")
    with made.held(run, host="") as process:
        status, lines, _ = shown(capsys, "cancel=true")
        assert process.wait(10) == -15
    assert (status, lines[0]) == (0, "the run a has been sent SIGTERM")
    assert lines[1].startswith("what runs (1) ends as interrupted, with the checkpoint of its last epoch")


def test_the_command_is_the_launchs_own_without_what_would_train_too_much(made, capsys):
    made.run("a", "completed", "conv=standard", "seed=0", "cost.latency.enabled=False")
    made.run("b", "failed", "conv=grouped", "seed=1", "cost.latency.enabled=False")
    given = ("conv=standard,grouped", "seeds=2", "seed=range(2)", "cost.latency.enabled=false", "rerun=all")
    made.launched("sweep=made", *given, hydra=["hydra/launcher=slurm"])
    _, lines, _ = shown(capsys)
    assert lines[-2:] == [
        "what is missing is trained by",
        "  python train.py -m hydra/launcher=slurm sweep=made conv=standard,grouped seeds=2 cost.latency.enabled=false",
    ]


def test_what_the_last_launch_does_not_have_is_trained_by_a_command_of_its_own(made, capsys):
    made.run("a", "failed", "conv=standard", "seed=0", "n_jobs=4", "sweep=made")
    made.run("b", "failed", "conv=standard", "seed=1", "n_jobs=4", "sweep=made")
    made.launched("conv=grouped", "seed=0,1", "n_jobs=2", "sweep=made")
    assert shown(capsys)[1][-1] == "  python train.py -m n_jobs=2 conv=standard seed=0,1 sweep=made"


def test_nothing_is_to_be_given_again_where_all_is_done_refused_or_under_way(made, capsys):
    made.run("a", "completed", "seed=0")
    made.point("b", "seed=1", error="no")
    made.point("c", "seed=2")
    made.launched("seed=0,1,2")
    with made.launch("c"):
        assert "train.py" not in "".join(shown(capsys)[1])


def test_a_point_that_was_refused_and_now_is_not_counts_once(made, capsys):
    made.point("a", "data.root=x", "sweep=made", error="data.root=x is not there")
    made.run("b", "completed", "data.root=x", "sweep=made", "n_jobs=2")
    assert shown(capsys)[:2] == (0, ["1 point: 1 done", "done         b"])


def test_a_tuned_sweep_says_its_stages_and_a_failed_trial_is_no_fault_of_it(made, capsys):
    (made.folder / "tuning.json").write_text(json.dumps({"best_of": ["optim.lr"], "seeds": [1000], "arms": []}))
    made.run("a", "completed", "optim.lr=0.1", "seed=1000")
    made.run("b", "failed", "optim.lr=9", "seed=1000", error="TrainingError: nan")
    status, lines, _ = shown(capsys)
    assert lines[1] == (
        "stage 1 of 2 chooses optim.lr: 1 of 2 trials done; stage 2, which tests what is chosen, has not begun"
    )
    assert status == 1
    made.run("c", "completed", "optim.lr=0.1", "seed=0")
    status, lines, _ = shown(capsys)
    assert lines[1].endswith("1 of 2 trials done; stage 2 tests what was chosen: 1 of 1 done")
    assert " ".join(lines[-2].split()) == "done a (chooses)" or row(lines, "c") == "done c (tests)"
    assert status == 0


def test_a_sweep_from_before_there_was_a_record_shows_its_run_folders(made, capsys):
    made.run("a", "completed")
    made.run("b", seconds=[1.0])
    (made.folder / "points.jsonl").unlink()
    (made.folder / "aside").mkdir()
    status, lines, _ = shown(capsys)
    assert lines[0] == "2 points: 1 done, 1 interrupted"
    assert lines[1].startswith("no points.jsonl: a sweep from before there was one")
    assert row(lines, "b") == "interrupted b epoch 1/7"
    assert status == 1


def test_a_launch_that_was_killed_before_it_had_its_points_is_told(made, capsys):
    made.launched("seed=0,1", "sweep=made")
    with made.launch() as launch:
        assert "has not come to its points" in shown(capsys)[1][1]
        launch.kill()
        launch.wait()
        status, lines, _ = shown(capsys)
    assert status == 1
    assert lines[1].endswith("was killed")
    assert lines[-1] == "  python train.py -m seed=0,1 sweep=made"


def test_the_last_line_of_the_log_of_what_failed_is_shown(made, capsys):
    run = made.run("a", "failed")
    (run / "console.log").write_text("epoch 1/7\nSegmentation fault\n\n")
    _, lines, _ = shown(capsys)
    at = lines.index("last lines of their logs:")
    assert lines[at + 1 : at + 3] == ["  outputs/sweeps/made/a/console.log", "    Segmentation fault"]


@pytest.mark.parametrize(("width", "height", "points"), [(80, 24, 200), (140, 50, 200), (80, 24, 3), (40, 12, 5)])
def test_on_a_terminal_nothing_is_wider_or_longer_than_it(made, width, height, points):
    for number in range(points):
        status = "failed" if number % 3 == 0 else "completed"
        overrides = (f"conv=depthwise_separable backbone=resnet optim.lr=0.{number}", f"seed={number}")
        made.run(
            f"shapes_resnet8_depthwise_separable_seed{number}", status, *overrides, error=f"{number} is wrong " * 9
        )
    made.launched("seed=" + ",".join(map(str, range(3))), "conv=depthwise_separable", "backbone=resnet", "width=0.25")
    lines = text(survey(made.folder), Screen(width, height)).splitlines()
    command_at = lines.index("what is missing is trained by")
    assert max(map(len, lines[:command_at])) <= width
    assert len(lines) <= max(height, 12 + len(lines) - command_at + 8)
    assert lines[0].startswith(f"{points} point")
    whole = text(survey(made.folder), Screen()).splitlines()
    assert sum(line.startswith(("failed", "done")) for line in whole) == points


def test_a_long_command_is_broken_as_a_shell_takes_it(made):
    made.run("a", "failed", "conv=standard")
    made.launched("conv=standard", *(f"callbacks.some_long_name_{n}='a b'" for n in range(5)), "sweep=made")
    lines = text(survey(made.folder), Screen(60, 24)).splitlines()
    broken = lines[lines.index("what is missing is trained by") + 1 :]
    assert max(map(len, broken)) <= 60
    joined = subprocess.run(
        ["/bin/bash", "-c", "\n".join(broken).replace("python train.py", "printf '%s\\n'")],
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert joined == ["-m", "conv=standard", *(f"callbacks.some_long_name_{n}='a b'" for n in range(5)), "sweep=made"]


def test_other_programs_get_all_of_it_as_json(made, capsys):
    made.run("a", "completed", "seed=0")
    made.run("b", "failed", "seed=1", error="OSError: full")
    status, lines, _ = shown(capsys, "json=true")
    found = json.loads("\n".join(lines))
    assert (status, found["exit_status"]) == (1, 1)
    assert found["counts"] == {
        "running": 0,
        "queued": 0,
        "interrupted": 0,
        "failed": 1,
        "refused": 0,
        "not started": 0,
        "done": 1,
    }
    assert [(p["name"], p["status"], p["overrides"], p["error"]) for p in found["points"]] == [
        ("a", "done", ["seed=0"], ""),
        ("b", "failed", ["seed=1"], "OSError: full"),
    ]


def test_without_a_name_the_sweeps_are_listed_with_their_counts(made, capsys):
    made.run("a", "completed")
    other = MadeSweep(made.root, "another")
    other.point("b")
    assert command(module="sweep") == 0
    assert capsys.readouterr().out == "another  1 point: 1 not started\nmade     1 point: 1 done\n"


def test_watching_ends_when_all_has_ended(made, capsys, monkeypatch):
    run = made.run("a")
    with made.held(run) as holder:

        def end(_: float) -> None:
            holder.kill()
            holder.wait()
            (run / "summary.json").write_text('{"status": "completed"}')

        monkeypatch.setattr("litconv.cluster.status.watching.time.sleep", end)
        assert shown(capsys, "watch=true")[:2] == (0, ["1 point: 1 running", "1 point: 1 done", "done         a"])


def test_ctrl_c_leaves_a_watched_sweep_with_the_status_it_had(made, capsys, monkeypatch):
    run = made.run("a")

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("litconv.cluster.status.watching.time.sleep", interrupt)
    with made.held(run):
        assert shown(capsys, "watch=true") == (3, ["1 point: 1 running"], "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sweep=mad"], "sweep=mad: no such sweep in outputs/sweeps (did you mean 'made'?); there: made"),
        (["cancel=true"], "cancel=true needs sweep=NAME; without it the sweeps of outputs/sweeps are listed"),
        (["sweep=made", "wach=true"], "wach: unknown key (did you mean 'watch'?)"),
        (["sweep="], "sweep= must be letters, digits"),
        (["sweep=../runs"], "sweep=../runs must be letters, digits"),
        (["sweep=made", "watch=often"], "watch=often must be true or false"),
        (["sweep=made", "watch=true", "json=true"], "json=true shows a sweep once"),
        (["sweep=made", "cancel=true"], "cancel=true: nothing of sweep=made runs or waits"),
    ],
)
def test_what_is_wrong_is_one_line(made, capsys, arguments, said):
    made.point("a")
    assert command(*arguments, module="sweep") == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {said}")
    assert error.count("\n") == 1


LOADED = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit:
    print(sorted({"torch", "pandas", "numpy", "pytorch_lightning"} & set(sys.modules)))
"""


def test_nothing_heavy_is_imported(made):
    made.run("a", "failed")
    made.launched("seed=0")
    script = [sys.executable, "-c", LOADED, str(ROOT / "scripts" / "sweep.py"), "sweep=made"]
    done = subprocess.run(script, capture_output=True, text=True, check=True, cwd=made.root.parent)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout
