"""Implementations of deformable convolution: large problems, threads, layouts, and how one is chosen and compiled."""

import ctypes
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from torch import nn

from command import ROOT
from deform_cases import HAS_COMPILER, IMPLEMENTATIONS, ours, relative_error, tensors, theirs, with_gradients
from litconv import native as compiled
from litconv.build import model as build_model
from litconv.config.composed import compose
from litconv.conv import Deformable, deform_op
from litconv.conv.deform_kernels import cpp
from litconv.errors import ConfigError
from litconv.prepare.settling import implementations
from litconv.run.naming import config_hash

CPU = torch.device("cpu")
needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="there is no C++ compiler")
# (groups, offset groups, modulated, kernel, stride, padding, dilation), channels
ONE_BLOCK = (1, 1, True, (3, 3), (1, 1), (1, 1), (1, 1)), 24
TWO_BLOCKS = (1, 3, True, (3, 3), (2, 1), (1, 1), (1, 1)), 192  # an offset group ends inside a block
TWO_GROUPS = (2, 4, False, (3, 3), (1, 1), (2, 2), (2, 2)), 320
PRIME = (1, 1, True, (3, 3), (1, 1), (1, 1), (1, 1)), 137


@pytest.fixture
def threads():
    """torch's number of threads may be changed; it is put back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def large(case: tuple, dtype: torch.dtype = torch.double) -> tuple[list, tuple]:
    """Inputs of many tiles, and their geometry."""
    geometry, channels = case
    inputs = tensors(geometry, 1.0, dtype, channels, size=(23, 19), images=3)
    return inputs, geometry


@pytest.mark.parametrize("case", [ONE_BLOCK, TWO_BLOCKS, TWO_GROUPS, PRIME], ids=str)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_many_channels_and_pixels_are_computed_as_torchvision_does(implementation, case):
    inputs, geometry = large(case)
    mine = with_gradients(partial(ours, implementation=implementation), inputs, geometry)
    for name, expected in with_gradients(theirs, inputs, geometry).items():
        assert relative_error(mine[name], expected) <= 1e-12, name


@needs_compiler
@pytest.mark.parametrize("case", [ONE_BLOCK, TWO_BLOCKS], ids=str)
def test_the_kernel_gives_the_same_bits_on_any_number_of_threads(threads, case):
    inputs, geometry = large(case, torch.float)
    results = []
    for number in (1, 2, 2, 3):
        threads(number)
        results.append(with_gradients(partial(ours, implementation="cpp"), inputs, geometry))
    for other in results[1:]:
        for name, expected in results[0].items():
            assert torch.equal(other[name], expected), name


def test_without_the_kernel_the_same_call_gives_the_same_bits(threads):
    threads(2)
    inputs, geometry = large(TWO_BLOCKS, torch.float)
    first, second = (with_gradients(partial(ours, implementation="gather"), inputs, geometry) for _ in range(2))
    for name, expected in first.items():
        assert torch.equal(second[name], expected), name


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_tensors_of_any_layout_are_read_as_they_are(implementation):
    inputs, geometry = large(ONE_BLOCK)
    expected = with_gradients(theirs, inputs, geometry)
    x, weight, offset, mask = (t.detach() for t in inputs)
    guide = torch.cat([offset, mask], 1).contiguous(memory_format=torch.channels_last)
    views = [
        x.repeat(1, 2, 1, 1)[:, : x.shape[1]],
        weight.flip(3).flip(3).transpose(2, 3).contiguous().transpose(2, 3),
        *guide.split((offset.shape[1], mask.shape[1]), 1),
    ]
    assert not any(view.is_contiguous() for view in views)
    views = [view.requires_grad_() for view in views]
    y = ours(*views, geometry, implementation)
    y.sum().backward()  # its gradient has no memory of its own: one value, expanded
    reference = [t.detach().clone().requires_grad_() for t in inputs]
    theirs(*reference, geometry).sum().backward()
    assert relative_error(y.detach(), expected["output"]) <= 1e-12
    for mine, other in zip(views, reference, strict=True):
        assert relative_error(mine.grad, other.grad) <= 1e-12


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_batch_of_no_images_gives_no_output_and_zero_gradients(implementation):
    inputs, geometry = large(ONE_BLOCK, torch.float)
    empty = [inputs[0][:0], inputs[1], inputs[2][:0], inputs[3][:0]]
    results = with_gradients(partial(ours, implementation=implementation), empty, geometry)
    assert results["output"].shape == (0, 12, 23, 19)
    assert results["weight"].shape == inputs[1].shape
    assert not results["weight"].any()


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """machine(compiler): as if nothing had been compiled here, and that were the compiler."""
    cpp._loaded.cache_clear()
    deform_op._without_kernel.cache_clear()
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    yield lambda compiler: monkeypatch.setenv("CXX", compiler)
    cpp._loaded.cache_clear()


@pytest.mark.parametrize(("compiler", "reason"), [("no-such-compiler", "there is no C++ compiler"), ("false", "false")])
def test_without_a_compiler_that_works_the_choice_is_gather_and_the_reason_is_said(machine, caplog, compiler, reason):
    machine(compiler)
    with caplog.at_level(logging.INFO, "litconv"):
        assert deform_op.chosen("auto", CPU) == "gather"
    assert caplog.messages[-1].startswith("deformable convolutions run in PyTorch, without the faster C++ kernel: ")
    assert reason in caplog.messages[-1]
    assert "\n" not in caplog.messages[-1]
    x = torch.randn(1, 4, 5, 5)
    assert Deformable(4, 6)(x).shape == (1, 6, 5, 5)
    with pytest.raises(ConfigError, match=r"^conv.implementation=cpp cannot run here \(.+\); choose auto or gather$"):
        Deformable(4, 6, implementation="cpp")


def test_triton_on_a_cpu_is_refused(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(ConfigError, match=r"^conv.implementation=triton runs on a GPU, and the model is on the CPU"):
        deform_op.chosen("triton", CPU)


@needs_compiler
def test_with_a_compiler_the_choice_is_the_kernel():
    assert deform_op.chosen("auto", CPU) == "cpp"
    assert Deformable(4, 6).implementation_on(CPU) == "cpp"


@needs_compiler
def test_of_two_that_need_a_library_at_once_one_compiles_it_and_the_other_waits(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "cache"))
    source = tmp_path / "seven.cpp"
    source.write_text('extern "C" int seven() { return 7; }\n')
    with caplog.at_level(logging.INFO, "litconv"), ThreadPoolExecutor(2) as pool:
        first, second = pool.map(compiled.library_of, [source, source])
        again = compiled.library_of(source)
    assert first == second == again
    assert ctypes.CDLL(str(first)).seven() == 7
    assert sum(message.startswith("compiling") for message in caplog.messages) == 1
    source.write_text('extern "C" int seven() { return 8; }\n')
    assert compiled.library_of(source) != first


LEAVES = """
import os, sys
from pathlib import Path
from litconv.native import Compilation
assert not Compilation(Path(sys.argv[1])).is_done()
os.kill(os.getpid(), 9)
"""


@needs_compiler
def test_a_compilation_outlives_the_process_that_began_it_and_is_found_by_the_next(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "cache"))
    source = tmp_path / "seven.cpp"
    source.write_text('extern "C" int seven() { return 7; }\n')
    killed = subprocess.run([sys.executable, "-c", LEAVES, source], cwd=ROOT / "src")
    assert killed.returncode == -9
    compilation = compiled.Compilation(source)
    compilation.wait()
    assert compilation.compiler is None  # this process compiled nothing
    assert ctypes.CDLL(str(compilation.library)).seven() == 7
    assert not compilation.build.exists()


@needs_compiler
def test_what_a_killed_compiler_leaves_does_not_stop_the_next_one(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "cache"))
    source = tmp_path / "seven.cpp"
    source.write_text('extern "C" int seven() { return 7; }\n')
    compilation = compiled.Compilation(source)
    compilation.build.mkdir(parents=True)
    (compilation.build / "made.o").write_text("torn")
    (compilation.library.parent / "lock").touch()
    assert ctypes.CDLL(str(compiled.library_of(source))).seven() == 7


@needs_compiler
def test_a_source_that_does_not_compile_leaves_nothing_that_looks_like_a_library(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "cache"))
    source = tmp_path / "broken.cpp"
    source.write_text("int broken( { }\n")
    with pytest.raises(compiled.BuildError, match=r"broken\.cpp:1:.*error"):
        compiled.library_of(source)
    assert not list((tmp_path / "cache").rglob("*.so"))


def test_an_unknown_implementation_is_refused():
    with pytest.raises(
        ConfigError, match=r"^conv.implementation=cuda must be one of auto, cpp, gather, torchvision, triton$"
    ):
        Deformable(8, 6, implementation="cuda")


def test_the_implementation_does_not_change_the_name_of_a_run():
    def settings(implementation: str, modulated: bool = False) -> dict:
        conv = {"_target_": "litconv.conv.deformable.Deformable", "modulated": modulated}
        return {"seed": 0, "conv": {**conv, "implementation": implementation}, "conv_stage2": dict(conv), "trainer": {}}

    assert config_hash(settings("gather")) == config_hash(settings("auto"))
    assert config_hash(settings("auto", modulated=True)) != config_hash(settings("auto"))


def test_a_summary_says_which_implementation_computed():
    mixed = build_model(compose(["conv=standard", "conv@conv_stage3=deformable"]), 3, 10)
    for module in mixed.modules():
        if isinstance(module, Deformable):
            module.implementation = "gather"
    assert implementations(mixed, CPU) == {"conv/implementation": "gather"}
    assert implementations(nn.Conv2d(3, 3, 3), CPU) == {}
