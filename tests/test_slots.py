"""Where jobs run, and what their end is called."""

import re
import signal
from pathlib import Path

import pytest

from litconv.errors import ConfigError
from litconv.sweep.board import Board, Running, duration, table
from litconv.sweep.outcome import NOT_STARTED, Outcome, judge
from litconv.sweep.pareto import front
from litconv.sweep.slots import Slots, visible_gpus, wanted_gpus


def on_gpus(count: int, per_gpu: int = 1, n_jobs: int = -1) -> Slots:
    return Slots(n_jobs, per_gpu, [str(gpu) for gpu in range(count)], cores=8, points=100)


def test_jobs_take_the_gpu_that_is_free_rather_than_the_one_of_their_number():
    slots = on_gpus(3)
    assert [slots.take(job, "auto", 1).gpus for job in range(3)] == [["0"], ["1"], ["2"]]
    assert slots.take(3, "auto", 1) is None
    slots.give_back(1)
    assert slots.take(3, "auto", 1).gpus == ["1"]


def test_slots_of_a_gpu_are_shared_evenly():
    slots = on_gpus(2, per_gpu=2)
    assert [slots.take(job, "gpu", 1).gpus for job in range(4)] == [["0"], ["1"], ["0"], ["1"]]
    assert slots.take(4, "gpu", 1) is None


@pytest.mark.parametrize(
    ("devices", "expected"),
    [(2, ["1", "2"]), ("2", ["1", "2"]), ([2, 1], ["2", "1"]), ("2,1", ["2", "1"]), ("1, 2,", ["1", "2"])],
)
def test_a_job_on_several_gpus_has_them_to_itself(devices, expected):
    slots = on_gpus(3, per_gpu=2)
    slots.take(0, "auto", 1)
    slots.take(1, "auto", devices)
    assert slots.taken[1] == expected
    assert slots.take(2, "auto", "auto") is None  # all of them
    slots.give_back(0)
    slots.give_back(1)
    assert slots.take(2, "auto", "auto").gpus == ["0", "1", "2"]


def test_a_job_by_device_index_sees_all_devices_so_that_its_indices_hold():
    for devices in ([1], "1,"):
        slots = on_gpus(2)
        assert slots.take(0, "gpu", devices).environment().keys() <= {"OMP_NUM_THREADS"}
        assert slots.taken[0] == ["1"]


@pytest.mark.parametrize("devices", [1, "1", 2, "2", -1, "-1", "auto", [0], [1, 0], "0,", "1,0", "0, 1,"])
def test_devices_are_read_as_lightning_reads_them(devices, monkeypatch):
    from lightning_fabric.accelerators import cuda
    from pytorch_lightning.accelerators import CUDAAccelerator

    monkeypatch.setattr(cuda, "num_cuda_devices", lambda: 2)
    theirs = CUDAAccelerator.parse_devices(-1 if devices == "auto" else devices)
    ours = wanted_gpus(devices, 2)
    assert (list(range(ours)) if isinstance(ours, int) else ours) == theirs


@pytest.mark.parametrize("devices", ["abc", "0;1", [0, 5], "0,5", 3, "3", 0, [], [-1], "0,x"])
def test_devices_that_are_not_there_are_refused_in_one_line(devices):
    with pytest.raises(ConfigError, match=re.escape(f"trainer.devices={devices} is ")):
        wanted_gpus(devices, 2)


def test_a_point_that_asks_for_a_gpu_that_is_not_there_is_refused_and_the_others_are_not(tmp_path, monkeypatch):
    from litconv.config.composed import compose
    from litconv.prepare import checks
    from litconv.sweep.plan import plan

    monkeypatch.setattr(checks, "parts", lambda asked: None)  # Lightning, which would look for GPUs
    errors = [
        plan(compose([f"output_dir={tmp_path}", f"trainer.devices={devices}"]), set(), ["0", "1"]).error
        for devices in ("[0,5]", "[0,1]", "'0,5'", "'0,'", "3", "1")
    ]
    assert [error.partition(";")[0] for error in errors] == [
        *("trainer.devices=[0, 5] is not there", "", "trainer.devices=0,5 is not there", ""),
        *("trainer.devices=3 is not there", ""),
    ]


def test_jobs_on_the_cpu_leave_the_gpus_alone_and_share_the_cores():
    slots = on_gpus(1)
    assert [slots.take(job, "cpu", 1).gpus for job in range(8)] == [None] * 8
    assert slots.take(8, "cpu", 1) is None
    assert slots.take(9, "auto", 1).gpus == ["0"]


@pytest.mark.parametrize(
    ("n_jobs", "cores", "points", "threads", "at_once"),
    [(-1, 4, 100, 1, 4), (-1, 64, 100, 8, 8), (-1, 4, 2, 2, 4), (2, 8, 100, 4, 2), (16, 8, 100, 1, 16)],
)
def test_the_cores_are_shared_among_the_jobs_that_run_at_once(n_jobs, cores, points, threads, at_once, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    slots = Slots(n_jobs, 1, [], cores, points)
    places = [slots.take(job, "auto", 1) for job in range(at_once)]
    assert {place.environment()["OMP_NUM_THREADS"] for place in places} == {str(threads)}
    assert slots.take(at_once, "auto", 1) is None


def test_threads_that_the_user_has_set_stand(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert Slots(1, 1, [], 8, 8).take(0, "cpu", 1).environment() == {}


@pytest.mark.parametrize(
    ("visible", "expected"), [("", []), ("3,1", ["3", "1"]), ("-1", []), ("GPU-a, GPU-b", ["GPU-a", "GPU-b"])]
)
def test_visible_gpus_are_those_that_the_environment_names(visible, expected, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert visible_gpus() == expected


@pytest.mark.parametrize(
    ("code", "asked", "status", "says"),
    [
        (130, False, "interrupted", ""),
        (-signal.SIGTERM, False, "interrupted", ""),
        (-signal.SIGKILL, True, "interrupted", ""),
        (-signal.SIGKILL, False, "failed", "out of memory?"),
        (-signal.SIGSEGV, False, "failed", "SIGSEGV"),
        (0, False, "failed", "without a summary"),
        (7, False, "failed", "exit status 7"),
    ],
)
def test_the_end_of_a_job_without_a_summary_is_judged_by_its_exit_status(code, asked, status, says):
    assert judge(code, asked)[0] == status
    assert says in judge(code, asked)[1]


def test_the_table_has_every_job_and_its_error():
    rows = table(
        [
            Outcome(1, "b", "failed", {}, 3.0, True, "loss is nan"),
            Outcome(0, "a", "completed", {"val/accuracy": 0.5, "cost/macs": 12345}, 61.0, True),
        ]
    ).splitlines()
    assert rows[0].split() == ["status", "name", "val/accuracy", "MACs", "seconds", "error"]
    assert rows[1].split() == ["completed", "a", "0.5000", "12,345", "61.0"]
    assert rows[2].split() == ["failed", "b", "3.0", "loss", "is", "nan"]


@pytest.mark.parametrize(("seconds", "said"), [(12.3, "12 s"), (600, "10 min"), (9000, "2 h 30 min")])
def test_durations_are_said_as_people_do(seconds, said):
    assert duration(seconds) == said


def test_the_front_holds_exactly_the_runs_that_no_other_beats():
    figures = [(0.5, 10), (0.6, 20), (0.6, 30), (0.4, 5), (0.4, 40), (0.9, 50), (0.55, 20)]
    summaries = [
        {"status": "completed", "task": "classification", "name": str(i), "val/accuracy": score, "cost/macs": macs}
        for i, (score, macs) in enumerate(figures)
    ]
    beaten = {
        i
        for i, (score, macs) in enumerate(figures)
        if any(s >= score and m <= macs and (s, m) != (score, macs) for s, m in figures)
    }
    failed = {"status": "failed", "task": "classification", "name": "failed"}
    assert {int(run["name"]) for run in front([failed, *summaries])} == set(range(len(figures))) - beaten


def test_of_very_many_points_those_left_out_are_counted_and_the_table_begins_with_what_is_new(capsys):
    board = Board(Path("outputs/sweeps/s"))
    board.say_left_out({"completed before": [f"run{i}" for i in range(3000)], "equal to another": ["a", "b"]})
    assert capsys.readouterr().out.splitlines() == [
        "3,000 points: completed before; not trained again",
        "a: equal to another; not trained again",
        "b: equal to another; not trained again",
    ]
    ends = {2998: "failed", 2999: "completed"}  # of this launch
    outcomes = [Outcome(i, f"run{i}", ends.get(i, "completed"), trained=i in ends) for i in range(3000)]
    board.show(outcomes)
    _, *rows, last = capsys.readouterr().out.splitlines()
    assert [row.split()[1] for row in rows] == [*(f"run{i}" for i in range(198)), "run2998", "run2999"]
    assert last == "and 2,800 more: python scripts/sweep.py sweep=s"


def test_a_terminal_is_drawn_over_at_most_once_a_second_and_lines_that_stay_are_not(capsys, tmp_path):
    board = Board(Path("outputs/sweeps/s"))
    board.live = True
    (tmp_path / "metrics.csv").write_text("epoch\n0\n1\n")
    job = Running("a-run", tmp_path, epochs=4, started=0.0)
    for _ in range(5):
        board.draw([job], 3, [Outcome(1, "b", "completed", trained=True), Outcome(2, "c", NOT_STARTED)])
    drawn = capsys.readouterr().out
    assert drawn.count("sweep s: 1 running, 3 waiting, 1 completed; about ") == 1
    assert drawn.count("a-run  epoch 2/4") == 1
    board.say("this stays")
    assert capsys.readouterr().out == "\x1b[2A\x1b[Jthis stays\n"  # two lines up, and the rest cleared
