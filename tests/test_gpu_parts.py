"""What benchmarks/gpu.py does on a GPU alone, where there is none: its parts are given stand-ins for what they would ask."""

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import warnings
from collections import defaultdict
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from command import ROOT


@pytest.fixture
def part(benchmark, tmp_path):
    """part(): setting and report of a part on a GPU."""
    module = benchmark("gpu_parts.part")

    def made(device: str = "cuda"):
        setting = module.Setting(tmp_path, tmp_path, device, None, time.monotonic() + 60)
        return setting, module.Report(tmp_path / "one.json", "one")

    return made


def checks(report) -> dict[str, str]:
    return {check["name"]: check["status"] for check in report.checks}


def latency(ratio: float):
    return SimpleNamespace(ratio=ratio, median_ms=2.0)


def test_the_table_by_which_auto_chooses_has_the_smaller_ratio_and_nothing_of_what_could_not_be_computed(
    benchmark, part, monkeypatch
):
    speed = benchmark("gpu_parts.triton_speed")

    def measure(precision, channels, size, images, device):
        if (precision, channels) == ("bf16", 256):
            raise ValueError("out of\nresources")
        return speed.Cell(latency(0.5), latency(1 / 2.5), latency(1 / 4))

    monkeypatch.setattr(speed, "measure", measure)
    monkeypatch.setattr(speed, "known_ceilings", lambda setting: defaultdict(lambda: 1e12))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "This")
    setting, report = part()
    speed.speed(setting, report, torch.device("cuda"))
    found = json.loads((setting.results / "measured.json").read_text())["This"]
    assert found.keys() == {"TF32", "bf16", "float32"}
    assert set(found["TF32"].values()) == {2.5}
    assert found["bf16"]["256, 64² × 16"] == 0.0  # `auto` asks for more than 1
    assert found["bf16"]["16, 28² × 128"] == 2.5
    assert checks(report)["TF32: 2 times as fast as torchvision's"] == "passed"
    assert checks(report)["bf16, 256, 64² × 16"] == "failed"
    assert report.checks[0]["found"] == "ValueError: out of resources"


class Gpu:
    """torch.cuda's clock and what keeps it busy."""

    def __init__(self, monkeypatch) -> None:
        self.done: list[str] = []
        said = self.done.append
        record = SimpleNamespace(record=lambda: said("event"), synchronize=lambda: None, elapsed_time=lambda end: 7.0)
        monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
        monkeypatch.setattr(torch.cuda, "Event", lambda enable_timing: record)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: said("waited"))
        monkeypatch.setattr(torch.cuda, "_sleep", lambda cycles: said("busy"))


def test_kernels_alone_are_timed_while_the_gpu_is_busy(benchmark, monkeypatch):
    gpu = Gpu(monkeypatch)
    clock = benchmark("gpu_parts.triton_speed").busy_clock(torch.device("cuda"))
    assert clock(lambda: gpu.done.append("call")) == 7.0
    assert gpu.done == ["waited", "busy", "event", "call", "event"]


def test_a_problem_is_measured_by_both_kernels_forward_backward_and_alone(benchmark, monkeypatch):
    Gpu(monkeypatch)
    calls, speed = benchmark("gpu_parts.triton_calls"), benchmark("gpu_parts.triton_speed")
    asked = []

    def by_torchvision(x, weight, offset, mask, stride, padding, dilation, groups, name):
        asked.append(name)
        return calls.torchvision.ops.deform_conv2d(x, offset, weight, None, stride, padding, dilation, mask)

    monkeypatch.setattr(calls, "deform_conv2d", by_torchvision)
    monkeypatch.setattr(speed, "time_beside", lambda a, b, *rest: [a(), b()])
    cell = speed.measure("float32", 4, 5, 2, torch.device("cpu"))
    assert set(asked) == {"triton", "torchvision"}
    for found, count in zip(cell, (1, 4, 4), strict=True):  # y; then y and the gradients of x, weight and offset
        ours, theirs = ([one] if count == 1 else one for one in found)
        assert [len(ours), len(theirs)] == [count] * 2
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_ceilings_are_measured_where_the_part_that_measures_them_did_not_run(benchmark, part):
    machine = benchmark("gpu_parts.machine")
    setting, _ = part("cpu")
    found = machine.known_ceilings(setting)
    assert found.keys() == {*(f"{name} operations per second" for name in machine.PRODUCTS), machine.BYTES}
    (setting.results / "machine.json").write_text(json.dumps({"facts": {machine.BYTES: 5.0}}))
    assert machine.known_ceilings(setting) == {machine.BYTES: 5.0}


def test_waits_are_counted_over_whole_steps_and_what_torch_says_of_its_own_mode_is_none(benchmark, part, monkeypatch):
    epoch = benchmark("gpu_parts.epoch")
    modes = []

    def set_mode(mode: str) -> None:
        modes.append(mode)
        if mode == "warn":
            warnings.warn("Synchronization debug mode does not yet detect all synchronizing operations", stacklevel=1)

    def train(setting, overrides, watch):
        for step in range(epoch.FIRST + epoch.STEPS):
            watch.on_train_batch_start(None, None, None, step)
            if step in (3, 7) and modes[-1:] == ["warn"]:
                warnings.warn("called a synchronizing CUDA operation (Triggered internally)", stacklevel=1)
            watch.on_train_batch_end(None, None, None, None, step)

    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", set_mode)
    monkeypatch.setattr(epoch, "train", train)
    found = epoch.waits(part()[0], [])
    assert len(found) == 1
    assert found[0].startswith(__file__)
    assert modes == ["warn", "default", "default"]  # and once more in any case


def test_seeds_that_did_not_complete_are_compared_with_nothing(benchmark, part, monkeypatch):
    seeds = benchmark("gpu_parts.seeds")
    failed = SimpleNamespace(returncode=1, poll=lambda: 1)
    monkeypatch.setattr(seeds, "images_of", lambda setting: ([], False))
    monkeypatch.setattr(seeds, "train", lambda *arguments: failed)
    setting, report = part()
    seeds.run(setting, report)
    assert checks(report) == {"alone: all complete": "failed"}


def test_the_boards_power_is_read_while_calls_run(benchmark, monkeypatch):
    memory, calls = benchmark("gpu_parts.memory"), []
    nvml = SimpleNamespace(
        nvmlInit=lambda: None, nvmlShutdown=lambda: None, nvmlDeviceGetHandleByUUID=lambda name: name,
        nvmlDeviceGetPowerUsage=lambda board: 250_000 if calls else 50_000,
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid="board"))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: time.sleep(0.01))
    watts, per_second = memory.mean_power(lambda: calls.append(1), 0.3)
    assert watts == 250.0
    assert per_second == pytest.approx(len(calls) / 0.3, rel=0.5)


SLEEPS = """
import os, sys, time
open(f"{sys.argv[4]}/pid", "w").write(str(os.getpid()))
time.sleep(60)
"""


def test_sigterm_ends_the_part_that_runs_too(tmp_path):
    (tmp_path / "gpu_parts").mkdir()
    (tmp_path / "gpu_parts" / "__main__.py").write_text(SLEEPS)
    for name in ("__init__.py", "part.py"):
        (tmp_path / "gpu_parts" / name).write_text((ROOT / "benchmarks" / "gpu_parts" / name).read_text())
    (tmp_path / "gpu.py").write_text((ROOT / "benchmarks" / "gpu.py").read_text())
    command = [sys.executable, str(tmp_path / "gpu.py"), "--cpu", "--out", str(tmp_path), "--parts", "machine"]
    process = subprocess.Popen(command)
    pid = tmp_path / "pid"
    while not (pid.exists() and pid.read_text()):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_what_was_found_is_in_one_file_after_each_part(benchmark, monkeypatch, tmp_path):
    gpu = benchmark("gpu")
    had = []

    def run_part(name, device, seconds, out, images):
        had.append((tmp_path / "gpu.tar.gz").exists())
        (out / f"{name}.json").write_text("{}")
        check = {"name": "first", "status": "failed" if name == "seeds" else "passed", "found": "yes"}
        return gpu.EMPTY | {"status": check["status"], "checks": [check], "seconds": 1.0}

    monkeypatch.setattr(gpu, "run_part", run_part)
    monkeypatch.setattr(gpu.signal, "signal", lambda *arguments: None)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--out", str(tmp_path), "--parts", "memory,seeds"])
    assert gpu.main() == 1
    assert had == [False, True]
    with tarfile.open(tmp_path / "gpu.tar.gz") as packed:
        assert packed.getnames() == ["memory.json", "report.md", "seeds.json"]
        report = packed.extractfile("report.md").read().decode()
    assert report == (tmp_path / "report.md").read_text()
    assert report.count("| passed |") == 2  # the heading, and memory


def test_a_part_begins_anew_and_a_folder_that_is_not_its_own_stays(benchmark, monkeypatch, tmp_path):
    gpu = benchmark("gpu")
    (tmp_path / "gpu_parts").mkdir()
    (tmp_path / "gpu_parts" / "__main__.py").write_text("")
    monkeypatch.setattr(gpu, "HERE", tmp_path)
    for name in ("memory", "training"):
        (tmp_path / name).mkdir()
    (tmp_path / "memory.json").write_text("{}")  # of an earlier start
    for name in ("memory", "training"):
        gpu.run_part(name, "cpu", 60.0, tmp_path, None)
    assert not (tmp_path / "memory").exists()
    assert (tmp_path / "training").exists()


def test_an_error_that_ends_a_part_is_its_reason_in_one_line(benchmark, monkeypatch, tmp_path):
    main, machine = benchmark("gpu_parts.__main__"), benchmark("gpu_parts.machine")

    def run(setting, report):
        report.check("first", True, "yes")
        raise RuntimeError("CUDA error: no kernel image\nCompile with TORCH_USE_CUDA_DSA\n")

    monkeypatch.setattr(machine, "run", run)
    monkeypatch.setattr(main.faulthandler, "dump_traceback_later", lambda seconds: None)
    monkeypatch.setattr("litconv.config.command_line.quiet", lambda: None)
    assert main.main("machine", "cpu", "60", str(tmp_path)) == 1
    found = json.loads((tmp_path / "machine.json").read_text())
    assert found["status"] == "failed"
    assert found["reason"] == "RuntimeError: CUDA error: no kernel image Compile with TORCH_USE_CUDA_DSA"
    assert [check["name"] for check in found["checks"]] == ["first"]
