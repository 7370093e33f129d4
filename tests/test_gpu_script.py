"""benchmarks/gpu.py without a GPU: all of its parts, tiny, what it makes of parts that fail, and the folder that travels."""

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest

from command import ROOT
from litconv.run import summary

PARTS = ("machine", "operators", "triton", "training", "epoch", "seeds", "memory", "out_of_memory", "layouts")


def test_every_part_passes_on_a_cpu_and_says_what_needs_a_gpu(tmp_path):
    script = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--cpu", "--out", str(tmp_path)]
    done = subprocess.run(script, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {name: json.loads((tmp_path / f"{name}.json").read_text()) for name in PARTS}
    assert {name: one["status"] for name, one in found.items()} == dict.fromkeys(PARTS, "passed")
    skipped = {name for name, one in found.items() if any("no GPU" in check["found"] for check in one["checks"])}
    assert skipped == {"operators", "triton", "epoch", "seeds", "memory"}
    operators = {row[0].strip("`") for row in next(iter(found["operators"]["tables"].values()))[1:]}
    assert operators == {path.stem for path in (ROOT / "conf" / "conv").glob("*.yaml")}
    report = (tmp_path / "report.md").read_text()
    passed = [line for line in report.splitlines() if "| passed |" in line]
    assert len(passed) == 1 + len(PARTS)  # and the heading
    assert report.strip() in done.stdout


def test_without_a_gpu_it_says_so_in_one_line(tmp_path):
    script = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--out", str(tmp_path)]
    environment = {"CUDA_VISIBLE_DEVICES": "", "PATH": "", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(script, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 1
    assert done.stdout.startswith("machine: failed torch finds no GPU here; --cpu runs what a CPU can (")
    assert done.stdout.count("\n") == 1


def test_a_run_says_its_versions_without_wandb_where_another_logger_is_used(monkeypatch):
    def version(package: str) -> str:
        if package == "wandb":
            raise PackageNotFoundError(package)
        return "1.2"

    monkeypatch.setattr(summary, "version", version)
    found = summary.versions.__wrapped__()
    assert "wandb" not in found
    assert found["torch"] == "1.2"


ENDS = """
import json, sys, time
name, device, seconds, out, *images = sys.argv[1:]
report = {"status": "unfinished", "checks": [{"name": "first", "status": "passed", "found": "yes"}]}
open(f"{out}/{name}.json", "w").write(json.dumps(report))
print("last words", flush=True)
{"operators": lambda: time.sleep(60), "triton": lambda: sys.exit(3), "training": lambda: None}[name]()
"""


@pytest.mark.parametrize(
    ("name", "seconds", "reason"),
    [
        ("operators", 1.0, "not done after 1 s; the last that it found: first"),
        ("triton", 60.0, "ended with exit status 3: last words"),
        ("training", 60.0, "ended with exit status 0: last words"),
    ],
)
def test_a_part_that_does_not_come_to_its_end_has_failed_and_keeps_what_it_found(
    benchmark, monkeypatch, tmp_path, name, seconds, reason
):
    gpu = benchmark("gpu")
    (tmp_path / "gpu_parts").mkdir()
    (tmp_path / "gpu_parts" / "__init__.py").touch()
    (tmp_path / "gpu_parts" / "__main__.py").write_text(ENDS)
    monkeypatch.setattr(gpu, "HERE", tmp_path)
    found = gpu.run_part(name, "cpu", seconds, tmp_path, None)
    assert (found["status"], found["reason"]) == ("failed", reason)
    assert [check["name"] for check in found["checks"]] == ["first"]
    assert found["seconds"] < 30
    assert json.loads((tmp_path / f"{name}.json").read_text())["reason"] == reason
    assert f"| failed: {reason} | 1 | 0 | 0 |" in gpu.markdown({name: found}, "gpu.py")


def test_the_parts_share_ten_minutes_in_the_order_of_their_table(benchmark):
    parts = benchmark("gpu_parts").PARTS
    assert tuple(parts) == PARTS
    assert sum(part.seconds for part in parts.values()) == 600


def test_a_part_passes_where_one_check_passed_and_none_failed(benchmark, tmp_path):
    report = benchmark("gpu_parts.part").Report
    outcomes = {"passed": [True, None], "failed": [True, False], "skipped": [None]}
    for expected, checks in outcomes.items():
        made = report(tmp_path / "one.json", "one")
        for holds in checks:
            made.skip("this", "no GPU") if holds is None else made.check("this", holds, 1)
        made.end()
        assert json.loads((tmp_path / "one.json").read_text())["status"] == expected


def test_packed_images_are_those_that_were_packed_and_have_nothing_of_their_neighbours(benchmark, tmp_path):
    packed = benchmark("gpu_parts.packed")
    images, _ = packed.drawn(250, 10, 0)
    images[1::2] = 255  # every second one white
    found = packed.tiles_of(packed.mosaic(images, 95), len(images))
    assert found.shape == images.shape
    assert (found[1::2] >= 254).all()
    difference = np.abs(found[::2].astype(int) - images[::2])
    assert difference.mean() < 6  # of 255; the drawn noise is the worst that there is for JPEG


def test_packed_images_keep_within_the_bytes_that_may_travel(benchmark, tmp_path):
    packed = benchmark("gpu_parts.packed")
    splits = {"train": packed.drawn(400, 10, 0), "test": packed.drawn(100, 10, 1)}
    best = packed.pack(splits, list("abcdefghij"), tmp_path / "best.npz")
    small = packed.pack(splits, list("abcdefghij"), tmp_path / "small.npz", most_bytes=400_000)
    assert best == 95 > small
    assert (tmp_path / "small.npz").stat().st_size <= 400_000 < (tmp_path / "best.npz").stat().st_size


def test_the_folder_that_travels_has_the_wheels_that_the_machine_lacks(benchmark, monkeypatch, tmp_path):
    bundle = benchmark("gpu_bundle")
    listing = "Package    Version\n---------- -------\ntorch 2.11.0\nPyYAML 6.0\nnumpy==2.5.5\nportalocker 4.4\n"
    has = bundle.names(listing)
    assert has == {"torch", "pyyaml", "numpy", "portalocker"}
    wanted = bundle.lacking({"hydra-core", "torch"}, has | {"packaging"})
    assert wanted.keys() == {"hydra-core", "omegaconf", "antlr4-python3-runtime"}
    assert wanted["antlr4-python3-runtime"] == "4.9.3"
    given = tmp_path / "given"
    given.mkdir()
    for name, version in wanted.items():
        (given / f"{name.replace('-', '_')}-{version}-py3-none-any.whl").touch()
    monkeypatch.setattr(bundle, "pip", lambda *arguments: pytest.fail("nothing is to be fetched"))
    bundle.fetch(wanted, tmp_path / "wheels", "3.12", given)
    assert len(list((tmp_path / "wheels").glob("*.whl"))) == 3


def test_the_folder_that_travels_says_how_it_is_run(benchmark, tmp_path):
    bundle = benchmark("gpu_bundle")
    (tmp_path / "run.sh").write_text(bundle.RUN)
    bundle.copy_code(tmp_path)
    assert subprocess.run(["bash", "-n", str(tmp_path / "run.sh")]).returncode == 0
    assert {"train.py", "src", "conf", "benchmarks"} <= {path.name for path in tmp_path.iterdir()}
    assert not list(tmp_path.rglob("__pycache__"))
