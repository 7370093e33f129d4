"""A pack measured elsewhere: its files, its runner, which needs neither torch nor litconv, and the CSV read back."""

import ast
import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import litconv
from command import command
from data_helpers import make_image_folder
from litconv.config.composed import compose
from litconv.cost.architecture import architecture_hash
from litconv.cost.device_csv import COLUMNS, VERSION, read_table
from litconv.deploy import runner
from litconv.deploy.arms import Arm, network_of, one_of_each
from litconv.deploy.int8_forms import TrainingImages, quantiser
from litconv.deploy.pack import INT8, write_pack
from litconv.deploy.runs import Run
from litconv.errors import ConfigError, DataError, ExportError
from litconv.run.asked import Asked
from untrained_runs import untrained_run

SMALL = ("data.image_size=16", "width=0.25")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three runs of two arms."""
    root = tmp_path_factory.mktemp("pack")
    for arm in (("conv=standard",), ("conv=grouped", "seed=1"), ("conv=grouped", "seed=0")):
        untrained_run(root, *SMALL, *arm)
    return root / "sweeps" / "made"


def arms_in(folder):
    arms, left_out = one_of_each([Run(path.parent, ()) for path in sorted(folder.glob("*/config.yaml"))])
    assert left_out == {}
    return arms


def copies(whole, int8, _):
    for path in int8.values():
        shutil.copy(whole, path)


@pytest.fixture(scope="module")
def packed(runs, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "arms.zip"
    made = write_pack(arms_in(runs), path, batch=4, quantise=copies)
    return path, made


@pytest.fixture(scope="module")
def measured(packed):
    """By a process that imports the pack alone."""
    path, _ = packed
    code = """import runpy, sys
try:
    runpy.run_path(sys.argv.pop(1), run_name="__main__")
finally:
    assert not {"torch", "litconv"} & set(sys.modules)"""
    command = [
        sys.executable,
        "-c",
        code,
        path,
        "--seconds",
        "0.01",
        "--threads",
        "1",
        "--device",
        "a board",
        "--out",
        "rpi5.csv",
    ]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return path.parent / "rpi5.csv", done.stdout


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# -- the pack ----------------------------------------------------------------------------------------------------------


def test_a_pack_holds_the_files_of_one_run_of_each_arm(packed, runs):
    path, made = packed
    assert made.left_out == {}
    grouped, standard = made.manifest["arms"]
    assert made.arms == [grouped["arm"], standard["arm"]]
    assert "_grouped_seed0_" in grouped["run"]
    assert grouped["network"] != standard["network"]
    assert (grouped["reference"], standard["reference"]) == (1, 1)
    assert (standard["image"], made.manifest["batch"]) == ([3, 16, 16], 4)
    assert set(made.manifest["versions"]) == {"litconv", "torch"}
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        for entry in made.manifest["arms"]:
            assert set(entry["files"]) == {"float32", "int8_arm", "int8_x86"}
            for file in entry["files"].values():
                assert hashlib.sha256(archive.read(file["file"])).hexdigest() == file["sha256"]
        assert archive.read("__main__.py").decode() == Path(runner.__file__).read_text()
        assert json.loads(archive.read("manifest.json")) == made.manifest


def test_without_a_standard_arm_the_reference_is_packed_and_not_measured(runs, tmp_path):
    (grouped,) = (arm for arm in arms_in(runs) if "grouped" in arm.folder.name)
    made = write_pack([grouped], tmp_path / "one.zip")
    arm, reference = made.manifest["arms"]
    assert made.arms == [grouped.name]
    assert (arm["measured"], reference["measured"], arm["reference"]) == (True, False, 1)
    assert reference["files"]["float32"]["bytes"] > arm["files"]["float32"]["bytes"]  # more weights


def written(folder, *overrides):
    """A run's folder with no more in it than its configuration."""
    config = compose(list(overrides))
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "best.ckpt").touch()
    (folder / "config.yaml").write_text(Asked.of(config).config_yaml(config))
    return Arm.of(Run(folder, ()))


def test_the_reference_of_a_matched_arm_has_the_width_that_was_asked_for(tmp_path):
    asked = written(tmp_path / "a", "conv=standard", "width=0.5")
    found = ("match=macs", "+backbone.base_channels=[24,40,88]")
    matched = written(tmp_path / "b", "conv=grouped", "groups=4", "width=0.5", *found)
    assert network_of(matched.standard) == network_of(asked.standard) == network_of(asked.config)
    assert network_of(matched.config) != network_of(asked.config)
    assert network_of(compose(["conv=grouped"])) != network_of(compose(["conv=grouped", "groups=4"]))


def test_what_cannot_be_packed_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"pack=.*arms\.tar must be a file that ends in \.zip"):
        write_pack([], tmp_path / "arms.tar")
    with pytest.raises(ConfigError, match=r"^batch=0 must be a whole number"):
        write_pack([], tmp_path / "arms.zip", batch=0)


def test_the_command_packs_a_sweep_and_says_what_to_do_with_it(runs, tmp_path, capsys):
    lost = shutil.copytree(runs, tmp_path / "sweeps" / "lost")
    for checkpoint in lost.glob("*grouped*/checkpoints/best.ckpt"):
        checkpoint.unlink()
    path = tmp_path / "arms.zip"
    assert (
        command("sweep=lost", f"output_dir={tmp_path}", f"pack={path}", "precision=float32", "batch=2", module="deploy")
        == 0
    )
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{path}: 1 arm in float32, pack ")
    assert "python arms.zip --out DEVICE.csv" in printed.out
    assert f"compare.py sweep=lost output_dir={tmp_path} device=DEVICE.csv\n" in printed.out
    said = printed.err.splitlines()[-1]
    assert said.startswith("left out: shapes_resnet8_grouped_")
    assert "checkpoint=best is not in" in said
    assert runner.Pack(path).manifest["batch"] == 2


def test_a_run_packed_by_its_name_is_named_to_the_comparison_by_its_folder(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = next(runs.glob("*grouped*"))
    made = shutil.copytree(folder, Path("outputs", "runs", folder.name))
    assert command(f"run={folder.name}", "pack=arms.zip", "precision=float32", module="deploy") == 0
    assert f"compare.py folders=[{made}] device=DEVICE.csv\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("threads=4", "threads=4 has no effect on a pack: its program takes --threads; remove it"),
        ("again=true", "again=true has no effect on a pack: it is always written anew; remove it"),
        ("precision=int8", "precision=int8 with pack=…: int8 is made of float32, which is packed too; add it"),
        ("sweep=none", "sweep=none: there is no folder outputs/sweeps/none"),
    ],
)
def test_a_command_that_cannot_pack_is_one_line(runs, tmp_path, capsys, argument, said):
    given = [] if argument.startswith("sweep") else ["sweep=made", f"output_dir={runs.parents[1]}"]
    assert command(*given, f"pack={tmp_path}/arms.zip", argument, module="deploy") == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {said}")
    assert error.count("\n") == 1


def test_an_arm_that_cannot_be_exported_is_left_out_by_name(runs, tmp_path, monkeypatch):
    from litconv.deploy import pack

    export = pack.exported

    def refusing(network, *others):
        if "grouped" in network.trained.folder.name or refuse_all:
            raise ExportError("it has no ONNX form")
        return export(network, *others)

    monkeypatch.setattr(pack, "exported", refusing)
    refuse_all = False
    made = write_pack(arms_in(runs), tmp_path / "arms.zip")
    (left,) = made.left_out.items()
    assert left[0].startswith("grouped") or "grouped" in left[0]
    assert left[1] == "it has no ONNX form"
    refuse_all = True
    with pytest.raises(ExportError, match="no arm can be exported: it has no ONNX form"):
        write_pack(arms_in(runs), tmp_path / "none.zip")
    assert not (tmp_path / "none.zip").exists()


# -- the runner --------------------------------------------------------------------------------------------------------


def test_the_runner_is_one_file_for_python_3_8_numpy_and_onnxruntime():
    source = Path(runner.__file__).read_text()
    tree = ast.parse(source, feature_version=(3, 8))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported - set(sys.stdlib_module_names) == {"numpy", "onnxruntime"}
    of_later_versions = r"removeprefix|removesuffix|strict=True|math\.lcm|\bmatch\b .*:$|pairwise|zoneinfo"
    assert not re.search(of_later_versions, source, flags=re.MULTILINE)


def test_every_arm_is_measured_in_each_precision_at_both_batches(measured, packed):
    path, printed = measured
    table = rows(path)
    assert tuple(table[0]) == runner.COLUMNS
    assert [(row["precision"], row["batch"]) for row in table[:4]] == [
        ("float32", "1"),
        ("float32", "4"),
        ("int8", "1"),
        ("int8", "4"),
    ]
    assert {row["arm"] for row in table} == set(packed[1].arms)
    for row in table:
        assert 0 < float(row["latency_p10_ms"]) <= float(row["latency_ms"]) <= float(row["latency_p90_ms"])
        assert float(row["difference"]) < 1e-4
        assert (row["device"], row["threads"], row["pack"]) == ("a board", "1", packed[1].manifest["pack"])
    assert {row["latency_ratio"] for row in table if row["arm"] == "standard" or "standard" in row["run"]} == {"1"}
    assert printed.splitlines()[1].startswith("  1/8  ")
    assert printed.splitlines()[-1] == "rpi5.csv"


def test_an_unpacked_pack_is_measured_as_well(packed, tmp_path, monkeypatch, capsys):
    with zipfile.ZipFile(packed[0]) as archive:
        archive.extractall(tmp_path / "arms")
    monkeypatch.chdir(tmp_path)
    assert runner.main(["--seconds", "0.001", "--batch", "1"], tmp_path / "arms") == 0
    assert len(rows(tmp_path / "device.csv")) == 4


def spoilt(packed, tmp_path, change):
    """A pack with other contents: `change` is given its files."""
    with zipfile.ZipFile(packed[0]) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    path = tmp_path / "spoilt.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def another_format(files):
    files["manifest.json"] = files["manifest.json"].replace(b'"version": 1', b'"version": 2')


def another_model(files):
    files["models/000_float32.onnx"] = files["models/001_float32.onnx"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (another_format, "is a pack of version 2, and its runner reads 1; make it anew"),
        (another_model, "models/000_float32.onnx is not the file that was packed; copy it anew"),
        (lambda files: files.pop("models/000_float32.onnx"), "models/000_float32.onnx is missing or damaged ("),
        (lambda files: files.pop("manifest.json"), "is no pack, or damaged ("),
        (lambda files: files.update({"manifest.json": b"[]"}), "is no pack, or damaged ("),
    ],
)
def test_a_pack_of_another_version_or_a_damaged_one_is_one_line(packed, tmp_path, monkeypatch, capsys, change, reason):
    monkeypatch.chdir(tmp_path)
    assert runner.main(["--seconds", "0.001"], spoilt(packed, tmp_path, change)) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert reason in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("place", [0.5, 0.99])
def test_a_zip_that_was_copied_in_part_or_has_a_wrong_byte_is_one_line(packed, tmp_path, monkeypatch, capsys, place):
    monkeypatch.chdir(tmp_path)
    whole = packed[0].read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole[: int(len(whole) * place)])
    assert runner.main([], cut) == 1
    with zipfile.ZipFile(packed[0]) as archive:
        start = archive.getinfo("models/000_float32.onnx").header_offset + 100
    cut.write_bytes(whole[:start] + bytes(byte ^ 255 for byte in whole[start : start + 20]) + whole[start + 20 :])
    assert runner.main(["--seconds", "0.001"], cut) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert all(error.startswith("error: ") and error.endswith("; copy it anew") for error in errors)


def test_a_network_that_computes_something_else_here_has_no_figure(packed, tmp_path, monkeypatch, capsys):
    def other(files):
        manifest = json.loads(files["manifest.json"])
        manifest["arms"][0]["expected"][0] += 1
        files["manifest.json"] = json.dumps(manifest).encode()

    monkeypatch.chdir(tmp_path)
    assert runner.main(["--seconds", "0.001", "--out", "rpi5.csv"], spoilt(packed, tmp_path, other)) == 0
    table = rows(tmp_path / "rpi5.csv")
    assert [row["precision"] for row in table if row["arm"] == packed[1].arms[0]] == ["int8", "int8"]
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].endswith("float32, batch 1: not measured: its logits are up to 1 away from PyTorch's")
    assert printed[-1] == "rpi5.csv, without 2 of 8 figures"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["--threads", "0"], "--threads, --seconds and --batch must be greater than 0"),
        (["--batch", "0"], "--threads, --seconds and --batch must be greater than 0"),
        (["--out", "x.txt"], "--out x.txt must end in .csv"),
        (["--out", "none/x.csv"], "--out none/x.csv lies in a folder that is not there"),
    ],
)
def test_wrong_arguments_are_one_line(packed, capsys, given, reason):
    assert runner.main(given, packed[0]) == 1
    assert capsys.readouterr().err == f"error: {reason}\n"


# -- the CSV, read back ------------------------------------------------------------------------------------------------


def test_the_comparisons_reader_takes_the_csv_for_its_runs(measured, packed, runs):
    table = read_table(measured[0])
    assert set(COLUMNS) <= set(runner.COLUMNS)
    assert (VERSION, table.name) == (runner.VERSION, "rpi5")
    assert table.about.startswith("rpi5: a board, 1 thread, onnxruntime ")
    for arm in arms_in(runs):
        figures = table.of_runs([json.loads((arm.folder / "summary.json").read_text())["name"]])
        assert figures == table.of_network(architecture_hash(litconv.load(arm.folder).model))
        written = {(row["precision"], row["batch"]): row for row in rows(measured[0]) if row["arm"] == arm.name}
        for precision in ("float32", "int8"):
            for kind, batch in (("latency_single", "1"), ("latency", "4")):
                row = written[precision, batch]
                assert figures[f"deploy/rpi5/{precision}/{kind}_ms"] == float(row["latency_ms"])
                assert figures[f"deploy/rpi5/{precision}/{kind}_p90_ms"] == float(row["latency_p90_ms"])
                assert figures[f"deploy/rpi5/{precision}/{kind}_ratio"] == float(row["latency_ratio"])


def test_a_measurement_that_is_stopped_leaves_what_it_has(packed, tmp_path, monkeypatch, capsys):
    calls = []

    def stopped(*given):
        calls.append(given)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return in_turns(*given)

    in_turns = runner.in_turns
    monkeypatch.setattr(runner, "in_turns", stopped)
    monkeypatch.chdir(tmp_path)
    assert runner.main(["--seconds", "0.001", "--out", "rpi5.csv"], packed[0]) == 130
    assert "stopped; what was measured before stands in the CSV" in capsys.readouterr().err
    table = read_table(tmp_path / "rpi5.csv")
    assert [(row.precision, row.batch) for row in table.rows] == [("float32", 1), ("float32", 4), ("int8", 1)]


@pytest.mark.parametrize(
    ("machine", "form"),
    [("aarch64", "int8_arm"), ("armv7l", "int8_arm"), ("arm64", "int8_arm"), ("x86_64", "int8_x86")],
)
def test_a_processor_gets_the_int8_form_that_it_multiplies(monkeypatch, machine, form):
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert runner.forms() == {"float32": "float32", "int8": form}


def test_int8_is_calibrated_on_training_images_and_both_forms_compute_what_float32_does(runs, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    (standard,) = (arm for arm in arms_in(runs) if "standard" in arm.folder.name)
    images = TrainingImages(16, "minmax")
    made = write_pack([standard], tmp_path / "arms.zip", quantise=quantiser(images))
    (entry,) = made.manifest["arms"]
    (calibration,) = images.known.values()
    assert calibration.images.shape == (16, 3, 16, 16)
    pack = runner.Pack(tmp_path / "arms.zip")
    assert len({file["sha256"] for file in entry["files"].values()}) == 3
    for form in ("float32", *INT8):
        network = runner.Network(pack.model(entry["files"][form]), 1, 1, onnxruntime)
        assert runner.away(np, network, entry, 1) < (1e-5 if form == "float32" else 0.1)


def test_int8_without_the_data_is_one_line(tmp_path):
    data = make_image_folder(tmp_path / "data", {"train": 4, "val": 2}, size=(32, 32))
    run = untrained_run(
        tmp_path, "data=image_folder", f"data.root={data}", "data.batch_size=4", "width=0.25", shapes=False
    )
    trained = litconv.load(run)
    data.rename(tmp_path / "moved")
    with pytest.raises(
        DataError, match=r"^int8 is calibrated on training images, .* add data.root=.*; float32 alone needs"
    ):
        TrainingImages(16, "minmax")(trained)
    assert len(TrainingImages(8, "minmax", data_root=str(tmp_path / "moved"))(trained).images) == 8
