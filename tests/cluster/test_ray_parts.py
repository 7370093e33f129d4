"""What hydra/launcher=ray does that needs no Ray."""

import multiprocessing
import os
import re
import signal
import socket
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest

from command import TINY, command
from litconv.cluster import on_ray, ray_connection
from litconv.cluster.batch import Batch
from litconv.cluster.options import TaskOptions
from litconv.cluster.ray_asked import Asked
from litconv.cluster.ray_tasks import RayTasks
from litconv.errors import ConfigError
from sweep_process import is_alive, wait_until

POINTS = ("-m", *TINY, "conv=standard,grouped", "groups=2", "hydra/launcher=ray")


@pytest.fixture
def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        yield taken.getsockname()[1]


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_an_address_at_which_nobody_answers_is_one_line_at_once(closed_port, form):
    address = form.format(closed_port)
    with pytest.raises(ConfigError, match=r"nobody answers .*`ray start --head`") as caught:
        ray_connection.check(address, {})
    assert f"hydra.launcher.address={address}" in str(caught.value)


def test_auto_goes_by_ray_address_and_then_by_the_cluster_that_was_started_last(closed_port, tmp_path):
    with pytest.raises(ConfigError, match=f"RAY_ADDRESS=127.0.0.1:{closed_port}: nobody answers"):
        ray_connection.check("auto", {"RAY_ADDRESS": f"127.0.0.1:{closed_port}"})
    here = {"RAY_TMPDIR": str(tmp_path)}
    assert ray_connection.check("auto", here) is False  # Ray itself looks then
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{closed_port}\n")
    with pytest.raises(ConfigError, match="started last on this machine: nobody answers"):
        ray_connection.check("auto", here)


def test_an_address_that_answers_is_left_to_ray():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert ray_connection.check(f"127.0.0.1:{server.getsockname()[1]}", {}) is True


@pytest.mark.parametrize("address", ["gpu17", "http://127.0.0.1:8265", "127.0.0.1:99999", ""])
def test_what_is_no_address_is_said_to_be_none(address):
    with pytest.raises(ConfigError, match=r"neither auto, nor local, nor HOST:PORT, nor ray://HOST:PORT"):
        ray_connection.check(address, {})


def test_what_a_refused_connection_prints_by_way_of_c_is_not_seen_and_what_comes_after_it_is(capfd):
    with ray_connection.stderr_unseen():
        os.write(2, b"Failed to get cluster ID")
    os.write(2, b"one line")
    assert capfd.readouterr().err == "one line"


def node(cpus: float, gpus: float, alive: bool = True) -> dict:
    return {"Alive": alive, "Resources": {"CPU": cpus, **({"GPU": gpus} if gpus else {})}}


@pytest.mark.parametrize(
    ("asked", "nodes", "said"),
    [
        ((8, 0), [node(4, 0), node(16, 0, alive=False)], "hydra.launcher.cpus_per_task=8: .* the most are 4 CPUs;"),
        ((1, 1), [node(4, 0)], "hydra.launcher.gpus_per_task=1: .* the most are 0 GPUs;"),
        ((8, 2), [node(8, 0), node(4, 2)], "cpus_per_task=8 .*gpus_per_task=2: .* 8 CPUs and 2 GPUs, not both on one node"),
    ],
)  # fmt: skip
def test_a_task_that_no_node_can_take_is_refused_with_what_there_is(asked, nodes, said):
    with pytest.raises(ConfigError, match=said):
        Asked("auto", None, *asked).check_fits(nodes)
    Asked("auto", None, *asked).check_fits([*nodes, node(*asked)])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("wait=false",), "wait=false: .*ray job submit"),
        (("hydra.launcher.points_per_task=0",), "points_per_task=0 must be at least 1"),
        (("hydra.launcher.cpus_per_task=0",), "cpus_per_task=0 must be at least 1"),
        (("hydra.launcher.gpus_per_task=-1",), "gpus_per_task=-1 must be at least 0"),
    ],
)
def test_a_wrong_option_is_one_line(tmp_path, capsys, arguments, said):
    assert command(*POINTS, f"output_dir={tmp_path}", *arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert re.search(said, line)


def test_without_ray_the_command_says_what_installs_it(tmp_path, capsys):
    with mock.patch.dict(sys.modules, {"ray": None}):
        assert command(*POINTS, f"output_dir={tmp_path}") == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: hydra/launcher=ray: Ray is not installed: pip install 'litconv[ray]'"
    ]


# A command of two processes, as a task is one: each writes its number, and that it was asked to end.
TREE = """
import os, pathlib, signal, sys, time
here = pathlib.Path(sys.argv[1])
if os.fork() == 0:
    signal.signal(signal.SIGTERM, lambda *_: ((here / "asked").touch(), sys.exit(0)))
    (here / "below").write_text(str(os.getpid()))
    while True: time.sleep(0.05)
signal.signal(signal.SIGTERM, lambda *_: None)
(here / "pid").write_text(str(os.getpid()))
os.wait()
"""


def as_worker(folder: Path) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as Ray's workers have it
    with mock.patch.object(on_ray, "gpus", return_value=""):
        on_ray.run(
            [sys.executable, "-c", TREE, str(folder)], dict(os.environ), str(folder), str(folder), str(folder / "log")
        )


@pytest.fixture
def worker(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=as_worker, args=(tmp_path,))
    process.start()
    assert wait_until(
        lambda: all((tmp_path / name).exists() and (tmp_path / name).read_text() for name in ("pid", "below"))
    )
    below = int((tmp_path / "below").read_text())
    yield process, int((tmp_path / "pid").read_text())
    process.kill()
    if is_alive(below):
        os.kill(below, signal.SIGKILL)


def test_a_worker_that_is_interrupted_asks_all_processes_of_its_command_to_end_and_waits_for_them(worker, tmp_path):
    process, pid = worker
    os.kill(process.pid, signal.SIGINT)
    process.join(30)
    assert process.exitcode is not None
    assert (tmp_path / "asked").exists()
    assert not is_alive(pid)


def test_a_worker_that_ends_takes_its_command_with_it_and_asks_nobody_twice(worker, tmp_path):
    process, pid = worker
    os.kill(process.pid, signal.SIGTERM)
    process.join(30)
    assert wait_until(lambda: not is_alive(pid))
    assert not (tmp_path / "asked").exists()  # by the worker; in a task the kernel tells the launch, once


def test_a_worker_that_is_killed_takes_its_command_with_it(worker):
    process, pid = worker
    process.kill()
    assert wait_until(lambda: not is_alive(pid))


def test_a_node_that_does_not_see_the_folders_says_which_and_starts_nothing(tmp_path):
    probe = tmp_path / "batch.json"
    status, _, unseen = on_ray.run(["false"], {}, str(tmp_path), str(probe), str(tmp_path / "log"))
    assert (status, unseen) == (on_ray.NOT_SHARED, str(probe))
    probe.touch()
    status, _, unseen = on_ray.run(["false"], {}, str(tmp_path / "home"), str(probe), str(tmp_path / "log"))
    assert (status, unseen) == (on_ray.NOT_SHARED, str(tmp_path / "home"))
    assert not (tmp_path / "log").exists()


class FakeRay:
    """Loses every task, after it has done what `before_loss` does."""

    class RayError(Exception):
        pass

    class NodeDiedError(RayError):
        pass

    def __init__(self, before_loss) -> None:
        self.exceptions = SimpleNamespace(RayError=self.RayError)
        self.before_loss, self.started = before_loss, 0

    def remote(self, function):
        return SimpleNamespace(options=lambda **asked: SimpleNamespace(remote=self.start))

    def start(self, *arguments):
        self.started += 1
        return self.started

    def wait(self, references, num_returns, timeout):
        return references, []

    def get(self, reference):
        self.before_loss(reference)
        raise self.NodeDiedError

    def nodes(self):
        return [node(1, 0)]

    def get_runtime_context(self):
        return SimpleNamespace(get_job_id=lambda: "01")


def lossy(sweep: Path, before_loss) -> tuple[RayTasks, Batch]:
    batch = Batch(sweep / ".cluster" / "0000", "ray", ["python", "train.py"], [], [["a"]])
    (sweep / "a").mkdir(parents=True)
    tasks = RayTasks(Asked("auto", None, 1, 0), TaskOptions([], -1, 1, "failed"))
    tasks.ray = FakeRay(before_loss)
    batch.job = tasks.submit(batch)
    return tasks, batch


def test_a_task_that_is_lost_without_progress_is_tried_three_times_more(tmp_path):
    tasks, batch = lossy(tmp_path / "s", lambda start: None)
    while tasks.tasks(batch):
        pass
    assert tasks.ray.started == 4
    assert "its node is gone, 4 times without an epoch in between" in tasks.why_ended(batch, 0)


def test_a_task_that_is_lost_but_gets_on_is_handed_over_again(tmp_path):
    metrics = tmp_path / "s" / "a" / "metrics.csv"
    tasks, batch = lossy(tmp_path / "s", lambda start: metrics.write_text("epoch\n" + "0\n" * (start // 2)))
    for _ in range(20):
        assert tasks.tasks(batch)
    assert tasks.ray.started == 21


def test_that_no_node_is_left_for_a_task_is_said_each_time_it_comes_to_that_and_only_once(tmp_path, capsys):
    tasks, _ = lossy(tmp_path / "s", lambda start: None)
    there, none = [node(1, 0)], [node(1, 0, alive=False)]
    for nodes in (there, none, none, there, none):
        tasks.ray.nodes = lambda nodes=nodes: nodes
        tasks.say_if_none_fits()
    assert capsys.readouterr().out.count("no node is left that is large enough") == 2


def test_tasks_of_an_earlier_command_are_over(tmp_path):
    tasks, batch = lossy(tmp_path / "s", lambda start: None)
    earlier = Batch(tmp_path / "s" / ".cluster" / "0001", "ray", [], [], [["b"]], job="00.0001")
    assert tasks.tasks(earlier) == {}
    assert set(tasks.tasks(batch)) == {0}


@pytest.mark.parametrize(
    ("asked", "n_jobs", "slots", "points"),
    [
        ((None, 4, 0), -1, 1, 4),
        ((None, 4, 2), -1, 3, 6),
        ((None, 4, 0.5), -1, 1, 1),
        ((None, 4, 0), 2, 1, 2),
        ((9, 4, 0), 2, 1, 9),
    ],
)
def test_a_task_has_by_default_as_many_points_as_it_trains_at_a_time(asked, n_jobs, slots, points):
    assert RayTasks(Asked("auto", *asked), TaskOptions([], n_jobs, slots, "failed")).points_per_task == points


def test_a_second_signal_ends_the_command_at_once(tmp_path, capsys):
    tasks, _ = lossy(tmp_path / "s", lambda start: None)

    def twice() -> None:
        with tasks.signals_noted():
            os.kill(os.getpid(), signal.SIGTERM)
            assert "once more kills them" in capsys.readouterr().out
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)

    with pytest.raises(SystemExit) as ended:
        twice()
    assert ended.value.code == 143
