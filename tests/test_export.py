"""Files that run without litconv compute what PyTorch does; what they cannot hold is refused by name."""

import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.ops import deform_conv2d

import litconv
from command import ROOT, command
from litconv import build
from litconv.config.composed import CONF, compose
from litconv.conv import Deformable, SameConv2d
from litconv.conv.condconv import CondConv
from litconv.conv.octave import Octave
from litconv.conv.slot import DECLARED_COSTS, PLAIN_FORMS
from litconv.errors import ExportError
from litconv.export import deployed, formats, to_onnx, to_openvino
from litconv.export.exporting import export
from litconv.export.formats import FORMATS, Format, Options, in_openvino
from litconv.export.graph import name_of, operations, recorded
from litconv.export.preprocessing import Preprocessing
from litconv.run.card import Card
from litconv.trained.exporting import noise
from untrained_runs import untrained_run


def images(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def in_both(model: nn.Module, x: torch.Tensor, folder: Path, **options) -> dict:
    """What each runtime makes of a model, as functions of images."""
    path = folder / "model.onnx"
    to_onnx(model, x, path, **options)
    to_openvino(path, path.with_suffix(".xml"))
    return {"onnxruntime": formats.in_onnxruntime(path), "openvino": in_openvino(path.with_suffix(".xml"))}


def kinds(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


# -- deformable convolution --------------------------------------------------------------------------------------------


class OfTorchvision(nn.Module):
    """torchvision's own operation at offsets far beyond the borders and between the pixels: (Cin, Cout, groups) = (4, 6, 2)."""

    def __init__(self, stride: int, dilation: int, offset_groups: int, masked: bool) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.weight = nn.Parameter(torch.randn(6, 2, 3, 2, generator=generator))
        self.bias = nn.Parameter(torch.randn(6, generator=generator))
        taps, like = 6 * offset_groups, {"stride": stride, "padding": (1, 2), "dilation": dilation}
        self.offset, self.mask = nn.Conv2d(4, 2 * taps, (3, 2), **like), nn.Conv2d(4, taps, (3, 2), **like)
        self.masked, self.like = masked, like
        for layer, size in ((self.offset, 2.5), (self.mask, 1.0)):
            nn.init.normal_(layer.bias, std=size, generator=generator)
            nn.init.normal_(layer.weight, std=0.1, generator=generator)

    def forward(self, x):
        mask = self.mask(x).sigmoid() if self.masked else None
        return deform_conv2d(x, self.offset(x), self.weight, self.bias, mask=mask, **self.like)


@pytest.mark.parametrize(
    ("stride", "dilation", "offset_groups", "masked"),
    [(1, 1, 1, False), (2, 1, 2, True), (1, 2, 2, False), (2, 2, 1, True)],
)
def test_deformable_convolution_is_torchvisions_in_both_runtimes(tmp_path, stride, dilation, offset_groups, masked):
    x, model = images(3, 4, 11, 9), OfTorchvision(stride, dilation, offset_groups, masked).eval()
    with torch.no_grad():
        expected = model(x).numpy()
    assert model.offset(x).abs().max() > 5  # far outside
    for run in in_both(model, x[:2], tmp_path).values():
        np.testing.assert_allclose(run(x.numpy()), expected, atol=2e-5)


@pytest.mark.parametrize("kernel_size", [3, 2])
@pytest.mark.parametrize("modulated", [False, True])
def test_litconvs_deformable_is_the_same_there(tmp_path, modulated, kernel_size):
    model = Deformable(4, 6, kernel_size, 2, modulated=modulated, offset_groups=2).eval()
    nn.init.normal_(model.offset.weight, std=0.3)
    nn.init.normal_(model.offset.bias, std=2.0)
    x = images(2, 4, 9, 7)
    with torch.no_grad():
        expected = model(x).numpy()
    for run in in_both(model, x, tmp_path).values():
        np.testing.assert_allclose(run(x.numpy()), expected, atol=2e-5)
    assert kinds(tmp_path / "model.onnx").count("DeformConv") == 1


def test_samples_less_than_a_pixel_outside_mix_the_border_with_zero_in_openvino_too(tmp_path):
    model = Deformable(1, 1, 1).eval()
    nn.init.ones_(model.weight)
    model.offset.bias.data[:] = torch.tensor([-0.25, 0.0])  # every sample a quarter of a pixel too high
    x = torch.ones(1, 1, 3, 3)
    run = in_both(model, x, tmp_path)["openvino"]
    np.testing.assert_allclose(run(x.numpy())[0, 0], [[0.75] * 3, [1] * 3, [1] * 3], atol=1e-6)


def test_an_opset_too_low_for_deformable_convolution_is_refused_by_the_layers_name(tmp_path):
    model = nn.Sequential(SameConv2d(3, 4), Deformable(4, 4)).eval()
    with pytest.raises(
        ExportError, match=r"^opset=18 has no deformable convolution, which 1 \(Deformable\) .*opset=20$"
    ):
        to_onnx(model, images(2, 3, 8, 8), tmp_path / "a.onnx", opset=18)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ExportError, match=r"opset=3 must be a whole number from 18 to"):
        to_onnx(model, images(2, 3, 8, 8), tmp_path / "a.onnx", opset=3)


# -- ordinary operations -----------------------------------------------------------------------------------------------


def test_every_operation_of_litconv_has_a_plain_form():
    assert PLAIN_FORMS.keys() == DECLARED_COSTS.keys()


@pytest.mark.parametrize("name", sorted(path.stem for path in Path(CONF, "conv").glob("*.yaml")))
def test_every_operator_is_recorded_in_operations_that_are_nobodys_own(name):
    x, layer = images(3, 16, 12, 10), build.part(compose([f"conv={name}"]).conv)(16, 16, stride=2).eval()
    if isinstance(layer, Deformable):
        nn.init.normal_(layer.offset.bias)
    program = recorded(layer, x[:2])
    assert not [name_of(node) for node in operations(program) if name_of(node).startswith("litconv")]
    torch.testing.assert_close(program.module()(x), layer(x), atol=1e-5, rtol=1e-5)


class Own(nn.Module):
    def forward(self, x):
        return torch.ops.litconv_test.double(x)


@torch.library.custom_op("litconv_test::double", mutates_args=())
def double(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


double.register_fake(torch.empty_like)


def test_a_models_own_operation_is_refused_with_the_name_of_its_module(tmp_path):
    model = nn.Sequential(SameConv2d(3, 4), nn.Sequential(Own())).eval()
    with pytest.raises(ExportError, match=r"^1\.0 \(Own\) computes litconv_test::double, an operation of its own"):
        to_onnx(model, images(2, 3, 8, 8), tmp_path / "a.onnx")


def test_a_model_in_training_is_refused():
    with pytest.raises(ExportError, match="training mode"):
        recorded(nn.Sequential(nn.BatchNorm2d(3)), images(2, 3, 8, 8))


def test_kernels_of_images_serve_every_batch(tmp_path):
    model = CondConv(4, 6, stride=2).eval()
    for run in in_both(model, images(1, 4, 9, 8), tmp_path).values():
        for batch in (1, 3, 7):
            x = images(batch, 4, 9, 8)
            with torch.no_grad():
                np.testing.assert_allclose(run(x.numpy()), model(x).numpy(), atol=1e-5)


def test_a_free_size_serves_every_size(tmp_path):
    model = Octave(4, 6, stride=2).eval()
    for run in in_both(model, images(2, 4, 12, 16), tmp_path, dynamic_size=True).values():
        x = images(3, 4, 9, 14)
        with torch.no_grad():
            np.testing.assert_allclose(run(x.numpy()), model(x).numpy(), atol=1e-5)
    (taken,) = onnx.load(tmp_path / "model.onnx").graph.input
    assert [size.dim_param or size.dim_value for size in taken.type.tensor_type.shape.dim] == [
        "batch",
        4,
        "height",
        "width",
    ]


class Eight(nn.Module):
    def forward(self, x):
        if x.shape[2] != 8:
            raise ValueError("8 rows are needed")
        return x.mean((2, 3))


def test_where_a_model_allows_one_size_the_file_has_that_and_it_is_said(tmp_path, caplog):
    model, x = nn.Sequential(SameConv2d(3, 2), Eight()).eval(), images(4, 3, 8, 8)
    export(model, x, tmp_path / "a.onnx", to="onnx", options=Options(dynamic_size=True), facts={}, images_of="noise")
    assert re.search(r"dynamic_size=true: the file takes images of 8×8 alone", caplog.text)
    assert onnxruntime.InferenceSession(tmp_path / "a.onnx").get_inputs()[0].shape == ["batch", 3, 8, 8]


# -- norms -------------------------------------------------------------------------------------------------------------


class Norms(nn.Module):
    """A norm behind each kind of layer; only the first two can be part of theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.up = SameConv2d(3, 4), nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.read_twice, self.used_twice = SameConv2d(4, 4), SameConv2d(4, 4)
        self.norms = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(6))
        for norm in self.norms:
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)

    def forward(self, x):
        x = self.norms[1](self.up(self.norms[0](self.conv(x)).relu()))
        y = self.read_twice(x)
        x = self.norms[2](y) + y
        x = self.norms[4](self.used_twice(self.norms[3](self.used_twice(x))))
        return self.norms[5](x.relu())


def test_norms_are_folded_where_that_is_exact():
    model, x = Norms().eval(), images(2, 3, 6, 6)
    form = deployed(model, x)
    assert [isinstance(norm, nn.Identity) for norm in form.norms] == [True, True, False, False, False, False]
    torch.testing.assert_close(form(x), model(x), atol=1e-4, rtol=1e-4)
    assert all(isinstance(norm, nn.BatchNorm2d) for norm in model.norms)
    left = deployed(model, x, fused=False)
    assert all(isinstance(norm, nn.BatchNorm2d) for norm in left.norms)
    assert torch.equal(left(x), model(x))


def test_the_norm_behind_a_deformable_convolution_is_folded_in_the_file(tmp_path):
    model, x = nn.Sequential(Deformable(3, 4), nn.BatchNorm2d(4), nn.ReLU()), images(2, 3, 8, 8)
    nn.init.normal_(model[0].offset.bias)
    model.train()(x)  # statistics
    model.eval()
    nn.init.normal_(model[1].weight)
    nn.init.normal_(model[1].bias)
    with torch.no_grad():
        expected = model(x).numpy()
    for fused in (True, False):
        for run in in_both(model, x, tmp_path, fused=fused).values():
            np.testing.assert_allclose(run(x.numpy()), expected, atol=2e-5)
        assert ("BatchNormalization" in kinds(tmp_path / "model.onnx")) is not fused


# -- a run's file ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Of shapes, deformable; its offsets are what training would make of them."""
    folder = untrained_run(
        tmp_path_factory.mktemp("runs"), "conv=deformable", "conv.modulated=true", "backbone.depth=8"
    )
    path = folder / "checkpoints" / "best.ckpt"
    saved = torch.load(path)
    for name, value in saved["state_dict"].items():
        if ".offset." in name:
            value.normal_(std=0.1, generator=torch.Generator().manual_seed(0))
    torch.save(saved, path)
    return folder


def exported(run: Path, to: str, out: Path, *more: str) -> None:
    assert command(f"run={run}", f"to={to}", f"out={out}", *more, module="export") == 0


@pytest.fixture(scope="module")
def file(run, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("file") / "model.onnx"
    exported(run, "onnx", path)
    return path


EXPECTED = {
    "task": "classification",
    "operator": "deformable",
    "backbone": "resnet",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
    "image_size": [32, 32],
    "litconv_version": litconv.__version__,
    "input": "images",
    "output": "logits",
}


def check_facts(facts: dict[str, str]) -> None:
    for key, value in EXPECTED.items():
        assert facts[key] == (value if isinstance(value, str) else json.dumps(value))
    assert json.loads(facts["class_names"])[:2] == ["disc", "ring"]


def test_the_file_says_what_one_must_know_to_use_it_and_nothing_of_this_machine(file):
    session = onnxruntime.InferenceSession(file)
    check_facts(session.get_modelmeta().custom_metadata_map)
    assert [(value.name, value.shape) for value in session.get_inputs()] == [("images", ["batch", 3, 32, 32])]
    assert [(value.name, value.shape) for value in session.get_outputs()] == [("logits", ["batch", 10])]
    assert onnx.load(file).opset_import[0].version == 20
    content = file.read_bytes()
    assert str(ROOT).encode() not in content
    assert b"site-packages" not in content


def test_parity_stands_beside_the_file(file):
    parity = json.loads(file.with_name("model.onnx.parity.json").read_text())
    assert 0 < parity["max_abs_difference"] < 1e-4
    assert parity["limit"] == pytest.approx(1e-4 * max(1, parity["largest_logit"]))
    assert (parity["runtime"], parity["images"], parity["same_predictions"]) == ("onnxruntime", 16, 1)
    assert parity["images_of"] == "the test split of data=shapes"


def test_the_snippet_of_the_page_gives_the_logits_of_the_run(run, file, tmp_path, monkeypatch, capsys):
    (snippet,) = re.findall(r"```python\n(import json\n.*?)```", (ROOT / "docs" / "export.md").read_text(), re.DOTALL)
    assert "litconv" not in snippet
    assert "torch" not in snippet
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    (tmp_path / "model.onnx").write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(snippet, names)
    trained = litconv.load(run)
    np.testing.assert_allclose(names["logits"], trained.logits(trained.preprocess(pixels)).numpy(), atol=1e-4)
    assert capsys.readouterr().out.strip() == trained.predict(pixels)[0].label


def test_preprocessing_in_the_graph_is_that_of_the_run(run, tmp_path):
    exported(run, "onnx", tmp_path / "model.onnx", "include_preprocessing=true")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    trained = litconv.load(run)
    expected = trained.logits(torch.cat([trained.preprocess(image) for image in pixels]))
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    np.testing.assert_allclose(session.run(None, {"images": pixels})[0], expected.numpy(), atol=1e-4)


@pytest.mark.parametrize("bits", [8, 16])
def test_whole_numbers_are_normalised_as_the_data_are_and_come_back_exactly(bits):
    dtype, largest = {8: (torch.uint8, 255), 16: (torch.uint16, 65535)}[bits]
    whole = torch.arange(0, largest + 1, 1 if bits == 8 else 7).to(torch.int32)
    whole = whole[: len(whole) // 3 * 3].view(1, -1, 1, 3).to(dtype)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    preprocessing = Preprocessing(nn.Identity(), mean, std, largest)
    normalised = preprocessing(whole)
    expected = (whole.double() / largest - torch.tensor(mean, dtype=torch.double)) / torch.tensor(
        std, dtype=torch.double
    )
    torch.testing.assert_close(normalised.double(), expected.permute(0, 3, 1, 2), atol=1e-5, rtol=0)
    assert torch.equal(preprocessing.undone(normalised).to(torch.int32), whole.to(torch.int32))


def test_the_other_formats_hold_the_same(run, tmp_path):
    trained = litconv.load(run)
    x = images(3, 3, 32, 32)
    expected = trained.logits(x).numpy()
    for to, name in (("torchscript", "a.pt"), ("torch_export", "a.pt2"), ("openvino", "a.xml")):
        exported(run, to, tmp_path / name, "images=4")
        np.testing.assert_allclose(FORMATS[to].runner(tmp_path / name)(x.numpy()), expected, atol=1e-4)
        assert json.loads((tmp_path / f"{name}.parity.json").read_text())["images"] == 4
    held = {"metadata.json": ""}
    torch.jit.load(str(tmp_path / "a.pt"), _extra_files=held)
    check_facts(json.loads(held["metadata.json"]))
    held = {"metadata.json": ""}
    torch.export.load(tmp_path / "a.pt2", extra_files=held)
    check_facts(json.loads(held["metadata.json"]))
    model = openvino.Core().read_model(tmp_path / "a.xml")
    check_facts({key: model.get_rt_info(["litconv", key]).value for key in (*EXPECTED, "class_names")})


def test_parity_is_seen_on_images_of_ones_own_or_on_noise_which_is_said(run, tmp_path, monkeypatch):
    for number in range(3):
        Image.fromarray(np.full((40, 30, 3), 80 * number, np.uint8)).save(tmp_path / f"{number}.png")
    exported(run, "torchscript", tmp_path / "a.pt", f"images={tmp_path}")
    assert json.loads((tmp_path / "a.pt.parity.json").read_text())["images"] == 3
    exported(run, "torchscript", tmp_path / "a.pt", "images=20")
    parity = json.loads((tmp_path / "a.pt.parity.json").read_text())
    assert (parity["images"], parity["images_of"]) == (20, "the test split of data=shapes"), "more than a batch of 16"

    def gone(*arguments):
        raise litconv.errors.DataError("gone")

    monkeypatch.setattr("litconv.trained.exporting.read_again", gone)
    exported(run, "torchscript", tmp_path / "a.pt", "images=5")
    parity = json.loads((tmp_path / "a.pt.parity.json").read_text())
    assert (parity["images"], parity["images_of"]) == (5, "noise of seed 0, for the run's data are not there")


@pytest.mark.parametrize("bits", [8, 16])
def test_noise_for_want_of_data_fills_the_range_of_real_pixels(bits):
    card = Card(
        task="classification",
        class_names=("a",),
        class_colours=(),
        ignore_index=-100,
        in_channels=1,
        bits=bits,
        image_size=(64, 64),
        fit="stretch",
        resampling="pillow",
        mean=(0.4,),
        std=(0.2,),
    )
    pixels = noise(card, 4) * 0.2 + 0.4  # 0 to 1, evenly: their deviation is 1/√12
    assert pixels.mean() == pytest.approx(0.5, abs=0.02)
    assert pixels.std() == pytest.approx(12**-0.5, abs=0.02)


# -- refusals ----------------------------------------------------------------------------------------------------------


def refused(capsys, *arguments: str) -> str:
    assert command(*arguments, module="export") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_a_wrong_command_line_is_one_line(run, tmp_path, capsys):
    on = f"run={run}"
    assert "run is missing: the folder of the run to export" in refused(capsys)
    assert "to=tflite must be one of onnx, torchscript" in refused(capsys, on, "to=tflite")
    assert "must end in .xml" in refused(capsys, on, "to=openvino", "out=a.onnx")
    assert "fused=2 must be true or false" in refused(capsys, on, "fused=2")
    assert "checkpoint=other is not in" in refused(capsys, on, "checkpoint=other")
    (tmp_path / "a.onnx").mkdir()
    assert "is a folder; give a file" in refused(capsys, on, f"out={tmp_path}/a.onnx")
    (tmp_path / "full").write_text("")
    assert "full/a.pt cannot be written: " in refused(capsys, on, "to=torchscript", f"out={tmp_path}/full/a.pt")
    assert "images=0 must be a number of images" in refused(capsys, on, f"out={tmp_path}/b.onnx", "images=0")
    assert "opset=18 has no deformable convolution" in refused(capsys, on, f"out={tmp_path}/b.onnx", "opset=18")
    assert "is no file and no folder" in refused(capsys, on, f"out={tmp_path}/b.onnx", "images=nowhere")
    assert "opset=17 must be a whole number from 18 to " in refused(capsys, on, "images=nowhere", "opset=17")
    assert "opset=20 has no effect: files of to=torchscript" in refused(capsys, on, "to=torchscript", "opset=20")


def test_an_extra_that_is_not_installed_is_named_with_the_command_that_installs_it(run, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    said = "needs onnxscript, which is not installed; run pip install 'litconv[deploy]'"
    assert f"error: to=onnx {said}" in refused(capsys, f"run={run}", "to=onnx")
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert "needs onnxscript and openvino, which are not" in refused(capsys, f"run={run}", "to=openvino")


@pytest.mark.parametrize("wrong", [0.1, math.nan])
def test_a_file_that_computes_something_else_is_not_kept(tmp_path, monkeypatch, wrong):
    model, x, path = nn.Sequential(SameConv2d(3, 2)).eval(), images(4, 3, 8, 8), tmp_path / "a.pt"
    options = {"to": "torchscript", "options": Options(), "facts": {}, "images_of": "noise"}
    export(model, x, path, **options)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    right = FORMATS["torchscript"]
    monkeypatch.setitem(
        FORMATS, "torchscript", Format(right.write, lambda path: lambda batch: right.runner(path)(batch) + wrong)
    )
    with pytest.raises(
        ExportError, match=r"torchscript differs from PyTorch by at most .* on 4 images: noise; no file"
    ):
        export(model, x, path, **options)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
