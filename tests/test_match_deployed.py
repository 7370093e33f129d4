"""match=deployed: the width at equal latency on a runtime and in a precision, or among what a device has measured."""

import csv

import numpy as np
import pytest
import torch
from torch import nn

from litconv import build
from litconv.config.composed import compose
from litconv.cost.architecture import architecture_hash
from litconv.cost.device_csv import COLUMNS
from litconv.cost.latency import Latency
from litconv.cost.tally import tally
from litconv.errors import ConfigError
from litconv.match import find_width
from litconv.match.deployed import OnRuntime
from litconv.run.asked import Asked

NETWORK = ("backbone=resnet", "backbone.depth=8", "match=deployed")


def found(*overrides: str, **options: str):
    """The network's configuration, the facts, and what is said."""
    config = compose([*NETWORK, *overrides])
    width = find_width(Asked.of(config), build.data(config).problem, torch.device("cpu"))
    return width.config, width.facts, width.line


def model_of(config, width: float | None = None) -> nn.Module:
    problem = build.data(config).problem
    return build.on_meta(config, problem.in_channels, problem.num_classes)


def macs(model: nn.Module) -> int:
    return tally(model.eval(), 3, (32, 32)).macs


@pytest.fixture
def by_macs(monkeypatch):
    """A runtime on which a million MACs take a millisecond; what was exported for it."""
    exported = []

    def session(self, config):
        exported.append(config)
        return build.on_meta(config, self.problem.in_channels, self.problem.num_classes)

    def time(self, one, reference, seconds):
        ms = macs(one) / 1e6
        return Latency(ms, ms, ms, ms / (macs(reference) / 1e6) if reference else 1.0, 4, False)

    monkeypatch.setattr(OnRuntime, "session", session)
    monkeypatch.setattr(OnRuntime, "time", time)
    monkeypatch.setattr("litconv.match.matching._matches", {})
    return exported


def test_the_width_at_equal_deployed_latency_is_found_and_kept_for_the_other_seeds(by_macs, tmp_path):
    asked = ("conv=grouped", "match.precision=int8", f"output_dir={tmp_path}")
    config, facts, line = found(*asked)
    standard = macs(model_of(compose(["backbone=resnet", "backbone.depth=8"])))
    assert facts["match/target"] == pytest.approx(standard / 1e6)
    assert macs(model_of(config)) == pytest.approx(standard, rel=0.05)
    assert (facts["match/runtime"], facts["match/precision"], facts["match/batch"]) == ("onnxruntime", "int8", 1)
    assert facts["match/note"].startswith("int8 is calibrated with random images")
    assert f"{standard / 1e6:.3g} ms in ONNX Runtime int8 of conv=standard" in line
    many = len(by_macs)
    assert found(*asked, "seed=1")[1] == facts
    assert len(by_macs) == many


def test_a_number_of_milliseconds_is_a_target_too(by_macs, tmp_path):
    config, facts, line = found("match.to=3.0", "match.runtime=openvino", f"output_dir={tmp_path}")
    assert macs(model_of(config)) == pytest.approx(3e6, rel=0.05)
    assert "match/note" not in facts or "calibrated" not in facts["match/note"]
    assert line.endswith("from 3 ms in OpenVINO float32")


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A device on which standard takes 4 ms at width 1, and grouped 3.9, 5 and 9 ms at widths 0.5, 1 and 2."""
    monkeypatch.setattr("litconv.match.matching._matches", {})
    path = tmp_path / "rpi5.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        for conv, width, ms in (("standard", 1, 4.0), ("grouped", 0.5, 3.9), ("grouped", 1, 5.0), ("grouped", 2, 9.0)):
            network = architecture_hash(model_of(compose([*NETWORK[:2], f"conv={conv}", f"width={width}"])))
            row = {"arm": conv, "run": f"{conv} {width}", "network": network, "precision": "float32", "batch": 1}
            row |= {"latency_ms": ms, "threads": 4, "device": "a board", "version": 1}
            writer.writerow(row)
    return path


def test_of_the_widths_that_a_device_has_measured_the_nearest_is_taken(table, tmp_path):
    asked = ("conv=grouped", f"match.runtime={table}", f"output_dir={tmp_path}")
    config, facts, line = found(*asked)
    assert facts["match/runtime"] == "rpi5"
    assert list(config.backbone.base_channels) == facts["match/channels"]
    assert facts["match/channels"] == [8, 16, 32]
    assert facts["match/error"] == pytest.approx(3.9 / 4 - 1)
    assert "4 ms in rpi5 float32 of conv=standard" in line
    config, facts, _ = found(*asked, "match.to=8.8")
    assert facts["match/channels"] == [32, 64, 128]
    assert facts["match/error"] == pytest.approx(9 / 8.8 - 1)


def test_what_a_device_has_not_measured_is_refused_by_name(table, tmp_path):
    given = (f"match.runtime={table}", f"output_dir={tmp_path}")
    with pytest.raises(
        ConfigError, match=r"rpi5\.csv has no deploy/rpi5/float32/latency_single_ms of this network at any width"
    ):
        found("conv=dilated", *given)
    with pytest.raises(
        ConfigError, match=r"has no deploy/rpi5/int8/latency_single_ms .*; it measured standard, grouped$"
    ):
        found("conv=grouped", "match.precision=int8", *given)
    with pytest.raises(
        ConfigError, match=r"no width that costs the 4 ms in rpi5 float32 of conv=standard; nearest: 3.9 ms"
    ):
        found("conv=grouped", *given, "match.tolerance=0.004")


def test_what_is_timed_is_the_exported_network():
    pytest.importorskip("onnxruntime")
    config = compose([*NETWORK, "conv=grouped", "match.batch=2", "width=0.5"])
    problem = build.data(config).problem
    meter = OnRuntime.__new__(OnRuntime)
    meter.__dict__.update(budget=build.part(config.match), problem=problem, shape=(3, 32, 32))
    images = np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32)
    torch.manual_seed(0)
    logits = meter.session(config)(images)
    torch.manual_seed(0)
    model = build.assemble(config, problem.in_channels, problem.num_classes).eval()
    with torch.no_grad():
        np.testing.assert_allclose(logits, model(torch.from_numpy(images)).numpy(), atol=1e-4)
