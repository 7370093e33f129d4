"""The table that a device pack's runner writes: read back, and refused in one line where it cannot be."""

import csv
import json
import re

import pytest
import torch
from torch import nn

from command import command
from deployed_runs import ARMS, make_deployed, make_table
from litconv import build
from litconv.compare import analyse, load
from litconv.compare.deployed.devices import on_devices
from litconv.config.composed import compose
from litconv.cost.architecture import architecture_hash
from litconv.cost.deployed_keys import DEPLOYED_FIGURES, Place, deployed_cost, deployed_metric, place_of
from litconv.cost.device_csv import COLUMNS, device_tables, read_table
from litconv.errors import ConfigError


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return make_deployed(tmp_path_factory.mktemp("device"), seeds=2)


@pytest.fixture
def path(tmp_path, sweep):
    return make_table(tmp_path / "rpi5.csv", sweep)


def test_a_key_says_where_it_was_measured_and_what():
    for figure in DEPLOYED_FIGURES:
        key = Place("onnxruntime", "int8").key(figure.key)
        assert place_of(key) == ("onnxruntime", "int8")
        assert deployed_cost(key).heading == f"ONNX Runtime int8 {figure.heading}"
        assert deployed_metric(key) is None
    assert deployed_cost("deploy/rpi5/float32/latency_ms").heading == "rpi5 float32 latency"
    assert deployed_metric("deploy/rpi5/float32/miou") == "miou"
    for other in ("cost/latency_ms", "test/accuracy", "deploy/threads", "deploy/versions/onnxruntime"):
        assert place_of(other) is deployed_cost(other) is deployed_metric(other) is None


def test_what_was_written_is_read_at_batch_1_and_at_the_largest(path):
    (table,) = device_tables(str(path))
    with path.open() as file:
        written = [row for row in csv.DictReader(file) if row["arm"] == "grouped" and row["precision"] == "int8"]
    figures = table.of_network("hash of grouped")
    for row in written:
        stem = "latency_single" if row["batch"] == "1" else "latency"
        for name in ("ms", "p10_ms", "p90_ms", "ratio"):
            assert figures[f"deploy/rpi5/int8/{stem}_{name}"] == float(row[f"latency_{name}"])
    assert table.of_runs([written[0]["run"]]) == figures
    assert table.of_network("another") == table.of_runs(["another"]) == {}
    assert table.about == "rpi5: a board, 4 threads, onnxruntime 1.20"


def test_percentiles_and_ratio_may_be_empty(path):
    lines = path.read_text().splitlines()
    cells = lines[1].split(",")
    for key in ("latency_p10_ms", "latency_p90_ms", "latency_ratio"):
        cells[COLUMNS.index(key)] = ""
    path.write_text("\n".join([lines[0], ",".join(cells)]))
    assert list(read_table(path).rows[0].figures) == ["latency_ms"]


def with_cell(path, key: str, text: str, line: int = 3) -> None:
    lines = path.read_text().splitlines()
    cells = lines[line - 1].split(",")
    cells[COLUMNS.index(key)] = text
    lines[line - 1] = ",".join(cells)
    path.write_text("\n".join(lines))


WRONG = {
    ("latency_ms", "fast"): "line 3: latency_ms=fast is no number above 0",
    ("latency_ms", ""): "line 3: latency_ms= is no number above 0",
    ("latency_ms", "-1"): "line 3: latency_ms=-1 is no number above 0",
    ("latency_p90_ms", "nan"): "line 3: latency_p90_ms=nan is no number above 0",
    ("batch", "1.5"): "line 3: batch=1.5 is no whole number above 0",
    ("precision", "fp16"): "line 3: precision=fp16 must be float32 or int8",
    ("run", ""): "line 3: run is empty",
    ("batch", "1"): "line 3: .* in float32 at batch 1 stands there twice; remove one row",
    ("version", "2"): "line 3: measured by a pack of version 2, and this litconv reads version 1; make the pack anew",
    ("device", "a board,of two"): "line 3: 15 values for 14 columns",
}


@pytest.mark.parametrize(("key", "text"), WRONG)
def test_a_malformed_row_is_refused_with_its_line(path, key, text):
    with_cell(path, key, text)
    with pytest.raises(ConfigError, match=rf"device=.*rpi5\.csv, {WRONG[key, text]}") as error:
        read_table(path)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_such_table_is_refused(tmp_path, path):
    with pytest.raises(ConfigError, match=r"device=.*none\.csv: there is no such file"):
        device_tables(str(tmp_path / "none.csv"))
    header = path.read_text().splitlines()[0]
    path.write_text(header.replace("network,", ""))
    with pytest.raises(ConfigError, match="it lacks the column network"):
        read_table(path)
    path.write_text(header)
    with pytest.raises(ConfigError, match="has no rows; run the pack's runner on the device to the end"):
        read_table(path)
    path.write_bytes(b"\xff\xfe\x00arm")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_table(path)
    path.write_text(f"{header}\ngrouped,run\n")
    with pytest.raises(ConfigError, match="line 2: 2 values for 14 columns"):
        read_table(path)


def test_several_devices_are_a_list_or_names_with_commas_and_each_has_a_name_of_its_own(tmp_path, sweep):
    paths = [make_table(tmp_path / name, sweep) for name in ("rpi5.csv", "phone.csv")]
    for given in ([str(p) for p in paths], ",".join(map(str, paths))):
        assert [table.name for table in device_tables(given)] == ["rpi5", "phone"]
    assert device_tables(None) == []
    (tmp_path / "other").mkdir()
    twice = [str(paths[0]), str(make_table(tmp_path / "other" / "rpi5.csv", sweep))]
    with pytest.raises(ConfigError, match="two files are called rpi5; rename one after its device"):
        device_tables(twice)
    with pytest.raises(ConfigError, match="openvino is a runtime; rename the file after the device"):
        device_tables(str(tmp_path / "openvino.csv"))


def test_what_was_measured_of_one_run_is_that_of_all_seeds_of_its_arm(path, sweep):
    result = analyse(on_devices(load(sweep), device_tables(str(path))), "made")
    for arm in result.arms:
        times = ARMS[arm.name]
        assert arm.column("deploy/rpi5/int8/latency_single_ms").tolist() == pytest.approx([3 * 0.5 * times[2]] * arm.n)
        assert arm.costs["deploy/rpi5/float32/latency_ms"] == pytest.approx(60 * times[1])


def test_arms_that_a_device_has_not_measured_are_refused_by_name(tmp_path, sweep):
    part = make_table(tmp_path / "rpi5.csv", sweep, ("standard", "bottleneck", "deformable"))
    runs = on_devices(load(sweep), device_tables(str(part)))
    said = r"device=rpi5\.csv has no float32 figures of grouped, depthwise_separable; measure a pack of all arms"
    with pytest.raises(ConfigError, match=said):
        analyse(runs, "made")
    other = make_table(tmp_path / "phone.csv", sweep, run="a run of elsewhere", arm="x")
    other.write_text("\n".join(other.read_text().splitlines()[:2]))
    with pytest.raises(
        ConfigError, match=r"none of the runs that it measured is compared here; it has a run of elsewhere"
    ):
        on_devices(load(sweep), device_tables(str(other)))


def network(**options: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, **options), nn.BatchNorm2d(8), nn.ReLU())


def test_networks_are_the_same_whatever_their_weights_and_no_other_is():
    own = architecture_hash(network())
    assert re.fullmatch("[0-9a-f]{12}", own)
    assert architecture_hash(network().eval()) == own
    with torch.device("meta"):
        assert architecture_hash(network()) == own
    others = [
        network(stride=2),
        network(dilation=2),
        nn.Sequential(*network(), nn.ReLU()),
        nn.Sequential(*network()[:2]),
    ]
    assert len({own, *map(architecture_hash, others)}) == 5


def test_the_comparison_and_the_costs_take_a_devices_table(sweep, path, tmp_path, capsys):
    part = make_table(tmp_path / "part.csv", sweep, ("standard", "grouped"))
    given = (f"folders=[{sweep}]", f"out={tmp_path / 'out'}")
    assert command(*given, f"device={part}", module="compare") == 1
    assert capsys.readouterr().err.startswith("error: device=part.csv has no float32 figures of deformable, ")
    assert command(*given, "device=none.csv", module="compare") == 1
    assert capsys.readouterr().err.startswith(
        "error: device=none.csv: there is no such file; give the CSV that the program of"
    )

    config = compose(["conv=grouped", "backbone=resnet"])
    network = architecture_hash(build.on_meta(config, 3, build.data(config).problem.num_classes))
    part.write_text(part.read_text().replace("hash of grouped", network))
    point = ("backbone=resnet", f"device={part}", f"out={tmp_path / 'costs.json'}")
    assert command("conv=grouped", *point, "sort=part_int8_latency_single_ms", module="cost") == 0
    (row,) = json.loads((tmp_path / "costs.json").read_text())
    assert row["deploy/part/int8/latency_single_ms"] == pytest.approx(3 * 0.5 * ARMS["grouped"][2])
    assert "part_int8_latency_single_ms" in capsys.readouterr().out
    assert command("conv=dilated", *point, module="cost") == 1
    assert "part.csv has no row of the network of dilated; it measured standard, grouped; " in capsys.readouterr().err
