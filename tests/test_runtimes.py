"""Runtimes: what they answer, how int8 files are made, what is measured of them. One small network serves all."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from litconv.config.deploying import choice_faults
from litconv.conv.deformable import Deformable
from litconv.conv.grouped import Grouped
from litconv.conv.standard import Standard
from litconv.cost.deployed_keys import DEPLOYED_FIGURES, PRECISIONS, RUNTIMES, Place
from litconv.cost.latency import Latency
from litconv.errors import ExportError
from litconv.export.graph import AXES
from litconv.runtimes import files as runtimes_files
from litconv.runtimes import onnx_runtime, opened
from litconv.runtimes.files import Files, write_files
from litconv.runtimes.int8 import Calibration, batches, quantise
from litconv.runtimes.measuring import HowMeasured, measure
from litconv.runtimes.memory import peak_memory_bytes
from litconv.runtimes.scheme import ARM, NO_VNNI, VNNI, scheme_of

PLACES = [Place(runtime, precision) for runtime in RUNTIMES for precision in PRECISIONS]
FLOAT = {place for place in PLACES if place.precision == "float32"}


class Small(nn.Module):
    """(N, 3, 16, 16) → (N, 5)"""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.grouped = Standard(3, 8), Grouped(8, 8, groups=2)
        self.deformable = Deformable(8, 8)
        for name, parameter in self.deformable.named_parameters():
            if "offset" in name:
                nn.init.normal_(parameter, std=0.2)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = self.grouped(self.stem(x).relu()).relu()
        return self.fc(self.deformable(x).relu().mean((2, 3)))


@pytest.fixture(scope="module")
def model():
    return Small().eval()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).standard_normal((64, 3, 16, 16), np.float32)


@pytest.fixture(scope="module")
def made(model, images, tmp_path_factory) -> Files:
    folder = tmp_path_factory.mktemp("files")
    return write_files(model, torch.zeros(2, 3, 16, 16), PLACES, Calibration(images), VNNI, folder)


@pytest.fixture(scope="module")
def graph(made):
    return onnx.load(made.paths[Place("onnxruntime", "int8")]).graph


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.label)
@pytest.mark.parametrize("batch", [None, 3])
def test_a_session_answers_with_the_networks_logits(made, model, images, place, batch):
    session = opened(place.runtime, made.paths[place], 1, batch)
    with torch.no_grad():
        expected = model(torch.from_numpy(images[:3])).numpy()
    error = np.abs(session(images[:3]) - expected).max()
    if place in FLOAT:
        assert error < 1e-5
    else:
        assert 1e-5 < error < 0.1 * np.ptp(expected), "int8 rounds, and not much"


def test_every_output_channel_of_a_weight_has_a_scale_of_its_own(graph):
    scales = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    maker = {output: node for node in graph.node for output in node.output}
    found = []
    for node in graph.node:
        if node.op_type == "Conv" and (restored := maker.get(node.input[1])) is not None:
            weight, scale = scales[restored.input[0]], scales[restored.input[1]]
            assert weight.dtype == np.int8
            assert scale.shape == (weight.shape[0],)
            assert next(a.i for a in restored.attribute if a.name == "axis") == 0
            found.append(len(set(scale.tolist())))
    assert found == [8, 8, 18]  # the stem's, the grouped one's, those of the offsets: all different


def test_deformable_convolution_alone_multiplies_in_float(made, graph):
    assert made.quantised.in_float == {"DeformConv": 1}
    assert made.quantised.in_int8 == {"Conv": 3, "Gemm": 1}
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    (deform,) = (node for node in graph.node if node.op_type == "DeformConv")
    assert weights[deform.input[1]].dtype == np.float32


def test_logits_are_not_rounded_to_8_bits(graph, made, images):
    maker = {output: node.op_type for node in graph.node for output in node.output}
    assert maker[graph.output[0].name] == "Gemm"
    logits = opened("onnxruntime", made.paths[Place("onnxruntime", "int8")], 1)(images)
    steps = np.diff(np.unique(logits))
    assert steps.min() < np.ptp(logits) / 255


def test_openvino_executes_int8_convolutions_in_integers_and_float32_ones_in_float32(made):
    def executed(precision: str) -> set:
        session = opened("openvino", made.paths[Place("openvino", precision)], 1)
        return {reads for kind, reads in session.executed() if kind == "Convolution"}

    assert "u8" in executed("int8")
    assert executed("float32") == {"f32"}


def test_a_session_computes_with_as_many_threads_as_are_asked_for(made):
    options = opened("onnxruntime", made.paths[Place("onnxruntime", "float32")], 2).session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
    compiled = opened("openvino", made.paths[Place("openvino", "float32")], 2).compiled
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 2


def test_the_batchs_axis_has_the_name_that_sessions_fix():
    assert AXES[0] == onnx_runtime.BATCH


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("x86_64", {"avx512_vnni"}, VNNI),
        ("AMD64", {"avx2", "avx_vnni"}, VNNI),
        ("x86_64", {"avx2", "avx512f"}, NO_VNNI),
        ("x86_64", set(), NO_VNNI),
        ("aarch64", set(), ARM),
        ("arm64", set(), ARM),
    ],
)
def test_integers_are_those_that_the_processor_multiplies(machine, flags, expected):
    assert scheme_of(machine, flags) == expected


def weights_of(path: Path) -> list[np.ndarray]:
    tensors = map(onnx.numpy_helper.to_array, onnx.load(path).graph.initializer)
    return [tensor for tensor in tensors if tensor.dtype == np.int8 and tensor.ndim > 1]


def test_without_vnni_weights_have_seven_bits(made, images, tmp_path):
    source = made.paths[Place("onnxruntime", "float32")]
    quantise(source, tmp_path / "seven.onnx", Calibration(images), NO_VNNI)
    assert 60 < max(np.abs(weight).max() for weight in weights_of(tmp_path / "seven.onnx")) <= 64
    assert max(np.abs(weight).max() for weight in weights_of(made.paths[Place("onnxruntime", "int8")])) == 127


@pytest.mark.parametrize("method", ["entropy", "percentile"])
def test_other_methods_find_other_ranges(made, images, tmp_path, capsys, method):
    source = made.paths[Place("onnxruntime", "float32")]
    outliers = np.repeat(images, 8, 0)  # the pixel is less than 0.001 % of them
    outliers[0, 0, 0, 0] = 20.0
    steps = {}
    for name in ("minmax", method):
        quantise(source, tmp_path / f"{name}.onnx", Calibration(outliers, name), VNNI)
        graph = onnx.load(tmp_path / f"{name}.onnx").graph
        scales = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
        (first,) = (node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "images")
        steps[name] = float(scales[first.input[1]])
    assert steps["minmax"] == pytest.approx((20 - images.min()) / 255)
    assert steps[method] < 0.8 * steps["minmax"]
    assert capsys.readouterr().out == ""


def test_calibration_goes_through_every_image_once_few_at_a_time(images):
    parts = list(batches(images))
    assert [len(part) for part in parts] == [32, 32]
    assert np.array_equal(np.concatenate(parts), images)
    assert [len(part) for part in batches(np.zeros((3, 1, 600, 600), np.float32))] == [1, 1, 1]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((15, 3, 16, 16), "15 calibration images are too few to find ranges by; give at least 16"),
        ((16, 3, 8, 8), "the calibration images are 3×8×8 and the network takes 3×16×16; give images of its size"),
        ((16, 1, 16, 16), "the calibration images are 1×16×16 and the network takes 3×16×16; give images of its size"),
    ],
)
def test_unfit_calibration_images_are_refused(made, tmp_path, shape, message):
    source = made.paths[Place("onnxruntime", "float32")]
    with pytest.raises(ExportError) as refused:
        quantise(source, tmp_path / "int8.onnx", Calibration(np.zeros(shape, np.float32)), VNNI)
    assert str(refused.value) == message


def test_every_figure_of_the_table_is_measured_in_every_place(made, monkeypatch):
    monkeypatch.setattr("litconv.runtimes.measuring.peak_memory_bytes", lambda *_: 2**20)
    figures, _ = measure(made, made, (3, 16, 16), HowMeasured(threads=1, batch=2, seconds=0.001))
    assert figures.keys() == {place.key(figure.key) for place in PLACES for figure in DEPLOYED_FIGURES}
    for place in PLACES:
        one = {figure.key: figures[place.key(figure.key)] for figure in DEPLOYED_FIGURES}
        assert one["latency_p10_ms"] <= one["latency_ms"] <= one["latency_p90_ms"]
        assert one["peak_memory_mb"] == 1
    assert figures["deploy/onnxruntime/float32/file_mb"] == (
        made.paths[Place("onnxruntime", "float32")].stat().st_size / 2**20
    )
    weights = made.paths[Place("openvino", "int8")].with_suffix(".bin").stat().st_size
    assert figures["deploy/openvino/int8/file_mb"] > weights / 2**20


def test_a_network_that_is_its_own_reference_has_the_ratio_1(made, monkeypatch):
    monkeypatch.setattr("litconv.runtimes.measuring.peak_memory_bytes", lambda *_: None)
    place = Place("onnxruntime", "float32")
    alone = Files({place: made.paths[place]}, None)
    figures, _ = measure(alone, None, (3, 16, 16), HowMeasured(threads=1, batch=2, seconds=0.001))
    assert figures[place.key("latency_ratio")] == figures[place.key("latency_single_ratio")] == 1
    assert place.key("peak_memory_mb") not in figures, "what cannot be measured is absent"


def test_where_the_machine_was_busy_is_said_batch_by_batch(made, monkeypatch):
    monkeypatch.setattr("litconv.runtimes.measuring.peak_memory_bytes", lambda *_: None)
    monkeypatch.setattr(
        "litconv.runtimes.measuring.latency",
        lambda files, reference, place, batch, *_: Latency(
            1, 1, 1, 1, 4, is_disturbed=batch == 2 or place == PLACES[0]
        ),
    )
    _, disturbed = measure(made, made, (3, 16, 16), HowMeasured(threads=1, batch=2, seconds=0.001))
    assert disturbed == [
        "ONNX Runtime float32 at batch 1",
        "ONNX Runtime float32 at batch 2",
        "ONNX Runtime int8 at batch 2",
        "OpenVINO float32 at batch 2",
        "OpenVINO int8 at batch 2",
    ]


def test_the_process_whose_memory_is_measured_imports_no_torch(made):
    path = made.paths[Place("openvino", "int8")]
    shape = ["2", "3", "16", "16"]
    code = f"import sys; from litconv.runtimes import alone; alone.main('openvino', {str(path)!r}, '1', *{shape}); "
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"


def test_memory_is_that_of_a_process_of_its_own(made):
    path = made.paths[Place("onnxruntime", "float32")]
    small, large = (peak_memory_bytes("onnxruntime", path, 1, (batch, 3, 16, 16)) for batch in (1, 2048))
    images = 2047 * 3 * 16 * 16 * 4
    assert large - small > 2 * images  # the images, and activations of 8 channels
    assert 10 * 2**20 < small < 500 * 2**20


def test_a_file_that_is_none_is_one_line(tmp_path):
    (tmp_path / "torn.onnx").write_bytes(b"torn")
    with pytest.raises(ExportError, match=r"^ONNX Runtime cannot open .*torn\.onnx: [^\n]+$"):
        opened("onnxruntime", tmp_path / "torn.onnx", 1)


def test_an_extra_that_is_not_installed_is_named_with_its_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ExportError, match=r"openvino, which is not installed; run pip install 'litconv\[deploy\]'$"):
        runtimes_files.require_runtimes(PLACES)
    monkeypatch.setattr("litconv.config.deploying.find_spec", lambda name: None if name == "openvino" else name)
    (fault,) = choice_faults("deploy", ["onnxruntime", "openvino"], "deploy.precision", ["int8"])
    assert fault == "deploy=openvino needs openvino, which is not installed; run pip install 'litconv[deploy]'"
